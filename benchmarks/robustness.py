"""How the bundled model bears galaxies that are off the middle, framed otherwise, blurred or noisy.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/robustness.py [--model compact] [--save]

The galaxies are those of ``gz2_five_class`` that the bundled model never saw (see ``bundled.py``),
224 pixels wide, in their natural balance, classified zero-shot. Every line changes all of them in
one way, each in a direction of its own. *changed* is the share of them whose class is then another
than of the image as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from bundled import CONFIG, Parts, check_leakage, five_classes
from common import data_folder, machine, write_results
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import accuracy_score, f1_score
from tqdm.auto import tqdm

from gmc_astro import GalaxyMorphologyClassifier

SIDE = 224
LINE = "{change:30} {by:>7}  {accuracy:8.3f}  {macro_f1:8.3f}  {changed:8.3f}"
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def sky(image: np.ndarray) -> np.ndarray:
    """Median colour of the outermost pixels, shape (3,)."""
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return np.median(edge, axis=0).astype(np.uint8)


def off_middle(share: float) -> Change:
    """Move by a share of the image's width in a random direction; sky comes in."""

    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        angle = rng.uniform(0, 2 * np.pi)
        right, down = np.round(share * SIDE * np.array([np.cos(angle), np.sin(angle)])).astype(int)
        moved = np.empty((3 * SIDE, 3 * SIDE, 3), np.uint8)
        moved[:] = sky(image)
        moved[SIDE : 2 * SIDE, SIDE : 2 * SIDE] = image
        return moved[SIDE - down : 2 * SIDE - down, SIDE - right : 2 * SIDE - right]

    return change


def scaled(factor: float) -> Change:
    """Make the galaxy larger in its frame, or smaller with sky around it."""

    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        side = round(SIDE * factor)
        resized = Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)
        if factor >= 1:
            start = (side - SIDE) // 2
            return np.asarray(resized)[start : start + SIDE, start : start + SIDE]
        framed = np.empty_like(image)
        framed[:] = sky(image)
        start = (SIDE - side) // 2
        framed[start : start + side, start : start + side] = resized
        return framed

    return change


def blurred(sigma: float) -> Change:
    """Smooth by a Gaussian of so many pixels of 224."""
    return lambda image, rng: gaussian_filter(image, (sigma, sigma, 0), mode="nearest")


def noisy(levels: float) -> Change:
    """Add Gaussian noise of so many of the 256 levels to each channel."""

    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.normal(0, levels, image.shape)
        return np.clip(image + noise, 0, 255).round().astype(np.uint8)

    return change


def brighter(factor: float) -> Change:
    """Multiply all levels."""
    return lambda image, rng: np.clip(image * factor, 0, 255).round().astype(np.uint8)


CHANGES: dict[str, dict[str, Change]] = {
    "off the middle, of the width": {
        f"{share:.1%}": off_middle(share) for share in (0.025, 0.05, 0.075, 0.1, 0.15)
    },
    "size in its frame, times": {
        f"{factor:g}": scaled(factor) for factor in (0.5, 0.67, 0.8, 1.25, 1.5, 2)
    },
    "blurred, sigma in pixels": {f"{sigma:g}": blurred(sigma) for sigma in (1, 2, 3)},
    "noise, levels of 256": {f"{levels}": noisy(levels) for levels in (5, 10, 20)},
    "brightness, times": {f"{factor:g}": brighter(factor) for factor in (0.5, 0.75, 1.5)},
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="compact", help="as for the classifier")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/robustness.*")
    args = parser.parse_args()
    data, classifier = data_folder(), GalaxyMorphologyClassifier(args.model)
    _, part = Parts(data, classifier).split("gz2_five_class")
    check_leakage(data, [part])
    images, truth = part.images(SIDE).read().images, five_classes(part)

    def classify(changed: np.ndarray) -> np.ndarray:
        return np.asarray(classifier.zero_shot(changed)["label"])

    def score(labels: np.ndarray) -> dict[str, float]:
        return {
            "accuracy": round(accuracy_score(truth, labels), 4),
            "macro_f1": round(f1_score(truth, labels, average="macro"), 4),
            "changed": round(float(np.mean(labels != usual)), 4),
        }

    usual = classify(images)
    rows = [{"change": "as it is", "by": "", **score(usual)}]
    changes = [(kind, by, change) for kind, of in CHANGES.items() for by, change in of.items()]
    for kind, by, change in tqdm(changes, desc="changes"):
        rng = np.random.default_rng(0)
        changed = np.stack([change(image, rng) for image in images])
        rows.append({"change": kind, "by": by, **score(classify(changed))})

    about = machine()
    share = CONFIG["holdouts"]["gz2_five_class"]
    lines = [
        *(f"{key}: {value}" for key, value in about.items()),
        "",
        f"gz2_five_class, {len(truth)} held out ({share:.0%} by hash of the id), zero-shot",
        "change                              by  accuracy  macro-F1   changed",
        *map(LINE.format_map, rows),
    ]
    print("\n".join(lines))
    if args.save:
        write_results("robustness", {"machine": about, "model": args.model, "rows": rows}, lines)


if __name__ == "__main__":
    main()

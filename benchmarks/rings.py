"""Transfer to another survey: ring or no ring in DECaLS, from ten labels a class.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/rings.py --model FOLDER [--save]

The model must not have learnt from ``decals_rings`` (``configs/without_rings.toml`` trains one).
Galaxies of it that another of the model's tables shows, by perceptual hash, are left out.
For each seed ten galaxies of each class are labelled, all others measure. Supervised training of
the same image tower from random weights sees the same labels. How red a galaxy is says something
as well, without any label or network.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

import numpy as np
from common import ROOT, data_folder, machine, write_results
from scipy.stats import ttest_rel
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from gmc_astro import open_images
from gmc_astro.evaluation import ModelOptions, Task, find_row
from gmc_astro.learning import (
    SAME_GALAXY,
    LabelTraining,
    TrainingSet,
    hash_source,
    held_size,
    nearest_bits,
)
from gmc_astro.morphology import ClassScheme
from gmc_astro.sources import ArraySource, read_catalog

TEST_SET = "decals_rings"
RINGS = ClassScheme.from_any(
    {
        "no ring": ["a spiral galaxy", "a galaxy without a ring", "a smooth galaxy"],
        "ring": ["a ring galaxy", "a galaxy with a ring"],
    }
)
SCRATCH = "scratch+96px"
ROWS = ("zero-shot", "probe", "finetune", SCRATCH)
LABELS = 10  # of each class
MEASURES = ("auc", "macro_f1", "accuracy")


def find_known(data: Path, paths: list[str], config: Path) -> tuple[np.ndarray, int]:
    """Which galaxies the model was trained on, and the number of its training images."""
    images = tomllib.loads(config.read_text())["images"]
    if TEST_SET in images["tables"]:
        sys.exit(f"{config} trains on {TEST_SET}: give a model that did not")
    training = TrainingSet.read([data / name for name in images["tables"]])
    training = training.without(images["exclude"])
    bits = nearest_bits(*(hash_source(open_images(p))[0] for p in (paths, list(training.paths))))
    return bits <= SAME_GALAXY, len(training)


def measure(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Area under the ROC curve, macro-F1 and accuracy."""
    found = probabilities.argmax(axis=1)
    return {
        "auc": float(roc_auc_score(truth, probabilities[:, 1])),
        "macro_f1": float(f1_score(truth, found, average="macro")),
        "accuracy": float(accuracy_score(truth, found)),
    }


def redness(images: np.ndarray) -> np.ndarray:
    """(R - B) / (R + G + B) of the middle of uint8 images (N, S, S, 3), bright pixels first."""
    edge = images.shape[1] // 4
    middle = images[:, edge:-edge, edge:-edge].astype(float)
    weight = middle.mean(axis=-1, keepdims=True) ** 2
    colours = (weight * middle).sum(axis=(1, 2))
    return (colours[:, 0] - colours[:, 2]) / colours.sum(axis=1)


def one_seed(
    pictures: dict[int | None, np.ndarray], truth: np.ndarray, model: ModelOptions, seed: int
) -> dict:
    """Every row on one draw of the labels; pictures by the size that a row asks for."""
    rng = np.random.default_rng(seed)
    few = np.sort(
        np.concatenate(
            [rng.choice(np.flatnonzero(truth == k), LABELS, replace=False) for k in (0, 1)]
        )
    )
    rest = np.setdiff1d(np.arange(len(truth)), few)
    names = np.array(RINGS.names)
    found = {}
    for row in ROWS:
        method = find_row(row)
        task = Task(
            scheme=RINGS,
            train=ArraySource(pictures[method.size][few]),
            labels=names[truth[few]],
            test=ArraySource(pictures[method.size][rest]),
            model=model,
            supervised=LabelTraining(),
            seed=seed,
            size=method.size,
        )
        found[row] = measure(truth[rest], method.run(task))
        print(f"seed {seed} {row:<10} AUC {found[row]['auc']:.3f}", flush=True)
    return found


def main() -> None:
    """Check for leakage, measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a model that saw no ring of it")
    parser.add_argument(
        "--config",
        type=Path,
        default=ROOT / "configs" / "without_rings.toml",
        help="what the model was trained with (default: configs/without_rings.toml)",
    )
    parser.add_argument("--seeds", type=int, default=10, help="draws of the labels (default: 10)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/rings.json")
    options = parser.parse_args()

    data = data_folder()
    table = read_catalog(data / TEST_SET / "labels.csv")
    truth = np.asarray(table["ring"], dtype=int)
    paths = [str(data / TEST_SET / name) for name in table["file"]]
    known, trained = find_known(data, paths, options.config)
    leakage = {
        "training images": trained,
        "test galaxies left out, because a training image shows them": int(known.sum()),
    }
    model = ModelOptions(options.model)
    sizes = {find_row(row).size for row in ROWS}
    usual = model.classifier(RINGS, 0).encoder.contract.size
    pictures = {
        size: open_images(paths, size=held_size(size or usual)).read().images[~known]
        for size in sizes
    }
    truth = truth[~known]
    red = float(roc_auc_score(truth, redness(pictures[None])))
    seeds = [one_seed(pictures, truth, model, seed) for seed in range(options.seeds)]

    lines = [
        f"{TEST_SET}: {len(truth)} DECaLS images, {truth.sum()} with a ring; "
        f"{LABELS} labels a class, {options.seeds} draws, mean +- standard deviation"
    ]
    lines += [f"  {key}: {value}" for key, value in (leakage | machine()).items()]
    lines += ["", f"{'':<13}{'AUC':>18}{'macro-F1':>18}{'accuracy':>18}{'p of AUC':>12}"]
    against = [row[SCRATCH]["auc"] for row in seeds]
    for row in ROWS:
        text = f"{row:<13}"
        for name in MEASURES:
            values = np.array([found[row][name] for found in seeds])
            text += f"{values.mean():>11.3f}+-{values.std(ddof=1):.3f}"
        if row != SCRATCH:
            own = [found[row]["auc"] for found in seeds]
            text += f"{ttest_rel(own, against).pvalue:>12.2g}"
        lines.append(text)
    lines.append(f"{'redness':<13}{red:>11.3f}  of all of them, without label or network")
    lines.append("p: paired t-test of the AUC against scratch, for these galaxies; draws share")
    lines.append("about one label in ten, and nearly all of the galaxies that they are tested on")
    print("\n".join(lines))
    if options.save:
        found = {"leakage": leakage, "machine": machine(), "redness_auc": red, "seeds": seeds}
        write_results("rings", found, lines)


if __name__ == "__main__":
    main()

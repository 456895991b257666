"""What labels teach, which to ask for, and whether the probabilities can be believed.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/few_labels.py --model FOLDER [--save]

The model must not have seen ``gz2_five_class`` (``configs/without_rings.toml`` trains one). Each
seed splits it as ``gmc-astro benchmark folder`` does. From no label on, twenty galaxies at a time
are labelled, either those that ``suggest_labels`` would name or random ones, and a probe learns
from them; with all labels of the training part, conformal sets are asked for a coverage of 90 %.
Last, a probe's fit on 2,000 kept embeddings is timed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from bundled import five_classes
from common import RESULTS, data_folder, machine, model_of, write_results
from sklearn.metrics import f1_score

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.evaluation import make_split
from gmc_astro.learning import TrainingSet, TrustedHead, suggest_rows
from gmc_astro.models import load_encoder
from gmc_astro.morphology import GZ2_FIVE_CLASS
from gmc_astro.plots.canvas import method_styles, new_figure

STEP, MOST, SEEDS, COVERAGE, CACHED = 20, 240, 5, 0.9, 2000


class Galaxies:
    """Embeddings and classes of the test set, with a classifier that learns from some of them."""

    def __init__(self, data: Path, model: str) -> None:
        table = TrainingSet.read([data / "gz2_five_class"])
        self.classifier = GalaxyMorphologyClassifier(model, classes=GZ2_FIVE_CLASS)
        if self.classifier.encoder.weights_sha256 == load_encoder("compact").weights_sha256:
            sys.exit("the bundled model was trained on gz2_five_class: give one that was not")
        self.embeddings = self.classifier.embed(table.images(224), progress=True)
        self.labels, self.ids = five_classes(table), table.votes.ids
        self.names = np.array(GZ2_FIVE_CLASS.names)

    def split(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the training and of the test part."""
        numbers = np.argmax(self.labels[:, None] == self.names, axis=1)
        split = make_split(self.ids.tolist(), numbers, self.names.tolist(), seed=seed)
        tested = np.isin(self.ids, split.test)
        return np.flatnonzero(~tested), np.flatnonzero(tested)

    def head(self, rows: np.ndarray, seed: int) -> TrustedHead:
        """Head from the labels of some rows; from words alone where there are none."""
        if not len(rows):
            return self.classifier.ready(GZ2_FIVE_CLASS).head_
        self.classifier.set_params(random_state=seed)
        return self.classifier.fit_embeddings(self.embeddings[rows], self.labels[rows]).head_

    def macro_f1(self, head: TrustedHead, rows: np.ndarray) -> float:
        """Of the classes predicted for some rows."""
        found = self.names[head.predict_proba(self.embeddings[rows]).argmax(axis=1)]
        return float(f1_score(self.labels[rows], found, average="macro"))


def one_curve(galaxies: Galaxies, seed: int, *, suggested: bool) -> list[float]:
    """Macro-F1 with each number of labels."""
    train, test = galaxies.split(seed)
    rng = np.random.default_rng(seed)
    known, curve = np.array([], dtype=int), []
    while True:
        head = galaxies.head(known, seed)
        curve.append(galaxies.macro_f1(head, test))
        if len(known) == MOST:
            return curve
        left = np.setdiff1d(train, known)
        embeddings = galaxies.embeddings[left]
        if suggested:
            shares = head.predict_proba(embeddings)
            chosen = suggest_rows(shares, embeddings, STEP, random_state=seed)
        else:
            chosen = rng.permutation(len(left))[:STEP]
        known = np.concatenate([known, left[chosen]])


def sets_of_classes(galaxies: Galaxies, seed: int) -> dict[str, float]:
    """How often a conformal set holds the true class, and how large it is."""
    train, test = galaxies.split(seed)
    head = galaxies.head(train, seed)
    sets = head.predict_sets(galaxies.embeddings[test], coverage=COVERAGE)
    true = galaxies.labels[test][:, None] == galaxies.names
    return {"coverage": float(sets[true].mean()), "classes": float(sets.sum(axis=1).mean())}


def seconds_of_a_fit(galaxies: Galaxies) -> float:
    """Median of three fits on kept embeddings, calibration and conformal sets included."""
    taken = []
    for seed in range(3):
        start = time.perf_counter()
        galaxies.head(np.random.default_rng(seed).permutation(len(galaxies.ids))[:CACHED], seed)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def draw(labels: np.ndarray, curves: dict[str, np.ndarray], path: Path) -> None:
    """Mean of each curve, and the spread of the seeds."""
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    for (name, values), style in zip(
        curves.items(), method_styles(list(curves)).values(), strict=True
    ):
        mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / len(values) ** 0.5
        axes.errorbar(labels, mean, error, label=name, capsize=2, **style)
    axes.set(xlabel="labels", ylabel="macro-F1 on test galaxies")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print one table, and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a model that saw none of it")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/few_labels.*")
    options = parser.parse_args()
    galaxies = Galaxies(data_folder(), options.model)
    labels = np.arange(0, MOST + 1, STEP)
    curves = {
        name: np.array(
            [one_curve(galaxies, s, suggested=name == "suggested") for s in range(SEEDS)]
        )
        for name in ("suggested", "random")
    }
    sets = [sets_of_classes(galaxies, seed) for seed in range(SEEDS)]
    fit = seconds_of_a_fit(galaxies)
    about = model_of(galaxies.classifier.encoder) | machine()
    lines = [f"{key}: {value}" for key, value in about.items()]
    lines += [
        "",
        f"gz2_five_class, {SEEDS} splits of 80 and 20 %, macro-F1, mean +- standard error",
    ]
    lines.append("labels" + "".join(f"{n:>8}" for n in labels))
    for name, values in curves.items():
        mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / SEEDS**0.5
        lines.append(f"{name:<12}" + "".join(f"{m:>8.3f}" for m in mean))
        lines.append(f"{'':<12}" + "".join(f"{e:>8.3f}" for e in error))
    wanted = curves["random"].mean(axis=0)[list(labels).index(200)]
    enough = labels[curves["suggested"].mean(axis=0) >= wanted]
    found = f"{enough[0]} suggested ones" if len(enough) else f"more than {MOST} suggested ones"
    lines.append(f"what 200 random labels reach ({wanted:.3f}) takes {found}")
    covered, size = (np.array([s[key] for s in sets]) for key in ("coverage", "classes"))
    lines += [
        "",
        f"sets with coverage {COVERAGE}, all labels: hold the true class of "
        f"{covered.mean():.3f} +- {covered.std(ddof=1):.3f} of test galaxies, "
        f"{size.mean():.2f} classes on average",
        f"fit of a probe on {CACHED} kept embeddings, calibrated: {fit:.2f} s",
    ]
    print("\n".join(lines))
    if options.save:
        kept = {name: values.round(4).tolist() for name, values in curves.items()}
        results = {"machine": machine(), "labels": labels.tolist(), "macro_f1": kept}
        write_results("few_labels", results | {"sets": sets, "fit_seconds": fit}, lines)
        draw(labels, curves, RESULTS / "few_labels.png")


if __name__ == "__main__":
    main()

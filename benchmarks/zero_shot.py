"""Accuracy of a model on Galaxy Zoo 2's five classes: zero-shot, and with 1 % of the labels.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/zero_shot.py [--model compact] [--save]

The test images (``gz2_five_class``, in their natural class balance) are compared with those that
the bundled model was trained on, by id and by perceptual hash, before anything is measured.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

import numpy as np
from astropy.stats import binom_conf_interval
from common import ROOT, data_folder, machine, write_results
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import train_test_split

from gmc_astro import GalaxyMorphologyClassifier, open_images
from gmc_astro.learning import SAME_GALAXY, TrainingSet, hash_source, nearest_bits
from gmc_astro.morphology import GZ2_FIVE_CLASS
from gmc_astro.sources import read_catalog

TEST_SET = "gz2_five_class"
#: The training table whose rows bear Galaxy Zoo's ids, as the test set's do. The others number
#: their images in ways of their own (two asset numbers of the artifacts happen to be ids of other
#: galaxies in the test set), so they are compared by perceptual hash alone.
SAME_IDS = ("sdss_pool", "object_id")
SHARE = 0.01  # of the labels of each class


def training_files(data: Path) -> TrainingSet:
    """What the bundled model was trained on, as its configuration says."""
    images = tomllib.loads((ROOT / "configs" / "compact.toml").read_text())["images"]
    found = TrainingSet.read([data / name for name in images["tables"]])
    return found.without(images["exclude"])


def check_leakage(data: Path, ids: np.ndarray, paths: list[str]) -> dict[str, int]:
    """Stop if a test galaxy is among the training images, by id or by perceptual hash."""
    training = training_files(data)
    table, column = SAME_IDS
    known = set(np.asarray(read_catalog(data / table / "labels.csv")[column]).astype(str).tolist())
    same_id = sorted(known & set(ids.tolist()))
    bits = nearest_bits(*(hash_source(open_images(p))[0] for p in (paths, list(training.paths))))
    alike = [paths[i] for i in np.flatnonzero(bits <= SAME_GALAXY)]
    if same_id or alike:
        sys.exit(f"test galaxies in the training set: ids {same_id}, images {alike}")
    return {"training images": len(training), "smallest distance in bits": int(bits.min())}


def measure(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Accuracy and macro-F1."""
    return {
        "accuracy": round(float(accuracy_score(truth, found)), 4),
        "macro_f1": round(float(f1_score(truth, found, average="macro")), 4),
    }


def fit_on_few(
    classifier: GalaxyMorphologyClassifier,
    images: np.ndarray,
    embeddings: np.ndarray,
    truth: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Fit on 1 % of each class, measure on all other rows."""
    rows = np.concatenate(
        [
            train_test_split(
                np.flatnonzero(truth == name),
                train_size=max(round(SHARE * (truth == name).sum()), 1),
                random_state=seed,
            )[0]
            for name in GZ2_FIVE_CLASS.names
        ]
    )
    classifier.set_params(random_state=seed).fit(images[rows], truth[rows])
    rest = np.setdiff1d(np.arange(len(truth)), rows)
    best = classifier.head_.predict_proba(embeddings[rest]).argmax(axis=1)
    return {
        "labels": len(rows),
        "strength": round(classifier.head_.strength, 5),
        **measure(truth[rest], classifier.classes_[best]),
    }


def main() -> None:
    """Check for leakage, measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="compact", help="model to measure (default: compact)")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the few labels (default: 5)")
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/results/zero_shot.json"
    )
    options = parser.parse_args()

    data = data_folder()
    table = read_catalog(data / TEST_SET / "labels.csv")
    truth = np.asarray(table["label"], dtype=str)
    paths = [str(data / TEST_SET / name) for name in table["file"]]
    leakage = check_leakage(data, np.asarray(table["galaxy_id"], dtype=str), paths)

    images = open_images(paths).read().images
    classifier = GalaxyMorphologyClassifier(options.model, classes=GZ2_FIVE_CLASS)
    predictions = classifier.zero_shot(images)
    found = np.asarray(predictions["label"], dtype=str)
    zero_shot = measure(truth, found)
    low, high = binom_conf_interval(
        (truth == found).sum(), len(truth), confidence_level=0.95, interval="wilson"
    )
    embeddings = classifier.embed(images)
    few = [fit_on_few(classifier, images, embeddings, truth, seed) for seed in range(options.seeds)]

    lines = [f"{TEST_SET}: {len(truth)} images, natural class balance"]
    lines += [f"  {key}: {value}" for key, value in (leakage | machine()).items()]
    lines += [
        f"  checkpoint: {predictions.meta['model']} {predictions.meta['checkpoint_sha256'][:12]}",
        "",
        f"{'':<24}{'accuracy':>10}{'macro-F1':>10}",
        f"{'zero-shot':<24}{zero_shot['accuracy']:>10.4f}{zero_shot['macro_f1']:>10.4f}"
        f"   95 % interval of the accuracy {low:.4f} to {high:.4f}",
    ]
    for seed, row in enumerate(few):
        name = f"{row['labels']} labels, seed {seed}"
        lines.append(f"{name:<24}{row['accuracy']:>10.4f}{row['macro_f1']:>10.4f}")
    for what, of in (("mean", np.mean), ("standard deviation", lambda v: np.std(v, ddof=1))):
        values = [of([row[key] for row in few]) for key in ("accuracy", "macro_f1")]
        lines.append(f"{what:<24}{values[0]:>10.4f}{values[1]:>10.4f}")
    names = list(GZ2_FIVE_CLASS.names)
    matrix = confusion_matrix(truth, found, labels=names)
    lines += ["", "zero-shot, rows: volunteers' class, columns: predicted"]
    width = max(map(len, names))
    for name, row in zip(names, matrix, strict=True):
        cells = "".join(f"{n:>7}" for n in row)
        lines.append(f"  {name:<{width}}{cells}   recall {row[names.index(name)] / row.sum():.3f}")
    print("\n".join(lines))
    if options.save:
        write_results(
            "zero_shot",
            {
                "test_set": TEST_SET,
                "images": len(truth),
                "leakage": leakage,
                "machine": machine(),
                "checkpoint_sha256": predictions.meta["checkpoint_sha256"],
                "zero_shot": zero_shot | {"interval_95": [round(low, 4), round(high, 4)]},
                "fit_1_percent": few,
                "classes": names,
                "confusion": matrix.tolist(),
            },
            lines,
        )


if __name__ == "__main__":
    main()

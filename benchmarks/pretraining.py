"""What language and loss are worth: pretraining on the real pool, judged by probes on few labels.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/pretraining.py [--smoke]

One-hot InfoNCE against losses that know which captions are true of which images, and captions
of class names against captions written from votes: the same images, network and steps, three
seeds. Each encoder is then frozen, and a logistic head learns Galaxy Zoo 2's five classes from
1 % and 10 % of the labels of ``gz2_five_class``, in its natural balance, five draws a seed. No
galaxy of that set is among the training images.

Each finished cell is kept in ``benchmarks/results/pretraining/``; a run that was interrupted goes
on with the next one. The table is written when all are there.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, ROOT, data_folder, machine, write_results
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from gmc_astro.learning import (
    RECIPES,
    Captions,
    FixedCaptions,
    TrainingSet,
    VoteCaptions,
    embed_source,
    find_leaks,
    fit_probe,
    pretrain,
)
from gmc_astro.models import load_encoder
from gmc_astro.morphology import GZ2_FIVE_CLASS
from gmc_astro.sources import open_images, read_catalog

TEST_SET = "gz2_five_class"
CELLS = (
    ("votes", "infonce"),
    ("votes", "soft"),
    ("votes", "relation"),
    ("class names", "infonce"),
    ("class names", "soft"),
)
SHARES = (0.01, 0.1)
DRAWS = 5
#: Class of a row of the pool, the first whose answer has more than half of the votes.
NAMES = (
    ("odd_feature", "merger", "merging galaxies"),
    ("edgeon", "yes", "edge-on disk galaxy"),
    ("spiral", "spiral", "spiral galaxy"),
    ("spiral", "no_spiral", "galaxy without spiral arms"),
    ("smooth_or_features", "smooth", "elliptical galaxy"),
)


def class_names(training: TrainingSet) -> np.ndarray:
    """Name of each row's class, empty where nothing is known."""
    names = np.full(len(training), "", dtype="U40")
    for question, answer, name in reversed(NAMES):
        names[training.votes.fraction(question, answer) > 0.5] = name
    return names


def training_rows(data: Path, rows: int) -> tuple[TrainingSet, dict[str, int]]:
    """Rows of the pool with a class, without the galaxies of the test set."""
    pool = TrainingSet.read([data / "sdss_pool"])
    config = tomllib.loads((ROOT / "configs" / "compact.toml").read_text())
    known = set(config["images"]["exclude"]) & set(pool.votes.ids.tolist())
    pool = pool.without(sorted(known))
    labelled = np.flatnonzero(class_names(pool) != "")
    chosen = np.sort(np.random.default_rng(0).permutation(labelled)[:rows])
    pool = TrainingSet(tuple(np.array(pool.paths)[chosen]), pool.votes[chosen])
    leaks = find_leaks(pool.images(224), str(data / TEST_SET / "images"))
    kept = np.flatnonzero(~leaks)
    pool = TrainingSet(tuple(np.array(pool.paths)[kept]), pool.votes[kept])
    return pool, {"left out by id": len(known), "left out by image": int(leaks.sum())}


def captions_of(kind: str, training: TrainingSet) -> Captions:
    """Captions of either kind for the same rows."""
    if kind == "votes":
        return VoteCaptions(training.votes)
    return FixedCaptions([f"an image of a {name}" for name in class_names(training)])


def one_cell(kind: str, loss: str, seed: int, training: TrainingSet, data: Path, sizes: dict):
    """Pretrain from nothing, then measure probes."""
    start = time.perf_counter()
    torch.manual_seed(seed)
    encoder = load_encoder("compact", weights="random")
    encoder.contract = replace(encoder.contract, size=sizes["pixels"])
    settings = replace(
        RECIPES["gmc"],
        epochs=sizes["epochs"],
        batch_size=128,
        loss=loss,
        ema=0.99,
        seed=seed,
    )
    source = training.images(round(sizes["pixels"] * 4 / 3))
    result = pretrain(encoder, source, captions_of(kind, training), settings=settings)
    return {
        "captions": kind,
        "loss": loss,
        "seed": seed,
        "final loss": result.log[-1]["loss"],
        "probe": probes(encoder, data, sizes["pixels"]),
        "seconds": round(time.perf_counter() - start, 1),
        "sizes": sizes,
    }


def probes(encoder, data: Path, size: int) -> dict[str, float]:
    """Mean accuracy over draws of the labels, for each share of them."""
    table = read_catalog(data / TEST_SET / "labels.csv")
    names = list(GZ2_FIVE_CLASS.names)
    truth = np.array([names.index(label) for label in np.asarray(table["label"], dtype=str)])
    paths = [str(data / TEST_SET / name) for name in table["file"]]
    embeddings = embed_source(encoder, open_images(paths, size=size), views=4).embeddings
    found = {}
    for share in SHARES:
        accuracies = [probe(embeddings, truth, share, draw) for draw in range(DRAWS)]
        found[f"{share:.0%}"] = round(float(np.mean(accuracies)), 4)
    return found


def probe(embeddings: np.ndarray, truth: np.ndarray, share: float, draw: int) -> float:
    """Fit on a share of each class, measure on all other rows; the start is the classes' mean."""
    rows = np.concatenate(
        [
            train_test_split(
                np.flatnonzero(truth == k),
                train_size=max(round(share * (truth == k).sum()), 1),
                random_state=draw,
            )[0]
            for k in range(truth.max() + 1)
        ]
    )
    means = np.stack([embeddings[rows[truth[rows] == k]].mean(0) for k in range(truth.max() + 1)])
    starts = means / np.linalg.norm(means, axis=1, keepdims=True)
    with threadpool_limits(1):  # small products: threads only get into each other's way
        head = fit_probe(embeddings[rows], truth[rows], starts, scale=20.0, random_state=draw)
    rest = np.setdiff1d(np.arange(len(truth)), rows)
    return accuracy_score(truth[rest], head.predict_proba(embeddings[rest]).argmax(axis=1))


def table_of(cells: list[dict], about: dict) -> list[str]:
    """Mean and standard deviation over seeds, and the paired difference from the first row."""
    lines = [f"{key}: {value}" for key, value in about.items()]
    head = "".join(f"{f'{share:.0%} labels':>20}{'difference':>20}" for share in SHARES)
    lines += ["", f"{'captions':<13}{'loss':<10}{head}"]
    first: dict[str, np.ndarray] = {}
    for kind, loss in CELLS:
        text = f"{kind:<13}{loss:<10}"
        same = sorted(
            (c for c in cells if (c["captions"], c["loss"]) == (kind, loss)),
            key=lambda cell: cell["seed"],
        )
        for share in SHARES:
            values = np.array([cell["probe"][f"{share:.0%}"] for cell in same])
            off = values - first.setdefault(f"{share:.0%}", values)
            text += f"{values.mean():>12.4f} +-{spread(values):.4f}"
            text += f"{off.mean():>+12.4f} +-{spread(off):.4f}"
        lines.append(text)
    return lines


def spread(values: np.ndarray) -> float:
    """Standard deviation over seeds; 0 for one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def main() -> None:
    """Run the cells that are missing, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few images, one epoch, one seed")
    parser.add_argument("--seeds", type=int, default=3, help="seeds a cell (default: 3)")
    options = parser.parse_args()
    sizes = {"pixels": 64, "images": 4000, "epochs": 10}
    if options.smoke:
        sizes, options.seeds = {"pixels": 32, "images": 256, "epochs": 1}, 1
    data = data_folder()
    training, left_out = training_rows(data, sizes["images"])
    kept = RESULTS / ("pretraining_smoke" if options.smoke else "pretraining")
    kept.mkdir(parents=True, exist_ok=True)
    cells, commit = [], machine()["commit"]
    for seed in range(options.seeds):
        for kind, loss in CELLS:
            path = kept / f"{kind.replace(' ', '_')}-{loss}-{seed}.json"
            cell = json.loads(path.read_text()) if path.is_file() else {}
            if (cell.get("sizes"), cell.get("commit")) != (sizes, commit):
                print(f"{kind}, {loss}, seed {seed}", flush=True)
                cell = one_cell(kind, loss, seed, training, data, sizes)
                cell["commit"] = commit
                temporary = path.with_suffix(".part")
                temporary.write_text(json.dumps(cell, indent=1) + "\n")
                temporary.replace(path)
            cells.append(cell)
    about = {
        "probe accuracy on": f"{TEST_SET}, mean +- standard deviation over {options.seeds} seeds",
        "training images": f"{len(training)} of sdss_pool, {sizes['pixels']} px, "
        f"{sizes['epochs']} epochs, compact from random weights",
        **left_out,
        **machine(),
    }
    lines = table_of(cells, about)
    print("\n".join(lines))
    if not options.smoke:
        write_results("pretraining", {"about": about, "cells": cells}, lines)


if __name__ == "__main__":
    main()

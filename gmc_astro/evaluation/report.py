"""The report of a benchmark: JSON, reStructuredText tables, and figures."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gmc_astro import plots
from gmc_astro._files import make_folder, whole, write_json, write_text
from gmc_astro.evaluation.cells import Cell
from gmc_astro.evaluation.metrics import (
    bootstrap_interval,
    macro_f1,
    mcnemar_test,
    paired_test,
)
from gmc_astro.evaluation.protocol import TEST_SHARE, Benchmark
from gmc_astro.evaluation.tables import render_report
from gmc_astro.learning import chance_calibration_error

__all__ = ["summarise", "write_report"]

SCORES = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier", "nll")
_RESAMPLES = 1000


def write_report(
    benchmark: Benchmark,
    output: str | os.PathLike,
    *,
    figure_prefix: str = "",
    title: str = "",
    figures: bool = True,
) -> Path:
    """Write ``report.json``, ``report.rst`` and the figures of a benchmark.

    Parameters
    ----------
    benchmark : `Benchmark`
        What `run_benchmark` returned.
    output : path-like
        Folder to write to.
    figure_prefix : str, optional
        Put before the figures' names in ``report.rst``: the way from a page that includes the
        report to this folder, such as ``"../benchmarks/results/five_class/"``.
    title : str, optional
        What the data are called in the figures.
    figures : bool, optional
        Whether to draw figures, which needs matplotlib.

    Returns
    -------
    path : `~pathlib.Path`
        ``report.rst``. It has no titles of sections, so that any page can include it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import Dataset, ModelOptions, run_benchmark, write_report
    >>> images = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    >>> ids, targets = np.arange(20).astype(str), np.arange(20) % 2
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> dataset = Dataset("mine", images, ids, targets, scheme)
    >>> model = ModelOptions(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     benchmark = run_benchmark(
    ...         dataset, folder, methods=["zero-shot"], fractions=[1.0], seeds=[0], model=model
    ...     )
    ...     print(write_report(benchmark, folder + "/report", figures=False).name)
    report.rst
    """
    output, title = make_folder(Path(output)), title or benchmark.dataset.name
    report = summarise(benchmark)
    if figures:
        for name, figure in _figures(benchmark, title).items():
            with whole(output / name) as path:
                figure.savefig(path, dpi=110)
    write_json(output / "report.json", report)
    write_text(output / "report.rst", render_report(report, figure_prefix, figures=figures))
    return output / "report.rst"


def summarise(benchmark: Benchmark) -> dict[str, Any]:
    """Collect everything that a benchmark says, as plain values.

    Parameters
    ----------
    benchmark : `Benchmark`
        What `run_benchmark` returned.

    Returns
    -------
    report : dict
        ``data``, ``protocol``, ``model``, ``computed`` (on which machines and with which
        versions, and which methods there), ``leakage``, ``results`` (for each method and
        fraction the scores' mean, standard deviation over seeds and interval, and each
        cell), and ``paired`` (for each fraction and two methods, tests of their difference).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import Dataset, ModelOptions, run_benchmark, summarise
    >>> images = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    >>> ids, targets = np.arange(20).astype(str), np.arange(20) % 2
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> dataset = Dataset("mine", images, ids, targets, scheme)
    >>> model = ModelOptions(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     benchmark = run_benchmark(
    ...         dataset, folder, methods=["zero-shot"], fractions=[1.0], seeds=[0], model=model
    ...     )
    ...     report = summarise(benchmark)
    >>> list(report)
    ['data', 'protocol', 'model', 'commit', 'computed', 'leakage', 'results', 'paired']
    """
    dataset = benchmark.dataset
    rows = np.bincount(dataset.targets, minlength=len(dataset.scheme.names)).tolist()
    return {
        "data": {
            "name": dataset.name,
            "data_set": dataset.name,
            "images": len(dataset),
            "side": int(dataset.images.shape[1]),
            "classes": dict(zip(dataset.scheme.names, rows, strict=True)),
            **dataset.about,
            **dataset.fingerprint(),
        },
        "protocol": {
            "split": "official" if dataset.test_ids is not None else "stratified 80/20",
            "test_images": len(benchmark.splits[0].test),
            "seeds": [split.seed for split in benchmark.splits],
            "fractions": list(benchmark.fractions),
            "labels": [len(benchmark.splits[0].labelled(f)) for f in benchmark.fractions],
            "interval": "95 % percentiles of 1000 bootstrap draws of galaxies, mean over seeds",
        },
        "model": benchmark.model,
        "commit": _commit(),
        "computed": _computed(benchmark),
        "leakage": benchmark.leakage,
        "results": [
            _summary(benchmark, row, fraction)
            for row in benchmark.rows
            for fraction in benchmark.fractions
        ],
        "paired": [
            _pair(benchmark, a, b, fraction)
            for a, b in itertools.combinations(benchmark.rows, 2)
            for fraction in benchmark.fractions
        ],
    }


def _computed(benchmark: Benchmark) -> list[dict[str, Any]]:
    """Machines and versions that the cells were computed with, and the methods of those cells."""
    found: list[dict[str, Any]] = []
    for row in benchmark.rows:
        for fraction in benchmark.fractions:
            for cell in benchmark.over_seeds(row, fraction):
                here = {key: cell.results.get(key) for key in ("machine", "versions")}
                part = next((e for e in found if here.items() <= e.items()), None)
                if part is None:
                    part = here | {"methods": []}
                    found.append(part)
                if row not in part["methods"]:
                    part["methods"].append(row)
    return found


def _summary(benchmark: Benchmark, row: str, fraction: float) -> dict[str, Any]:
    """A method at a fraction: scores over seeds, and F1 of each class."""
    cells = benchmark.over_seeds(row, fraction)
    found = [cell.results["metrics"] for cell in cells]
    scores = {name: _spread([metrics[name] for metrics in found]) for name in SCORES}
    intervals = _intervals(benchmark, cells)
    for name, interval in intervals.items():
        scores[name]["interval_95"] = interval
    by_chance = [chance_calibration_error(cell.probabilities) for cell in cells]
    scores["ece"]["by_chance"] = float(np.mean(by_chance))
    return {
        "method": row,
        "fraction": fraction,
        "needs_labels": cells[0].fraction > 0,
        "scores": scores,
        "class_f1": {
            name: _spread([m["classes"][name]["f1"] for m in found])
            for name in benchmark.dataset.scheme.names
        },
        "confusion": np.sum([m["confusion"] for m in found], axis=0).tolist(),
        "cells": [
            {key: cell.results[key] for key in ("seed", "labels", "metrics", "seconds")}
            for cell in cells
        ],
    }


def _spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and standard deviation over seeds of the values that there are."""
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "std": None}
    std = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "std": std}


def _intervals(benchmark: Benchmark, cells: Sequence[Cell]) -> dict[str, list[float]]:
    """Bootstrap intervals of the mean over seeds.

    Galaxies are drawn, not rows: one that several seeds test is drawn with all of them, as it
    is the same galaxy each time. A seed of which a draw has no galaxy has no score in it.
    """
    seeds = []
    for cell in cells:
        rows = benchmark.dataset.rows(cell.ids.tolist())
        targets = benchmark.dataset.targets[rows]
        seeds.append((rows, targets, cell.probabilities.argmax(axis=1)))
    galaxies = np.unique(np.concatenate([rows for rows, _, _ in seeds]))
    seeds = [(np.searchsorted(galaxies, rows), t, f) for rows, t, f in seeds]

    def interval(score: Callable[..., float]) -> list[float]:
        def mean(drawn: np.ndarray) -> float:
            times = np.bincount(drawn, minlength=len(galaxies))
            return float(np.mean([score(t, f, times[r]) for r, t, f in seeds if times[r].any()]))

        return list(bootstrap_interval(mean, len(galaxies), resamples=_RESAMPLES))

    return {
        "accuracy": interval(lambda t, f, times: np.average(t == f, weights=times)),
        "macro_f1": interval(macro_f1),
    }


def _pair(benchmark: Benchmark, a: str, b: str, fraction: float) -> dict[str, Any]:
    """Two methods at a fraction: their scores split by split, and their hits galaxy by galaxy."""
    cells = {row: benchmark.over_seeds(row, fraction) for row in (a, b)}
    tests = {}
    for name in ("macro_f1", "accuracy"):
        scores = [[cell.results["metrics"][name] for cell in cells[row]] for row in (a, b)]
        tests[f"{name}_t"] = paired_test(*scores, test_share=TEST_SHARE)
        if benchmark.dataset.test_ids is not None:  # one test part: seeds say nothing of its chance
            tests[f"{name}_t"] |= {"statistic": None, "p": None}
    right = [_hits(benchmark, cells[row]) for row in (a, b)]
    return {"methods": [a, b], "fraction": fraction, **tests, "mcnemar": mcnemar_test(*right)}


def _hits(benchmark: Benchmark, cells: Sequence[Cell]) -> np.ndarray:
    """Whether a method is right, each galaxy once: in the first seed that tests it."""
    known: dict[str, bool] = {}
    for cell in cells:
        right = cell.probabilities.argmax(axis=1) == benchmark.targets(cell)
        for name, hit in zip(cell.ids.tolist(), right.tolist(), strict=True):
            known.setdefault(name, hit)
    return np.array([known[name] for name in sorted(known)])


def _figures(benchmark: Benchmark, title: str) -> dict[str, Any]:
    """Learning curves, and confusion and reliability at the largest fraction."""
    quantities = {"macro-F1": "macro_f1", "accuracy": "accuracy"}
    curves = {
        words: {row: _curve(benchmark, row, name) for row in benchmark.rows}
        for words, name in quantities.items()
    }
    most = benchmark.fractions[-1]
    last = {row: benchmark.over_seeds(row, most) for row in benchmark.rows}
    targets = np.concatenate([benchmark.targets(cell) for cell in last[benchmark.rows[0]]])
    found = {r: np.concatenate([c.probabilities for c in cells]) for r, cells in last.items()}
    names = benchmark.dataset.scheme.names
    seeds = f"{len(benchmark.splits)} seed{'s' if len(benchmark.splits) > 1 else ''}"
    where = f"{title}, {100 * most:g} % of the labels, {seeds} together"
    best = {row: probabilities.argmax(axis=1) for row, probabilities in found.items()}
    return {
        "learning_curve.png": plots.learning_curve(curves, title=title),
        "confusion.png": plots.confusion(targets, best, names, title=where),
        "reliability.png": plots.reliability(found, targets, title=where),
    }


def _curve(benchmark: Benchmark, row: str, name: str) -> dict[float, list[float]]:
    curve = {}
    for fraction in benchmark.fractions:
        cells = benchmark.over_seeds(row, fraction)
        curve[cells[0].fraction] = [cell.results["metrics"][name] for cell in cells]
    return curve


def _commit() -> str | None:
    """Commit of the package where it runs from a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None

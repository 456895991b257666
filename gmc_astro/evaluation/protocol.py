"""The paper's protocol: every method on the same splits, cell by cell, restartable."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gmc_astro.evaluation.cells import Cell
from gmc_astro.evaluation.datasets import Dataset
from gmc_astro.evaluation.methods import ModelOptions, Row, Task, find_row
from gmc_astro.evaluation.metrics import classification_metrics
from gmc_astro.evaluation.splits import Split, frozen_splits
from gmc_astro.exceptions import InputError
from gmc_astro.learning import (
    SAME_GALAXY,
    LabelTraining,
    hash_source,
    held_size,
    nearest_bits,
    package_versions,
)
from gmc_astro.models import Encoder
from gmc_astro.models.device import device_name
from gmc_astro.sources import ArraySource, open_images

__all__ = ["FRACTIONS", "Benchmark", "check_leakage", "run_benchmark"]

FRACTIONS = (0.01, 0.05, 0.1, 0.5, 1.0)
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark.

    Parameters
    ----------
    dataset : `Dataset`
        What it was run on.
    splits : tuple of `Split`
        One a seed.
    rows : tuple of str
        Methods, as they were written.
    fractions : tuple of float
        Shares of the training part that had labels.
    cells : mapping of (str, float, int) to `Cell`
        By method, fraction and seed; a method without labels has the same cell for every
        fraction.
    model : mapping
        What the model is.
    leakage : mapping or None
        What `check_leakage` found.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import Dataset, ModelOptions, run_benchmark
    >>> images = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    >>> ids, targets = np.arange(20).astype(str), np.arange(20) % 2
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> dataset = Dataset("mine", images, ids, targets, scheme)
    >>> model = ModelOptions(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     benchmark = run_benchmark(
    ...         dataset, folder, methods=["zero-shot"], fractions=[1.0], seeds=[0], model=model
    ...     )
    ...     (cell,) = benchmark.over_seeds("zero-shot", 1.0)
    ...     targets = benchmark.targets(cell)
    >>> benchmark.rows, targets
    (('zero-shot',), array([1, 0, 0, 1]))
    """

    dataset: Dataset
    splits: tuple[Split, ...]
    rows: tuple[str, ...]
    fractions: tuple[float, ...]
    cells: dict[tuple[str, float, int], Cell]
    model: dict[str, Any]
    leakage: dict[str, Any] | None = None

    def over_seeds(self, row: str, fraction: float) -> list[Cell]:
        """Cells of a method at a fraction, one a seed.

        Parameters
        ----------
        row : str
            The method, as it was written.
        fraction : float
            Share of the training part that had labels.

        Returns
        -------
        cells : list of `Cell`
            In the order of the splits.
        """
        return [self.cells[row, fraction, split.seed] for split in self.splits]

    def targets(self, cell: Cell) -> np.ndarray:
        """True classes of a cell's test images, shape (n,).

        Parameters
        ----------
        cell : `Cell`
            One of `cells`.

        Returns
        -------
        targets : `~numpy.ndarray` of int, shape (n,)
            One a test image.
        """
        return self.dataset.targets[self.dataset.rows(cell.ids.tolist())]


def run_benchmark(
    dataset: Dataset,
    output: str | os.PathLike,
    *,
    methods: Sequence[str],
    fractions: Sequence[float] = FRACTIONS,
    seeds: Sequence[int] = range(5),
    model: ModelOptions | None = None,
    supervised: LabelTraining | None = None,
    training_images: Any = None,
    restart: bool = False,
    progress: bool = False,
) -> Benchmark:
    """Run every method on every split with every fraction of the labels.

    Finished cells are kept in ``output/cells``, the splits in ``output/splits.json``; a run
    that was stopped goes on where it was, also with more methods, fractions or seeds.

    Parameters
    ----------
    dataset : `Dataset`
        Labelled images.
    output : path-like
        Folder of the results.
    methods : sequence of str
        Rows of the tables; see `find_row`.
    fractions : sequence of float, optional
        Shares of the training part that have labels.
    seeds : sequence of int, optional
        Splits.
    model : `ModelOptions`, optional
        The model that is benchmarked.
    supervised : `~gmc_astro.learning.LabelTraining`, optional
        How supervised methods train.
    training_images : optional
        Images that the model was trained on, whatever `~gmc_astro.sources.open_images` takes,
        to be compared with the test images.
    restart : bool, optional
        Compute cells again that are there.
    progress : bool, optional
        Show progress bars.

    Returns
    -------
    benchmark : `Benchmark`
        Where every cell is; `write_report` makes tables and figures of it.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a method or fraction is unknown, the folder holds another catalogue's splits or
        cells of other settings, or a method gives no probabilities for an image.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import Dataset, ModelOptions, run_benchmark
    >>> images = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    >>> ids, targets = np.arange(20).astype(str), np.arange(20) % 2
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> dataset = Dataset("mine", images, ids, targets, scheme)
    >>> model = ModelOptions(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     benchmark = run_benchmark(
    ...         dataset, folder, methods=["zero-shot"], fractions=[1.0], seeds=[0], model=model
    ...     )
    ...     (cell,) = benchmark.over_seeds("zero-shot", 1.0)
    ...     shape = cell.probabilities.shape
    >>> shape
    (4, 2)
    """
    rows = [find_row(text) for text in dict.fromkeys(methods)]
    fractions = tuple(sorted(set(map(float, fractions))))
    seeds = tuple(dict.fromkeys(map(int, seeds)))
    if not rows or not fractions or not seeds:
        raise InputError("give at least one method, one fraction and one seed")
    model, supervised = model or ModelOptions(), supervised or LabelTraining()
    catalogue = (dataset.ids, dataset.targets, dataset.scheme.names)
    splits = frozen_splits(
        Path(output) / "splits.json",
        *catalogue,
        seeds=seeds,
        test_share=TEST_SHARE,
        test_ids=dataset.test_ids,
    )
    for fraction in fractions:
        splits[0].labelled(fraction)  # refuses a wrong one before any work is done
    encoder = model.classifier(dataset.scheme, 0).encoder
    about = {"name": encoder.name, "weights_sha256": encoder.weights_sha256}
    common = {"classes": dataset.scheme.to_dict(), "views": model.views}
    tower = {key: encoder.model_cfg[key] for key in ("embed_dim", "vision_cfg")}
    tower |= {key: getattr(encoder.contract, key) for key in ("size", "mean", "std")}
    sizes = {row.size for row in rows if row.size}
    held = {None: dataset} | {size: _same_rows(dataset, size) for size in sizes}
    prints = {size: part.fingerprint() for size, part in held.items()}
    runner = _Runner(
        held,
        prints,
        Path(output) / "cells",
        model,
        supervised,
        common,
        about,
        tower,
        _machine(encoder),
        progress,
    )
    leakage = None if training_images is None else check_leakage(dataset, training_images)
    cells = runner.run(rows, fractions, splits, restart=restart)
    return Benchmark(
        dataset,
        tuple(splits),
        tuple(row.text for row in rows),
        fractions,
        cells,
        about | {"size": encoder.contract.size},
        leakage,
    )


def _same_rows(dataset: Dataset, size: int) -> Dataset:
    """The data set as a network of another size holds it, with no more margin than it has."""
    side = max(dataset.images.shape[1:3])
    held = dataset.held_at(max(size, min(held_size(size), side)))
    if not np.array_equal(held.ids, dataset.ids):
        raise InputError(f"{dataset.name} was changed while it was read: its rows are others")
    return held


@dataclass(frozen=True)
class _Runner:
    """What all cells of a run share; data sets by the size of a row's images."""

    held: dict[int | None, Dataset]
    prints: dict[int | None, dict[str, str]]
    folder: Path
    model: ModelOptions
    supervised: LabelTraining
    common: dict[str, Any]
    weights: dict[str, Any]
    tower: dict[str, Any]
    machine: dict[str, str]
    progress: bool

    def run(
        self,
        rows: Sequence[Row],
        fractions: Sequence[float],
        splits: Sequence[Split],
        *,
        restart: bool,
    ) -> dict[tuple[str, float, int], Cell]:
        """All cells; those that are finished are not computed again."""
        cells, waiting = {}, []
        for split in splits:
            for fraction in fractions:
                for row in rows:
                    share = fraction if row.method.labels else 0.0
                    cell = Cell(self.folder, row.text, share, split.seed)
                    known = cells.setdefault((row.text, share, split.seed), cell)
                    cells[row.text, fraction, split.seed] = known
                    if known is cell:
                        waiting.append((cell, row, split, self._settings(row, share, split)))
        waiting = [job for job in waiting if restart or not job[0].finished(job[3])]
        with tqdm(total=len(waiting), desc="cells", unit="cell", disable=not self.progress) as bar:
            for cell, row, split, settings in waiting:
                bar.set_postfix_str(f"{row.text}, {cell.fraction:g}, seed {split.seed}")
                self._compute(cell, row, split, settings)
                bar.update()
        return cells

    def _settings(self, row: Row, fraction: float, split: Split) -> dict[str, Any]:
        """Everything that a cell's result depends on.

        A method that trains a tower from labels alone depends on what the model is, not on its
        weights: its cells stay good when the model is trained anew.
        """
        model = self.tower if row.method.trains else self.weights
        if row.size and row.method.trains:
            vision = model["vision_cfg"] | {"image_size": row.size}
            model = model | {"vision_cfg": vision}
        if row.size:
            model = model | {"size": row.size}
        settings = self.common | {"data": self.prints[row.size], "method": row.to_dict()}
        settings |= {"seed": split.seed, "model": model}
        settings["train_ids"] = _ids_hash(split.labelled(fraction)) if fraction else None
        settings["test_ids"] = _ids_hash(split.test)
        if row.method.trains:
            settings["supervised"] = self.supervised.to_dict()
        if row.method.settings is not None:
            settings["fit"] = asdict(row.method.settings())
        return settings

    def _compute(self, cell: Cell, row: Row, split: Split, settings: dict[str, Any]) -> None:
        dataset, start = self.held[row.size], time.perf_counter()
        chosen = split.labelled(cell.fraction) if cell.fraction else ()
        train, labels = dataset.part(dataset.rows(chosen))
        rows = dataset.rows(split.test)
        test, _ = dataset.part(rows)
        probabilities = row.run(
            Task(
                train,
                labels,
                test,
                dataset.scheme,
                split.seed,
                self.model,
                self.supervised,
                self.progress,
                row.size,
            )
        ).astype(np.float32)
        names = dataset.scheme.names
        results = {
            "labels": len(labels),
            "metrics": classification_metrics(probabilities, dataset.targets[rows], names),
            "seconds": round(time.perf_counter() - start, 2),
            "machine": self.machine,
            "versions": package_versions(),
        }
        cell.write(settings, dataset.ids[rows], probabilities, results)


def check_leakage(dataset: Dataset, training_images: Any) -> dict[str, Any]:
    """Compare all images of a data set with those that a model was trained on.

    Parameters
    ----------
    dataset : `Dataset`
        What the model is tested on.
    training_images : path, array, ImageSource or sequence of such
        What it was trained on; whatever `~gmc_astro.sources.open_images` takes.

    Returns
    -------
    leakage : dict
        ``training_images``, how many could be read; ``smallest_bits``, in how many of 256 bits
        of a perceptual hash the nearest pair differs; and ``alike``, ids of the images within
        ``same_galaxy_bits`` of a training image.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If no training image can be read.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import Dataset, check_leakage
    >>> images = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    >>> ids, targets = np.arange(20).astype(str), np.arange(20) % 2
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> dataset = Dataset("mine", images, ids, targets, scheme)
    >>> leakage = check_leakage(dataset, images[3:4])
    >>> leakage["smallest_bits"], leakage["alike"]
    (0, ['3'])
    """
    known, ok = hash_source(open_images(training_images))
    if not ok.any():
        raise InputError("no training image can be read; see the paths in training_images")
    bits = nearest_bits(hash_source(ArraySource(dataset.images))[0], known[ok])
    return {
        "training_images": int(ok.sum()),
        "smallest_bits": int(bits.min()),
        "same_galaxy_bits": SAME_GALAXY,
        "alike": dataset.ids[bits <= SAME_GALAXY].tolist(),
    }


def _ids_hash(ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def _machine(encoder: Encoder) -> dict[str, str]:
    name = device_name(encoder.device)
    return {"device": f"{encoder.device.type} ({name})", "precision": encoder.precision}

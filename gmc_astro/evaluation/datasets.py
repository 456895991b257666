"""Data sets of the benchmark: what they are as data, and how their images come into memory."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gmc_astro.evaluation.download import DataFile, find_file
from gmc_astro.evaluation.splits import catalogue_hash
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ColourRecipe, ImageSource
from gmc_astro.learning import encode_labels
from gmc_astro.models.preprocess import shrink
from gmc_astro.morphology import GALAXY10_DECALS, GALAXY10_SDSS, GALAXY_MNIST, ClassScheme
from gmc_astro.sources import ArraySource, FileSource, HDF5Source, read_catalog
from gmc_astro.sources.files import find_files
from gmc_astro.sources.hdf5 import HDF5_SUFFIXES
from gmc_astro.sources.tables import file_column

__all__ = ["DATASETS", "Dataset", "DatasetRecord", "load_dataset"]

LABELS_FILE = "labels.csv"
PARTS = ("train", "test")
_AT_ONCE = 256  # images that are resized at a time


@dataclass(frozen=True)
class DatasetRecord:
    """A public data set: facts, no code.

    Parameters
    ----------
    name : str
        Name on the command line.
    about : str
        What it is, in a line.
    files : tuple of DataFile
        Its files; where there are two, the first trains and the second tests.
    scheme : `~gmc_astro.morphology.ClassScheme`
        What its label numbers mean.

    Examples
    --------
    >>> from gmc_astro.evaluation import DATASETS
    >>> record = DATASETS["galaxy-mnist"]
    >>> [file.name for file in record.files], record.scheme.name
    (['train_dataset.hdf5', 'test_dataset.hdf5'], 'GALAXY_MNIST')
    """

    name: str
    about: str
    files: tuple[DataFile, ...]
    scheme: ClassScheme


#: Public data sets by name; ``folder`` stands for labelled images of one's own.
DATASETS: Mapping[str, DatasetRecord] = {
    record.name: record
    for record in (
        DatasetRecord(
            name="galaxy10-decals",
            about="Galaxy10 DECaLS: 17,736 images of 256 px, ten classes",
            files=(
                DataFile(
                    name="Galaxy10_DECals.h5",
                    url="https://zenodo.org/records/10845026/files/Galaxy10_DECals.h5",
                    sha256_starts="19aefc47",  # the digits between are not known to us
                    sha256_ends="c1571",
                    size="2.5 GB",
                ),
            ),
            scheme=GALAXY10_DECALS,
        ),
        DatasetRecord(
            name="galaxy10-sdss",
            about="Galaxy10 SDSS: 21,785 images of 69 px, ten classes",
            files=(
                DataFile(
                    name="Galaxy10.h5",
                    url="https://zenodo.org/records/10844811/files/Galaxy10.h5",
                    size="200 MB",
                ),
            ),
            scheme=GALAXY10_SDSS,
        ),
        DatasetRecord(
            name="galaxy-mnist",
            about="Galaxy MNIST: 8,000 images to train on and 2,000 to test with, four classes",
            files=(DataFile("train_dataset.hdf5"), DataFile("test_dataset.hdf5")),
            scheme=GALAXY_MNIST,
        ),
    )
}


@dataclass(frozen=True)
class Dataset:
    """Labelled images in memory.

    Parameters
    ----------
    name : str
        Name of the data set.
    images : `~numpy.ndarray`, shape (N, S, S, 3), dtype uint8
        Images.
    ids : `~numpy.ndarray` of str, shape (N,)
        Name of each.
    targets : `~numpy.ndarray` of int, shape (N,)
        Class of each, 0 to K - 1.
    scheme : `~gmc_astro.morphology.ClassScheme`
        The classes.
    test_ids : tuple of str or None, optional
        An official test part.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours of the images, where they are known.
    about : mapping, optional
        Where they are from, and what was left out.
    reader : callable, optional
        ``reader(size=...)`` reads the same data set at another size.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is not one image, id and target a row, a target is no class, or a test id is
        none of the ids.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import Dataset
    >>> images = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    >>> ids, targets = np.arange(20).astype(str), np.arange(20) % 2
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> dataset = Dataset("mine", images, ids, targets, scheme)
    >>> len(dataset), dataset.rows(["3", "7"])
    (20, array([3, 7]))
    """

    name: str
    images: np.ndarray
    ids: np.ndarray
    targets: np.ndarray
    scheme: ClassScheme
    test_ids: tuple[str, ...] | None = None
    recipe: ColourRecipe | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    reader: Callable[..., Dataset] | None = None

    def __post_init__(self) -> None:
        own = {"images": np.asarray(self.images), "ids": np.asarray(self.ids).astype(str)}
        own["targets"] = np.asarray(self.targets)
        if self.test_ids is not None:
            own["test_ids"] = tuple(map(str, self.test_ids))
        for name, values in own.items():
            object.__setattr__(self, name, values)
        if not len(self.images) == len(self.ids) == len(self.targets):
            raise InputError(
                f"{len(self.images)} images, {len(self.ids)} ids and {len(self.targets)} targets "
                "of a data set; give one of each a galaxy"
            )
        classes = len(self.scheme.names)
        if self.targets.dtype.kind not in "iu" or not np.isin(self.targets, range(classes)).all():
            raise InputError(
                f"targets of dtype {self.targets.dtype} must be integers from 0 to {classes - 1}, "
                f"the numbers of the classes {list(self.scheme.names)}"
            )
        if unknown := sorted({*(self.test_ids or ())} - {*self.ids.tolist()}):
            raise InputError(f"test ids {unknown[:5]} are not among the ids of the data set")

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Row of each of some ids.

        Parameters
        ----------
        ids : sequence of str
            Ids of the data set.

        Returns
        -------
        rows : `~numpy.ndarray` of int
            Their rows, in the order of ``ids``.
        """
        places = {name: i for i, name in enumerate(self.ids.tolist())}
        return np.array([places[name] for name in ids], dtype=int)

    def part(self, rows: np.ndarray) -> tuple[ArraySource, np.ndarray]:
        """Some rows as a source, and the names of their classes.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int
            Rows.

        Returns
        -------
        source : `~gmc_astro.sources.ArraySource`
            Their images.
        labels : `~numpy.ndarray` of str
            Their classes.
        """
        source = ArraySource(self.images[rows], ids=self.ids[rows], recipe=self.recipe)
        return source, np.asarray(self.scheme.names)[self.targets[rows]]

    def held_at(self, size: int) -> Dataset:
        """Give the same galaxies at another size: read again where that is known, else shrunk.

        Parameters
        ----------
        size : int
            Largest side in pixels.

        Returns
        -------
        dataset : `Dataset`
            The same rows.
        """
        if self.reader is not None:
            return self.reader(size=size)
        return replace(self, images=shrink(self.images, size))

    def fingerprint(self) -> dict[str, str]:
        """Hashes of the labels and of the pixels, as keys of what was computed from them.

        Returns
        -------
        fingerprint : dict of str to str
            Two hashes by name.
        """
        pixels = hashlib.sha256(np.ascontiguousarray(self.images)).hexdigest()
        labels = catalogue_hash(self.ids, self.targets, self.scheme.names)
        return {"labels_sha256": labels, "pixels_sha256": pixels}


def load_dataset(
    name: str,
    path: str | os.PathLike | None = None,
    *,
    size: int,
    classes: Any = None,
    download: bool = False,
    progress: bool = False,
) -> Dataset:
    """Read a data set's images and labels into memory.

    Parameters
    ----------
    name : str
        One of `DATASETS`, or ``"folder"``.
    path : path-like, optional
        The data set's file, or the folder that holds its files; default is here. For
        ``"folder"``: a folder with a ``labels.csv`` of the columns ``file`` and ``label`` (or
        the path of such a table), or with one folder of images for each class.
    size : int
        Largest side in pixels at which images are held. Smaller ones stay as they are in the
        public data sets, and are enlarged in a folder, whose files may have any size.
    classes : ClassScheme, sequence or mapping, optional
        Classes of a folder; default is the labels that occur, in order of the alphabet, and
        integers by size.
    download : bool, optional
        Download files that are not there, where it is known from where.
    progress : bool, optional
        Show a progress bar while downloading.

    Returns
    -------
    dataset : `Dataset`
        Images that have a label; those without, and those that cannot be read, are counted in
        ``about``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the data set is unknown, files are missing, what was downloaded has another checksum,
        or labels are missing or out of range.
    gmc_astro.exceptions.UnreadableImageError
        If a file is not HDF5.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from gmc_astro.evaluation import load_dataset
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("smooth", "spiral"):  # a folder of images for each class
    ...         (Path(folder) / name).mkdir()
    ...         picture = Image.fromarray(np.zeros((80, 80, 3), np.uint8))
    ...         picture.save(Path(folder) / name / "1.png")
    ...     dataset = load_dataset("folder", folder, size=64)
    >>> len(dataset), dataset.scheme.names
    (2, ('smooth', 'spiral'))
    """
    reader = partial(load_dataset, name, path, classes=classes)
    if name == "folder":
        return replace(_load_folder(path, size, classes), reader=reader)
    if name not in DATASETS:
        raise InputError(f"data set {name!r} is not one of {', '.join([*DATASETS, 'folder'])}")
    record = DATASETS[name]
    scheme = record.scheme if classes is None else ClassScheme.from_any(classes)
    files = [
        find_file(file, _place(file, path, record), download=download, progress=progress)
        for file in record.files
    ]
    parts = [_read_stack(file["path"], size, scheme) for file in files]
    images, targets, ids, left_out = (list(values) for values in zip(*parts, strict=True))
    test_ids = None
    if len(parts) > 1:
        ids = [np.char.add(f"{part}/", own) for part, own in zip(PARTS, ids, strict=True)]
        test_ids = tuple(ids[1].tolist())
    about = {
        "data_set": record.about,
        "files": [found | {"path": Path(found["path"]).name} for found in files],
        "left_out": dict(sum(left_out, Counter())),
    }
    shapes = {part.shape[1:] for part in images}
    if len(shapes) > 1:
        raise InputError(f"files {[f['path'] for f in files]} hold images of sizes {shapes}")
    return Dataset(
        name,
        np.concatenate(images),
        np.concatenate(ids),
        np.concatenate(targets),
        scheme,
        test_ids=test_ids,
        recipe=HDF5Source(files[0]["path"]).recipe,
        about=about,
        reader=reader,
    )


def _place(file: DataFile, path: str | os.PathLike | None, record: DatasetRecord) -> Path:
    """Where a file is, or is to be: in the folder named, or itself named."""
    path = Path("." if path is None else path)
    if path.suffix not in HDF5_SUFFIXES:
        return path / file.name
    return path if len(record.files) == 1 else path.parent / file.name


def _read_stack(
    path: str, size: int, scheme: ClassScheme
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Counter]:
    """Images, classes and ids of an HDF5 file."""
    source = HDF5Source(path)
    if source.labels is None:
        raise InputError(f"{path} carries no labels: it has no data set 'ans' or 'labels'")
    try:
        targets, _ = encode_labels(source.labels, scheme.names)
    except InputError as err:
        raise InputError(f"{path}: {err}") from err
    return _read_images(source, targets, size)


def _load_folder(path: str | os.PathLike | None, size: int, classes: Any) -> Dataset:
    """A table of files and labels, or a folder for each class."""
    if path is None:
        raise InputError(f"'folder' needs a PATH: a folder with {LABELS_FILE}, or one a class")
    path = Path(path)
    table = path / LABELS_FILE if path.is_dir() else path
    if table.is_file():
        files, labels, ids = _labelled_files(table)
    elif path.is_dir():
        files, labels, ids = _class_folders(path)
    else:
        raise InputError(f"{path} is not a folder and not a table of files and labels")
    scheme = None if classes is None else ClassScheme.from_any(classes)
    if labels.dtype.kind == "b":
        labels = labels.astype(str)
    targets, names = encode_labels(labels, None if scheme is None else scheme.names)
    source = FileSource(files, size=size, ids=ids)
    images, targets, ids, left_out = _read_images(source, targets, size)
    about = {"data_set": f"{path.name}: labelled images", "left_out": dict(left_out)}
    scheme = scheme or ClassScheme.from_any(names)
    return Dataset("folder", images, ids, targets, scheme, about=about)


def _labelled_files(path: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Files, labels and ids of a table."""
    table = read_catalog(path)
    for name in ("file", "label"):
        if name not in table.colnames:
            raise InputError(f"{path} has no column {name!r}; its columns are {table.colnames}")
    files = file_column(table, "file", path.parent)
    ids = [os.path.relpath(file, path.parent) if file else "" for file in files]
    return files, np.ma.asarray(table["label"]), ids


def _class_folders(path: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Files below one folder a class."""
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(folders) < 2:
        raise InputError(
            f"{path} holds no {LABELS_FILE} and {len(folders)} folders; give a table of the "
            "columns file and label, or two or more folders of images, one a class"
        )
    found = [(file, folder.name) for folder in folders for file in find_files(folder)]
    files = [file for file, _ in found]
    labels = np.array([label for _, label in found])
    return files, labels, [os.path.relpath(file, path) for file in files]


def _read_images(
    source: ImageSource, targets: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Counter]:
    """Images of the rows that have one and a label, and why others are left out."""
    images, kept, left_out = [], [], Counter()
    for batch in source.iter_batches(_AT_ONCE):
        rows = batch.start + np.arange(len(batch))
        usable = batch.ok & (targets[rows] >= 0)
        left_out["no label"] += int((targets[rows] < 0).sum())
        left_out["no image"] += int((~batch.ok & (targets[rows] >= 0)).sum())
        if usable.any():
            images.append(shrink(batch.images[usable], size))
            kept.append(rows[usable])
    if not kept:
        raise InputError(f"no image can be read and has a label, of {len(source)} rows")
    rows = np.concatenate(kept)
    return np.concatenate(images), targets[rows], source.ids[rows], +left_out

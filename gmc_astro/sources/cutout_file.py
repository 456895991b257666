"""Cutouts in an HDF5 file with Galaxy10's names, written so that nothing is lost by stopping."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gmc_astro._files import make_folder, whole, write_text, writing
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ImageBatch, ImageSource
from gmc_astro.sources.layout import UNKNOWN_RECIPE

__all__ = ["write_cutouts"]

ROWS = 256  # of a part
#: Names of what is measured, in Galaxy10's words where it has them.
NAMES = {"pixel_scale": "pxscale"}


def write_cutouts(
    source: ImageSource,
    path: str | os.PathLike,
    *,
    columns: Mapping[str, np.ndarray] | None = None,
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> np.ndarray:
    """Write the rows of a source into an HDF5 file.

    Finished rows are kept in ``PATH.parts`` until the file is complete; a run that was stopped
    goes on from there. The file appears whole.

    Parameters
    ----------
    source : `~gmc_astro.imaging.ImageSource`
        Images, for example of `~gmc_astro.surveys.fetch_cutouts`.
    path : path-like
        File to write, with data sets ``images`` (N, H, W, 3) uint8, ``ra``, ``dec``,
        ``object_id``, ``status``, ``pxscale`` (arcsec a pixel) and what else was measured.
    columns : mapping of str to `~numpy.ndarray`, optional
        More data sets, one value a row (``ans``, ``redshift``). Masked cells are written as
        NaN, -1 (integers; as a label, none) or an empty text.
    attributes : mapping, optional
        Attributes of the file. ``recipe``, the name of the images' colours, is added.
    overwrite : bool, optional
        Replace a file that is there.

    Returns
    -------
    status : `~numpy.ndarray` of str, shape (N,)
        What became of each row.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the file is there, or there are no rows.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro import fetch_cutouts, open_images
    >>> from gmc_astro.sources import write_cutouts
    >>> from gmc_astro.testing import serve_surveys
    >>> coords = SkyCoord([184.85, 150.12], [5.79, 2.21], unit="deg")
    >>> with serve_surveys(), tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cutouts.h5"
    ...     source = fetch_cutouts(coords, survey="decals", size=64, cache=False, progress=False)
    ...     status = write_cutouts(source, path)
    ...     stack = open_images(path)
    ...     shape = stack.read().images.shape
    >>> print(status, shape, stack.recipe.name)
    ['ok' 'ok'] (2, 64, 64, 3) GZ_DECALS
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists; give another name, or overwrite it")
    if not len(source):
        raise InputError("there are no rows to write")
    colours = UNKNOWN_RECIPE if source.recipe is None else source.recipe.name
    attributes = {"recipe": colours, **(attributes or {})}
    parts = _Parts(path, _fingerprint(source, attributes))
    for batch in source.iter_batches(ROWS, start=parts.finished(len(source))):
        parts.write(batch)
    status = _merge(source, parts, path, columns or {}, attributes)
    shutil.rmtree(parts.folder)
    return status


class _Parts:
    """Finished ranges of rows, each in a file of its own that appears whole."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.folder = path.with_name(f"{path.name}.parts")
        mark = self.folder / "fingerprint"
        with writing(self.folder):
            if self.folder.exists() and (not mark.is_file() or mark.read_text() != fingerprint):
                shutil.rmtree(self.folder)  # of other rows, or of other options
        make_folder(self.folder)
        write_text(mark, fingerprint)

    def finished(self, rows: int) -> int:
        """Rows that are there already."""
        start = 0
        while start < rows and self.file(start).is_file():
            with np.load(self.file(start)) as found:
                start += len(found["status"])
        return start

    def file(self, start: int) -> Path:
        return self.folder / f"{start:09d}.npz"

    def write(self, batch: ImageBatch) -> None:
        """Keep a batch."""
        values = {name: getattr(v, "value", v) for name, v in batch.columns.items()}
        with whole(self.file(batch.start)) as path:
            np.savez(path, images=batch.images, status=batch.status, **values)

    def read(self, start: int) -> dict[str, np.ndarray]:
        """Return a batch by name."""
        with np.load(self.file(start)) as found:
            return dict(found)


def _merge(
    source: ImageSource,
    parts: _Parts,
    path: Path,
    columns: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
) -> np.ndarray:
    """Copy the parts into one file."""
    status: list[str] = []
    with whole(path) as temporary, h5py.File(temporary, "w") as file:
        while (start := len(status)) < len(source):
            found = parts.read(start)
            status += found.pop("status").tolist()
            for name, values in found.items():
                rows = _rows(file, NAMES.get(name, name), len(source), values)
                rows[start : len(status)] = values
        text = {"object_id": source.ids, "status": np.array(status)}
        for name, values in {**text, **columns}.items():
            values = _filled(values)
            words = values.dtype.kind in "US"
            file[name] = values.astype(object) if words else values
        if source.coords is not None:
            file["ra"], file["dec"] = source.coords.ra.deg, source.coords.dec.deg
        file.attrs.update(attributes)
    return np.array(status)


def _rows(file: h5py.File, name: str, rows: int, like: np.ndarray) -> h5py.Dataset:
    """The data set of a name, made when it is first needed; NaN where nothing was measured."""
    if name not in file:
        fill = np.nan if like.dtype.kind == "f" else None
        file.create_dataset(name, shape=(rows, *like.shape[1:]), dtype=like.dtype, fillvalue=fill)
    return file[name]


def _filled(values: np.ndarray) -> np.ndarray:
    """Values of a column, with what stands for a masked cell in a file."""
    values = np.ma.asarray(values)
    if values.dtype.kind == "u" and values.mask.any():
        values = values.astype(np.int64)
    fill = {"f": np.nan, "i": -1, "U": "", "S": b""}
    return values.filled(fill.get(values.dtype.kind))


def _fingerprint(source: ImageSource, attributes: Mapping[str, Any]) -> str:
    """What the parts depend on."""
    content = {"attributes": dict(attributes), "source": source.identity()}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

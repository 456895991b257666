"""Images in HDF5 files: read in long stretches along the chunks, never by lists of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gmc_astro.exceptions import GmcAstroError, InputError, UnreadableImageError
from gmc_astro.imaging import LEGACY_DR9, OK, ColourRecipe, ImageBatch, ImageSource
from gmc_astro.sources.decode import decode_picture
from gmc_astro.sources.files import DEFAULT_SIZE

__all__ = ["HDF5_SUFFIXES", "HDF5Source"]

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
IMAGE_KEYS = ("images", "image_array", "image", "cutouts", "data")
LABEL_KEYS = ("ans", "labels", "label", "answers", "y")
ID_KEYS = ("object_id", "ids", "id", "filenames", "iauname", "dr7objid")
RA_KEYS, DEC_KEYS = ("ra", "RA"), ("dec", "DEC", "de")


class HDF5Source(ImageSource):
    """A stack of RGB images in an HDF5 file.

    Known layouts are Galaxy10's (``images``, ``ans``, ``ra``, ``dec``, ``pxscale``), Galaxy
    MNIST's (``images``, ``labels``), the Multimodal Universe's (``image_array``,
    ``object_id``) where its bands are red, green and blue, groups ``0, 1, ...`` of ``images``
    (AstroCLIP), and JPEG or PNG bytes of variable length (``images``, ``filenames``). The file
    is opened for each pass, so a source can be pickled and used by several processes.

    Parameters
    ----------
    path : path-like
        The file.
    key : str, optional
        Data set with the images. Default is the first of the usual names.
    size : int, optional
        Side of images that are stored as JPEG or PNG bytes.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours that the images have. Default is the Legacy Surveys viewer's for Galaxy10 DECaLS.

    Raises
    ------
    gmc_astro.exceptions.UnreadableImageError
        If the file is missing, cut off, or not HDF5.
    gmc_astro.exceptions.InputError
        If there are no images under ``key`` or a usual name, or they are not uint8 RGB.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        key: str | None = None,
        size: int = DEFAULT_SIZE,
        recipe: ColourRecipe | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.size = size
        with _open(self.path) as file:
            self._keys = _find_images(file, key, self.path)
            parts = [file[name] for name in self._keys]
            self._lengths = [len(part) for part in parts]
            self._encoded = _is_encoded(parts[0])
            self._channels_first = _check_layout(parts[0], self._encoded, self.path)
            folder = parts[0].parent
            self._columns = _side_columns(folder, len(self)) if len(parts) == 1 else {}
            galaxy10 = "pxscale" in folder
        self._recipe = recipe or (LEGACY_DR9 if galaxy10 else None)

    def __len__(self) -> int:
        return sum(self._lengths)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row: as in the file, else its number."""
        ids = self._columns.get("ids")
        return np.arange(len(self)).astype(str) if ids is None else ids

    @property
    def coords(self) -> Any:
        """Positions in the file as a SkyCoord, or None."""
        if not {"ra", "dec"} <= set(self._columns):
            return None
        from astropy.coordinates import SkyCoord

        return SkyCoord(self._columns["ra"], self._columns["dec"], unit="deg")

    @property
    def labels(self) -> np.ndarray | None:
        """Labels in the file, or None."""
        return self._columns.get("labels")

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colours of the images, or None where they are not known."""
        return self._recipe

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read rows in order; each chunk of the file is read and unpacked once."""
        stop = len(self) if stop is None else min(stop, len(self))
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        held, first = 0, start
        with _open(self.path) as file:
            for images, status in self._stretches(file, start, stop, batch_size):
                waiting.append((images, status))
                held += len(status)
                while held >= batch_size or (held and first + held == stop):
                    images, status = (_concatenate(arrays) for arrays in zip(*waiting, strict=True))
                    n = min(batch_size, held)
                    yield ImageBatch(images[:n], status[:n], first)
                    waiting, held, first = [(images[n:], status[n:])], held - n, first + n

    def _stretches(
        self, file: h5py.File, start: int, stop: int, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows from start to stop in stretches that end where chunks end."""
        offset = 0
        for name, length in zip(self._keys, self._lengths, strict=True):
            data = file[name]
            rows = data.chunks[0] if data.chunks else batch_size
            step = rows * max(batch_size // rows, 1)
            row, end = max(start - offset, 0), min(stop - offset, length)
            while row < end:
                upto = min((row // step + 1) * step, end)
                yield self._read(data, row, upto)
                row = upto
            offset += length

    def _read(self, data: h5py.Dataset, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a stretch; where that fails, row by row, so that one bad chunk harms no other."""
        try:
            return self._unpack(data[start:stop])
        except OSError as err:
            if stop - start == 1:
                shape = (1, *self._shape(data))
                reason = f"unreadable: {str(err).splitlines()[0]}"
                return np.zeros(shape, np.uint8), np.array([reason])
            rows = [self._read(data, row, row + 1) for row in range(start, stop)]
            return tuple(np.concatenate(arrays) for arrays in zip(*rows, strict=True))

    def _unpack(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images in height, width, colour order, with a status each."""
        if not self._encoded:
            images = rows.transpose(0, 2, 3, 1) if self._channels_first else rows
            return images, np.full(len(images), OK)
        images = np.zeros((len(rows), self.size, self.size, 3), np.uint8)
        status = []
        for i, row in enumerate(rows):
            try:
                images[i] = decode_picture(np.asarray(row, np.uint8).tobytes(), self.size)
                status.append(OK)
            except GmcAstroError as err:
                status.append(f"unreadable: {err}")
        return images, np.array(status)

    def _shape(self, data: h5py.Dataset) -> tuple[int, int, int]:
        if self._encoded:
            return self.size, self.size, 3
        return (*data.shape[2:], 3) if self._channels_first else data.shape[1:]


def _concatenate(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


@contextmanager
def _open(path: str) -> Iterator[h5py.File]:
    if not Path(path).is_file():
        raise UnreadableImageError(f"{path}: no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as err:
        raise UnreadableImageError(
            f"{path}: not an HDF5 file, or cut off while it was copied ({err})"
        ) from err
    with file:
        yield file


def _find_images(file: h5py.File, key: str | None, path: str) -> list[str]:
    """Names of the data sets with images: one, or one in each numbered group."""
    if key is not None:
        if key not in file or not isinstance(file[key], h5py.Dataset):
            raise InputError(f"{path} has no data set {key!r}; it has {_contents(file)}")
        return [key]
    for name in IMAGE_KEYS:
        if isinstance(file.get(name), h5py.Dataset):
            return [name]
    groups = sorted((n for n in file if n.isdigit()), key=int)
    found = [f"{g}/{n}" for g in groups for n in IMAGE_KEYS[:1] if n in file[g]]
    if found:
        return found
    raise InputError(
        f"{path} has no images under {', '.join(IMAGE_KEYS)}; it has {_contents(file)}: "
        "say which with key="
    )


def _contents(file: h5py.File) -> list[str]:
    return sorted(file)[:12]


def _is_encoded(data: h5py.Dataset) -> bool:
    """True for rows of JPEG or PNG bytes."""
    return data.ndim == 1 and h5py.check_vlen_dtype(data.dtype) is not None


def _check_layout(data: h5py.Dataset, encoded: bool, path: str) -> bool:
    """Refuse what is not uint8 RGB; tell whether colours come before height and width."""
    if encoded:
        return False
    if data.ndim == 4 and data.dtype == np.uint8:
        if data.shape[-1] == 3:
            return False
        if data.shape[1] == 3:
            return True
    raise InputError(
        f"{path}: {data.name} has shape {data.shape} and dtype {data.dtype}; need uint8 RGB "
        "images of shape (N, H, W, 3) or JPEG/PNG bytes: render flux with make_rgb() first"
    )


def _side_columns(folder: h5py.Group, n: int) -> dict[str, np.ndarray]:
    """Labels, names and positions that stand beside the images, one a row."""
    columns = {}
    usual = {"labels": LABEL_KEYS, "ids": ID_KEYS, "ra": RA_KEYS, "dec": DEC_KEYS}
    for name, keys in usual.items():
        for key in keys:
            data = folder.get(key)
            if isinstance(data, h5py.Dataset) and data.shape == (n,):
                text = h5py.check_string_dtype(data.dtype)
                columns[name] = data.asstr()[:] if text else data[:]
                break
    if "ids" in columns:
        columns["ids"] = columns["ids"].astype(str)
    return columns

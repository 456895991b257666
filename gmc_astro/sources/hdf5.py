"""Images in HDF5 files: read in long stretches along the chunks, never by lists of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from astropy import units as u

from gmc_astro.exceptions import GmcAstroError, InputError, UnreadableImageError
from gmc_astro.imaging import OK, ColourRecipe, ImageBatch, ImageSource, is_ok
from gmc_astro.sources.chunks import RowReader, opened_for_rows, rows_together
from gmc_astro.sources.decode import Decoded, Piece, decode_picture, stacked
from gmc_astro.sources.files import DEFAULT_SIZE, THREADS, file_stamp
from gmc_astro.sources.layout import (
    channels_first,
    find_images,
    flux_layout,
    is_encoded,
    is_rgb,
    named_column,
    refuse_other_labels,
    side_columns,
    written_recipe,
)
from gmc_astro.sources.positions import sky_positions

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["HDF5_SUFFIXES", "HDF5Source"]

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
_FAILURES = (OSError, RuntimeError, ValueError)  # what HDF5 raises for a damaged file


class HDF5Source(ImageSource):
    """A stack of images in an HDF5 file.

    Known layouts are Galaxy10's (``images``, ``ans``, ``ra``, ``dec``, ``pxscale``), Galaxy
    MNIST's (``images``, ``labels``), the Multimodal Universe's (``image_array`` of flux with
    ``image_band``, ``object_id``, ``ra``, ``dec``), groups ``0, 1, ...`` of ``images``
    (AstroCLIP), and JPEG or PNG bytes of variable length (``images``, ``filenames``). Flux is
    rendered and framed as FITS images are. A ``status`` that `write_cutouts` wrote is told again:
    a row that could not be fetched has no image here either. The file is opened for each pass, so
    a source can be pickled and used by several processes; names and positions are read when they
    are needed.

    Parameters
    ----------
    path : path-like
        The file.
    key : str, optional
        Data set with the images. Default is the first of the usual names.
    size : int, optional
        Side of images that are stored as JPEG or PNG bytes or as flux.
    framing : {"auto", "petrosian", "fixed", "none"}, optional
        How flux is cut out; ``"auto"`` is ``"petrosian"``.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours that the images have, or that flux is rendered with. Default is what the file's
        attribute ``recipe`` names; without it, the Legacy Surveys viewer's for Galaxy10 DECaLS.

    Raises
    ------
    gmc_astro.exceptions.UnreadableImageError
        If the file is missing, cut off, or not HDF5.
    gmc_astro.exceptions.InputError
        If there are no images under ``key`` or a usual name, or of no layout that is known.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import h5py
    >>> import numpy as np
    >>> from gmc_astro.sources import HDF5Source
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "Galaxy10_DECals.h5"
    ...     with h5py.File(path, "w") as file:
    ...         file["images"] = np.zeros((4, 64, 64, 3), np.uint8)
    ...         file["ans"] = [0, 2, 1, 2]
    ...     source = HDF5Source(path)
    ...     labels, shape = source.labels, source.read().images.shape
    >>> labels, shape
    (array([0, 2, 1, 2]), (4, 64, 64, 3))
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        key: str | None = None,
        size: int = DEFAULT_SIZE,
        framing: str = "auto",
        recipe: ColourRecipe | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.size = size
        with _open(self.path) as file:
            self._keys = find_images(file, key, self.path)
            parts = [file[name] for name in self._keys]
            self._lengths = [len(part) for part in parts]
            self._together = [rows_together(part) for part in parts]
            self._encoded = is_encoded(parts[0])
            self._channels_first = channels_first(parts[0])
            self._flux = None
            if not self._encoded and not is_rgb(parts[0]):
                framing = "petrosian" if framing == "auto" else framing
                self._flux = flux_layout(parts[0], self.path, size, framing, recipe)
            self._side = side_columns(parts)
            self._recipe = recipe or written_recipe(file, parts[0])

    def __len__(self) -> int:
        return sum(self._lengths)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row: as in the file, else its number."""
        return self.names(0, len(self))[0]

    @property
    def coords(self) -> SkyCoord | None:
        """Positions in the file, or None."""
        return self._positions(0, len(self)) if {"ra", "dec"} <= set(self._side) else None

    @property
    def labels(self) -> np.ndarray | None:
        """Labels in the file, or None; integers below 0 are no label, and masked.

        Shape (N,), or (N, K) where the file has a number for each of K classes.
        """
        if "labels" not in self._side:
            with _open(self.path) as file:
                refuse_other_labels([file[name] for name in self._keys], self.path)
            return None
        return _as_labels(self._column("labels", 0, len(self)))

    def labels_in(self, name: str) -> np.ndarray:
        """Labels in a data set that has another than the usual names.

        Parameters
        ----------
        name : str
            Data set beside the images, of one value a row.

        Returns
        -------
        labels : `~numpy.ndarray`, shape (N,)
            As ``labels``: integers below 0 are no label, and masked.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If there is no such data set.
        """
        with _open(self.path) as file:
            keys = named_column([file[key] for key in self._keys], name, self.path)
        return _as_labels(self._values(keys, 0, len(self)))

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colours of the images, or None where they are not known."""
        return self._recipe if self._flux is None else self._flux.colours

    def in_recipe(self, recipe: ColourRecipe) -> HDF5Source:
        """Return the same rows; flux is rendered with another recipe where it has the bands.

        Parameters
        ----------
        recipe : `~gmc_astro.imaging.ColourRecipe`
            Colours asked for.

        Returns
        -------
        source : `HDF5Source`
            This source itself where the images are RGB or the bands are missing.
        """
        if self._flux is None or (flux := self._flux.in_recipe(recipe)) is self._flux:
            return self
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _flux=flux)
        return other

    def names(self, start: int, stop: int) -> tuple[np.ndarray, SkyCoord | None]:
        """Names and positions of a range of rows, read from the file.

        Parameters
        ----------
        start, stop : int
            Range of rows.

        Returns
        -------
        ids : `~numpy.ndarray` of str, shape (stop - start,)
            Name of each row.
        coords : `~astropy.coordinates.SkyCoord`, shape (stop - start,), or None
            Position of each row, where there are positions.
        """
        stop = min(stop, len(self))
        if "ids" in self._side:
            ids = self._column("ids", start, stop).astype(str)
        else:
            ids = np.arange(start, stop).astype(str)
        return ids, self._positions(start, stop) if {"ra", "dec"} <= set(self._side) else None

    def _positions(self, start: int, stop: int) -> SkyCoord:
        ra, dec = (self._column(name, start, stop) for name in ("ra", "dec"))
        try:
            return sky_positions(ra.astype(float) * u.deg, dec.astype(float) * u.deg)
        except ValueError as err:
            raise InputError(
                f"{self.path}: ra and dec are not numbers ({err}); write them in degrees"
            ) from err

    def _column(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows of what stands beside the images under a usual name."""
        return self._values(self._side[name], start, stop)

    def _values(self, keys: Sequence[str], start: int, stop: int) -> np.ndarray:
        """Rows of data sets, one a part."""
        found = []
        with _open(self.path) as file:
            for key, low, high in self._within(keys, start, stop):
                data = file[key]
                text = h5py.check_string_dtype(data.dtype)
                found.append(data.asstr("utf-8", "replace")[low:high] if text else data[low:high])
        return np.concatenate(found)

    def _within(self, keys: Sequence[str], start: int, stop: int) -> Iterator[tuple[str, int, int]]:
        """Each part that a range of rows touches, with its own range."""
        offset = 0
        for key, length in zip(keys, self._lengths, strict=True):
            low, high = max(start - offset, 0), min(stop - offset, length)
            if low < high or (start == stop and not offset):
                yield key, low, max(low, high)
            offset += length

    def cuts(self, rows: int) -> np.ndarray:
        """Cut where chunks end, so that none is unpacked twice.

        Parameters
        ----------
        rows : int
            Rows that a range should have, roughly.

        Returns
        -------
        cuts : `~numpy.ndarray` of int, shape (R + 1,)
            Range r is ``cuts[r]`` to ``cuts[r + 1]``.
        """
        cuts, offset = [np.zeros(1, int)], 0
        for length, together in zip(self._lengths, self._together, strict=True):
            step = -(-rows // together) * together
            cuts.append(offset + np.append(np.arange(step, length, step), length))
            offset += length
        return np.unique(np.concatenate(cuts))

    def identity(self) -> dict[str, Any]:
        """Name, size and date of the file, and how bytes or flux become images.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        how: dict[str, Any] = {}
        if self._flux is not None:
            how = {"size": self.size, "framing": self._flux.framing}
        elif self._encoded:
            how = {"size": self.size}
        stamp = file_stamp(self.path)
        return {"kind": "HDF5", "rows": len(self), "data": self._keys[0], **how, **stamp}

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read rows in order; each chunk of the file is read and unpacked once.

        Parameters
        ----------
        batch_size, start, stop : int, optional
            As for `ImageSource.iter_batches <gmc_astro.imaging.ImageSource.iter_batches>`.

        Yields
        ------
        batch : `~gmc_astro.imaging.ImageBatch`
            The next rows.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        waiting: list[Piece] = []
        held, first = 0, start
        for piece in self._pieces(start, stop, batch_size):
            waiting.append(piece)
            held += len(piece[1])
            while held >= batch_size or (held and first + held == stop):
                images, status, columns = _join(waiting)
                n = min(batch_size, held)
                measured = {name: values[:n] for name, values in columns.items()}
                told = self._told(images[:n], status[:n], first)
                yield ImageBatch(images[:n], told, first, measured)
                rest = {name: values[n:] for name, values in columns.items()}
                waiting, held, first = [(images[n:], status[n:], rest)], held - n, first + n

    def _told(self, images: np.ndarray, status: np.ndarray, start: int) -> np.ndarray:
        """What the file says of rows that can be read: notes, and why a black one has no image."""
        if "status" not in self._side:
            return status
        written = self._column("status", start, start + len(status))
        if written.dtype.kind != "O":  # numbers, which mean something else
            return status
        written = written.astype(str)
        black = ~images.any(axis=(1, 2, 3))
        return np.where(is_ok(status) & (is_ok(written) | black), written, status)

    def _pieces(self, start: int, stop: int, batch_size: int) -> Iterator[Piece]:
        """Rows from start to stop in pieces that end where chunks end."""
        with (
            _open(self.path) as file,
            opened_for_rows(self.path) as descriptor,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            for key, row, end in self._within(self._keys, start, stop):
                reader = RowReader(file[key], descriptor, pool)
                together = rows_together(file[key])
                step = together * max(batch_size // together, 1)
                while row < end:
                    upto = row // together * together + step
                    yield self._read(reader, pool, row, min(upto, end))
                    row = min(upto, end)

    def _read(self, reader: RowReader, pool: ThreadPoolExecutor, start: int, stop: int) -> Piece:
        """Read a piece; where that fails, its halves, so that a bad chunk harms no other."""
        try:
            rows = reader.read(start, stop)
        except _FAILURES as err:
            together = 1 if self._encoded else rows_together(reader.data)
            chunks = stop // together - start // together
            if stop - start == 1 or chunks < 1 or (chunks == 1 and stop % together == 0):
                return self._failed(reader.data, stop - start, str(err).splitlines()[0])
            middle = (start // together + -(-chunks // 2)) * together
            halves = [
                self._read(reader, pool, low, high)
                for low, high in ((start, middle), (middle, stop))
            ]
            return _join(halves)
        return self._unpack(rows, pool)

    def _failed(self, data: h5py.Dataset, n: int, reason: str) -> Piece:
        images = np.zeros((n, *self._shape(data)), np.uint8)
        return images, np.full(n, f"unreadable: {reason}"), {}

    def _unpack(self, rows: np.ndarray, pool: ThreadPoolExecutor) -> Piece:
        """Images in height, width, colour order, with a status each."""
        if self._encoded or self._flux is not None:
            one = self._decode if self._encoded else self._flux.render
            return stacked(list(pool.map(one, rows)), self.size)
        images = rows.transpose(0, 2, 3, 1) if self._channels_first else rows
        return images, np.full(len(images), OK), {}

    def _decode(self, row: np.ndarray) -> Decoded:
        try:
            return decode_picture(np.asarray(row, np.uint8).tobytes(), self.size), {}, OK
        except GmcAstroError as err:
            return None, {}, f"unreadable: {err}"

    def _shape(self, data: h5py.Dataset) -> tuple[int, int, int]:
        if self._encoded or self._flux is not None:
            return self.size, self.size, 3
        return (*data.shape[2:], 3) if self._channels_first else data.shape[1:]


def _as_labels(values: np.ndarray) -> np.ndarray:
    """One column as one axis, with integers below 0 masked."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    none = values < 0 if values.dtype.kind == "i" else np.zeros(1, bool)
    return np.ma.array(values, mask=none) if none.any() else values


def _join(pieces: Sequence[Piece]) -> Piece:
    """One piece of several; columns that a piece lacks are NaN there."""
    if len(pieces) == 1:
        return pieces[0]
    names = dict.fromkeys(name for piece in pieces for name in piece[2])
    columns = {
        name: np.concatenate([p[2].get(name, np.full(len(p[1]), np.nan)) for p in pieces])
        for name in names
    }
    images, status = (np.concatenate([piece[i] for piece in pieces]) for i in (0, 1))
    return images, status, columns


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

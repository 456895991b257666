"""Rows of HDF5 data sets, read past the library where their layout allows it.

HDF5 reads one thing at a time and unpacks it in the thread that asked. What lies in the file as
it is goes with one system call into the array that the model will see; what is packed with gzip
is unpacked in several threads. Everything else is left to the library.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import h5py
import numpy as np

try:  # nearly twice as fast; the extra "fast" brings it
    from isal import isal_zlib as zlib
except ImportError:
    import zlib

__all__ = ["RowReader", "opened_for_rows", "rows_together"]

_GZIP, _SHUFFLE = 1, 2  # numbers of HDF5's filters
_DIRECT = 128 * 2**20  # bytes of a packed chunk up to which several are unpacked at once


def rows_together(data: h5py.Dataset) -> int:
    """Rows that have to be unpacked together, 1 where each row stands alone.

    Parameters
    ----------
    data : h5py.Dataset
        Data set whose first axis is rows.

    Returns
    -------
    rows : int
        Rows of a chunk.
    """
    return int(data.chunks[0]) if data.chunks else 1


class _Chunk(NamedTuple):
    """Rows wanted of a chunk, how many of its rows come before, and where it lies in the file."""

    start: int
    stop: int
    skip: int
    place: int
    size: int


class RowReader:
    """Reads ranges of rows of a data set.

    Parameters
    ----------
    data : h5py.Dataset
        Data set whose first axis is rows.
    descriptor : int
        The same file, opened for reading.
    pool : `~concurrent.futures.ThreadPoolExecutor`
        Threads to unpack in.
    """

    def __init__(self, data: h5py.Dataset, descriptor: int, pool: ThreadPoolExecutor) -> None:
        self.data = data
        self._descriptor = descriptor
        self._pool = pool
        self._row_bytes = data.dtype.itemsize * int(np.prod(data.shape[1:], dtype=np.int64))
        self._kind = self._layout()

    def _layout(self) -> str:
        """``"plain"`` (one stretch of bytes), ``"chunks"`` (of whole rows) or ``"library"``."""
        data = self.data
        if not hasattr(os, "preadv") or data.dtype.kind not in "uif":
            return "library"
        if data.file.userblock_size or data.is_virtual:
            return "library"
        if data.chunks is None:
            external = data.external
            return "plain" if not external and data.id.get_offset() is not None else "library"
        properties = data.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        known = {_GZIP, _SHUFFLE} if data.dtype.itemsize == 1 else {_GZIP}
        whole_rows = data.chunks[1:] == data.shape[1:]
        small = data.chunks[0] * self._row_bytes <= _DIRECT
        return "chunks" if whole_rows and small and filters <= known else "library"

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read rows ``start`` to ``stop``.

        Parameters
        ----------
        start, stop : int
            Range of rows.

        Returns
        -------
        rows : `~numpy.ndarray`, shape (stop - start, ...)
            The rows, in an array of their own.

        Raises
        ------
        OSError
            If the file ends too early, or a chunk cannot be unpacked.
        """
        if self._kind == "library":
            return self.data[start:stop]
        rows = np.empty((stop - start, *self.data.shape[1:]), self.data.dtype)
        if self._kind == "plain":
            self._fill(rows, self.data.id.get_offset() + start * self._row_bytes)
            return rows
        # HDF5 is asked for places in this thread only; the threads read and unpack
        work = list(self._chunks(rows, start, stop))
        if self.data.compression is None:
            for first, last, place in self._stretches(work):
                self._fill(rows[first - start : last - start], place)
        elif len(work) == 1:
            self._unpack(rows[work[0].start - start : work[0].stop - start], work[0])
        else:
            parts = [rows[chunk.start - start : chunk.stop - start] for chunk in work]
            list(self._pool.map(self._unpack, parts, work))
        return rows

    def _chunks(self, rows: np.ndarray, start: int, stop: int) -> Iterator[_Chunk]:
        """Chunks that a range of rows touches; those that were never written are filled in."""
        step = self.data.chunks[0]
        rest = (0,) * (self.data.ndim - 1)
        for first in range(start // step * step, stop, step):
            info = self.data.id.get_chunk_info_by_coord((first, *rest))
            low, high = max(first, start), min(first + step, stop)
            if info.byte_offset is None or info.filter_mask:  # never written, or left unpacked
                rows[low - start : high - start] = self.data[low:high]
            else:
                yield _Chunk(low, high, low - first, info.byte_offset, info.size)

    def _stretches(self, chunks: list[_Chunk]) -> Iterator[tuple[int, int, int]]:
        """First and last row, and place, of chunks that are not packed and lie side by side."""
        waiting: tuple[int, int, int] | None = None
        for chunk in chunks:
            place = chunk.place + chunk.skip * self._row_bytes
            if waiting is not None:
                first, last, begin = waiting
                if last == chunk.start and begin + (last - first) * self._row_bytes == place:
                    waiting = first, chunk.stop, begin
                    continue
                yield waiting
            waiting = chunk.start, chunk.stop, place
        if waiting is not None:
            yield waiting

    def _unpack(self, part: np.ndarray, chunk: _Chunk) -> None:
        """Read one chunk and put the rows that are asked for where they belong."""
        raw = np.empty(chunk.size, np.uint8)
        self._fill(raw, chunk.place)
        whole = self.data.chunks[0] * self._row_bytes
        try:
            content = zlib.decompress(raw, bufsize=whole)
        except zlib.error as err:
            raise OSError(f"a chunk cannot be unpacked ({err})") from err
        if len(content) != whole:
            raise OSError(f"a chunk unpacks to {len(content)} of {whole} bytes")
        first = chunk.skip * self._row_bytes
        part.reshape(-1).view(np.uint8)[:] = np.frombuffer(content, np.uint8, part.nbytes, first)

    def _fill(self, array: np.ndarray, place: int) -> None:
        """Read as many bytes as the array has."""
        view = memoryview(array.reshape(-1).view(np.uint8))
        while len(view):
            n = os.preadv(self._descriptor, [view], place)
            if n == 0:
                raise OSError(f"the file ends {len(view)} bytes too early")
            view, place = view[n:], place + n


@contextmanager
def opened_for_rows(path: str) -> Iterator[int]:
    """Open a file for `RowReader`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

"""Rows of HDF5 data sets, read past the library where their layout allows it.

HDF5 reads one thing at a time and unpacks it in the thread that asked. What lies in the file as
it is goes with one system call into the array that the model will see; what is packed with gzip
is unpacked in several threads. Everything else is left to the library.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import h5py
import numpy as np

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
        if len(work) == 1:
            self._unpack(*work[0])
        else:
            list(self._pool.map(lambda item: self._unpack(*item), work))
        return rows

    def _chunks(
        self, rows: np.ndarray, start: int, stop: int
    ) -> Iterator[tuple[np.ndarray, int, int, int, bool]]:
        """Part of the result, first row in the chunk, place and length in the file, packed."""
        step, packed = self.data.chunks[0], self.data.compression is not None
        rest = (0,) * (self.data.ndim - 1)
        for first in range(start // step * step, stop, step):
            info = self.data.id.get_chunk_info_by_coord((first, *rest))
            low, high = max(first, start), min(first + step, stop)
            part = rows[low - start : high - start]
            if info.byte_offset is None or info.filter_mask:  # never written, or left unpacked
                part[:] = self.data[low:high]
            else:
                yield part, low - first, info.byte_offset, info.size, packed

    def _unpack(self, part: np.ndarray, skip: int, place: int, size: int, packed: bool) -> None:
        """Read one chunk and put the rows that are asked for where they belong."""
        if not packed:
            self._fill(part, place + skip * self._row_bytes)
            return
        raw = np.empty(size, np.uint8)
        self._fill(raw, place)
        whole = self.data.chunks[0] * self._row_bytes
        try:
            content = zlib.decompress(raw, bufsize=whole)
        except zlib.error as err:
            raise OSError(f"a chunk cannot be unpacked ({err})") from err
        if len(content) != whole:
            raise OSError(f"a chunk unpacks to {len(content)} of {whole} bytes")
        first = skip * self._row_bytes
        flat = np.frombuffer(content, np.uint8, part.nbytes, first)
        part.reshape(-1).view(np.uint8)[:] = flat

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

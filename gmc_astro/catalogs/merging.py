"""Shards into one file, without ever holding the whole catalogue.

Each format's own writer writes some rows at a time, always with one more row at the end that
has the longest texts and a masked label if any has: so all pieces have the same layout, and their
rows can be put one after the other.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, vstack

from gmc_astro._files import whole
from gmc_astro.catalogs.shards import RowRange, Shards
from gmc_astro.learning import check_output, write_table
from gmc_astro.learning.table_io import plain_table

__all__ = ["Layout", "merge_shards"]

PIECE = 16384  # rows written at a time
BLOCK = 2880  # bytes of a FITS block


class Layout:
    """What all rows of a run have: columns, widths of texts, and whether any label is masked.

    Parameters
    ----------
    shards : Shards
        The shards.
    ranges : sequence of RowRange
        All ranges, finished.
    """

    def __init__(self, shards: Shards, ranges: Sequence[RowRange]) -> None:
        records = [shards.record(rows) for rows in ranges]
        self.rows = sum(len(rows) for rows in ranges)
        self.masked = any(record["failed"] for record in records)
        self.widths: dict[str, int] = {}
        examples: dict[tuple[str, ...], RowRange] = {}
        for rows, record in zip(ranges, records, strict=True):
            examples.setdefault(tuple(record["columns"]), rows)
            for name, width in record["widths"].items():
                self.widths[name] = max(width, self.widths.get(name, 1))
        tables = [shards.read(rows)[:1] for rows in examples.values()]
        self._columns = {name: table[name] for table in tables for name in table.colnames}
        names = [name for name in self._columns if name != "status"]
        self.names = [*names, "status"]
        self.meta = dict(tables[0].meta)

    def last(self) -> QTable:
        """The row that ends every piece."""
        return QTable({name: self._extreme(name) for name in self.names}, meta=self.meta)

    def _extreme(self, name: str) -> Any:
        column = self._columns[name]
        if name in self.widths:
            text = np.array(["x" * self.widths[name]])
            return MaskedColumn(text, mask=[self.masked]) if name == "label" else text
        return column

    def piece(self, tables: Iterable[QTable]) -> QTable:
        """Stack tables, give them all columns, and end them with the last row."""
        tables = [self.complete(table) for table in tables]
        return vstack([*tables, self.last()], metadata_conflicts="silent")

    def complete(self, table: QTable) -> QTable:
        """The same rows with all columns of the run, in its order, NaN where they have none."""
        columns = {}
        for name in self.names:
            known = name in table.colnames
            columns[name] = table[name] if known else _missing(len(table), self._columns[name])
        return QTable(columns)


def _missing(rows: int, column: Any) -> Any:
    """What a column holds of rows that were not measured."""
    nothing = np.full(rows, np.nan)
    if isinstance(column, SkyCoord):
        return SkyCoord(nothing, nothing, unit="deg", frame=column.frame.replicate_without_data())
    return nothing * (column.unit if isinstance(column, u.Quantity) else 1.0)


class _Writer(ABC):
    """Writes pieces one after the other; the last row of each is left out."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout

    @abstractmethod
    def write(self, pieces: Iterable[QTable]) -> None:
        """Write all pieces."""


class _Streamed(_Writer):
    """A file whose pieces are bytes, one after the other."""

    def write(self, pieces: Iterable[QTable]) -> None:
        """Write all pieces."""
        with self.path.open("wb") as handle:
            for i, table in enumerate(pieces):
                handle.write(self._bytes(table, first=i == 0))
            handle.write(self._end())

    @abstractmethod
    def _bytes(self, table: QTable, *, first: bool) -> bytes:
        """Bytes of a piece, with the header if it is the first."""

    def _end(self) -> bytes:
        return b""


class _ECSV(_Streamed):
    def _bytes(self, table: QTable, *, first: bool) -> bytes:
        buffer = io.StringIO()
        table.write(buffer, format="ascii.ecsv")
        lines = buffer.getvalue().splitlines(keepends=True)
        header = next(i for i, line in enumerate(lines) if not line.startswith("#")) + 1
        return "".join(lines[0 if first else header : -1]).encode()


class _CSV(_Streamed):
    def _bytes(self, table: QTable, *, first: bool) -> bytes:
        buffer = io.StringIO()
        plain_table(table[:-1]).write(buffer, format="ascii.csv")
        header, end, rows = buffer.getvalue().partition("\n")
        return ((header + end if first else "") + rows).encode()


class _FITS(_Streamed):
    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._written = 0

    def _bytes(self, table: QTable, *, first: bool) -> bytes:
        temporary = self.path.with_suffix(".piece.fits")
        try:
            write_table(table, temporary, overwrite=True)
            with fits.open(temporary, memmap=False) as hdus:
                hdu = hdus[1]
                content = np.asarray(hdu.data).tobytes()[: -hdu.header["NAXIS1"]]
                header = hdu.header.copy()
                start = hdus[0].header.tostring().encode("ascii")
        finally:
            temporary.unlink(missing_ok=True)
        self._written += len(content)
        header["NAXIS2"] = self.layout.rows
        return (start + header.tostring().encode("ascii") if first else b"") + content

    def _end(self) -> bytes:
        return b"\0" * (-self._written % BLOCK)


class _HDF5(_Writer):
    def write(self, pieces: Iterable[QTable]) -> None:
        """Write all pieces into one data set of records."""
        start = 0
        with h5py.File(self.path, "w") as file:
            for table in pieces:
                records, meta = self._records(table)
                if not start:
                    data = file.create_dataset("predictions", (self.layout.rows,), records.dtype)
                    file["predictions.__table_column_meta__"] = meta
                data[start : start + len(records)] = records
                start += len(records)

    def _records(self, table: QTable) -> tuple[np.ndarray, np.ndarray]:
        with h5py.File("piece", "w", driver="core", backing_store=False) as memory:
            table.write(memory, path="predictions", serialize_meta=True, format="hdf5")
            return memory["predictions"][:-1], memory["predictions.__table_column_meta__"][:]


WRITERS = {".ecsv": _ECSV, ".csv": _CSV, ".fits": _FITS, ".h5": _HDF5, ".hdf5": _HDF5}


def merge_shards(
    shards: Shards, ranges: Sequence[RowRange], path: str | os.PathLike, *, overwrite: bool = False
) -> Path:
    """Write the rows of all shards, in order, into one file.

    Parameters
    ----------
    shards : Shards
        The shards.
    ranges : sequence of RowRange
        All ranges, finished.
    path : path-like
        File with suffix ``.parquet``, ``.h5``, ``.hdf5``, ``.fits``, ``.ecsv`` or ``.csv``; it
        appears whole.
    overwrite : bool, optional
        Replace a file that is there.

    Returns
    -------
    path : `~pathlib.Path`
        The file.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the suffix is unknown, the folder is missing, or the file exists.
    gmc_astro.exceptions.OutputError
        If a shard is damaged or the disk refuses.
    """
    path = check_output(path, overwrite=overwrite)
    layout = Layout(shards, ranges)
    with whole(path) as temporary:
        if path.suffix.lower() == ".parquet":
            _merge_parquet(shards, ranges, layout, temporary)
        else:
            WRITERS[path.suffix.lower()](temporary, layout).write(_pieces(shards, ranges, layout))
    return path


def _pieces(shards: Shards, ranges: Sequence[RowRange], layout: Layout) -> Iterator[QTable]:
    """Tables of some shards at a time."""
    waiting: list[QTable] = []
    for rows in ranges:
        waiting.append(shards.read(rows))
        if sum(map(len, waiting)) >= PIECE or rows is ranges[-1]:
            yield layout.piece(waiting)
            waiting = []


def _merge_parquet(shards: Shards, ranges: Sequence[RowRange], layout: Layout, path: Path) -> None:
    """Shards are Parquet already: only their columns are made the same."""
    write_table(layout.piece([]), path, overwrite=True)
    schema = pq.read_schema(path)
    with pq.ParquetWriter(path, schema, version="2.4") as writer:
        for rows in ranges:
            shards.must_be_good(rows)
            table = pq.read_table(shards.file(rows))
            columns = [_column(table, field) for field in schema]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _column(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    """A column, or what stands for it where a shard has none: not masked, not measured."""
    if field.name in table.column_names:
        return table[field.name].cast(field.type)
    value: Mapping[pa.DataType, Any] = {pa.bool_(): False, pa.float64(): np.nan}
    return pa.array([value[field.type]] * table.num_rows, field.type)

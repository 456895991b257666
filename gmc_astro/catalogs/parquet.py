"""Predictions to Parquet as astropy writes them, column by column instead of row by row.

Astropy's writer makes an object of each row of an array column, which for a shard takes longer
than reading its images from a disk.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import QTable, Table
from astropy.table.serialize import represent_mixins_as_columns
from astropy.utils.data_info import serialize_context_as

from gmc_astro.learning import write_table

__all__ = ["write_parquet"]


def write_parquet(table: QTable, path: Path) -> None:
    """Write a table of predictions; `~gmc_astro.learning.read_table` reads it.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        At least one row.
    path : `~pathlib.Path`
        The file, which is replaced.
    """
    schema = _schema(table, path)
    with serialize_context_as("parquet"):
        plain = represent_mixins_as_columns(table)
    arrays = [_array(plain, field) for field in schema]
    with pq.ParquetWriter(path, schema, version="2.4") as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _schema(table: QTable, path: Path) -> pa.Schema:
    """Columns and metadata as astropy writes them, from one row; a masked one if there is any."""
    masked = np.flatnonzero(np.ma.getmaskarray(table["label"]))
    row = int(masked[0]) if len(masked) else 0
    write_table(table[row : row + 1], path, overwrite=True)
    return pq.read_schema(path)


def _array(plain: Table, field: pa.Field) -> pa.Array:
    values = np.ascontiguousarray(plain[field.name])
    if pa.types.is_fixed_size_list(field.type):
        flat = pa.array(values.reshape(-1), field.type.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, type=field.type)
    return pa.array(values, field.type)

"""Tables with a column of files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from gmc_astro._tables import ZIPPED, read_text_table, words
from gmc_astro.exceptions import InputError

__all__ = [
    "CATALOG_SUFFIXES",
    "as_table",
    "file_column",
    "is_fits_table",
    "names_files",
    "plain_names",
    "read_catalog",
]

FILE_COLUMNS = ("file", "filename", "file_name", "file_loc", "path", "image")
_TEXT_SUFFIXES = (".csv", ".tsv", ".ecsv", ".vot", ".xml", ".txt", ".dat")
CATALOG_SUFFIXES = (*_TEXT_SUFFIXES, *(s + ZIPPED for s in _TEXT_SUFFIXES), ".parquet")


def read_catalog(path: str | os.PathLike) -> Table:
    r"""Read a table; columns of a CSV file stay words unless all of them are numbers.

    Parameters
    ----------
    path : path-like
        CSV, ECSV, VOTable or tab-separated table, zipped (``.gz``) or not, Parquet or FITS. What
        is called CSV may begin with comments (``#``) or a byte order mark, and have semicolons,
        tabs or bars between its columns.

    Returns
    -------
    table : `~astropy.table.Table`
        The table.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If it is not a file or not a table that astropy can read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from gmc_astro.sources import read_catalog
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "catalogue.csv"
    ...     _ = path.write_text("id,ra,dec\nNGC 4303,185.479,4.474\n")
    ...     table = read_catalog(path)
    >>> table.colnames, float(table["ra"][0])
    (['id', 'ra', 'dec'], 185.479)
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not a file")
    try:
        if path.suffix == ".parquet" and b"table_meta_yaml" not in _parquet_notes(path):
            file = pq.ParquetFile(path)
            return as_table(file.read(plain_names(file.schema_arrow)))
        return read_text_table(path)
    except Exception as err:  # each of astropy's readers raises its own kinds
        raise InputError(f"{path} cannot be read as a table: {str(err).splitlines()[0]}") from err


def _parquet_notes(path: Path) -> Collection[bytes]:
    """What a Parquet file says of itself; astropy's own have their columns described there."""
    return pq.read_schema(path).metadata or {}


def plain_names(schema: pa.Schema) -> list[str]:
    """Names of the columns that are neither nested nor bytes.

    Parameters
    ----------
    schema : pyarrow.Schema
        Columns of a file.

    Returns
    -------
    names : list of str
        In the order of the file.
    """
    others = (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary)
    return [field.name for field in schema if not any(other(field.type) for other in others)]


def as_table(columns: pa.Table) -> Table:
    """Plain columns as astropy has them, masked where a value is missing.

    Parameters
    ----------
    columns : pyarrow.Table
        Columns of numbers, words or times.

    Returns
    -------
    table : `~astropy.table.Table`
        The same columns.
    """
    table = Table.from_pandas(columns.to_pandas(ignore_metadata=True))
    for name, values in zip(columns.column_names, columns.columns, strict=True):
        if pa.types.is_integer(values.type) and values.null_count:
            # pandas makes floats of them, which cannot tell two object numbers of the SDSS apart
            table[name] = MaskedColumn(values.fill_null(0).to_numpy(), mask=values.is_null())
    return table


def is_fits_table(path: str | os.PathLike) -> bool:
    """Tell whether a file is FITS with a table where others have an image.

    Parameters
    ----------
    path : path-like
        A file, which may be of any kind.

    Returns
    -------
    table : bool
        False for what is no FITS file at all.
    """
    if not os.fspath(path).lower().endswith((".fits", ".fit", ".fits.gz", ".fit.gz")):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with an image is said when it is read
            with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
                if hdus[0].header.get("NAXIS", 0):
                    return False
                return type(hdus[1]) is fits.BinTableHDU
    except (OSError, IndexError, ValueError, TypeError):
        return False


def names_files(table: Table) -> bool:
    """Tell whether a column has one of the usual names of files."""
    return any(name in table.colnames for name in FILE_COLUMNS)


def file_column(table: Table, key: str | None, base: str | os.PathLike | None) -> list[str]:
    """Files that a table names.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    key : str or None
        Column. None: the first of the usual names.
    base : path-like or None
        Folder that relative names start from.

    Returns
    -------
    paths : list of str
        One a row; empty where the cell is masked or empty.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is no such column.
    """
    if key is None:
        key = next((name for name in FILE_COLUMNS if name in table.colnames), None)
    if key is None or key not in table.colnames:
        raise InputError(
            f"the table has no column {key or ' or '.join(FILE_COLUMNS)}; its columns are "
            f"{table.colnames}: name the one with the files with key="
        )
    folder = os.fspath(base) if base is not None else ""
    return [os.path.join(folder, n) if n else "" for n in words(table[key]).tolist()]

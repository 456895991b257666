"""What users' tables and columns hold, whatever library they come from."""

from __future__ import annotations

import os
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import ascii
from astropy.table import Table

__all__ = ["ZIPPED", "frame_as_table", "is_missing", "read_text_table", "text_format", "words"]

ZIPPED = ".gz"  # after the suffix of a table in text
#: What astropy calls the formats that it cannot tell by name or contents, zipped ones neither.
_FORMATS = {
    ".csv": "ascii.csv",
    ".tsv": "ascii.tab",
    ".ecsv": "ascii.ecsv",
    ".txt": "ascii",
    ".dat": "ascii",
}


def frame_as_table(given: Any) -> Any:
    """Take a pandas DataFrame as the table of it.

    Parameters
    ----------
    given : object
        Anything.

    Returns
    -------
    given : `~astropy.table.Table` or object
        A table in place of a DataFrame; anything else as it is.
    """
    pandas = sys.modules.get("pandas")  # whoever has a DataFrame has imported it
    is_frame = pandas is not None and isinstance(given, pandas.DataFrame)
    return Table.from_pandas(given) if is_frame else given


def text_format(path: str | os.PathLike) -> str | None:
    """Astropy's name of the format of a table in a file, by the file's name.

    Parameters
    ----------
    path : path-like
        File; ``.gz`` may follow its suffix.

    Returns
    -------
    format : str or None
        None for what astropy finds out itself.
    """
    name = os.fspath(path).lower().removesuffix(ZIPPED)
    return _FORMATS.get(os.path.splitext(name)[1])


def read_text_table(path: Path, **options: Any) -> Table:
    """Read a table by its file's name; what is called CSV may be of several kinds.

    Comments (``#``) or a byte order mark may stand at its beginning, and semicolons, tabs or bars
    between its columns, as spreadsheets and archives write it.

    Parameters
    ----------
    path : `~pathlib.Path`
        File of any format that astropy reads.
    **options
        Of astropy's reader.

    Returns
    -------
    table : `~astropy.table.Table`
        The table.
    """
    if path.suffix.lower() != ".csv":
        return Table.read(path, format=text_format(path), **options)
    with path.open("rb") as file:
        head = file.readline().decode("utf-8", "replace")
    if _sign(head) == "," and not head.startswith(("#", "\ufeff")):
        return Table.read(path, format="ascii.csv", **options)
    lines = path.read_text("utf-8-sig").split("\n")
    above = list(takewhile(lambda line: not line.strip() or line.startswith("#"), lines))
    rows = lines[len(above) :]
    sign = _sign(rows[0]) if rows else ","
    comments = [line for line in above if line.strip()]
    if rows and comments and _names_columns(comments[-1], rows[0], sign):
        rows = [comments[-1].lstrip("# "), *rows]
    kind = "tab" if sign == "\t" else "csv"
    return ascii.read(rows, format=kind, delimiter=sign, guess=False, **options)


def _sign(row: str) -> str:
    """What stands between the columns of a row."""
    return next((sign for sign in ",;\t|" if sign in row), ",")


def _names_columns(comment: str, row: str, sign: str) -> bool:
    """Whether a comment names the columns of the row below: "#ra,dec" above "1.5,2"."""
    fields = row.split(sign)
    numbers = [field for field in fields if field.strip().lstrip("+-.").replace(".", "").isdigit()]
    names = bool(numbers) or not comment.startswith("# ")
    return names and comment.count(sign) == len(fields) - 1


def is_missing(value: Any) -> bool:
    """Tell a value from what stands for none.

    Parameters
    ----------
    value : object
        One cell.

    Returns
    -------
    missing : bool
        True for None, NaN, pandas.NA and a masked cell.
    """
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)  # NaN
    except TypeError:  # pandas.NA, which is neither equal nor unequal
        return True


def words(column: Any) -> np.ndarray:
    """Take a column as text.

    Parameters
    ----------
    column : array_like, shape (N,)
        Text, or bytes as FITS and HDF5 keep it, in UTF-8; cells may be masked, None or NaN.

    Returns
    -------
    words : `~numpy.ndarray` of str, shape (N,)
        Text; U+FFFD in place of bytes that are not UTF-8, empty where there is no value.
    """
    column = np.ma.asarray(column)
    values, missing = column.data, np.ma.getmaskarray(column)
    if values.dtype.kind in "fO":
        missing = missing | np.array([is_missing(value) for value in values.tolist()], bool)
    is_bytes = values.dtype.kind == "S"
    values = np.char.decode(values, "utf-8", "replace") if is_bytes else values.astype(str)
    return np.where(missing, "", values)

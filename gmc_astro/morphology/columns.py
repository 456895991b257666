"""Columns of tables as users have them: masked, empty, as bytes, or as words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from gmc_astro._tables import read_text_table, text_format, words
from gmc_astro.exceptions import VoteTableError

__all__ = ["fraction", "ids_of", "number", "open_table", "text"]

ID_COLUMNS = (
    "object_id",
    "galaxy_id",
    "asset_id",
    "iauname",
    "dr7objid",
    "dr8objid",
    "objid",
    "OBJID",
    "GalaxyID",
    "id_str",
    "id",
    "file",
)
ROUNDING = 0.005  # catalogues have two digits or more


def open_table(path: str | os.PathLike) -> Table:
    """Read a table; ids stay words, for they have up to 19 digits.

    Parameters
    ----------
    path : path-like
        File that astropy can read, or a folder with a ``labels.csv``.

    Returns
    -------
    table : `~astropy.table.Table`
        The table.

    Raises
    ------
    gmc_astro.exceptions.VoteTableError
        If it is not a file, or not a table.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "labels.csv"
    if not path.is_file():
        raise VoteTableError(f"{path} is not a file")
    options: dict[str, Any] = {}
    if text_format(path) in ("ascii.csv", "ascii.tab"):
        as_words = dict.fromkeys((*ID_COLUMNS, "question", "answer", "label", "gz2_class"), str)
        options = {"converters": as_words, "fast_reader": True}
    try:
        return read_text_table(path, **options)
    except Exception as err:  # each of astropy's readers raises its own kinds
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise VoteTableError(f"{path} cannot be read as a table: {reason[0]}") from err


def ids_of(table: Table) -> np.ndarray:
    """Name of each row, from the first of the usual columns; its number where there is none.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    ids : `~numpy.ndarray` of str, shape (N,)
        Names.
    """
    for name in ID_COLUMNS:
        if name in table.colnames:
            return text(table, name)
    return np.arange(len(table)).astype(str)


def text(table: Table, name: str) -> np.ndarray:
    """A column as words.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    name : str
        Column.

    Returns
    -------
    words : `~numpy.ndarray` of str, shape (N,)
        Without spaces around; empty where masked.
    """
    return np.char.strip(words(table[name]))


def number(table: Table, name: str) -> np.ndarray:
    """A column as numbers.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    name : str
        Column.

    Returns
    -------
    numbers : `~numpy.ndarray`, shape (N,), dtype float64
        NaN where masked or empty.

    Raises
    ------
    gmc_astro.exceptions.VoteTableError
        If a cell is not a number.
    """
    if table[name].dtype.kind in "iufb":
        masked = np.ma.getmaskarray(np.ma.asarray(table[name]))
        return np.where(masked, np.nan, np.ma.getdata(table[name]).astype(float))
    values = text(table, name)
    try:
        return np.where(values == "", "nan", values).astype(float)
    except ValueError as err:
        raise VoteTableError(f"column {name} does not hold numbers: {err}") from None


def fraction(table: Table, name: str) -> np.ndarray:
    """A column as fractions.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    name : str
        Column.

    Returns
    -------
    fractions : `~numpy.ndarray`, shape (N,), dtype float64
        0 to 1; NaN where masked or empty. Debiased fractions are estimates, which may leave that
        range; they are cut to it.

    Raises
    ------
    gmc_astro.exceptions.VoteTableError
        If a cell is not a number, or what was voted is more than a rounding error below 0 or
        above 1.
    """
    values = number(table, name)
    wrong = np.flatnonzero((values < -ROUNDING) | (values > 1 + ROUNDING))
    if wrong.size and "debiased" not in name.lower():
        raise VoteTableError(
            f"column {name} has {values[wrong[0]]:g} in row {wrong[0]}, which is no fraction from "
            "0 to 1; mend it, or leave the cell empty"
        )
    return np.clip(values, 0, 1)

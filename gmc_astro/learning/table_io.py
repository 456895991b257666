"""Tables to and from files: ECSV, HDF5, FITS, Parquet with their metadata; one way, CSV."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table

from gmc_astro._files import whole
from gmc_astro.exceptions import InputError

__all__ = ["TABLE_FORMATS", "plain_table", "read_table", "write_table"]

#: Format of each suffix, in astropy's names, with the options that keep mixin columns whole.
TABLE_FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    ".ecsv": ("ascii.ecsv", {}),
    ".csv": ("ascii.csv", {}),
    ".fits": ("fits", {}),
    ".h5": ("hdf5", {"path": "predictions", "serialize_meta": True}),
    ".hdf5": ("hdf5", {"path": "predictions", "serialize_meta": True}),
    ".parquet": ("parquet", {}),
}

_FITS_META = "GMCMETA"


def check_output(
    path: str | os.PathLike, *, overwrite: bool = False, formats: Collection[str] = TABLE_FORMATS
) -> Path:
    """Refuse an output file before any work is done for it.

    Parameters
    ----------
    path : path-like
        File to write.
    overwrite : bool, optional
        Allow that it exists.
    formats : collection of str, optional
        Suffixes that it may have, in any case. Default are those of `write_table`.

    Returns
    -------
    path : `~pathlib.Path`
        The file.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If its suffix is unknown, its folder is missing, or it exists.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from gmc_astro.learning import check_output
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(check_output(Path(folder) / "predictions.ecsv").name)
    predictions.ecsv
    """
    path = Path(path)
    if path.suffix.lower() not in formats:
        raise InputError(f"{path}: suffix {path.suffix!r} is not one of {', '.join(formats)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists; give another file, or overwrite=True (--overwrite)")
    return path


def write_table(table: QTable, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write a table in the format that the file's suffix names.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        For example a table of predictions.
    path : path-like
        File with suffix ``.ecsv``, ``.fits``, ``.h5``, ``.hdf5`` or ``.parquet``; or ``.csv``,
        for other programs, which `read_table` cannot bring back: columns of one value a row
        without their units, ``ra`` and ``dec`` in degrees, and ``p_<class>`` for the probability
        of each class.
    overwrite : bool, optional
        Replace a file that is there already.

    Returns
    -------
    path : `~pathlib.Path`
        The file.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the suffix is unknown, the folder is missing, the file exists, or FITS is to hold
        letters that it cannot.
    gmc_astro.exceptions.OutputError
        If the file cannot be written; one that was there is kept.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gmc_astro.learning import predictions_table, read_table, write_table
    >>> table = predictions_table(np.array([[0.9, 0.1]]), ["ok"], ["spiral", "smooth"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = read_table(write_table(table, Path(folder) / "predictions.fits"))
    >>> print(again["label"][0], again.meta["class_names"])
    spiral ['spiral', 'smooth']
    """
    path = check_output(path, overwrite=overwrite)
    name, options = TABLE_FORMATS[path.suffix.lower()]
    if name == "ascii.csv":
        table = plain_table(table)
    if name == "fits":  # header cards hold neither long names nor lists: one card of JSON does
        table = table.copy(copy_data=False)
        table.meta = {_FITS_META: json.dumps(dict(table.meta))}
    try:
        with whole(path) as temporary:
            table.write(temporary, format=name, **options)
    except UnicodeEncodeError as err:
        raise InputError(
            f"FITS tables hold plain ASCII, and one of the texts is {str(err.object)!r:.80}; "
            "choose another format"
        ) from err
    return path


def plain_table(table: QTable) -> Table:
    """Columns that CSV can hold.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        For example a table of predictions.

    Returns
    -------
    table : `~astropy.table.Table`
        Of the columns with one value a row, without units; ``ra`` and ``dec`` in degrees (ICRS)
        for a position, and ``p_<class>`` for the probability of each class.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import predictions_table
    >>> from gmc_astro.learning.table_io import plain_table
    >>> table = predictions_table(np.array([[0.9, 0.1]]), ["ok"], ["spiral", "smooth"])
    >>> plain_table(table).colnames
    ['label', 'probability', 'p_spiral', 'p_smooth', 'entropy', 'status']
    """
    plain = Table()
    for name in table.colnames:
        column = table[name]
        if isinstance(column, SkyCoord):
            plain["ra"], plain["dec"] = column.icrs.ra.deg, column.icrs.dec.deg
        elif name == "probabilities" and "class_names" in table.meta:
            for known, values in zip(table.meta["class_names"], column.T, strict=True):
                plain[f"p_{known}"] = values
        elif column.ndim == 1:
            plain[name] = getattr(column, "value", column)
    return plain


def read_table(path: str | os.PathLike) -> QTable:
    """Read a table that `write_table` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    table : `~astropy.table.QTable`
        With its coordinates, units, masks and metadata.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the suffix is unknown, or ``.csv``, which has neither units nor metadata.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gmc_astro.learning import predictions_table, read_table, write_table
    >>> table = predictions_table(np.array([[0.9, 0.1]]), ["ok"], ["spiral", "smooth"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_table(table, Path(folder) / "predictions.ecsv")
    ...     again = read_table(path)
    >>> again["probabilities"].shape
    (1, 2)
    """
    path = Path(path)
    known = [suffix for suffix in TABLE_FORMATS if suffix != ".csv"]
    if path.suffix.lower() == ".csv":
        raise InputError(
            f"{path}: CSV has neither units nor metadata, so that predictions cannot be read back "
            f"from it; write them as {', '.join(known)}"
        )
    if path.suffix.lower() not in known:
        raise InputError(f"{path}: suffix {path.suffix!r} is not one of {', '.join(known)}")
    name, options = TABLE_FORMATS[path.suffix.lower()]
    options = {k: v for k, v in options.items() if k == "path"}
    table = QTable.read(path, format=name, **options)
    for column in list(table.columns.values()):
        if isinstance(column, Column) and column.dtype.kind == "S":
            table[column.info.name] = _decode(column)
    if _FITS_META in table.meta:
        table.meta = json.loads(table.meta[_FITS_META])
    return table


def _decode(column: Column) -> Column:
    """Text of a column that FITS or HDF5 kept as bytes."""
    text = np.char.decode(np.ma.getdata(column), "utf-8")
    if isinstance(column, MaskedColumn):
        return MaskedColumn(text, mask=column.mask)
    return Column(text)

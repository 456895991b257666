"""Some rows of a complete run, from the shards that hold them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from astropy.table import QTable, vstack
from numpy.typing import ArrayLike

from gmc_astro.catalogs.manifest import read_manifest
from gmc_astro.catalogs.merging import Layout
from gmc_astro.catalogs.shards import RowRange, Shards
from gmc_astro.exceptions import InputError

__all__ = ["all_shards", "find_rows", "read_rows", "stacked"]


def all_shards(output: str | os.PathLike) -> tuple[Shards, list[RowRange]]:
    """Open the shards of a complete run.

    Parameters
    ----------
    output : path-like
        Folder that `classify_catalog` wrote.

    Returns
    -------
    shards : Shards
        The shards.
    ranges : list of RowRange
        The range of each, in order.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is no run, or it is not complete.
    """
    folder = Path(output)
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(f"{folder} holds no run of classify_catalog")
    shards = Shards(folder / "shards")
    ranges = shards.all_ranges()
    if len(ranges) != manifest["shards"]["number"]:
        raise InputError(
            f"{folder} is not complete ({len(ranges)} of {manifest['shards']['number']} shards); "
            "run classify_catalog again, it goes on"
        )
    return shards, ranges


def stacked(tables: Sequence[QTable]) -> QTable:
    """Stack tables of one run, whose metadata is the same for all.

    Parameters
    ----------
    tables : sequence of `~astropy.table.QTable`
        One or more.

    Returns
    -------
    table : `~astropy.table.QTable`
        All rows, with the metadata of the first; `~astropy.table.vstack` would join lists.
    """
    table = vstack(list(tables), metadata_conflicts="silent")
    table.meta = dict(tables[0].meta)
    return table


def read_rows(output: str | os.PathLike, rows: ArrayLike) -> QTable:
    """Read the predictions of some rows of a run.

    Parameters
    ----------
    output : path-like
        Folder that `classify_catalog` wrote.
    rows : array_like of int, shape (n,)
        Numbers of the rows, in any order.

    Returns
    -------
    table : `~astropy.table.QTable`
        Their predictions, in the order asked for.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the run is not complete, no row is asked for, or one is not there.
    gmc_astro.exceptions.OutputError
        If a shard is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
    >>> from gmc_astro.catalogs import read_rows
    >>> images = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = classify_catalog(classifier, images, Path(folder) / "run")
    ...     print(read_rows(run, [3, 1])["id"].tolist())
    ['3', '1']
    """
    shards, ranges = all_shards(output)
    rows = np.asarray(rows)
    total = ranges[-1].stop
    if rows.ndim != 1 or not rows.size or rows.dtype.kind not in "iu":
        raise InputError(f"rows={rows!r}: give the numbers of one row or more")
    if rows.min() < 0 or rows.max() >= total:
        raise InputError(f"rows {rows.min()} to {rows.max()} of a run with rows 0 to {total - 1}")
    order = np.argsort(rows, kind="stable")
    places = np.searchsorted([part.stop for part in ranges], rows[order], side="right")
    layout, tables = Layout(shards, ranges), []
    for place in np.unique(places):
        inside = rows[order[places == place]] - ranges[place].start
        tables.append(layout.complete(shards.read(ranges[place])[inside]))
    table = vstack(tables)[np.argsort(order, kind="stable")]
    table.meta = dict(layout.meta)
    return table


def find_rows(output: str | os.PathLike, ids: Sequence[str]) -> np.ndarray:
    """Find the rows of a run that have given names.

    Parameters
    ----------
    output : path-like
        Folder that `classify_catalog` wrote.
    ids : sequence of str
        Names, as in the predictions' column ``id``.

    Returns
    -------
    rows : `~numpy.ndarray` of int, shape (n,)
        The first row of each name.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the run is not complete, ``ids`` is one str, or a name is not there.
    gmc_astro.exceptions.OutputError
        If a shard is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
    >>> from gmc_astro.catalogs import find_rows
    >>> images = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = classify_catalog(classifier, images, Path(folder) / "run")
    ...     print(find_rows(run, ["2"]))
    [2]
    """
    if isinstance(ids, str):
        raise InputError(f"ids={ids!r} is one name: give a list of names")
    shards, ranges = all_shards(output)
    places: dict[str, int] = {}
    missing = set(ids)
    for part in ranges:
        if not missing:
            break
        shards.must_be_good(part)
        names = pq.read_table(shards.file(part), columns=["id"])["id"].to_pylist()
        places |= {name: part.start + names.index(name) for name in missing.intersection(names)}
        missing.difference_update(names)
    if missing:
        first = next(name for name in ids if name in missing)
        raise InputError(f"{output} has no row named {first!r}")
    return np.array([places[name] for name in ids], dtype=int)

"""The door for tables of votes and labels: which layout one has, and who reads it."""

from __future__ import annotations

import os

import numpy as np
from astropy.table import Table

from gmc_astro._tables import frame_as_table
from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology.catalogues import (
    CATALOGUES,
    Catalogue,
    gz1_on_labels,
    is_kaggle,
    read_gz1,
    read_kaggle,
)
from gmc_astro.morphology.columns import ids_of, open_table
from gmc_astro.morphology.label_tables import LABEL_LAYOUTS
from gmc_astro.morphology.tree import DecisionTree
from gmc_astro.morphology.trees import GZ1_TREE, GZ2_TREE, LABEL_TREE, TREES

__all__ = ["read_votes"]

Votes = tuple[np.ndarray, DecisionTree, np.ndarray | None]


def read_votes(
    source: str | os.PathLike | Table, *, debiased: bool, tree: DecisionTree | None
) -> tuple[np.ndarray, np.ndarray, DecisionTree, np.ndarray | None]:
    """Read any known layout; see `~gmc_astro.morphology.VoteTable.read`.

    Parameters
    ----------
    source : path-like, `~astropy.table.Table` or pandas.DataFrame
        The table.
    debiased : bool
        Prefer debiased fractions.
    tree : `DecisionTree` or None
        Tree that is wanted; where the table can be read onto several, this one.

    Returns
    -------
    ids, fractions, tree, counts
        The fields of a `VoteTable`.

    Raises
    ------
    gmc_astro.exceptions.VoteTableError
        If no known column is there.
    """
    source = frame_as_table(source)
    table = source if isinstance(source, Table) else open_table(source)
    fractions, own, counts = _read(table, debiased, tree)
    return ids_of(table), fractions, own, counts


def _read(table: Table, debiased: bool, tree: DecisionTree | None) -> Votes:
    catalogue = _catalogue(table, tree)
    if catalogue is not None:
        fractions, counts = catalogue.read(table, debiased=debiased)
        if catalogue.tree is GZ2_TREE:
            return _on_labels(fractions), LABEL_TREE, None if counts is None else _on_labels(counts)
        return fractions, catalogue.tree, counts
    if is_kaggle(table):
        return _on_labels(read_kaggle(table)), LABEL_TREE, None
    if {answer.column for answer in GZ1_TREE.questions[0].answers} <= set(table.colnames):
        fractions, counts = read_gz1(table, debiased=debiased)
        if tree is None or tree is GZ1_TREE:
            return fractions, GZ1_TREE, counts
        return gz1_on_labels(fractions), LABEL_TREE, None
    for columns, reader in LABEL_LAYOUTS:
        if columns <= set(table.colnames):
            return reader(table), LABEL_TREE, None
    raise VoteTableError(
        f"columns {table.colnames[:8]} are of no layout that is known; looked for the votes of "
        "Galaxy Zoo 2, Kaggle, Galaxy Zoo DECaLS and Galaxy Zoo 1, and for labels: "
        + "; ".join(", ".join(sorted(columns)) for columns, _ in LABEL_LAYOUTS)
    )


def _catalogue(table: Table, tree: DecisionTree | None) -> Catalogue | None:
    """The catalogue that most of the columns belong to; of the wanted tree if there is one."""
    known = [catalogue for catalogue in CATALOGUES if catalogue.tree.name in TREES]
    found = [(catalogue.found_in(table), catalogue) for catalogue in known]
    found = [(n, catalogue) for n, catalogue in found if n > 1]
    wanted = [(n, catalogue) for n, catalogue in found if catalogue.tree == tree]
    return max(wanted or found, key=lambda pair: pair[0], default=(0, None))[1]


def _on_labels(values: np.ndarray) -> np.ndarray:
    """Values on `GZ2_TREE`, whose questions are the first of `LABEL_TREE`."""
    room = ((0, 0), (0, len(LABEL_TREE) - len(GZ2_TREE)))
    return np.pad(values, room, constant_values=np.nan)

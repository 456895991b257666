"""Published catalogues of volunteers' votes: Galaxy Zoo 2, Kaggle, Galaxy Zoo DECaLS and 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from gmc_astro.morphology.asking import shares_of, totals_of
from gmc_astro.morphology.columns import fraction, number
from gmc_astro.morphology.label_tables import ANSWERS_OF_LABELS
from gmc_astro.morphology.tree import DecisionTree, Question
from gmc_astro.morphology.trees import (
    GZ1_TREE,
    GZ2_TREE,
    GZ_DECALS_DR5_TREE,
    GZ_DECALS_DR8_TREE,
    GZ_DECALS_DR12_TREE,
    LABEL_TREE,
)

__all__ = ["CATALOGUES", "Catalogue", "read_gz1", "read_kaggle"]

Votes = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Catalogue:
    """How a catalogue names its columns: an answer's stem with endings.

    Parameters
    ----------
    tree : `DecisionTree`
        Its tree; the stems are its answers' columns.
    count : str
        Ending of the counts.
    debiased, raw : tuple of str
        Endings of the fractions, best first.
    drop : str, optional
        Part of the stems that the catalogue leaves out.
    """

    tree: DecisionTree
    count: str
    debiased: tuple[str, ...]
    raw: tuple[str, ...]
    drop: str = ""

    def stems(self, question: Question) -> list[str]:
        """Stem of each answer's columns.

        Parameters
        ----------
        question : Question
            A question of the tree.

        Returns
        -------
        stems : list of str
            One an answer.
        """
        return [answer.column.replace(self.drop, "", 1) for answer in question.answers]

    def found_in(self, table: Table) -> int:
        """Count the answers that a table has columns for.

        Parameters
        ----------
        table : `~astropy.table.Table`
            Any table.

        Returns
        -------
        found : int
            0 where it is no such catalogue.
        """
        names = set(table.colnames)
        endings = (self.count, *self.debiased, *self.raw)
        return sum(
            any(stem + ending in names for ending in endings)
            for question in self.tree.questions
            for stem in self.stems(question)
        )

    def read(self, table: Table, *, debiased: bool) -> Votes:
        """Read the votes.

        Parameters
        ----------
        table : `~astropy.table.Table`
            Such a catalogue.
        debiased : bool
            Prefer debiased fractions.

        Returns
        -------
        fractions : `~numpy.ndarray`, shape (N, A), dtype float32
            NaN where a question has no votes.
        counts : `~numpy.ndarray` or None, shape (N, A), dtype float32
            None where the table has none.
        """
        endings = (*self.debiased, *self.raw) if debiased else self.raw
        shape = (len(table), len(self.tree))
        fractions, counts = np.full(shape, np.nan), np.full(shape, np.nan)
        for question in self.tree.questions:
            columns = self.tree.columns(question.name)
            stems = self.stems(question)
            if (found := _columns(table, stems, (self.count,), number)) is not None:
                counts[:, columns] = found
            if (found := _columns(table, stems, endings)) is not None:
                fractions[:, columns] = found
            total = stems[0].rsplit("_", 1)[0] + "_total-votes"
            if total in table.colnames and not np.isfinite(counts[:, columns]).any():
                shares = _columns(table, stems, self.raw)
                if shares is not None:
                    counts[:, columns] = np.round(shares * number(table, total)[:, None])
        fractions = np.where(_any(fractions, self.tree), fractions, shares_of(counts, self.tree))
        fractions[~_any(fractions, self.tree) | _none(counts, self.tree)] = np.nan
        has_counts = np.isfinite(counts).any()
        return fractions.astype(np.float32), counts.astype(np.float32) if has_counts else None


def _columns(
    table: Table,
    stems: list[str],
    endings: tuple[str, ...],
    read: Callable[[Table, str], np.ndarray] = fraction,
) -> np.ndarray | None:
    """A question's columns with the first ending that all of its answers have."""
    for ending in endings:
        names = [stem + ending for stem in stems]
        if all(name in table.colnames for name in names):
            return np.stack([read(table, name) for name in names], axis=1)
    return None


def _spread(of_questions: np.ndarray, tree: DecisionTree) -> np.ndarray:
    """Repeat a value of each question for each of its answers."""
    return np.repeat(of_questions, [len(q.answers) for q in tree.questions], axis=1)


def _any(fractions: np.ndarray, tree: DecisionTree) -> np.ndarray:
    """Where a question has a fraction above 0; shape (N, A)."""
    return _spread(totals_of(fractions, tree) > 0, tree)


def _none(counts: np.ndarray, tree: DecisionTree) -> np.ndarray:
    """Where nobody answered a question, whatever fractions the table fills in; shape (N, A)."""
    return _spread(totals_of(counts, tree) == 0, tree)


#: Catalogues with a column for each answer; `register_tree` adds to them. Galaxy Zoo DECaLS was
#: published with the campaign in the names and without.
CATALOGUES: list[Catalogue] = [
    Catalogue(GZ2_TREE, "_count", ("_debiased",), ("_fraction", "_weighted_fraction")),
    *(
        Catalogue(tree, "", ("_debiased",), ("_fraction",), drop)
        for tree, campaign in (
            (GZ_DECALS_DR5_TREE, "-dr5"),
            (GZ_DECALS_DR12_TREE, "-dr12"),
            (GZ_DECALS_DR8_TREE, "-dr8"),
        )
        for drop in ("", campaign)
    ),
]


def is_kaggle(table: Table) -> bool:
    """Tell whether a table has the 37 columns of Kaggle's Galaxy Challenge.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Any table.

    Returns
    -------
    found : bool
        True if all are there.
    """
    return set(_kaggle_names()) <= set(table.colnames)


def _kaggle_names() -> list[str]:
    return [
        f"Class{i}.{k}"
        for i, question in enumerate(GZ2_TREE.questions, 1)
        for k in range(1, len(question.answers) + 1)
    ]


def read_kaggle(table: Table) -> np.ndarray:
    """Undo the products down the tree of Kaggle's Galaxy Challenge.

    Each value there is the fraction of an answer times the values of the answers that led to
    its question, so that a fraction is a value's share of its question's sum.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With columns ``Class1.1`` to ``Class11.6``.

    Returns
    -------
    fractions : `~numpy.ndarray`, shape (N, 37), dtype float32
        On `GZ2_TREE`; NaN where nobody arrived at a question.
    """
    values = np.stack([fraction(table, name) for name in _kaggle_names()], axis=1)
    return shares_of(values, GZ2_TREE).astype(np.float32)


def read_gz1(table: Table, *, debiased: bool) -> Votes:
    """Read a table of Galaxy Zoo 1.

    Debiased, the elliptical share is ``P_EL_DEBIASED``, and ``P_CS_DEBIASED``, which is that of
    clockwise, anticlockwise and edge-on together, is divided among them as the raw votes are.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With columns ``P_EL``, ``P_CW``, ``P_ACW``, ``P_EDGE``, ``P_DK`` and ``P_MG``.
    debiased : bool
        Use the debiased columns if they are there.

    Returns
    -------
    fractions : `~numpy.ndarray`, shape (N, 6), dtype float32
        On `GZ1_TREE`.
    counts : `~numpy.ndarray` or None, shape (N, 6), dtype float32
        Raw fractions times ``NVOTE``, to whole votes; None without that column.
    """
    answers = GZ1_TREE.questions[0].answers
    fractions = np.stack([fraction(table, answer.column) for answer in answers], axis=1)
    counts = None
    if "NVOTE" in table.colnames:
        counts = np.round(fractions * number(table, "NVOTE")[:, None]).astype(np.float32)
    if debiased and {"P_EL_DEBIASED", "P_CS_DEBIASED"} <= set(table.colnames):
        spiral = fractions[:, 1:4]
        together = spiral.sum(axis=1, keepdims=True)
        spiral *= fraction(table, "P_CS_DEBIASED")[:, None] / np.where(together > 0, together, 1)
        fractions[:, 0] = fraction(table, "P_EL_DEBIASED")
    return fractions.astype(np.float32), counts


#: What each answer of Galaxy Zoo 1 says on `LABEL_TREE`, as a label.
_GZ1_LABELS = {
    "elliptical": "elliptical",
    "clockwise": "spiral_clockwise",
    "anticlockwise": "spiral_anticlockwise",
    "edge_on": "edge_on",
}


def gz1_on_labels(fractions: np.ndarray) -> np.ndarray:
    """Say Galaxy Zoo 1's votes on `LABEL_TREE`.

    Each vote answers the questions that its answer implies; a question's fractions are shares
    of the votes that answer it. A merger is said only where most saw one: votes for something
    else do not deny it.

    Parameters
    ----------
    fractions : `~numpy.ndarray`, shape (N, 6)
        On `GZ1_TREE`.

    Returns
    -------
    fractions : `~numpy.ndarray`, shape (N, A), dtype float32
        On `LABEL_TREE`.
    """
    votes = np.zeros((len(fractions), len(LABEL_TREE)))
    for answer, label in _GZ1_LABELS.items():
        for pair in ANSWERS_OF_LABELS[label]:
            votes[:, LABEL_TREE.index(*pair)] += fractions[:, GZ1_TREE.index("galaxy_type", answer)]
    shares = shares_of(votes, LABEL_TREE)
    merger = fractions[:, GZ1_TREE.index("galaxy_type", "merger")]
    for pair in ANSWERS_OF_LABELS["merger"]:
        shares[:, LABEL_TREE.index(*pair)] = np.where(merger >= 0.5, merger, np.nan)
    return shares.astype(np.float32)

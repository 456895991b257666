"""Votes: what was answered about each galaxy, as fractions on one tree; unknown stays unknown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table

from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology.trees import LABEL_TREE, DecisionTree

__all__ = ["OUTLINE_LIMITS", "VoteTable"]

#: Axis ratios above the first limit measure round, below the second elongated, else in between.
#: They stand away from the middle of each of Galaxy Zoo 2's three words for roundness.
OUTLINE_LIMITS = (0.8, 0.45)

_FEW = 0.2  # an answer with no more of the votes than this is ruled out


@dataclass(frozen=True, eq=False)
class VoteTable:
    """Answers about galaxies, one row each.

    Parameters
    ----------
    ids : `~numpy.ndarray` of str, shape (N,)
        Name of each galaxy; captions depend on it.
    fractions : `~numpy.ndarray`, shape (N, A), dtype float32
        Share of a question's votes for each answer of the tree; NaN: not known or not asked.
    tree : `DecisionTree`, optional
        What the A columns mean.
    counts : `~numpy.ndarray`, shape (N, A), dtype float32, optional
        Votes for each answer; NaN where not known. None where the table has no counts.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from gmc_astro.morphology import VoteTable
    >>> labels = Table({"object_id": ["1", "2"], "spiral": ["1", ""], "gz1_class": ["", ""]})
    >>> votes = VoteTable.read(labels)
    >>> votes.fraction("spiral", "spiral")
    array([ 1., nan], dtype=float32)
    """

    ids: np.ndarray
    fractions: np.ndarray
    tree: DecisionTree = LABEL_TREE
    counts: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.fractions.shape != (len(self.ids), len(self.tree)):
            raise VoteTableError(
                f"fractions have shape {self.fractions.shape}; {len(self.ids)} galaxies on tree "
                f"{self.tree.name} need {(len(self.ids), len(self.tree))}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Any) -> VoteTable:
        rows = np.atleast_1d(np.arange(len(self))[rows])
        counts = None if self.counts is None else self.counts[rows]
        return replace(self, ids=self.ids[rows], fractions=self.fractions[rows], counts=counts)

    @classmethod
    def read(cls, source: str | os.PathLike | Table) -> VoteTable:
        """Read votes or labels in a layout that is known.

        Parameters
        ----------
        source : path-like or `~astropy.table.Table`
            Galaxy Zoo 2 catalogues with columns ``t01_smooth_or_features_a01_smooth_fraction``
            and so on (Hart et al. 2016, Willett et al. 2013), or tables of labels with columns
            ``spiral``/``gz1_class``, ``label``, ``ring`` or ``question``/``answer``.

        Returns
        -------
        votes : `VoteTable`
            On `LABEL_TREE`.

        Raises
        ------
        gmc_astro.exceptions.VoteTableError
            If no known column is there.
        """
        from gmc_astro.morphology.readers import read_votes

        ids, fractions = read_votes(source)
        return cls(ids, fractions)

    @classmethod
    def concatenate(cls, tables: Sequence[VoteTable]) -> VoteTable:
        """Join tables on the same tree, one after the other.

        Parameters
        ----------
        tables : sequence of `VoteTable`
            Tables to join.

        Returns
        -------
        votes : `VoteTable`
            All their rows.

        Raises
        ------
        gmc_astro.exceptions.VoteTableError
            If there is none, or their trees differ.
        """
        if not tables or any(table.tree != tables[0].tree for table in tables):
            raise VoteTableError("give one or more vote tables on the same tree")
        return cls(
            np.concatenate([table.ids for table in tables]),
            np.concatenate([table.fractions for table in tables]),
            tables[0].tree,
            cls._join_counts(tables),
        )

    @staticmethod
    def _join_counts(tables: Sequence[VoteTable]) -> np.ndarray | None:
        """Counts of all tables, NaN for those without; None where no table has any."""
        if all(table.counts is None for table in tables):
            return None
        return np.concatenate(
            [
                np.full_like(table.fractions, np.nan) if table.counts is None else table.counts
                for table in tables
            ]
        )

    def fraction(self, question: str, answer: str) -> np.ndarray:
        """Share of votes for one answer.

        Parameters
        ----------
        question, answer : str
            Short names of the tree.

        Returns
        -------
        fraction : `~numpy.ndarray`, shape (N,)
            0 to 1; NaN where not known.
        """
        return self.fractions[:, self.tree.index(question, answer)]

    def with_outline(self, axis_ratio: np.ndarray) -> VoteTable:
        """Add the measured outline of each galaxy.

        Parameters
        ----------
        axis_ratio : array_like, shape (N,)
            Minor over major axis, 0 to 1; NaN where it could not be measured.

        Returns
        -------
        votes : `VoteTable`
            A copy. Only rows that nobody called an artifact get an outline.
        """
        ratio = np.asarray(axis_ratio, float)
        upper, lower = OUTLINE_LIMITS
        answers = np.stack([ratio >= upper, (ratio < upper) & (ratio >= lower), ratio < lower], 1)
        known = np.isfinite(ratio) & ~(
            self.fraction("smooth_or_features", "star_or_artifact") > 0.5
        )
        fractions = self.fractions.copy()
        fractions[known, self.tree.columns("outline")] = answers[known]
        return replace(self, fractions=fractions)

    def supports(self, claims: np.ndarray) -> np.ndarray:
        """Compare what is known of each galaxy with what captions claim.

        A claim is supported where the answer has at least half of the votes. It is
        contradicted where the answer has at most a fifth of them, where another answer of the
        same question has more than half, or where a question on the way to it was answered
        otherwise (that a bar is absent stays possible). Else it is not known.

        Parameters
        ----------
        claims : `~numpy.ndarray` of bool, shape (M, A)
            Answers that each caption asserts.

        Returns
        -------
        relation : `~numpy.ndarray`, shape (N, M), dtype int8
            1 where all claims of the caption are supported, -1 where one is contradicted,
            0 where that is not known or the caption claims nothing.
        """
        held, denied = self._held_and_denied()
        claims = np.asarray(claims, np.float32)
        supported = held.astype(np.float32) @ claims.T
        contradicted = denied.astype(np.float32) @ claims.T > 0
        full = (supported == claims.sum(axis=1)) & (claims.sum(axis=1) > 0)
        return np.where(contradicted, -1, np.where(full, 1, 0)).astype(np.int8)

    def _held_and_denied(self) -> tuple[np.ndarray, np.ndarray]:
        """Which answers each row supports, and which it rules out, both (N, A) bool."""
        values = np.nan_to_num(self.fractions, nan=0.3)  # between "few votes" and "half of them"
        held = values >= 0.5
        denied = values <= _FEW
        for question in self.tree.questions:
            columns = self.tree.columns(question.name)
            another = values[:, columns].max(axis=1, keepdims=True) > 0.5
            denied[:, columns] |= another & (values[:, columns] < 0.5)
            for pair in self.tree.path(question.name):  # a branch goes with the answer it hangs on
                positive = [not answer.negative for answer in question.answers]
                gone = denied[:, [self.tree.index(*pair)]] & positive
                denied[:, columns] |= gone
        return held & ~denied, denied

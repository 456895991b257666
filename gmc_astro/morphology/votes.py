"""Votes: what was answered about each galaxy, as fractions on one tree; unknown stays unknown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table

from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology.asking import (
    asked_questions,
    question_entropy,
    reached_questions,
    shares_of,
    totals_of,
)
from gmc_astro.morphology.shapes import bulge_shares, outline_shares
from gmc_astro.morphology.tree import DecisionTree
from gmc_astro.morphology.trees import LABEL_TREE

__all__ = ["VoteTable"]

FEW = 0.2  # an answer with no more of the votes than this is ruled out


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
    counts : `~numpy.ndarray` or None, shape (N, A), dtype float32, optional
        Votes for each answer; NaN where unknown. None where no count is known.

    Raises
    ------
    gmc_astro.exceptions.VoteTableError
        If the shapes do not agree.

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
        needed = (len(self.ids), len(self.tree))
        for name in ("fractions", "counts"):
            values = getattr(self, name)
            if values is not None and values.shape != needed:
                raise VoteTableError(
                    f"{name} have shape {values.shape}; {len(self.ids)} galaxies on tree "
                    f"{self.tree.name} need {needed}"
                )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Any) -> VoteTable:
        rows = np.atleast_1d(np.arange(len(self))[rows])
        counts = None if self.counts is None else self.counts[rows]
        return replace(self, ids=self.ids[rows], fractions=self.fractions[rows], counts=counts)

    @classmethod
    def read(
        cls,
        source: str | os.PathLike | Table,
        *,
        debiased: bool = True,
        tree: DecisionTree | None = None,
    ) -> VoteTable:
        """Read votes or labels in a layout that is known.

        ========================================  ==================================  ============
        Table                                     Columns                             Tree
        ========================================  ==================================  ============
        Galaxy Zoo 2 (Hart et al. 2016, Willett   ``t01_smooth_or_features_a01_``     `LABEL_TREE`
        et al. 2013)                              ``smooth_count``, ``_fraction``...
        Kaggle's Galaxy Challenge                 ``Class1.1`` ... ``Class11.6``      `LABEL_TREE`
        Galaxy Zoo DECaLS, with or without the    ``smooth-or-featured-dr5_smooth``,  the
        campaign in the names                     ``..._fraction``, ``..._debiased``  campaign's
        Galaxy Zoo 1                              ``P_EL``, ``P_CW``, ``P_ACW``...    `GZ1_TREE`
        labels                                    ``gz2_class``; ``label``;           `LABEL_TREE`
                                                  ``spiral`` and ``gz1_class``;
                                                  ``bar`` and ``ring``; ``ring``
                                                  and ``featured_fraction``;
                                                  ``question`` and ``answer``
        ========================================  ==================================  ============

        A tree of your own is read as that of a campaign once `register_tree` knows it. Kaggle's
        values are products down the tree; they are undone. An empty cell, and a
        question without a vote, is not known. A ``label`` is one of
        ``gmc_astro.morphology.label_tables.ANSWERS_OF_LABELS``, or empty.

        Parameters
        ----------
        source : path-like, `~astropy.table.Table` or pandas.DataFrame
            The table, or a folder with a ``labels.csv``.
        debiased : bool, optional
            Take fractions corrected for redshift where the table has them. False takes the
            share of the votes as they were given.
        tree : `DecisionTree`, optional
            Tree to have the votes on instead; see `on`. It chooses between the campaigns of a
            table that holds several, and Galaxy Zoo 1 votes can be had on `LABEL_TREE`.

        Returns
        -------
        votes : `VoteTable`
            One row for each of the table, in order.

        Raises
        ------
        gmc_astro.exceptions.VoteTableError
            If no known column is there, a fraction is not from 0 to 1, or the table says nothing
            on ``tree``.
        """
        from gmc_astro.morphology.readers import read_votes

        votes = cls(*read_votes(source, debiased=debiased, tree=tree))
        return votes if tree is None else votes.on(tree)

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
            All their rows; counts are NaN for those of tables without.

        Raises
        ------
        gmc_astro.exceptions.VoteTableError
            If there is none, or their trees differ.
        """
        if not tables or any(table.tree != tables[0].tree for table in tables):
            raise VoteTableError("give one or more vote tables on the same tree; see VoteTable.on")
        counts = None
        if any(table.counts is not None for table in tables):
            counts = np.concatenate(
                [
                    np.full_like(t.fractions, np.nan) if t.counts is None else t.counts
                    for t in tables
                ]
            )
        return cls(
            np.concatenate([table.ids for table in tables]),
            np.concatenate([table.fractions for table in tables]),
            tables[0].tree,
            counts,
        )

    def on(self, tree: DecisionTree) -> VoteTable:
        """Move the votes to another tree.

        Parameters
        ----------
        tree : `DecisionTree`
            Tree that shares questions with this one.

        Returns
        -------
        votes : `VoteTable`
            What both trees can answer; the rest is dropped, or not known.

        Raises
        ------
        gmc_astro.exceptions.VoteTableError
            If the trees share no answer.
        """
        if tree == self.tree:
            return self
        shared = [pair for pair in tree.flat if pair in self.tree.flat]
        if not shared:
            raise VoteTableError(f"votes on tree {self.tree.name} say nothing on {tree.name}")
        mine = [self.tree.index(*pair) for pair in shared]
        theirs = [tree.index(*pair) for pair in shared]

        def moved(values: np.ndarray) -> np.ndarray:
            result = np.full((len(self), len(tree)), np.nan, np.float32)
            result[:, theirs] = values[:, mine]
            return result

        counts = None if self.counts is None else moved(self.counts)
        return VoteTable(self.ids, moved(self.fractions), tree, counts)

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

    def asked(self, *, min_votes: int = 10) -> np.ndarray:
        """Tell which questions were really asked of each galaxy.

        A few volunteers are asked for the arms of any elliptical. A question counts as asked
        where it has ``min_votes`` votes, where each answer on the way to it has the share of
        votes that is published for it (a half where none is), and where most volunteers did
        not end the tree before. Shares are those of the raw counts where counts are known.
        What is not known does not speak against a question that has an answer.

        Parameters
        ----------
        min_votes : int, optional
            Votes that a question needs, where counts are known. From 20 on, the stricter of
            the published thresholds hold.

        Returns
        -------
        asked : `~numpy.ndarray` of bool, shape (N, Q)
            In the order of ``tree.questions``.

        References
        ----------
        .. [1] Willett et al. 2013, MNRAS 435, 2835, table 3, arXiv:1308.3496

        Examples
        --------
        >>> from astropy.table import Table
        >>> from gmc_astro.morphology import VoteTable
        >>> votes = VoteTable.read(Table({"label": ["edge_on"]}))
        >>> [q.name for q, yes in zip(votes.tree.questions, votes.asked()[0]) if yes]
        ['smooth_or_features', 'edgeon']
        """
        return asked_questions(self.fractions, self.counts, self.tree, min_votes)

    def clean(
        self, question: str, answer: str, *, fraction: float = 0.8, min_votes: int = 20
    ) -> np.ndarray:
        """Select the galaxies that clearly have an answer.

        Parameters
        ----------
        question, answer : str
            Short names of the tree.
        fraction : float, optional
            Share of the votes that the answer needs, debiased if the table was read so.
        min_votes : int, optional
            Votes that the question needs: 20 in Galaxy Zoo 2, 10 in its Stripe 82 sample.
            0 asks for none.

        Returns
        -------
        clean : `~numpy.ndarray` of bool, shape (N,)
            Where the question was asked, has enough votes, and the answer its share of them.

        Raises
        ------
        gmc_astro.exceptions.VoteTableError
            If votes are asked for and the table has no counts.
        gmc_astro.exceptions.InputError
            If the tree has no such answer.
        """
        chosen = self.fraction(question, answer) >= np.float32(fraction)
        place = [q.name for q in self.tree.questions].index(question)
        if min_votes > 0:
            if self.counts is None:
                raise VoteTableError(
                    f"min_votes={min_votes}, but the table has no counts of votes; "
                    "min_votes=0 selects by the fraction alone"
                )
            chosen &= totals_of(self.counts, self.tree)[:, place] >= min_votes
        return chosen & self.asked(min_votes=min_votes)[:, place]

    def entropy(self, question: str) -> np.ndarray:
        """Disagreement of the volunteers on one question.

        Parameters
        ----------
        question : str
            Short name.

        Returns
        -------
        entropy : `~numpy.ndarray`, shape (N,)
            Entropy of the votes in nats: 0 where all agree; NaN where there are none.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the tree has no such question.
        """
        place = self.tree.questions.index(self.tree.question(question))
        return question_entropy(shares_of(self.fractions, self.tree), self.tree)[:, place]

    def expected_entropy(self) -> np.ndarray:
        """Disagreement of the volunteers on the galaxy as a whole.

        The entropies of all questions, each weighted with the share of the volunteers that
        arrive at it: the entropy of one volunteer's whole way down the tree.

        Returns
        -------
        entropy : `~numpy.ndarray`, shape (N,)
            In nats; NaN where the first question has no votes. A later question without votes
            adds nothing.
        """
        shares = shares_of(self.fractions, self.tree)
        entropies = question_entropy(shares, self.tree)
        reached = reached_questions(shares, self.tree)
        expected = np.nansum(reached * entropies, axis=1)
        return np.where(np.isfinite(entropies[:, 0]), expected, np.nan)

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
        known = np.isfinite(ratio) & ~(
            self.fraction("smooth_or_features", "star_or_artifact") > 0.5
        )
        fractions = self.fractions.copy()
        fractions[known, self.tree.columns("outline")] = outline_shares(ratio[known])
        return replace(self, fractions=fractions)

    def with_bulges(self, core_contrast: np.ndarray) -> VoteTable:
        """Say how prominent the bulges of spiral galaxies are where nobody voted on them.

        Parameters
        ----------
        core_contrast : array_like, shape (N,)
            Brightness of the core over the disc's, as `~gmc_astro.imaging.GalaxyShape` has it,
            in images in SDSS's colours; NaN where it could not be measured.

        Returns
        -------
        votes : `VoteTable`
            A copy in which spirals without an answer on their bulge, and not elongated in their
            measured outline, have shares of the answers: the nearer the contrast is to that of
            an answer (``gmc_astro.morphology.shapes.BULGE_CONTRASTS``), the more.
        """
        contrast = np.asarray(core_contrast, float)
        columns = self.tree.columns("bulge_prominence")
        known = (contrast > 0) & (self.fraction("spiral", "spiral") > 0.5)
        known &= np.isnan(self.fractions[:, columns]).all(axis=1)
        known &= ~(self.fraction("outline", "elongated") > 0.5)
        fractions = self.fractions.copy()
        fractions[known, columns] = bulge_shares(contrast[known])
        return replace(self, fractions=fractions)

    def rules_out(self) -> np.ndarray:
        """Tell which answers the votes speak against.

        Returns
        -------
        denied : `~numpy.ndarray` of bool, shape (N, A)
            Where the answer has at most a fifth of the votes, where another answer of the same
            question has more than half, or where a question on the way to it was answered
            otherwise (that a bar is absent stays possible).

        Examples
        --------
        >>> from astropy.table import Table
        >>> from gmc_astro.morphology import VoteTable
        >>> votes = VoteTable.read(Table({"id": ["7"], "gz2_class": ["Ei"]}))
        >>> bool(votes.rules_out()[0, votes.tree.index("odd_feature", "ring")])
        True
        """
        return self._held_and_denied()[1]

    def supports(self, claims: np.ndarray) -> np.ndarray:
        """Compare what is known of each galaxy with what captions claim.

        A claim is supported where the answer has at least half of the votes, and contradicted
        where `rules_out` says so. Else it is not known. For what is denied it is the other way.

        Parameters
        ----------
        claims : `~numpy.ndarray` of int or bool, shape (M, A)
            1 for answers that a caption asserts, -1 for those that it denies.

        Returns
        -------
        relation : `~numpy.ndarray`, shape (N, M), dtype int8
            1 where all claims of the caption are supported, -1 where one is contradicted,
            0 where that is not known or the caption claims nothing.
        """
        held, denied = self._held_and_denied()
        known = np.concatenate([held, denied], axis=1).astype(np.float32)
        claims = np.asarray(claims, np.int8)
        asserted, negated = (claims > 0).astype(np.float32), (claims < 0).astype(np.float32)
        supported = known @ np.concatenate([asserted, negated], axis=1).T
        contradicted = known @ np.concatenate([negated, asserted], axis=1).T > 0
        number = (claims != 0).sum(axis=1)
        full = (supported == number) & (number > 0)
        return np.where(contradicted, -1, np.where(full, 1, 0)).astype(np.int8)

    def _held_and_denied(self) -> tuple[np.ndarray, np.ndarray]:
        """Which answers each row supports, and which it rules out, both (N, A) bool."""
        values = np.nan_to_num(self.fractions, nan=0.3)  # between "few votes" and "half of them"
        held = values >= 0.5
        denied = values <= FEW
        for question in self.tree.questions:
            columns = self.tree.columns(question.name)
            another = values[:, columns].max(axis=1, keepdims=True) > 0.5
            denied[:, columns] |= another & (values[:, columns] < 0.5)
            for pair in self.tree.path(question.name):  # a branch goes with the answer it hangs on
                positive = [not answer.negative for answer in question.answers]
                gone = denied[:, [self.tree.index(*pair)]] & positive
                denied[:, columns] |= gone
        return held & ~denied, denied

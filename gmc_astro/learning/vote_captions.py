"""Captions written from votes, and what votes say of which captions belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from gmc_astro.learning.questions import Questions
from gmc_astro.learning.vote_head import Answers, counted_answers
from gmc_astro.morphology import CaptionWriter, ClassScheme, VoteTable

__all__ = ["VoteCaptions", "equal_texts"]


class VoteCaptions:
    """Sentences written anew each epoch from volunteers' votes.

    Parameters
    ----------
    votes : `~gmc_astro.morphology.VoteTable`
        A row of votes for each image.
    writer : `~gmc_astro.morphology.CaptionWriter`, optional
        Writes the sentences. Default is the plain style of the votes' own tree.
    classes : tuple of (ClassScheme, array of shape (N, K)), optional
        Classes to ask for besides what the tree asks, and the share of each class in each row, as
        `class_shares` gives them; only for the loss ``"answers"``.
    measured : bool, optional
        Whether that loss asks for what was measured as well, such as the outline.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from gmc_astro.learning import VoteCaptions
    >>> from gmc_astro.morphology import VoteTable
    >>> votes = VoteTable.read(Table({"id": ["7", "8"], "label": ["edge_on", "elliptical"]}))
    >>> captions = VoteCaptions(votes)
    >>> rows, flipped = np.arange(2), np.zeros(2, bool)
    >>> written = captions.write(rows, epoch=0, seed=0, flipped=flipped)
    >>> captions.relation(rows, ["a disk seen edge-on"], flipped=flipped)
    array([[ 1],
           [-1]], dtype=int8)
    """

    def __init__(
        self,
        votes: VoteTable,
        writer: CaptionWriter | None = None,
        *,
        classes: tuple[ClassScheme, np.ndarray] | None = None,
        measured: bool = False,
    ) -> None:
        self.votes = votes
        self.writer = writer or CaptionWriter(votes.tree)
        self.classes = classes
        self.measured = measured

    def __len__(self) -> int:
        return len(self.votes)

    @cached_property
    def answers(self) -> Answers:
        """Answers whose votes were counted."""
        return counted_answers(self.votes)

    @cached_property
    def questions(self) -> Questions:
        """Those of the tree, and the classes."""
        found = Questions.of_votes(self.votes, measured=self.measured)
        return found if self.classes is None else found + Questions.of_classes(*self.classes)

    def write(self, rows: np.ndarray, *, epoch: int, seed: int, flipped: np.ndarray) -> list[str]:
        """Write the rows' sentences from their votes as they look when mirrored.

        Parameters
        ----------
        rows, epoch, seed, flipped
            As for `Captions.write`.

        Returns
        -------
        captions : list of str, length B
            One a row.
        """
        return self.writer(self._seen(rows, flipped), epoch=epoch, seed=seed, handedness=True)

    def relation(
        self, rows: np.ndarray, captions: Sequence[str], *, flipped: np.ndarray
    ) -> np.ndarray:
        """Compare what each caption claims with what was voted for each row.

        Parameters
        ----------
        rows, captions, flipped
            As for `Captions.relation`.

        Returns
        -------
        relation : `~numpy.ndarray`, shape (B, M), dtype int8
            As for `Captions.relation`.
        """
        return self._seen(rows, flipped).supports(self.writer.claim_matrix(captions))

    def similarity(
        self, rows: np.ndarray, captions: Sequence[str], *, flipped: np.ndarray, width: float
    ) -> np.ndarray:
        """Compare the rows' vote vectors.

        The distance of two rows is the mean, over the questions of which either has votes, of
        the total variation between their vote fractions (1/2 where only one of them has votes);
        the similarity falls with it as ``exp(-distance / width)``.

        Parameters
        ----------
        rows, captions, flipped, width
            As for `Captions.similarity`.

        Returns
        -------
        similarity : `~numpy.ndarray`, shape (B, B), dtype float32
            As for `Captions.similarity`.
        """
        fractions = self._seen(rows, flipped).fractions
        values = np.nan_to_num(fractions)
        difference = cdist(values, values, "cityblock") / 2
        known = self._voted_on(~np.isnan(fractions))
        either = known.shape[1] - (~known).astype(np.float32) @ (~known).T
        # without any question in common nothing says that they are alike
        distance = np.where(either > 0, difference / np.maximum(either, 1), np.inf)
        similarity = np.exp(-distance / width).astype(np.float32)
        return np.where(equal_texts(captions, captions), np.float32(1), similarity)

    def counts(self, rows: np.ndarray, *, flipped: np.ndarray) -> np.ndarray:
        """Return the counts of the rows' `answers`.

        Parameters
        ----------
        rows, flipped
            As for `Captions.counts`.

        Returns
        -------
        counts : `~numpy.ndarray`, shape (B, A), dtype float32
            As for `Captions.counts`; no columns where the votes are fractions only.
        """
        counts = self._seen(rows, flipped).counts
        if counts is None:
            return np.zeros((len(rows), 0), np.float32)
        return counts[:, [self.votes.tree.index(*pair) for pair in self.answers]]

    def _voted_on(self, known: np.ndarray) -> np.ndarray:
        """Which questions have votes, (B, Q), from which answers have, (B, A)."""
        tree = self.votes.tree
        return np.stack([known[:, tree.columns(q.name)].any(axis=1) for q in tree.questions], 1)

    def _seen(self, rows: np.ndarray, flipped: np.ndarray) -> VoteTable:
        """Votes of rows; answers that a mirror exchanges are exchanged where mirrored."""
        votes = self.votes[rows]
        if not np.any(flipped) or (self._mirror == np.arange(len(self._mirror))).all():
            return votes

        def seen(values: np.ndarray | None) -> np.ndarray | None:
            if values is None:
                return None
            return np.where(np.asarray(flipped)[:, None], values[:, self._mirror], values)

        return replace(votes, fractions=seen(votes.fractions), counts=seen(votes.counts))

    @cached_property
    def _mirror(self) -> np.ndarray:
        """Column of the answer that the mirror image of each answer gets, shape (A,)."""
        tree = self.votes.tree
        answers = [(q.name, a.mirror or a.name) for q in tree.questions for a in q.answers]
        return np.array([tree.index(*pair) for pair in answers])


def equal_texts(texts: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Which sentences are equal, shape (len(texts), len(others))."""
    return np.array(list(texts), dtype=object)[:, None] == np.array(list(others), dtype=object)

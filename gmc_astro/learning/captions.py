"""What a training step asks of language: captions for its rows, and which pairs belong together.

An image may be mirrored while training. What is said of it, and what is known of it, then turns
the other way as well: a mirrored clockwise spiral is an anticlockwise one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.learning.questions import Questions
from gmc_astro.learning.vote_captions import VoteCaptions, equal_texts
from gmc_astro.learning.vote_head import Answers
from gmc_astro.morphology import CaptionWriter, VoteTable

__all__ = ["Captions", "FixedCaptions", "VoteCaptions", "as_captions"]

_SENSES = re.compile(r"\b(an? )?((?:anti-?|counter-?)?clockwise)\b", re.IGNORECASE)


class Captions(Protocol):
    """Source of captions for `~gmc_astro.learning.pretrain`.

    ``rows`` are B rows of the source, ``flipped`` (B,) says whose image is mirrored.

    Examples
    --------
    >>> from gmc_astro.learning import Captions, as_captions
    >>> captions: Captions = as_captions(["a spiral galaxy", "an elliptical galaxy"], 2)
    >>> len(captions), captions.answers
    (2, ())
    """

    def __len__(self) -> int: ...

    @property
    def answers(self) -> Answers:
        """Answers whose votes were counted; empty where there are no counts."""

    @property
    def questions(self) -> Questions | None:
        """What can be asked of the rows, and the answers; None where nothing can."""

    def write(self, rows: np.ndarray, *, epoch: int, seed: int, flipped: np.ndarray) -> list[str]:
        """Return one caption for each of ``rows``, true of its image as it is seen.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int, shape (B,)
            Rows of the source.
        epoch : int
            Number of the pass over all rows.
        seed : int
            Seed of what is drawn.
        flipped : `~numpy.ndarray` of bool, shape (B,)
            Whose image is mirrored.

        Returns
        -------
        captions : list of str, length B
            One a row.
        """

    def relation(
        self, rows: np.ndarray, captions: Sequence[str], *, flipped: np.ndarray
    ) -> np.ndarray:
        """Tell of which rows each caption is true.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int, shape (B,)
            Rows of the source.
        captions : sequence of str, length M
            Sentences that `write` wrote.
        flipped : `~numpy.ndarray` of bool, shape (B,)
            Whose image is mirrored.

        Returns
        -------
        relation : `~numpy.ndarray`, shape (B, M), dtype int8
            1 where the caption is true of the row, -1 where it is not, 0 where that is not known.
        """

    def similarity(
        self, rows: np.ndarray, captions: Sequence[str], *, flipped: np.ndarray, width: float
    ) -> np.ndarray:
        """Tell how alike rows are.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int, shape (B,)
            Rows of the source.
        captions : sequence of str, length B
            The sentence of each row.
        flipped : `~numpy.ndarray` of bool, shape (B,)
            Whose image is mirrored.
        width : float
            How fast the similarity falls.

        Returns
        -------
        similarity : `~numpy.ndarray`, shape (B, B), dtype float32
            0 to 1; 1 where captions are equal.
        """

    def counts(self, rows: np.ndarray, *, flipped: np.ndarray) -> np.ndarray:
        """Return the votes that were counted.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int, shape (B,)
            Rows of the source.
        flipped : `~numpy.ndarray` of bool, shape (B,)
            Whose image is mirrored.

        Returns
        -------
        counts : `~numpy.ndarray`, shape (B, A), dtype float32
            Votes for each of `answers`; NaN where they are not known.
        """


class FixedCaptions:
    """One given sentence a row; equal sentences belong to each other, others contradict.

    Parameters
    ----------
    captions : sequence of str
        A sentence for each row. Words for a sense of rotation are swapped where the image is
        mirrored.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a row has no sentence.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import FixedCaptions
    >>> captions = FixedCaptions(["a clockwise spiral", "an elliptical galaxy"])
    >>> rows, mirrored = np.array([0, 1]), np.array([True, False])
    >>> captions.write(rows, epoch=0, seed=0, flipped=mirrored)
    ['an anticlockwise spiral', 'an elliptical galaxy']
    """

    answers: Answers = ()
    questions: Questions | None = None

    def __init__(self, captions: Sequence[str]) -> None:
        self._captions = np.array(list(captions), dtype=object)
        bad = [i for i, text in enumerate(self._captions) if not isinstance(text, str) or not text]
        if bad:
            raise InputError(
                f"caption of row {bad[0]} is {self._captions[bad[0]]!r}; "
                "every row needs a sentence: drop rows without one"
            )

    def __len__(self) -> int:
        return len(self._captions)

    def write(self, rows: np.ndarray, *, epoch: int, seed: int, flipped: np.ndarray) -> list[str]:
        """Return the rows' sentences, true of mirrored images where they are mirrored.

        Parameters
        ----------
        rows, epoch, seed, flipped
            As for `Captions.write`; sentences do not depend on epoch and seed.

        Returns
        -------
        captions : list of str, length B
            One a row.
        """
        return [
            _SENSES.sub(self._other_sense, text) if mirrored else text
            for text, mirrored in zip(self._captions[rows], flipped, strict=True)
        ]

    @cached_property
    def _anticlockwise(self) -> str:
        """What these captions call it."""
        american = any("counterclockwise" in text.lower() for text in self._captions)
        return "counterclockwise" if american else "anticlockwise"

    def _other_sense(self, match: re.Match[str]) -> str:
        """Exchange clockwise and anticlockwise, in the case in which the word stands."""
        article, word = match.groups(default="")
        other = self._anticlockwise if word.lower() == "clockwise" else "clockwise"
        if article:
            article = article[0] + ("n " if other[0] == "a" else " ")
        return article + (other.capitalize() if word[0].isupper() else other)

    def relation(
        self, rows: np.ndarray, captions: Sequence[str], *, flipped: np.ndarray
    ) -> np.ndarray:
        """Return 1 for a row's own sentence, -1 for others.

        Parameters
        ----------
        rows, captions, flipped
            As for `Captions.relation`.

        Returns
        -------
        relation : `~numpy.ndarray`, shape (B, M), dtype int8
            As for `Captions.relation`.
        """
        own = self.write(rows, epoch=0, seed=0, flipped=flipped)
        return np.where(equal_texts(own, captions), 1, -1).astype(np.int8)

    def similarity(
        self, rows: np.ndarray, captions: Sequence[str], *, flipped: np.ndarray, width: float
    ) -> np.ndarray:
        """Return 1 for equal sentences, 0 for others.

        Parameters
        ----------
        rows, captions, flipped, width
            As for `Captions.similarity`; only the captions matter.

        Returns
        -------
        similarity : `~numpy.ndarray`, shape (B, B), dtype float32
            As for `Captions.similarity`.
        """
        return equal_texts(captions, captions).astype(np.float32)

    def counts(self, rows: np.ndarray, *, flipped: np.ndarray) -> np.ndarray:
        """Return no counts: sentences have none.

        Parameters
        ----------
        rows, flipped
            As for `Captions.counts`.

        Returns
        -------
        counts : `~numpy.ndarray`, shape (B, 0), dtype float32
            Empty.
        """
        return np.zeros((len(rows), 0), np.float32)


def as_captions(
    votes_or_captions: VoteTable | Sequence[str] | Captions, rows: int, *, style: str = "plain"
) -> Captions:
    """Turn what a user gives for language into `Captions`.

    Parameters
    ----------
    votes_or_captions : `~gmc_astro.morphology.VoteTable`, sequence of str, or `Captions`
        Votes, or a sentence for each image; `Captions` stay as they are.
    rows : int
        Number of images.
    style : str, optional
        Style of captions written from votes; see `~gmc_astro.morphology.CaptionWriter`.

    Returns
    -------
    captions : `Captions`
        One entry a row.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are not as many as there are images, or there is no such style.

    Examples
    --------
    >>> from gmc_astro.learning import as_captions
    >>> captions = as_captions(["a spiral galaxy", "an elliptical galaxy"], rows=2)
    >>> type(captions).__name__
    'FixedCaptions'
    """
    captions: Captions
    if hasattr(votes_or_captions, "relation"):
        captions = votes_or_captions
    elif isinstance(votes_or_captions, VoteTable):
        writer = CaptionWriter(votes_or_captions.tree, style)
        captions = VoteCaptions(votes_or_captions, writer)
    else:
        captions = FixedCaptions(votes_or_captions)
    if len(captions) != rows:
        raise InputError(
            f"{len(captions)} rows of votes or captions for {rows} images; give one a row"
        )
    return captions

"""What a training step asks of language: captions for its rows, and which pairs belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.morphology import CaptionWriter, VoteTable

__all__ = ["Captions", "FixedCaptions", "VoteCaptions", "as_captions"]


class Captions(Protocol):
    """Source of captions for `~gmc_astro.learning.pretrain`."""

    def __len__(self) -> int: ...

    def write(self, rows: np.ndarray, *, epoch: int, seed: int, flipped: np.ndarray) -> list[str]:
        """Return one caption for each of ``rows``, true of its image mirrored if ``flipped``."""

    def relation(self, rows: np.ndarray, captions: Sequence[str]) -> np.ndarray:
        """Return (B, M) int8: 1 where the caption is true of the row, -1 where not, 0 unknown."""


class FixedCaptions:
    """One given sentence a row; equal sentences belong to each other, others contradict.

    Parameters
    ----------
    captions : sequence of str
        A sentence for each row.
    """

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
        """Return the rows' sentences."""
        return list(self._captions[rows])

    def relation(self, rows: np.ndarray, captions: Sequence[str]) -> np.ndarray:
        """Return 1 for a row's own sentence, -1 for others."""
        same = self._captions[rows][:, None] == np.array(list(captions), dtype=object)[None]
        return np.where(same, 1, -1).astype(np.int8)


class VoteCaptions:
    """Sentences written anew each epoch from volunteers' votes.

    Parameters
    ----------
    votes : `~gmc_astro.morphology.VoteTable`
        A row of votes for each image.
    writer : `~gmc_astro.morphology.CaptionWriter`, optional
        Writes the sentences. Default is the plain style of the votes' own tree.
    """

    def __init__(self, votes: VoteTable, writer: CaptionWriter | None = None) -> None:
        self.votes = votes
        self.writer = writer or CaptionWriter(votes.tree)

    def __len__(self) -> int:
        return len(self.votes)

    def write(self, rows: np.ndarray, *, epoch: int, seed: int, flipped: np.ndarray) -> list[str]:
        """Write the rows' sentences; handedness is spoken of only where nothing was mirrored."""
        captions = np.empty(len(rows), dtype=object)
        for mirrored in (False, True):
            part = np.flatnonzero(flipped == mirrored)
            if len(part):
                captions[part] = self.writer(
                    self.votes[rows[part]], epoch=epoch, seed=seed, handedness=not mirrored
                )
        return list(captions)

    def relation(self, rows: np.ndarray, captions: Sequence[str]) -> np.ndarray:
        """Compare what each caption claims with what was voted for each row."""
        return self.votes[rows].supports(self.writer.claim_matrix(captions))


def as_captions(votes_or_captions: VoteTable | Sequence[str], rows: int) -> Captions:
    """Turn what a user gives for language into `Captions`.

    Parameters
    ----------
    votes_or_captions : `~gmc_astro.morphology.VoteTable` or sequence of str
        Votes, or a sentence for each image.
    rows : int
        Number of images.

    Returns
    -------
    captions : `Captions`
        One entry a row.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are not as many as there are images.
    """
    votes = isinstance(votes_or_captions, VoteTable)
    captions = VoteCaptions(votes_or_captions) if votes else FixedCaptions(votes_or_captions)
    if len(captions) != rows:
        raise InputError(
            f"{len(captions)} rows of votes or captions for {rows} images; give one a row"
        )
    return captions

"""Captions: what volunteers answered (and what was measured), said in a sentence.

A caption is made of clauses, each a phrase for one answer with a word for its certainty. The
phrases of different answers are all different, so `CaptionWriter.claims` can read back exactly
what a caption asserts, and truthfulness can be tested on every caption there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.morphology.phrases import (
    CERTAIN,
    LIKELY,
    OPENINGS,
    PHRASES,
    UNKNOWN_GALAXY,
    subject_for,
)
from gmc_astro.morphology.tree import DecisionTree
from gmc_astro.morphology.trees import LABEL_TREE
from gmc_astro.morphology.votes import VoteTable

__all__ = ["CaptionWriter"]

STYLES = ("plain",)
_CLEAR = 0.8  # share of votes from which an answer may be stated without "probably"
_HANDEDNESS = "handedness"


class CaptionWriter:
    """Writes one sentence a galaxy from its votes.

    An answer is spoken of only where it has at least half of its question's votes. Which
    answers and which words are drawn from (id, epoch, seed): the same on every machine, others
    from epoch to epoch.

    Parameters
    ----------
    tree : `DecisionTree`, optional
        Tree of the votes.
    style : {"plain"}, optional
        Way of speaking.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the style is unknown or there are no words for an answer of the tree.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from gmc_astro.morphology import CaptionWriter, VoteTable
    >>> votes = VoteTable.read(Table({"label": ["edge_on"], "id": ["7"]}))
    >>> writer = CaptionWriter()
    >>> caption, = writer(votes, epoch=3)
    >>> ("edgeon", "yes") in writer.claims(caption)
    True
    """

    def __init__(self, tree: DecisionTree = LABEL_TREE, style: str = "plain") -> None:
        if style not in STYLES:
            raise InputError(f"style={style!r} is not one of {STYLES}")
        silent = [pair for pair in tree.flat if pair not in PHRASES]
        if silent:
            raise InputError(f"there are no words for {silent[:3]} of tree {tree.name}")
        self.tree = tree
        self.style = style

    def __call__(
        self, votes: VoteTable, *, epoch: int = 0, seed: int = 0, handedness: bool = False
    ) -> list[str]:
        """Write captions.

        Parameters
        ----------
        votes : `VoteTable`
            On the writer's tree.
        epoch, seed : int, optional
            What the choice of answers and words depends on, besides each galaxy's id.
        handedness : bool, optional
            Speak of the direction of spiral arms. False where the image may be mirrored.

        Returns
        -------
        captions : list of str
            One a row.
        """
        silenced = () if handedness else (_HANDEDNESS,)
        return [
            self._write(values, _Dice(f"{name}|{epoch}|{seed}"), silenced)
            for name, values in zip(votes.ids.tolist(), votes.fractions, strict=True)
        ]

    def claims(self, caption: str) -> frozenset[tuple[str, str]]:
        """Read back what a caption asserts.

        Parameters
        ----------
        caption : str
            A sentence of this writer.

        Returns
        -------
        claims : frozenset of (question, answer)
            What it says, certainly or probably; empty if it says nothing.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If a clause is not one of the writer's.
        """
        return frozenset(pair for clause in caption.split(", ") for pair in self._read(clause))

    def claim_matrix(self, captions: Sequence[str]) -> np.ndarray:
        """Read back what many captions assert.

        Parameters
        ----------
        captions : sequence of str, length M
            Sentences of this writer.

        Returns
        -------
        claims : `~numpy.ndarray` of bool, shape (M, A)
            True for each answer of the tree that a caption asserts.
        """
        matrix = np.zeros((len(captions), len(self.tree)), bool)
        for row, caption in enumerate(captions):
            for pair in self.claims(caption):
                matrix[row, self.tree.index(*pair)] = True
        return matrix

    def _write(self, values: np.ndarray, dice: _Dice, silenced: tuple[str, ...]) -> str:
        facts = [
            (pair, value)
            for pair, value in zip(self.tree.flat, values.tolist(), strict=True)
            if value >= 0.5 and pair[0] not in silenced
        ]
        opening = dice.choose(OPENINGS)
        if not facts:
            return opening + dice.choose(UNKNOWN_GALAXY)
        kept = [fact for fact in facts if dice.below(4) > 0] or [facts[dice.below(len(facts))]]
        if kept[0][0] != facts[0][0] and dice.below(2):
            kept = [facts[0], *kept]
        phrases = [dice.choose(PHRASES[pair]) for pair, _ in kept]
        words = [dice.choose(CERTAIN if value >= _CLEAR else LIKELY) for _, value in kept]
        opening += subject_for(phrases[0])
        return opening + ", ".join(map("".join, zip(words, phrases, strict=True)))

    def _read(self, clause: str) -> Iterator[tuple[str, str]]:
        for opening in OPENINGS:
            if opening and clause.startswith(opening):
                clause = clause.removeprefix(opening)
                break
        for certainty in (*CERTAIN, *LIKELY):
            if certainty and clause.startswith(certainty):
                clause = clause.removeprefix(certainty)
                break
        if clause in UNKNOWN_GALAXY:
            return
        if clause not in self._meanings:
            raise InputError(f"{clause!r} is not a clause that this writer writes")
        yield self._meanings[clause]

    @cached_property
    def _meanings(self) -> dict[str, tuple[str, str]]:
        return {phrase: pair for pair in self.tree.flat for phrase in PHRASES[pair]}


class _Dice:
    """Choices that depend on a text alone, the same on every machine."""

    def __init__(self, text: str) -> None:
        self._state = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=48).digest())

    def below(self, n: int) -> int:
        self._state, choice = divmod(self._state, n)
        return choice

    def choose(self, options: Sequence[str]) -> str:
        return options[self.below(len(options))]

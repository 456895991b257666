"""Every clause that a style can say of a tree's votes, and what each asserts."""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import NamedTuple

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.morphology.consensus import HALF
from gmc_astro.morphology.expert import type_codes
from gmc_astro.morphology.phrases import NO_GALAXY_SUBJECT
from gmc_astro.morphology.styles import AGREED, Style
from gmc_astro.morphology.tree import DecisionTree

__all__ = ["SEPARATOR", "Lexicon", "Statement"]

#: Between the clauses of a caption; no phrase has it.
SEPARATOR = ", "


class Statement(NamedTuple):
    """What a clause says of the votes on one question.

    Parameters
    ----------
    question : str
        Short name.
    answer : str or None
        Short name; None where it says that no answer has the most of the votes.
    least, below : float
        The share of the votes that the answer has, or that no answer exceeds:
        ``least <= share < below``. An answer with ``least`` 0 is said not to be there.

    Examples
    --------
    >>> from gmc_astro.morphology import CaptionWriter
    >>> CaptionWriter().statements("probably an edge-on disk galaxy")[-1]
    Statement(question='edgeon', answer='yes', least=0.6, below=0.8)
    """

    question: str
    answer: str | None
    least: float
    below: float

    @property
    def sign(self) -> int:
        """1 where the clause asserts the answer, -1 where it denies it, 0 for a dispute."""
        if self.answer is None:
            return 0
        return 1 if self.least > 0 else -1


class Lexicon:
    """Clauses of a style on a tree.

    Parameters
    ----------
    tree : `DecisionTree`
        The tree.
    style : `Style`
        The style.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the style has no words for an answer of the tree.
    """

    def __init__(self, tree: DecisionTree, style: Style) -> None:
        silent = [pair for pair in tree.flat if pair not in style.phrases]
        if silent:
            raise InputError(
                f"style {style.name} has no words for {silent[:3]} of tree {tree.name}"
            )
        self.tree = tree
        self.style = style

    @cached_property
    def phrases(self) -> tuple[np.ndarray, np.ndarray]:
        """Phrases of each answer, shape (A, P) of objects, and how many each has, shape (A,)."""
        return _padded([self.style.phrases[pair] for pair in self.tree.flat])

    @cached_property
    def disputes(self) -> tuple[np.ndarray, np.ndarray]:
        """Disputes of each question, shape (Q, P) of objects, and how many each has."""
        return _padded([self.style.disputes.get(q.name, ()) for q in self.tree.questions])

    @cached_property
    def absences(self) -> tuple[np.ndarray, np.ndarray]:
        """Phrases that deny each answer, shape (A, P) of objects, and how many each has."""
        return _padded([self.style.absences.get(pair, ()) for pair in self.tree.flat])

    @cached_property
    def words(self) -> tuple[np.ndarray, np.ndarray]:
        """Words of each certainty, shape (C, P) of objects, and how many each has."""
        return _padded([certainty.words for certainty in self.style.certainties])

    @cached_property
    def meanings(self) -> dict[str, tuple[Statement, ...]]:
        """What each clause says."""
        nothing = (*self.style.unknown, NO_GALAXY_SUBJECT.removesuffix(SEPARATOR))
        meanings: dict[str, tuple[Statement, ...]] = dict.fromkeys(nothing, ())
        for question, phrases in self.style.disputes.items():
            meanings |= dict.fromkeys(phrases, (Statement(question, None, 0.0, AGREED),))
        for pair, phrases in self.style.absences.items():
            if pair in self.tree.flat:
                meanings |= dict.fromkeys(phrases, (Statement(*pair, 0.0, HALF),))
        codes = type_codes(self.tree) if self.style.codes else {}
        for certainty in self.style.certainties:
            for word in certainty.words:
                for pair in self.tree.flat:
                    said = (Statement(*pair, certainty.least, certainty.below),)
                    meanings |= {word + phrase: said for phrase in self.style.phrases[pair]}
                for code, pairs in codes.items():  # as certain as its least certain part
                    said = tuple(Statement(*pair, certainty.least, inf) for pair in pairs)
                    meanings[word + code] = said
        return meanings

    def read(self, caption: str) -> tuple[Statement, ...]:
        """Read back what a caption says.

        Parameters
        ----------
        caption : str
            A caption of this style.

        Returns
        -------
        statements : tuple of Statement
            One for each answer or dispute.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If a clause is not one of the style's.
        """
        opening = next((o for o in self.style.openings if o and caption.startswith(o)), "")
        statements: list[Statement] = []
        for clause in caption.removeprefix(opening).split(SEPARATOR):
            if clause not in self.meanings:
                raise InputError(
                    f"{clause!r} is not a clause of style {self.style.name} on tree "
                    f"{self.tree.name}"
                )
            statements += self.meanings[clause]
        return tuple(statements)


def _padded(rows: list[tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(row) for row in rows])
    table = np.full((len(rows), max(1, lengths.max())), "", object)
    for row, texts in enumerate(rows):
        table[row, : len(texts)] = texts
    return table, lengths

"""Captions: what volunteers answered (and what was measured), said in a sentence.

A caption is made of clauses. No two clauses of a style mean different things, so that
`CaptionWriter.claims` reads back exactly what a caption asserts, and truthfulness can be tested
on every caption there is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.morphology.composing import compose
from gmc_astro.morphology.consensus import find_consensus
from gmc_astro.morphology.draws import Draws, keys_of
from gmc_astro.morphology.lexicon import Lexicon, Statement
from gmc_astro.morphology.styles import STYLES
from gmc_astro.morphology.tree import DecisionTree
from gmc_astro.morphology.trees import LABEL_TREE
from gmc_astro.morphology.votes import VoteTable

__all__ = ["CaptionWriter"]


class CaptionWriter:
    """Writes one sentence a galaxy from its votes.

    An answer is spoken of only where its question was really asked (see `VoteTable.asked`) and
    at least half of the votes are for it and for each answer on the way to it. How sure the
    volunteers were is said in words:

    =====================  ===============================  ==================================
    Share of the votes     Plain                            Expert
    =====================  ===============================  ==================================
    0.8 and more           nothing, "clearly", "certainly"  nothing, "clearly"
    0.6 to 0.8             "probably", "likely"             the same
    0.5 to 0.6             "possibly", "perhaps"            the same
    below 0.6, divided     "volunteers disagree whether"    the same
    =====================  ===============================  ==================================

    Which answers, how many of them and which words are drawn from (id, epoch, seed): the same
    on every machine, others from epoch to epoch.

    Parameters
    ----------
    tree : `DecisionTree`, optional
        Tree of the votes.
    style : {"plain", "expert", "prompt", "varied"}, optional
        Plain English; type codes and terms ("SBb, two arms"); as class prompts are written:
        flatly, at most three clauses, each an answer of at least half of the volunteers; or in
        many more words than the plain style, at most three clauses.
    min_votes : int, optional
        Votes that a question needs to be spoken of, where they are known.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the style is unknown or has no words for an answer of the tree.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from gmc_astro.morphology import CaptionWriter, VoteTable
    >>> votes = VoteTable.read(Table({"gz2_class": ["SBb2m"], "id": ["7"]}))
    >>> writer = CaptionWriter(style="expert")
    >>> caption, = writer(votes, epoch=3)
    >>> ("spiral", "spiral") in writer.claims("SBb, two arms")
    True
    """

    def __init__(
        self, tree: DecisionTree = LABEL_TREE, style: str = "plain", *, min_votes: int = 10
    ) -> None:
        if style not in STYLES:
            raise InputError(f"style={style!r} is not one of {', '.join(STYLES)}")
        self.tree = tree
        self.style = style
        self.min_votes = min_votes
        self._lexicon = Lexicon(tree, STYLES[style])

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

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the votes are on another tree.
        """
        if votes.tree != self.tree:
            raise InputError(
                f"the votes are on tree {votes.tree.name}, the writer is for {self.tree.name}; "
                "make the writer with tree=votes.tree"
            )
        draws = Draws(keys_of(votes.ids), epoch, seed)
        denies = bool(self._lexicon.style.absences)
        found = find_consensus(votes, self.min_votes, with_absent=denies)
        return compose(self._lexicon, found, draws, handedness=handedness).tolist()

    def statements(self, caption: str) -> tuple[Statement, ...]:
        """Read back all that a caption says of the votes, also how sure it is.

        Parameters
        ----------
        caption : str
            A sentence of this writer.

        Returns
        -------
        statements : tuple of (question, answer, least, below)
            The answer's share of the votes is ``least`` or more and less than ``below``.
            Where volunteers are said to disagree, the answer is None, and no answer's share is
            ``below`` or more. ``least`` is 0 where the answer is said not to be there: it has
            less than half of the votes, or its question was not reached.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If a clause is not one of the writer's.

        Examples
        --------
        >>> from gmc_astro.morphology import CaptionWriter
        >>> CaptionWriter().statements("a disk galaxy, probably with a bar")[1]
        Statement(question='bar', answer='bar', least=0.6, below=0.8)
        """
        return self._lexicon.read(caption)

    def claims(self, caption: str) -> frozenset[tuple[str, str]]:
        """Read back the answers that a caption asserts.

        Parameters
        ----------
        caption : str
            A sentence of this writer.

        Returns
        -------
        claims : frozenset of (question, answer)
            What it says, certainly or possibly; empty if it says nothing, or only that
            volunteers disagree.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If a clause is not one of the writer's.
        """
        said = self.statements(caption)
        return frozenset((s.question, s.answer) for s in said if s.sign > 0)

    def claim_matrix(self, captions: Sequence[str]) -> np.ndarray:
        """Read back what many captions assert.

        Parameters
        ----------
        captions : sequence of str, length M
            Sentences of this writer.

        Returns
        -------
        claims : `~numpy.ndarray`, shape (M, A), dtype int8
            1 for each answer of the tree that a caption asserts, -1 for each that it denies.
        """
        matrix = np.zeros((len(captions), len(self.tree)), np.int8)
        for row, caption in enumerate(captions):
            for said in self.statements(caption):
                if said.sign:
                    matrix[row, self.tree.index(said.question, said.answer)] = said.sign
        return matrix

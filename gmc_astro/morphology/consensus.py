"""What most volunteers said: the leading answer to each question, and whether it may be told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmc_astro.morphology.tree import DecisionTree
from gmc_astro.morphology.votes import FEW, VoteTable

__all__ = ["Consensus", "find_consensus"]

HALF = 0.5
_SECOND = 0.2  # share that a second answer needs for volunteers to disagree


@dataclass(frozen=True)
class Consensus:
    """The leading answer to each question of a tree, for many galaxies.

    Parameters
    ----------
    lead : `~numpy.ndarray` of int, shape (N, Q)
        Place of the leading answer in the tree's flat order.
    share : `~numpy.ndarray`, shape (N, Q)
        Its share of the votes; -1 where none is known.
    told : `~numpy.ndarray` of bool, shape (N, Q)
        Where it may be told: the question was really asked, the answer has at least half of
        the votes, and so have the answers on the way, as far as they are known.
    divided : `~numpy.ndarray` of bool, shape (N, Q)
        Where the question was asked likewise, and the votes are known and divided: the
        second answer has a fifth of them.
    absent : `~numpy.ndarray` of bool, shape (N, A), or None
        Answers that are not there: volunteers were asked and few of them gave the answer, or
        that on which it hangs. That another answer was chosen is not enough. None where nobody
        asked for it.
    """

    lead: np.ndarray
    share: np.ndarray
    told: np.ndarray
    divided: np.ndarray
    absent: np.ndarray | None


def find_consensus(votes: VoteTable, min_votes: int, *, with_absent: bool = False) -> Consensus:
    """Find the leading answers.

    Parameters
    ----------
    votes : `VoteTable`
        The votes.
    min_votes : int
        Votes that a question needs, where they are known.
    with_absent : bool, optional
        Find what is not there as well.

    Returns
    -------
    consensus : `Consensus`
        Of every row.
    """
    tree = votes.tree
    lead, share, second, complete = _leading(votes.fractions, tree)
    open_ = votes.asked(min_votes=min_votes)
    place = {question.name: i for i, question in enumerate(tree.questions)}
    absent = _absent(votes, open_, place) if with_absent else None
    for column, question in enumerate(tree.questions):
        for pair in tree.path(question.name):
            before = place[pair[0]]
            answer = tree.index(*pair)
            unknown = np.isnan(votes.fractions[:, answer])
            agreed = (lead[:, before] == answer) & (share[:, before] >= HALF)
            open_[:, column] &= unknown | agreed
    divided = open_ & complete & (second >= _SECOND)
    return Consensus(lead, share, open_ & (share >= HALF), divided, absent)


def _absent(votes: VoteTable, asked: np.ndarray, place: dict[str, int]) -> np.ndarray:
    """Which answers are not there, (N, A), where it is known which questions were asked, (N, Q)."""
    tree, denied = votes.tree, votes.rules_out()
    absent = votes.fractions <= FEW
    for name, column in place.items():
        columns = tree.columns(name)
        absent[:, columns] &= asked[:, [column]]
        for question, answer in tree.path(name)[-1:]:
            gone = denied[:, tree.index(question, answer)] & asked[:, place[question]]
            absent[:, columns] |= gone[:, None]
    return absent & denied & ~(votes.fractions >= HALF)


def _leading(fractions: np.ndarray, tree: DecisionTree) -> tuple[np.ndarray, ...]:
    """Leading answer, its share, the second's share, and whether all shares are known."""
    found = []
    for question in tree.questions:
        columns = tree.columns(question.name)
        known = np.isfinite(fractions[:, columns])
        values = np.where(known, fractions[:, columns], np.float32(-1))
        best = values.argmax(axis=1)
        second = np.sort(values, axis=1)[:, -2]
        found.append((best + columns.start, values.max(axis=1), second, known.all(axis=1)))
    return tuple(np.stack(parts, axis=1) for parts in zip(*found, strict=True))

"""Which questions were really asked about a galaxy, and how much its volunteers disagreed.

Functions of plain arrays, one column for each answer or question of a tree; the methods of
`~gmc_astro.morphology.VoteTable` call them.
"""

from __future__ import annotations

import numpy as np

from gmc_astro.morphology.tree import DecisionTree

__all__ = ["asked_questions", "question_entropy", "reached_questions", "shares_of", "totals_of"]

_MANY = 20  # votes from which the second of a question's two published thresholds holds


def totals_of(counts: np.ndarray, tree: DecisionTree) -> np.ndarray:
    """Votes on each question.

    Parameters
    ----------
    counts : `~numpy.ndarray`, shape (N, A)
        Votes for each answer; NaN where unknown.
    tree : DecisionTree
        What the A columns mean.

    Returns
    -------
    totals : `~numpy.ndarray`, shape (N, Q)
        NaN where no count of the question is known.
    """
    known = np.isfinite(counts)
    sums = [
        np.where(known[:, c].any(axis=1), np.nansum(counts[:, c], axis=1), np.nan)
        for c in _columns(tree)
    ]
    return np.stack(sums, axis=1)


def shares_of(values: np.ndarray, tree: DecisionTree) -> np.ndarray:
    """Scale counts or fractions so that those of each question sum to 1.

    Parameters
    ----------
    values : `~numpy.ndarray`, shape (N, A)
        Counts, or fractions (debiased ones do not sum to 1); NaN where unknown.
    tree : DecisionTree
        What the A columns mean.

    Returns
    -------
    shares : `~numpy.ndarray`, shape (N, A), dtype float64
        NaN where unknown, and where a question has no votes.
    """
    shares = np.array(values, float)
    for columns in _columns(tree):
        total = np.nansum(shares[:, columns], axis=1, keepdims=True)
        shares[:, columns] /= np.where(total > 0, total, np.nan)
    return shares


def asked_questions(
    fractions: np.ndarray, counts: np.ndarray | None, tree: DecisionTree, min_votes: int
) -> np.ndarray:
    """Tell which questions were really asked; see `VoteTable.asked`.

    Parameters
    ----------
    fractions : `~numpy.ndarray`, shape (N, A)
        Vote fractions; NaN where unknown.
    counts : `~numpy.ndarray` or None, shape (N, A)
        Votes; NaN where unknown.
    tree : DecisionTree
        What the A columns mean.
    min_votes : int
        Votes that a question needs where they are known.

    Returns
    -------
    asked : `~numpy.ndarray` of bool, shape (N, Q)
        In the order of the tree's questions.
    """
    known = np.isfinite(fractions)
    asked = np.stack([known[:, columns].any(axis=1) for columns in _columns(tree)], axis=1)
    shares = fractions
    if counts is not None:
        raw = shares_of(counts, tree)  # who was asked depends on what was clicked, not on bias
        shares = np.where(np.isfinite(raw), raw, fractions)
        asked &= ~(totals_of(counts, tree) < min_votes)
    for column, question in enumerate(tree.questions):
        for pair, least in _conditions(tree, question.name, min_votes):
            asked[:, column] &= ~(shares[:, tree.index(*pair)] < least)
    first = tree.questions[0]
    final = [tree.index(first.name, a.name) for a in first.answers if a.leads_to is None]
    ended = np.nansum(shares[:, final], axis=1) > 0.5
    asked[:, 1:] &= ~ended[:, None]
    return asked


def reached_questions(shares: np.ndarray, tree: DecisionTree) -> np.ndarray:
    """Share of the volunteers that arrive at each question on their way down the tree.

    Parameters
    ----------
    shares : `~numpy.ndarray`, shape (N, A)
        As `shares_of` gives them.
    tree : DecisionTree
        What the A columns mean.

    Returns
    -------
    reached : `~numpy.ndarray`, shape (N, Q)
        0 to 1; 0 for questions that a program answered. A question without votes lets everyone
        pass if all its answers lead to the same question, else nobody.
    """
    place = {question.name: i for i, question in enumerate(tree.questions)}
    reached = np.zeros((len(shares), len(place)))
    reached[:, 0] = 1
    for name in tree.order:
        question = tree.question(name)
        if question.needs is not None:
            before, answer = question.needs
            share = np.nan_to_num(shares[:, tree.index(before, answer)])
            reached[:, place[name]] = reached[:, place[before]] * share
        passed = shares[:, tree.columns(name)]
        if len({answer.leads_to for answer in question.answers}) == 1:
            passed = np.where(np.isfinite(passed), passed, 1 / len(question.answers))
        for answer, share in zip(question.answers, np.nan_to_num(passed).T, strict=True):
            if answer.leads_to is not None:
                reached[:, place[answer.leads_to]] += reached[:, place[name]] * share
    return reached


def question_entropy(shares: np.ndarray, tree: DecisionTree) -> np.ndarray:
    """Entropy of the votes on each question.

    Parameters
    ----------
    shares : `~numpy.ndarray`, shape (N, A)
        As `shares_of` gives them.
    tree : DecisionTree
        What the A columns mean.

    Returns
    -------
    entropy : `~numpy.ndarray`, shape (N, Q)
        In nats, from 0 to the logarithm of the number of answers; NaN where there are no votes.
    """
    logarithms = np.log(np.where(shares > 0, shares, 1))
    terms = -shares * logarithms
    return np.stack(
        [
            np.where(
                np.isfinite(shares[:, c]).any(axis=1), np.nansum(terms[:, c], axis=1) + 0.0, np.nan
            )
            for c in _columns(tree)
        ],
        axis=1,
    )


def _columns(tree: DecisionTree) -> list[slice]:
    return [tree.columns(question.name) for question in tree.questions]


def _conditions(
    tree: DecisionTree, question: str, min_votes: int
) -> list[tuple[tuple[str, str], float]]:
    """Answers on the way to a question, each with the share that lets the next one be asked."""
    path = tree.path(question)
    following = [*(name for name, _ in path), question][1:]
    which = int(min_votes >= _MANY)
    return [
        (pair, tree.question(name).threshold[which])
        for pair, name in zip(path, following, strict=True)
    ]

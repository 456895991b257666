"""Sentences from leading answers, for all galaxies at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmc_astro.morphology.consensus import Consensus
from gmc_astro.morphology.draws import Draws
from gmc_astro.morphology.expert import DISK, FAMILIES, STAGES, type_codes
from gmc_astro.morphology.lexicon import SEPARATOR, Lexicon
from gmc_astro.morphology.phrases import (
    ADVERBIAL_OPENINGS,
    NO_GALAXY,
    NO_GALAXY_SUBJECT,
    SUBJECT,
    subject_for,
)
from gmc_astro.morphology.styles import AGREED
from gmc_astro.morphology.tree import DecisionTree

__all__ = ["compose"]

# Numbers of the draws; each question has a block of _BLOCK of its own from _QUESTIONS on.
_OPENING, _UNKNOWN, _DEPTH, _CODE_WORD, _CODE_BAR, _CODE_BULGE, _ABSENT, _DENIAL = range(8)
_QUESTIONS, _BLOCK = 8, 4
_KEEP, _PHRASE, _WORD, _DISPUTE = range(_BLOCK)


@dataclass
class _Plan:
    """What will be said: which questions, which of them as disputes, a type code before them.

    ``absent`` is the place of the answer that is denied after them, -1 for none.
    """

    told: np.ndarray
    disputed: np.ndarray
    absent: np.ndarray
    code: np.ndarray | None = None
    code_share: np.ndarray | None = None


def compose(lexicon: Lexicon, found: Consensus, draws: Draws, *, handedness: bool) -> np.ndarray:
    """Write a sentence for each galaxy.

    Parameters
    ----------
    lexicon : `Lexicon`
        Its clauses.
    found : `Consensus`
        What may be said.
    draws : `Draws`
        Choices of each galaxy.
    handedness : bool
        Speak of answers that the mirror image would not get.

    Returns
    -------
    captions : `~numpy.ndarray` of object, shape (N,)
        The sentences.
    """
    plan = _plan(lexicon, found, draws, handedness)
    clauses = [] if plan.code is None else [_code_clauses(lexicon, plan, draws)]
    for name in lexicon.tree.order:
        column = _place(lexicon.tree, name)
        clauses += [_clauses(lexicon, found, plan, draws, column)]
    clauses += [_denials(lexicon, plan, draws)]
    opening = draws.below(_OPENING, len(lexicon.style.openings))
    text = np.array(lexicon.style.openings, object)[opening]
    adverbial = np.array([o in ADVERBIAL_OPENINGS for o in lexicon.style.openings])[opening]
    galaxy = _is_galaxy(lexicon, found)
    started = np.zeros(len(text), bool)
    for rows, clause in clauses:
        first = ~started[rows]
        before = np.full(len(clause), SEPARATOR, object)
        subjects = _subjects(lexicon, clause[first], adverbial[rows[first]])
        subjects[(subjects != "") & ~galaxy[rows[first]]] = NO_GALAXY_SUBJECT
        before[first] = subjects
        text[rows] += before + clause
        started[rows] = True
    unknown = np.array(lexicon.style.unknown, object)[
        draws.below(_UNKNOWN, len(lexicon.style.unknown))
    ]
    text[~started] += unknown[~started]
    return text


def _plan(lexicon: Lexicon, found: Consensus, draws: Draws, handedness: bool) -> _Plan:
    tree = lexicon.tree
    told = found.told.copy()
    speaks = lexicon.disputes[1] > 0
    if not handedness:
        mirrored = np.array([a.mirror is not None for q in tree.questions for a in q.answers])
        told &= ~mirrored[found.lead]
        speaks &= [any(a.mirror is None for a in q.answers) for q in tree.questions]
    coins = np.stack(
        [draws.below(_counter(i, _DISPUTE), 2) for i in range(len(tree.questions))], axis=1
    )
    disputed = found.divided & speaks & (found.share < AGREED) & (~told | (coins == 0))
    plan = _Plan(told & ~disputed, disputed, _absent(lexicon, found, draws))
    if lexicon.style.codes and type_codes(tree):
        _add_codes(plan, tree, found, draws)
    kept = _kept(lexicon, plan, draws)
    plan.told &= kept
    plan.disputed &= kept
    return plan


def _kept(lexicon: Lexicon, plan: _Plan, draws: Draws) -> np.ndarray:
    """Choose how many clauses a caption has, and which: at least one where there is any."""
    spoken = plan.told | plan.disputed
    places = range(spoken.shape[1])
    bits = np.stack([draws.bits(_counter(i, _KEEP)) for i in places], axis=1)
    depth = 1 + draws.below(_DEPTH, 3).astype(np.uint64)  # a half, three quarters, or all
    kept = spoken & (bits >> np.uint64(62) <= depth[:, None])
    silent = ~kept.any(axis=1) & spoken.any(axis=1)
    if plan.code is not None:
        silent &= plan.code == ""
    lowest = np.where(spoken, bits, np.uint64(2**64 - 1)).argmin(axis=1)
    kept[silent, lowest[silent]] = True
    if lexicon.style.longest is not None:
        ranks = np.where(kept, bits, np.uint64(2**64 - 1)).argsort(axis=1).argsort(axis=1)
        kept &= ranks < lexicon.style.longest - (plan.absent >= 0)[:, None]
    return kept


def _add_codes(plan: _Plan, tree: DecisionTree, found: Consensus, draws: Draws) -> None:
    """Draw disk, arms, bar and bulge together where each is probable or better."""
    sure = plan.told & (found.share >= AGREED)
    places = {q.name: i for i, q in enumerate(tree.questions)}
    rows = sure[:, places["spiral"]].copy()
    for question, answer in DISK:
        column = places[question]
        rows &= sure[:, column] & (found.lead[:, column] == tree.index(question, answer))
    spiral = found.lead[:, places["spiral"]] == tree.index("spiral", "spiral")
    used = [*(places[question] for question, _ in DISK), places["spiral"]]
    code = np.full(len(rows), "S", object)
    share = found.share[:, used].min(axis=1)
    plan.told[np.ix_(rows, used)] = False
    for texts, counter, needed in (
        (FAMILIES, _CODE_BAR, rows),
        (STAGES, _CODE_BULGE, rows & spiral),
    ):
        column = next((places[pair[0]] for pair in tree.flat if pair in texts), None)
        if column is None:  # the tree does not ask
            continue
        said = needed & sure[:, column] & (draws.below(counter, 8) > 0)
        texts_of = np.array([texts.get(pair, "") for pair in tree.flat], object)
        part = texts_of[found.lead[said, column]]
        code[said] = part if texts is FAMILIES else code[said] + part
        share[said] = np.minimum(share[said], found.share[said, column])
        plan.told[said, column] = False
    code[rows & ~spiral] += "0"
    code[~rows] = ""
    plan.code, plan.code_share = code, share


def _code_clauses(lexicon: Lexicon, plan: _Plan, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(plan.code != "")
    words = _words(lexicon, plan.code_share, draws, _CODE_WORD)
    return rows, words[rows] + plan.code[rows]


def _clauses(
    lexicon: Lexicon, found: Consensus, plan: _Plan, draws: Draws, column: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that speak of a question, and what they say."""
    told, disputed = plan.told[:, column], plan.disputed[:, column]
    clause = np.full(len(told), "", object)
    if told.any():
        phrases, lengths = lexicon.phrases
        lead = found.lead[:, column]
        choice = draws.below(_counter(column, _PHRASE), lengths[lead])
        words = _words(lexicon, found.share[:, column], draws, _counter(column, _WORD))
        clause[told] = words[told] + phrases[lead[told], choice[told]]
    if disputed.any():
        texts, lengths = lexicon.disputes
        choice = draws.below(_counter(column, _PHRASE), lengths[column])
        clause[disputed] = texts[column, choice[disputed]]
    rows = np.flatnonzero(told | disputed)
    return rows, clause[rows]


def _absent(lexicon: Lexicon, found: Consensus, draws: Draws) -> np.ndarray:
    """Choose an answer to deny in every second caption that may deny one, shape (N,)."""
    if found.absent is None:
        return np.full(len(found.lead), -1)
    possible = found.absent & (lexicon.absences[1] > 0)
    number = possible.sum(axis=1)
    drawn = draws.below(_ABSENT, np.maximum(2 * number, 1))
    answer = (possible.cumsum(axis=1) > drawn[:, None]).argmax(axis=1)
    return np.where(drawn < number, answer, -1)


def _denials(lexicon: Lexicon, plan: _Plan, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Rows that deny an answer, and what they say."""
    rows = np.flatnonzero(plan.absent >= 0)
    texts, lengths = lexicon.absences
    choice = draws.below(_DENIAL, np.maximum(lengths[plan.absent], 1))
    return rows, texts[plan.absent[rows], choice[rows]]


def _words(lexicon: Lexicon, share: np.ndarray, draws: Draws, counter: int) -> np.ndarray:
    """Word for each share's certainty."""
    words, lengths = lexicon.words
    doubts = [share < certainty.least for certainty in lexicon.style.certainties[:-1]]
    level = np.sum(doubts, axis=0, dtype=int) if doubts else np.zeros(len(share), int)
    return words[level, draws.below(counter, lengths[level])]


def _is_galaxy(lexicon: Lexicon, found: Consensus) -> np.ndarray:
    """Rows of which nobody is known to say that there is no galaxy, shape (N,)."""
    places = [lexicon.tree.index(*pair) for pair in NO_GALAXY if pair in lexicon.tree.flat]
    return ~(found.told & np.isin(found.lead, places)).any(axis=1)


def _subjects(lexicon: Lexicon, clauses: np.ndarray, adverbial: np.ndarray) -> np.ndarray:
    """Subject of each first clause that does not name the galaxy itself, else nothing."""
    subjects = np.full(len(clauses), "", object)
    if not lexicon.style.names_galaxy:
        return subjects
    words = [word for certainty in lexicon.style.certainties for word in certainty.words if word]
    texts, places = np.unique(clauses.astype(str), return_inverse=True)
    for place, text in enumerate(texts.tolist()):
        word = next((word for word in words if text.startswith(word)), "")
        rows = places == place
        subjects[rows] = subject_for(text.removeprefix(word))
        if word:
            subjects[rows & ~adverbial] = SUBJECT
    return subjects


def _counter(column: int, what: int) -> int:
    return _QUESTIONS + _BLOCK * column + what


def _place(tree: DecisionTree, name: str) -> int:
    return [question.name for question in tree.questions].index(name)

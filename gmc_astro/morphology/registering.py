"""Trees of users: their columns and their words, made known beside those of the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gmc_astro.exceptions import InputError
from gmc_astro.morphology.catalogues import CATALOGUES, Catalogue
from gmc_astro.morphology.expert import EXPERT_TERMS
from gmc_astro.morphology.lexicon import SEPARATOR
from gmc_astro.morphology.phrases import DISPUTES, PHRASES
from gmc_astro.morphology.styles import STYLES
from gmc_astro.morphology.tree import DecisionTree
from gmc_astro.morphology.trees import TREES
from gmc_astro.morphology.varied import VARIED_PHRASES

__all__ = ["register_tree"]

Pair = tuple[str, str]
Words = Mapping[Pair, Sequence[str]]

_SHIPPED = frozenset(TREES)


def register_tree(
    tree: DecisionTree,
    phrases: Words | None = None,
    *,
    terms: Words | None = None,
    disputes: Mapping[str, Sequence[str]] | None = None,
    overwrite: bool = False,
) -> DecisionTree:
    """Make a tree known: by its name, by its table's columns, and in words.

    `VoteTable.read` then reads tables whose columns are the answers' ``column`` (counts), with
    ``_fraction`` or with ``_debiased`` behind it, and `CaptionWriter` speaks of its votes. It
    holds for the running process; workers have to register the tree as well. Taken out of
    `TREES`, a tree is read no more.

    Parameters
    ----------
    tree : `DecisionTree`
        The tree.
    phrases : mapping of (question, answer) to sequence of str, optional
        Phrases of each answer that no tree has yet; answers that stand in another tree have
        their words already.
    terms : mapping of (question, answer) to sequence of str, optional
        The same for the style ``"expert"``. Without them that style does not speak of the tree.
    disputes : mapping of str to sequence of str, optional
        What is said of a question of its own on which volunteers disagree.
    overwrite : bool, optional
        Replace a tree of the same name that was registered before.

    Returns
    -------
    tree : `DecisionTree`
        The same.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the name is taken, the tree has no questions or goes round, a question has fewer than
        two answers, two of one name or a mirror that is none, an answer leads to no question of
        the tree, words are missing or are given for what has some, or a phrase could
        be read in two ways.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from gmc_astro.morphology import Answer, DecisionTree, Question, VoteTable
    >>> from gmc_astro.morphology import TREES, register_tree
    >>> answers = (Answer("bar", column="bars_yes"), Answer("no_bar", column="bars_no"))
    >>> tree = DecisionTree("BARS", (Question("bar", "Is there a bar?", answers),))
    >>> register_tree(tree, overwrite=True).name
    'BARS'
    >>> votes = VoteTable.read(Table({"bars_yes": [30], "bars_no": [10]}))
    >>> votes.tree.name, votes.fraction("bar", "bar")
    ('BARS', array([0.75], dtype=float32))
    >>> del TREES["BARS"]
    """
    if tree.name in _SHIPPED or (tree.name in TREES and not overwrite):
        raise InputError(f"there is a tree {tree.name!r} already; give another name")
    _check_shape(tree)
    others = [known for known in TREES.values() if known.name != tree.name]
    spoken = {pair for known in others for pair in known.flat}
    own = [pair for pair in tree.flat if pair not in spoken]
    asked = {question.name for known in others for question in known.questions}
    questions = [question.name for question in tree.questions if question.name not in asked]
    phrases, terms, disputes = phrases or {}, terms or {}, disputes or {}
    _check_keys("phrases", phrases, own, complete=True)
    _check_keys("terms", terms, own, complete=bool(terms))
    _check_keys("disputes", disputes, questions, complete=False)
    _check_words("varied", tree, phrases, disputes)  # it says all that the plain style says
    _check_words("expert", tree, terms, disputes)
    for known, more in (
        (PHRASES, phrases),
        (VARIED_PHRASES, phrases),
        (EXPERT_TERMS, terms),
        (DISPUTES, disputes),
    ):
        known.update({key: tuple(texts) for key, texts in more.items()})
    TREES[tree.name] = tree
    CATALOGUES[:] = [known for known in CATALOGUES if known.tree.name != tree.name]
    CATALOGUES.append(Catalogue(tree, "", ("_debiased",), ("_fraction",)))
    return tree


def _check_shape(tree: DecisionTree) -> None:
    names = {question.name for question in tree.questions}
    if not names:
        raise InputError(f"tree {tree.name} has no questions")
    if len(names) < len(tree.questions):
        raise InputError(f"tree {tree.name}: two questions have the same name")
    for question in tree.questions:
        if len(question.answers) < 2:
            raise InputError(f"tree {tree.name}: question {question.name} needs two answers")
        answers = {answer.name for answer in question.answers}
        if len(answers) < len(question.answers):
            raise InputError(f"tree {tree.name}: {question.name} has two answers of one name")
        if unknown := {answer.mirror for answer in question.answers} - answers - {None}:
            raise InputError(
                f"tree {tree.name}: the mirror {unknown.pop()!r} is no answer of {question.name}"
            )
        for answer in question.answers:
            if answer.leads_to is not None and answer.leads_to not in names:
                raise InputError(
                    f"tree {tree.name}: {answer.name} leads to {answer.leads_to!r}, "
                    "which is no question of it"
                )
    for question in tree.questions:
        _check_end(tree, question.name)


def _check_end(tree: DecisionTree, name: str, before: tuple[str, ...] = ()) -> None:
    """Whatever the answers, a question does not come back."""
    if name in before:
        raise InputError(f"tree {tree.name} goes round: {' to '.join((*before, name))}")
    (question,) = [question for question in tree.questions if question.name == name]
    for answer in question.answers:
        if answer.leads_to is not None:
            _check_end(tree, answer.leads_to, (*before, name))


def _check_keys(argument: str, words: Mapping, own: Sequence, *, complete: bool) -> None:
    """Words are given for what has none yet, and for nothing else."""
    missing = [key for key in own if not words.get(key)] if complete else []
    if missing:
        raise InputError(f"{argument} has no words for {missing[:3]}; give one or more for each")
    needless = [key for key in words if key not in own]
    if needless:
        raise InputError(
            f"{argument} has words for {needless[:3]}, which the tree does not have "
            "or another tree has words for; leave them out"
        )


def _check_words(style: str, tree: DecisionTree, own: Words, disputes: Mapping) -> None:
    """A clause is read back as what it was said for."""
    known = STYLES[style]
    others = [known.phrases.get(pair, ()) for pair in tree.flat if pair not in own]
    others += [texts for name, texts in known.disputes.items() if name not in disputes]
    others += known.absences.values()
    seen = {*known.unknown, *(text for texts in others for text in texts)}
    words = [word for certainty in known.certainties for word in certainty.words]
    before = tuple(word for word in (*words, *known.openings) if word)
    for text in (text for texts in (*own.values(), *disputes.values()) for text in texts):
        if text in seen:
            raise InputError(f"{text!r} would mean two things; say one of them otherwise")
        if SEPARATOR in text or text.startswith(before):
            raise InputError(
                f"{text!r} holds {SEPARATOR!r}, or begins with what captions put before a phrase "
                f"({', '.join(sorted({word.strip() for word in before}))}); leave that out"
            )
        seen.add(text)

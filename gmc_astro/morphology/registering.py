"""Trees of one's own: made known with their words and the columns of their catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gmc_astro.exceptions import InputError
from gmc_astro.morphology.catalogues import CATALOGUES, Catalogue
from gmc_astro.morphology.phrases import PHRASES
from gmc_astro.morphology.tree import DecisionTree
from gmc_astro.morphology.trees import TREES
from gmc_astro.morphology.varied import VARIED_PHRASES

__all__ = ["register_tree"]


def register_tree(
    tree: DecisionTree,
    phrases: Mapping[tuple[str, str], Sequence[str]] | None = None,
    *,
    count: str = "_count",
    fraction: str = "_fraction",
    debiased: str = "_debiased",
) -> DecisionTree:
    """Make a tree known: `TREES` has it, `VoteTable.read` reads it, captions speak of it.

    Parameters
    ----------
    tree : `DecisionTree`
        The tree; each answer's ``column`` is the stem of its columns in the catalogue.
    phrases : mapping of (question, answer) to sequence of str, optional
        Words for the answers that `PHRASES` has none for yet; no comma in them, and none that
        means another answer already.
    count, fraction, debiased : str, optional
        Endings of the catalogue's columns of counts, fractions and debiased fractions.

    Returns
    -------
    tree : `DecisionTree`
        The same.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the name is taken, an answer has no words, or a phrase is taken or has a comma.

    Examples
    --------
    >>> from gmc_astro.morphology import TREES, Answer, DecisionTree, Question, register_tree
    >>> answers = (Answer("bar", None, "bar_yes"), Answer("no_bar", None, "bar_no"))
    >>> tree = DecisionTree("BARS", (Question("bar", "Is there a bar?", answers),))
    >>> register_tree(tree) is TREES.pop("BARS")
    True
    """
    words = {pair: tuple(texts) for pair, texts in (phrases or {}).items()}
    if tree.name in TREES:
        raise InputError(f"there is a tree {tree.name!r} already; give another name")
    if silent := [pair for pair in tree.flat if pair not in PHRASES and not words.get(pair)]:
        raise InputError(f"tree {tree.name} has no words for {silent[:3]}; give phrases for them")
    taken = {text: pair for pair, texts in VARIED_PHRASES.items() for text in texts}
    for pair, texts in words.items():
        for text in texts:
            if "," in text or taken.get(text, pair) != pair:
                raise InputError(
                    f"phrase {text!r} for {pair} "
                    + ("has a comma" if "," in text else f"means {taken[text]} already")
                )
    for known in (PHRASES, VARIED_PHRASES):
        known.update({pair: known.get(pair, ()) + texts for pair, texts in words.items()})
    TREES[tree.name] = tree
    CATALOGUES.append(Catalogue(tree, count, (debiased,), (fraction,)))
    return tree

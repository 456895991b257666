"""The short codes of Galaxy Zoo 2 (``gz2_class``), for example ``SBb2m(r)``: read and written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from gmc_astro.exceptions import VoteTableError

if TYPE_CHECKING:
    from gmc_astro.morphology.votes import VoteTable

__all__ = ["parse_gz2_class", "write_gz2_class"]

Pairs = tuple[tuple[str, str], ...]

_CODE = re.compile(
    r"(?P<artifact>A)"
    r"|(?:E(?P<rounded>[ric])|Se(?P<bulge_shape>[rbn])"
    r"|S(?P<bar>B?)(?P<bulge_prominence>[dcba])(?P<arms>(?P<arms_number>[1234+?])"
    r"(?P<arms_winding>[tml]))?)(?:\((?P<odd_feature>[rldiomu])\))?"
)

#: Letter of each answer, by question.
_LETTERS: dict[str, dict[str, str]] = {
    "rounded": {"completely_round": "r", "in_between": "i", "cigar_shaped": "c"},
    "bulge_shape": {"rounded": "r", "boxy": "b", "no_bulge": "n"},
    "bar": {"bar": "B", "no_bar": ""},
    "bulge_prominence": {"no_bulge": "d", "just_noticeable": "c", "obvious": "b", "dominant": "a"},
    "arms_number": {"1": "1", "2": "2", "3": "3", "4": "4", "more_than_4": "+", "cant_tell": "?"},
    "arms_winding": {"tight": "t", "medium": "m", "loose": "l"},
    "odd_feature": {
        "ring": "r",
        "lens_or_arc": "l",
        "disturbed": "d",
        "irregular": "i",
        "other": "o",
        "merger": "m",
        "dust_lane": "u",
    },
}
_ANSWERS = {q: {letter: a for a, letter in pairs.items()} for q, pairs in _LETTERS.items()}


def parse_gz2_class(code: str) -> Pairs:
    """Read what a code says.

    Parameters
    ----------
    code : str
        For example ``"Ei"``, ``"Ser(u)"`` or ``"SBb2m(r)"``.

    Returns
    -------
    answers : tuple of (question, answer)
        The answer to each question on the way, in `GZ2_TREE`'s names. No odd feature in
        brackets means that nothing is odd.

    Raises
    ------
    gmc_astro.exceptions.VoteTableError
        If it is not such a code.

    References
    ----------
    .. [1] Willett et al. 2013, MNRAS 435, 2835, appendix A, arXiv:1308.3496

    Examples
    --------
    >>> from gmc_astro.morphology import parse_gz2_class
    >>> parse_gz2_class("Ei")
    (('smooth_or_features', 'smooth'), ('rounded', 'in_between'), ('odd', 'no'))
    """
    found = _CODE.fullmatch(code)
    if found is None:
        raise VoteTableError(
            f"{code!r} is not a gz2_class: one looks like Ei, Ser(u), SBb2m, Sc(r) or A"
        )
    if found["artifact"]:
        return (("smooth_or_features", "star_or_artifact"),)
    if found["rounded"]:
        pairs = [("smooth_or_features", "smooth"), _answer(found, "rounded")]
    else:
        pairs = [("smooth_or_features", "features_or_disk")]
        pairs += _edge_on(found) if found["bulge_shape"] else _face_on(found)
    if found["odd_feature"]:
        return (*pairs, ("odd", "yes"), _answer(found, "odd_feature"))
    return (*pairs, ("odd", "no"))


def _answer(found: re.Match[str], question: str) -> tuple[str, str]:
    return question, _ANSWERS[question][found[question]]


def _edge_on(found: re.Match[str]) -> Pairs:
    return (("edgeon", "yes"), _answer(found, "bulge_shape"))


def _face_on(found: re.Match[str]) -> Pairs:
    arms: Pairs = (("spiral", "no_spiral"),)
    if found["arms"]:
        arms = (
            ("spiral", "spiral"),
            _answer(found, "arms_winding"),
            _answer(found, "arms_number"),
        )
    return (("edgeon", "no"), _answer(found, "bar"), *arms, _answer(found, "bulge_prominence"))


def write_gz2_class(votes: VoteTable) -> np.ndarray:
    """Write each galaxy's code: the most common answer to each question on the way.

    Parameters
    ----------
    votes : `VoteTable`
        On `GZ2_TREE` or a tree that holds its questions, such as `LABEL_TREE`.

    Returns
    -------
    codes : `~numpy.ndarray` of str, shape (N,)
        Empty where an answer on the way is not known.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the tree lacks a question.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from gmc_astro.morphology import VoteTable, write_gz2_class
    >>> votes = VoteTable.read(Table({"gz2_class": ["SBb2m(r)", "Sen"]}))
    >>> write_gz2_class(votes).tolist()
    ['SBb2m(r)', 'Sen']
    """
    letters = {question: _letters(votes, question, _LETTERS[question]) for question in _LETTERS}
    kind = _letters(
        votes,
        "smooth_or_features",
        {"smooth": "E", "features_or_disk": "S", "star_or_artifact": "A"},
    )
    edge_on = _letters(votes, "edgeon", {"yes": "e", "no": ""})
    spiral = _letters(votes, "spiral", {"spiral": "s", "no_spiral": ""})
    odd = _letters(votes, "odd", {"yes": "o", "no": ""})

    arms = np.where(spiral == "s", letters["arms_number"] + letters["arms_winding"], spiral)
    disk = np.where(
        edge_on == "e",
        "e" + letters["bulge_shape"],
        edge_on + letters["bar"] + letters["bulge_prominence"] + arms,
    )
    shape = np.where(kind == "E", letters["rounded"], disk)
    bracket = np.where(odd == "o", "(" + letters["odd_feature"] + ")", odd)
    codes = np.where(kind == "A", kind, kind + shape + bracket).astype(str)
    return np.where(np.char.find(codes, _UNKNOWN) < 0, codes, "")


_UNKNOWN = "*"


def _letters(votes: VoteTable, question: str, letters: dict[str, str]) -> np.ndarray:
    """Letter of each row's most common answer, as objects; `_UNKNOWN` where there is none."""
    values = np.stack([votes.fraction(question, answer) for answer in letters], axis=1)
    known = np.isfinite(values).any(axis=1)
    best = np.nan_to_num(values, nan=-1).argmax(axis=1)
    return np.where(known, np.array(list(letters.values()), object)[best], _UNKNOWN)

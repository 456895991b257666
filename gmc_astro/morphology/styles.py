"""Ways of speaking, as data: the words for certainty, the phrases, and what a style leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType

from gmc_astro.morphology.expert import EXPERT_TERMS
from gmc_astro.morphology.phrases import ABSENCES, DISPUTES, OPENINGS, PHRASES, UNKNOWN_GALAXY
from gmc_astro.morphology.varied import VARIED_OPENINGS, VARIED_PHRASES

__all__ = ["AGREED", "STYLES", "Certainty", "Style"]

#: Share of the votes below which volunteers may be said to disagree.
AGREED = 0.6

_CLEAR = 0.8


@dataclass(frozen=True)
class Certainty:
    """Words before an answer whose share of the votes is in a range.

    Parameters
    ----------
    least, below : float
        The range: ``least <= share < below``.
    words : tuple of str
        Ways to say it, each with a space behind it; an empty one says the answer flatly.
    """

    least: float
    below: float
    words: tuple[str, ...]


@dataclass(frozen=True)
class Style:
    """A way of speaking.

    Parameters
    ----------
    name : str
        Its name.
    certainties : tuple of Certainty
        From the most certain on.
    phrases : mapping of (question, answer) to tuple of str
        Phrases of each answer.
    disputes : mapping of str to tuple of str, optional
        Phrases for a question on which volunteers disagree; such a question is passed over
        where it has none.
    absences : mapping of (question, answer) to tuple of str, optional
        Phrases that deny an answer; of others it is not said that they are not there.
    openings : tuple of str, optional
        What a caption may begin with.
    unknown : tuple of str, optional
        What is said of a galaxy of which nothing is known.
    names_galaxy : bool, optional
        Begin with "a galaxy" where the first phrase does not name one.
    longest : int or None, optional
        Most clauses of a caption.
    codes : bool, optional
        Draw disk, arms, bar and bulge together in a type code such as SBb.
    """

    name: str
    certainties: tuple[Certainty, ...]
    phrases: Mapping[tuple[str, str], tuple[str, ...]]
    disputes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    absences: Mapping[tuple[str, str], tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    openings: tuple[str, ...] = ("",)
    unknown: tuple[str, ...] = UNKNOWN_GALAXY
    names_galaxy: bool = True
    longest: int | None = None
    codes: bool = False


_LESS_CERTAIN = (
    Certainty(AGREED, _CLEAR, ("probably ", "likely ")),
    Certainty(0.5, AGREED, ("possibly ", "perhaps ")),
)

#: Shipped styles by name.
STYLES: Mapping[str, Style] = {
    style.name: style
    for style in (
        Style(
            "plain",
            (Certainty(_CLEAR, inf, ("", "", "", "clearly ", "certainly ")), *_LESS_CERTAIN),
            PHRASES,
            disputes=DISPUTES,
            openings=OPENINGS,
        ),
        Style(
            "expert",
            (Certainty(_CLEAR, inf, ("", "", "clearly ")), *_LESS_CERTAIN),
            EXPERT_TERMS,
            disputes=DISPUTES,
            unknown=("type unknown", "unclassified"),
            names_galaxy=False,
            codes=True,
        ),
        Style(
            "prompt",
            (Certainty(0.5, inf, ("",)),),
            PHRASES,
            openings=("", "image of ", "this is "),
            longest=3,
        ),
        Style(
            "varied",
            (Certainty(_CLEAR, inf, ("", "", "", "", "clearly ", "certainly ")), *_LESS_CERTAIN),
            VARIED_PHRASES,
            disputes=DISPUTES,
            absences=ABSENCES,
            openings=VARIED_OPENINGS,
            longest=3,
        ),
    )
}

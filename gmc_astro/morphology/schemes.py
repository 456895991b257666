"""Class schemes: the names of classes, and for each the prompts that say it in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gmc_astro.exceptions import InputError
from gmc_astro.morphology.phrases import with_article

__all__ = [
    "GALAXY10_DECALS",
    "GALAXY10_SDSS",
    "GALAXY_MNIST",
    "GZ2_FIVE_CLASS",
    "SCHEMES",
    "ClassScheme",
    "prompts_for",
]


#: Words that say by themselves what is in an image.
_NAMES_A_THING = re.compile(r"galax|\b(?:stars?|artifacts?|artefacts?|mergers?)\b")


@dataclass(frozen=True)
class ClassScheme:
    """Classes in order, each with one or more prompts.

    Parameters
    ----------
    name : str
        Name of the scheme.
    classes : mapping of str to tuple of str
        Prompts of each class; zero-shot classification averages over them.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are fewer than two classes, or a class has no name or no prompt.

    Examples
    --------
    >>> from gmc_astro.morphology import ClassScheme
    >>> scheme = ClassScheme.from_any(["ring galaxy", "merger"])
    >>> scheme.names
    ('ring galaxy', 'merger')
    >>> scheme.classes["ring galaxy"][0]
    'a ring galaxy'
    """

    name: str
    classes: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise InputError(f"classes {list(self.classes)} are fewer than two; name two or more")
        for name, prompts in self.classes.items():
            if not name.strip():
                raise InputError(f"classes {list(self.classes)} have an empty name; name each")
            if not prompts or not all(isinstance(p, str) and p.strip() for p in prompts):
                raise InputError(f"class {name!r} needs one or more prompts, not {prompts!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(self.classes)

    @property
    def mentions_handedness(self) -> bool:
        """True where a prompt speaks of the direction in which something turns."""
        text = " ".join(p for prompts in self.classes.values() for p in prompts).lower()
        return "clockwise" in text

    @classmethod
    def from_any(cls, classes: Any) -> ClassScheme:
        """Read classes as users give them.

        Parameters
        ----------
        classes : ClassScheme, str, sequence of str, or mapping of str to str or list of str
            A scheme, the name of a shipped one, class names, or names with their prompts. Names
            as bytes, as HDF5 and FITS keep them, are decoded.

        Returns
        -------
        scheme : `ClassScheme`
            The scheme.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If it is none of these, a name is empty or occurs twice, or there are fewer than two.
        """
        if isinstance(classes, cls):
            return classes
        if isinstance(classes, str):
            if classes.upper() not in SCHEMES:
                raise InputError(f"classes={classes!r} is not one of {', '.join(SCHEMES)}")
            return SCHEMES[classes.upper()]
        if isinstance(classes, Mapping):
            return cls("custom", {_text(k): _prompts(k, v) for k, v in classes.items()})
        try:
            names = [_text(name) for name in classes]
        except TypeError:
            raise InputError(
                f"classes={classes!r}: give names, names with prompts, or a ClassScheme"
            ) from None
        if len(set(names)) < len(names):
            raise InputError(f"classes {names} name a class twice")
        return cls("custom", {name: prompts_for(name) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """Return the scheme as plain values for JSON.

        Returns
        -------
        scheme : dict
            ``name`` and ``classes``.
        """
        return {"name": self.name, "classes": {k: list(v) for k, v in self.classes.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassScheme:
        """Read what `to_dict` gave.

        Parameters
        ----------
        values : mapping
            ``name`` and ``classes``.

        Returns
        -------
        scheme : `ClassScheme`
            The scheme.
        """
        return cls(values["name"], {k: tuple(v) for k, v in values["classes"].items()})


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _prompts(name: Any, given: Any) -> tuple[str, ...]:
    """Prompts of one class as users give them."""
    try:
        prompts = (given,) if isinstance(given, str) else tuple(given)
    except TypeError:
        prompts = (None,)
    if not all(isinstance(text, str) for text in prompts):
        raise InputError(f"class {name!r} has prompts {given!r}: give a sentence, or several")
    return prompts


def prompts_for(name: str) -> tuple[str, ...]:
    """Prompts for a class of which only the name is known.

    Parameters
    ----------
    name : str
        For example ``"ring galaxy"`` or ``"barred_spiral"``.

    Returns
    -------
    prompts : tuple of str
        The name in a few sentences.

    Examples
    --------
    >>> from gmc_astro.morphology import prompts_for
    >>> prompts_for("edge_on")
    ('an edge on galaxy', 'image of an edge on galaxy', 'this is an edge on galaxy')
    """
    words = " ".join(name.replace("_", " ").split())
    if not _NAMES_A_THING.search(words.lower()):
        words += " galaxy"
    if not words.lower().startswith(("a ", "an ", "the ", "not ", "no ")):
        words = with_article(words)
    return tuple(f"{opening}{words}" for opening in ("", "image of ", "this is "))


def _scheme(name: str, classes: Mapping[str, Sequence[str]]) -> ClassScheme:
    return ClassScheme(name, {key: tuple(prompts) for key, prompts in classes.items()})


#: The five classes of clean Galaxy Zoo 2 samples.
GZ2_FIVE_CLASS = _scheme(
    "GZ2_FIVE_CLASS",
    {
        "smooth_completely_round": (
            "a smooth galaxy, completely round",
            "an elliptical galaxy, circular in shape",
            "a smooth elliptical galaxy, completely round, measured round in outline",
            "image of a smooth galaxy, round and smooth in shape",
        ),
        "smooth_in_between": (
            "a smooth galaxy, in between round and cigar-shaped",
            "an elliptical galaxy, oval in shape",
            "a smooth elliptical galaxy, oval in shape, measured oval in outline",
            "image of a smooth galaxy, in-between in roundness",
        ),
        "smooth_cigar": (
            "a smooth galaxy, cigar-shaped",
            "an elliptical galaxy, very elongated",
            "a smooth elliptical galaxy, shaped like a cigar, measured elongated in outline",
            "image of a smooth galaxy, cigar-shaped",
        ),
        "edge_on": (
            "an edge-on disk galaxy",
            "a disk seen edge-on, measured elongated in outline",
            "a thin disc viewed from the side",
            "a disk galaxy, an edge-on disk",
        ),
        "spiral": (
            "a spiral galaxy",
            "a galaxy with spiral arms",
            "a disk galaxy, not edge-on, with spiral arms",
            "a galaxy with features or a disk, a spiral",
        ),
    },
)

#: The ten classes of Galaxy10 DECaLS, numbered 0 to 9.
GALAXY10_DECALS = _scheme(
    "GALAXY10_DECALS",
    {
        "disturbed": (
            "a disturbed galaxy",
            "an irregular galaxy",
            "something odd, disturbed in shape",
        ),
        "merging": ("merging galaxies", "a merger", "an interacting pair of galaxies"),
        "round_smooth": (
            "a smooth galaxy, measured round in outline",
            "a smooth elliptical galaxy, completely round",
        ),
        "in_between_round_smooth": (
            "a smooth galaxy, measured oval in outline",
            "a smooth elliptical galaxy, in between round and cigar-shaped",
        ),
        "cigar_shaped_smooth": (
            "a smooth galaxy, measured elongated in outline",
            "a smooth elliptical galaxy, cigar-shaped",
        ),
        "barred_spiral": (
            "a spiral galaxy, with a bar",
            "a barred galaxy, with spiral arms",
        ),
        "unbarred_tight_spiral": (
            "a spiral galaxy, without a bar, with tightly wound arms",
            "an unbarred galaxy, tight spiral arms",
        ),
        "unbarred_loose_spiral": (
            "a spiral galaxy, without a bar, with loosely wound arms",
            "an unbarred galaxy, loose open spiral arms",
        ),
        "edge_on_without_bulge": (
            "an edge-on disk without bulge",
            "an edge-on galaxy, a flat disk with no bulge",
        ),
        "edge_on_with_bulge": (
            "an edge-on disk with a round bulge",
            "an edge-on galaxy, with a rounded bulge",
        ),
    },
)

#: The ten classes of Galaxy10 SDSS, numbered 0 to 9.
GALAXY10_SDSS = _scheme(
    "GALAXY10_SDSS",
    {
        "face_on_no_spiral": (
            "a disk galaxy, not edge-on, without spiral arms",
            "a galaxy with features or a disk, no spiral arms",
        ),
        "smooth_completely_round": (
            "a smooth galaxy, measured round in outline",
            "a smooth elliptical galaxy, completely round",
        ),
        "smooth_in_between": (
            "a smooth galaxy, measured oval in outline",
            "a smooth elliptical galaxy, in between round and cigar-shaped",
        ),
        "smooth_cigar": (
            "a smooth galaxy, measured elongated in outline",
            "a smooth elliptical galaxy, cigar-shaped",
        ),
        "edge_on_rounded_bulge": (
            "an edge-on disk with a round bulge",
            "an edge-on galaxy, with a rounded bulge",
        ),
        "edge_on_boxy_bulge": (
            "an edge-on disk with a boxy bulge",
            "an edge-on galaxy, with a boxy bulge",
        ),
        "edge_on_no_bulge": (
            "an edge-on disk without bulge",
            "an edge-on galaxy, a flat disk with no bulge",
        ),
        "tight_spiral": (
            "a spiral galaxy, with tightly wound arms",
            "a spiral galaxy, tight spiral arms",
        ),
        "medium_spiral": (
            "a spiral galaxy, with arms of medium winding",
            "a spiral galaxy, medium wound spiral arms",
        ),
        "loose_spiral": (
            "a spiral galaxy, with loosely wound arms",
            "a spiral galaxy, loose open spiral arms",
        ),
    },
)

#: The four classes of Galaxy MNIST, numbered 0 to 3.
GALAXY_MNIST = _scheme(
    "GALAXY_MNIST",
    {
        "smooth_round": (
            "a smooth galaxy, measured round in outline",
            "a smooth elliptical galaxy, completely round",
        ),
        "smooth_cigar": (
            "a smooth galaxy, measured elongated in outline",
            "a smooth elliptical galaxy, cigar-shaped",
        ),
        "edge_on_disk": ("an edge-on disk galaxy", "a disk seen edge-on"),
        "unbarred_spiral": (
            "a spiral galaxy, without a bar",
            "an unbarred galaxy, with spiral arms",
        ),
    },
)

#: Shipped schemes by name.
SCHEMES: Mapping[str, ClassScheme] = {
    scheme.name: scheme for scheme in (GZ2_FIVE_CLASS, GALAXY10_DECALS, GALAXY10_SDSS, GALAXY_MNIST)
}

"""The words of captions: phrases for each answer, several ways each, none for two answers.

Answers that mean the same share their phrases, whichever tree they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "ABSENCES",
    "ADVERBIAL_OPENINGS",
    "DISPUTES",
    "NO_GALAXY",
    "NO_GALAXY_SUBJECT",
    "OPENINGS",
    "PHRASES",
    "SUBJECT",
    "UNKNOWN_GALAXY",
    "as_sentences",
    "subject_for",
    "with_article",
]

#: What a caption may begin with.
OPENINGS = ("", "", "", "image of ", "this is ", "picture showing ")

#: Openings after which a word such as "clearly" may stand.
ADVERBIAL_OPENINGS = ("", "this is ")

#: What is said where nothing is known.
UNKNOWN_GALAXY = ("a galaxy", "some galaxy")

#: What a caption begins with where its first phrase names nothing.
SUBJECT = f"{UNKNOWN_GALAXY[0]}, "

#: Answers after which there is no galaxy to speak of, and what a caption begins with then.
NO_GALAXY = (("smooth_or_features", "star_or_artifact"),)
NO_GALAXY_SUBJECT = "an object, "

#: Phrases of each (question, answer).
PHRASES: dict[tuple[str, str], tuple[str, ...]] = {
    ("smooth_or_features", "smooth"): (
        "a smooth galaxy",
        "an elliptical galaxy",
        "a smooth elliptical galaxy",
        "a featureless smooth galaxy",
        "a smooth and rounded galaxy with no sign of a disk",
        "an early-type galaxy without features",
    ),
    ("smooth_or_features", "features_or_disk"): (
        "a galaxy with features or a disk",
        "a disk galaxy",
        "a disc galaxy",
        "a galaxy with a disk",
        "a featured galaxy",
        "a late-type galaxy with features",
    ),
    ("smooth_or_features", "star_or_artifact"): (
        "a star or artifact",
        "an image artifact and not a galaxy",
        "a star or a bad image",
        "a bright star or satellite trail",
        "an artifact",
        "an object that is not a galaxy",
    ),
    ("edgeon", "yes"): (
        "an edge-on disk",
        "a disk seen edge-on",
        "an edge-on galaxy",
        "an edge-on disk galaxy",
        "a thin disc viewed from the side",
        "a galaxy seen from the side",
    ),
    ("edgeon", "no"): (
        "not edge-on",
        "not viewed edge-on",
        "seen face-on or inclined",
        "a face-on disk",
    ),
    ("bar", "bar"): (
        "a barred galaxy",
        "with a bar",
        "with a bar through the centre",
        "a galaxy with a central bar",
    ),
    ("bar", "no_bar"): ("an unbarred galaxy", "without a bar", "no bar", "with no sign of a bar"),
    ("spiral", "spiral"): (
        "a spiral galaxy",
        "a galaxy with spiral arms",
        "with spiral arms",
        "with a spiral pattern",
        "a spiral",
        "a spiral galaxy showing arms",
    ),
    ("spiral", "no_spiral"): (
        "without spiral arms",
        "no spiral arms",
        "with no sign of spiral arms",
        "not a spiral galaxy",
    ),
    ("bulge_prominence", "no_bulge"): ("without a central bulge", "a bulgeless disk"),
    ("bulge_prominence", "just_noticeable"): (
        "with a just noticeable bulge",
        "with a small bulge",
    ),
    ("bulge_prominence", "obvious"): ("with an obvious bulge", "with a large bulge"),
    ("bulge_prominence", "dominant"): ("with a dominant bulge", "dominated by its bulge"),
    ("odd", "yes"): ("something odd", "with an odd feature"),
    ("odd", "no"): ("nothing odd", "with no odd feature"),
    ("rounded", "completely_round"): (
        "completely round",
        "round and smooth in shape",
        "circular in shape",
    ),
    ("rounded", "in_between"): (
        "in between round and cigar-shaped",
        "in-between in roundness",
        "oval in shape",
    ),
    ("rounded", "cigar_shaped"): ("cigar-shaped", "shaped like a cigar", "very elongated"),
    ("odd_feature", "ring"): ("a ring galaxy", "with a ring", "a ringed galaxy"),
    ("odd_feature", "lens_or_arc"): ("with a lens or arc", "a gravitational lens or arc"),
    ("odd_feature", "disturbed"): ("a disturbed galaxy", "disturbed in shape"),
    ("odd_feature", "irregular"): ("an irregular galaxy", "irregular in shape"),
    ("odd_feature", "other"): ("with another odd feature", "odd in some other way"),
    ("odd_feature", "merger"): (
        "a merger",
        "merging galaxies",
        "two galaxies merging",
        "an interacting pair of galaxies",
    ),
    ("odd_feature", "dust_lane"): ("with a dust lane", "crossed by a lane of dust"),
    ("bulge_shape", "rounded"): ("with a rounded bulge", "an edge-on disk with a round bulge"),
    ("bulge_shape", "boxy"): ("with a boxy bulge", "an edge-on disk with a boxy bulge"),
    ("bulge_shape", "no_bulge"): ("an edge-on disk without bulge", "a flat disk with no bulge"),
    ("arms_winding", "tight"): ("with tightly wound arms", "tight spiral arms"),
    ("arms_winding", "medium"): ("with arms of medium winding", "medium wound spiral arms"),
    ("arms_winding", "loose"): ("with loosely wound arms", "loose open spiral arms"),
    ("arms_number", "1"): ("with one spiral arm", "one-armed"),
    ("arms_number", "2"): ("with two spiral arms", "two-armed"),
    ("arms_number", "3"): ("with three spiral arms", "three-armed"),
    ("arms_number", "4"): ("with four spiral arms", "four-armed"),
    ("arms_number", "more_than_4"): ("with more than four spiral arms", "many-armed"),
    ("arms_number", "cant_tell"): (
        "with spiral arms that cannot be counted",
        "with an uncertain number of arms",
    ),
    ("handedness", "clockwise"): ("arms turning clockwise", "a clockwise spiral"),
    ("handedness", "anticlockwise"): ("arms turning anticlockwise", "an anticlockwise spiral"),
    # Galaxy Zoo DECaLS
    ("bar", "strong"): ("a strongly barred galaxy", "with a strong bar", "with a clear strong bar"),
    ("bar", "weak"): ("a weakly barred galaxy", "with a weak bar", "with a faint weak bar"),
    ("bulge_size", "dominant"): ("with a dominant bulge", "dominated by its bulge"),
    ("bulge_size", "large"): ("with a large bulge", "with a big central bulge"),
    ("bulge_size", "moderate"): ("with a moderate bulge", "with a bulge of moderate size"),
    ("bulge_size", "small"): ("with a small bulge", "with a little bulge"),
    ("bulge_size", "no_bulge"): ("without a central bulge", "a bulgeless disk"),
    ("merging", "no_merger"): ("neither merging nor disturbed", "with no sign of a merger"),
    ("merging", "minor_disturbance"): ("slightly disturbed", "with a minor disturbance"),
    ("merging", "major_disturbance"): ("strongly disturbed", "with a major disturbance"),
    ("merging", "tidal_debris"): ("with tidal debris", "surrounded by tidal debris"),
    ("merging", "merger_and_debris"): ("a merger with tidal debris", "merging amid tidal debris"),
    # Galaxy Zoo 1
    ("galaxy_type", "clockwise"): ("a spiral turning clockwise", "a clockwise spiral galaxy"),
    ("galaxy_type", "anticlockwise"): (
        "a spiral turning anticlockwise",
        "an anticlockwise spiral galaxy",
    ),
    ("galaxy_type", "star_or_dont_know"): (
        "a star or a galaxy of no clear type",
        "an object that volunteers could not place",
    ),
    # measured, not voted
    ("outline", "round"): (
        "measured round in outline",
        "its outline measures round",
        "measured nearly circular",
        "with a measured round outline",
    ),
    ("outline", "in_between"): (
        "measured oval in outline",
        "its outline measures oval",
        "measured in between round and elongated",
        "with a measured oval outline",
    ),
    ("outline", "elongated"): (
        "measured elongated in outline",
        "its outline measures elongated",
        "measured narrow like a cigar",
        "with a measured elongated outline",
    ),
}
PHRASES |= {
    ("merging", "merger"): PHRASES["odd_feature", "merger"],
    ("galaxy_type", "merger"): PHRASES["odd_feature", "merger"],
    ("galaxy_type", "edge_on"): PHRASES["edgeon", "yes"],
    ("galaxy_type", "elliptical"): (
        "an elliptical galaxy",
        "a smooth elliptical galaxy",
        "an early-type galaxy",
    ),
}

#: What is said of a question on which the volunteers disagree.
DISPUTES: dict[str, tuple[str, ...]] = {
    "smooth_or_features": (
        "volunteers disagree whether it is smooth or has features",
        "volunteers disagree whether there is a disk",
    ),
    "edgeon": (
        "volunteers disagree whether it is edge-on",
        "volunteers disagree whether the disk is seen from the side",
    ),
    "bar": (
        "volunteers disagree whether it has a bar",
        "volunteers disagree whether there is a bar through the centre",
    ),
    "spiral": (
        "volunteers disagree whether it has spiral arms",
        "volunteers disagree whether there is a spiral pattern",
    ),
    "bulge_prominence": ("volunteers disagree how prominent the bulge is",),
    "bulge_size": ("volunteers disagree how large the bulge is",),
    "odd": (
        "volunteers disagree whether there is anything odd",
        "volunteers disagree whether it has an odd feature",
    ),
    "rounded": ("volunteers disagree how round it is",),
    "odd_feature": ("volunteers disagree what the odd feature is",),
    "bulge_shape": ("volunteers disagree what shape the bulge has",),
    "arms_winding": ("volunteers disagree how tightly the arms are wound",),
    "arms_number": ("volunteers disagree how many arms there are",),
    "handedness": ("volunteers disagree which way the arms turn",),
    "merging": ("volunteers disagree whether it is merging or disturbed",),
    "galaxy_type": ("volunteers disagree what type of galaxy it is",),
}

#: Phrases that say of each (question, answer) that it is not there, where no answer says so.
ABSENCES: dict[tuple[str, str], tuple[str, ...]] = {
    ("odd_feature", "ring"): (
        "without a ring",
        "a galaxy without a ring",
        "no ring",
        "with no ring",
        "with no sign of a ring",
        "not a ring galaxy",
    ),
    ("odd_feature", "lens_or_arc"): ("without a lens or arc", "not a gravitational lens"),
    ("odd_feature", "disturbed"): ("not disturbed", "an undisturbed galaxy"),
    ("odd_feature", "irregular"): ("not irregular", "not an irregular galaxy"),
    ("odd_feature", "merger"): ("not a merger", "not merging", "no merger"),
    ("odd_feature", "dust_lane"): ("without a dust lane", "no dust lane"),
}


#: Types and catalogues that are spelled out (Sbc, SAB0, HII, LSB), and vowels that are none.
_SPELLED = re.compile(
    r"(?:S(?:AB|[AB])?(?:0|[a-dm]{1,2})?|[FHLMNRSX](?:I{1,3}|[0-9B-DF-HJ-NP-TV-XZ]*))\b"
)
_CONSONANT = re.compile(r"one|uni(?![dmn])|eu|uv")


def with_article(words: str) -> str:
    """Put "a" or "an" before words, as they are spoken: "a uniform galaxy", "an SBb galaxy"."""
    if _SPELLED.match(words):
        vowel = words[0] in "AEFHILMNORSX"
    else:
        vowel = words[0].lower() in "aeiou" and not _CONSONANT.match(words.lower())
    return f"{'an' if vowel else 'a'} {words}"


def subject_for(phrase: str) -> str:
    """Name the galaxy where a phrase that opens a sentence does not."""
    return "" if phrase.startswith(("a ", "an ", "two ")) else SUBJECT


def as_sentences(phrases: Iterable[str]) -> tuple[str, ...]:
    """Phrases that stand alone: "a galaxy, with a bar" for "with a bar"."""
    return tuple(subject_for(phrase) + phrase for phrase in phrases)

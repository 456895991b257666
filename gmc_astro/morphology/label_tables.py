"""Tables of labels: what single words, and parts of the votes, say on `LABEL_TREE`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from astropy.table import Table

from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology.columns import fraction, number, text
from gmc_astro.morphology.gz2_class import parse_gz2_class
from gmc_astro.morphology.trees import GZ2_TREE, LABEL_TREE

__all__ = ["ANSWERS_OF_LABELS", "EXAMPLE_QUESTIONS", "LABEL_LAYOUTS"]

#: What a single class label says on the tree: answers that it asserts.
ANSWERS_OF_LABELS: dict[str, tuple[tuple[str, str], ...]] = {
    "elliptical": (("smooth_or_features", "smooth"),),
    "edge_on_disk": (("smooth_or_features", "features_or_disk"), ("edgeon", "yes")),
    "edge_on": (("smooth_or_features", "features_or_disk"), ("edgeon", "yes")),
    "spiral": (
        ("smooth_or_features", "features_or_disk"),
        ("edgeon", "no"),
        ("spiral", "spiral"),
    ),
    "merger": (("odd", "yes"), ("odd_feature", "merger")),
    "star_or_artifact": (("smooth_or_features", "star_or_artifact"),),
    "smooth_completely_round": (
        ("smooth_or_features", "smooth"),
        ("rounded", "completely_round"),
    ),
    "smooth_in_between": (("smooth_or_features", "smooth"), ("rounded", "in_between")),
    "smooth_cigar": (("smooth_or_features", "smooth"), ("rounded", "cigar_shaped")),
    "dont_know": (),
}
ANSWERS_OF_LABELS["spiral_clockwise"] = (
    *ANSWERS_OF_LABELS["spiral"],
    ("handedness", "clockwise"),
)
ANSWERS_OF_LABELS["spiral_anticlockwise"] = (
    *ANSWERS_OF_LABELS["spiral"],
    ("handedness", "anticlockwise"),
)

#: Galaxy Zoo's questions that tables of examples name by their text, and the tree's.
EXAMPLE_QUESTIONS: dict[str, str] = {
    "is the galaxy in the centre of the image simply smooth and rounded, or does it have "
    "features?": "smooth_or_features",
    "is there any sign of a bar feature through the center of the galaxy?": "bar",
    "does the galaxy have a bulge at its center? if so, what shape?": "bulge_shape",
    "do you see any of these odd features in the image?": "odd_feature",
    "what are the odd features?": "odd_feature",
} | {q.text.lower(): q.name for q in GZ2_TREE.questions}

_EXAMPLE_ANSWERS = {
    "features": "features_or_disk",
    "can't tell": "cant_tell",
    "no bar": "no_bar",
    "cigar shaped": "cigar_shaped",
}
_NOT_SPIRAL = 0.7  # a strict vote says 0 for some spirals, so 0 is likely, not certain


def _unknown(table: Table) -> np.ndarray:
    return np.full((len(table), len(LABEL_TREE)), np.nan, np.float32)


def _assert_labels(fractions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Write what each row's label says."""
    known = set(ANSWERS_OF_LABELS) | {""}
    unknown = sorted(set(labels.tolist()) - known)
    if unknown:
        raise VoteTableError(f"labels {unknown[:5]} are not known; known are {sorted(known)[1:]}")
    for label in set(labels.tolist()) - {""}:
        for question, answer in ANSWERS_OF_LABELS[label]:
            fractions[labels == label, LABEL_TREE.index(question, answer)] = 1
    return fractions


def _from_labels(table: Table) -> np.ndarray:
    return _assert_labels(_unknown(table), text(table, "label"))


def _from_pool(table: Table) -> np.ndarray:
    """Galaxy Zoo 1 classes, and a strict vote on spiral arms from Galaxy Zoo 2."""
    fractions = _assert_labels(_unknown(table), text(table, "gz1_class"))
    spiral = number(table, "spiral")
    for question, answer in ANSWERS_OF_LABELS["spiral"]:
        fractions[spiral == 1, LABEL_TREE.index(question, answer)] = 1
    fractions[spiral == 0, LABEL_TREE.index("spiral", "no_spiral")] = _NOT_SPIRAL
    return fractions


def _from_rings(table: Table) -> np.ndarray:
    """Ring or not, with the vote fractions of three questions of Galaxy Zoo DECaLS."""
    fractions = _unknown(table)
    ring = number(table, "ring")
    fractions[:, LABEL_TREE.index("odd_feature", "ring")] = ring
    fractions[ring == 1, LABEL_TREE.index("odd", "yes")] = 1
    fractions[:, LABEL_TREE.index("smooth_or_features", "features_or_disk")] = fraction(
        table, "featured_fraction"
    )
    for column, question, yes, no in (
        ("not_edge_on_fraction", "edgeon", "no", "yes"),
        ("spiral_arms_fraction", "spiral", "spiral", "no_spiral"),
    ):
        share = fraction(table, column)
        fractions[:, LABEL_TREE.index(question, yes)] = share
        fractions[:, LABEL_TREE.index(question, no)] = 1 - share
    return fractions


def _from_marks(table: Table) -> np.ndarray:
    """Bars and rings that somebody marked in galaxies which show their disk: 1, 0, or empty."""
    fractions = _unknown(table)
    bar, ring = (number(table, name) for name in ("bar", "ring"))
    for value, answer in ((1, "bar"), (0, "no_bar")):
        for pair in (*LABEL_TREE.path("bar"), ("bar", answer)):
            fractions[bar == value, LABEL_TREE.index(*pair)] = 1
    fractions[:, LABEL_TREE.index("odd_feature", "ring")] = ring
    fractions[ring == 1, LABEL_TREE.index("odd", "yes")] = 1
    return fractions


def _from_examples(table: Table) -> np.ndarray:
    """One question and answer a row; questions that the tree does not have say nothing."""
    fractions = _unknown(table)
    questions, answers = (np.char.lower(text(table, name)) for name in ("question", "answer"))
    for said, answer in sorted(set(zip(questions.tolist(), answers.tolist(), strict=True))):
        question = EXAMPLE_QUESTIONS.get(said)
        name = _EXAMPLE_ANSWERS.get(answer, answer.replace(" ", "_"))
        if (question, name) in LABEL_TREE.flat:
            rows = (questions == said) & (answers == answer)
            for pair in (*LABEL_TREE.path(question), (question, name)):
                fractions[rows, LABEL_TREE.index(*pair)] = 1
    return fractions


def _from_gz2_class(table: Table) -> np.ndarray:
    """The codes of Galaxy Zoo 2, where a table has no votes beside them."""
    fractions = _unknown(table)
    codes = text(table, "gz2_class")
    for code in sorted(set(codes.tolist()) - {""}):
        for pair in parse_gz2_class(code):
            fractions[codes == code, LABEL_TREE.index(*pair)] = 1
    return fractions


#: Layouts: columns that each needs, and the function that reads it onto `LABEL_TREE`.
LABEL_LAYOUTS: tuple[tuple[set[str], Callable[[Table], np.ndarray]], ...] = (
    ({"spiral", "gz1_class"}, _from_pool),
    ({"ring", "featured_fraction"}, _from_rings),
    ({"bar", "ring"}, _from_marks),
    ({"question", "answer"}, _from_examples),
    ({"gz2_class"}, _from_gz2_class),
    ({"label"}, _from_labels),
)

"""Layouts of vote tables that are known: each is a test of the columns and a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.table import Table

from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology.trees import GZ2_TREE, LABEL_TREE

__all__ = ["ANSWERS_OF_LABELS", "EXAMPLE_QUESTIONS", "read_votes"]

Votes = tuple[np.ndarray, np.ndarray]

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
_ID_COLUMNS = ("object_id", "galaxy_id", "asset_id", "iauname", "dr7objid", "objid", "id", "file")
_NOT_SPIRAL = 0.7  # a strict vote says 0 for some spirals, so 0 is likely, not certain


def read_votes(source: str | os.PathLike | Table) -> Votes:
    """Read any known layout; see `~gmc_astro.morphology.VoteTable.read`."""
    table = source if isinstance(source, Table) else _read_table(Path(source))
    for columns, reader in _LAYOUTS:
        if columns <= set(table.colnames):
            return _ids(table), reader(table)
    raise VoteTableError(
        f"columns {table.colnames[:8]} are of no layout that is known; looked for one of "
        + "; ".join(", ".join(sorted(columns)) for columns, _ in _LAYOUTS)
    )


def _read_table(path: Path) -> Table:
    if path.is_dir():
        path = path / "labels.csv"
    if not path.is_file():
        raise VoteTableError(f"{path} is not a file")
    name = path.name.removesuffix(".gz")
    if not name.endswith(".csv"):
        return Table.read(path)
    # labels are words even where they look like numbers, and ids have 18 digits
    every = "*" if not name.endswith("votes.csv") else "objid"
    return Table.read(path, format="ascii.csv", converters={every: str}, fast_reader=every != "*")


def _ids(table: Table) -> np.ndarray:
    for name in _ID_COLUMNS:
        if name in table.colnames:
            return np.asarray(table[name].astype(str))
    return np.arange(len(table)).astype(str)


def _text(table: Table, name: str) -> np.ndarray:
    """A column as strings, empty where masked."""
    column = table[name]
    values = column.filled("") if hasattr(column, "filled") else column
    return np.char.strip(np.asarray(values, dtype=str))


def _number(table: Table, name: str) -> np.ndarray:
    """A column as floats, NaN where empty."""
    if table[name].dtype.kind in "if":
        column = table[name].astype(float)
        return np.asarray(column.filled(np.nan) if hasattr(column, "filled") else column)
    text = _text(table, name)
    return np.where(text == "", "nan", text).astype(float)


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
    return _assert_labels(_unknown(table), _text(table, "label"))


def _from_pool(table: Table) -> np.ndarray:
    """Galaxy Zoo 1 classes, and a strict vote on spiral arms from Galaxy Zoo 2."""
    fractions = _assert_labels(_unknown(table), _text(table, "gz1_class"))
    spiral = _number(table, "spiral")
    for question, answer in ANSWERS_OF_LABELS["spiral"]:
        fractions[spiral == 1, LABEL_TREE.index(question, answer)] = 1
    fractions[spiral == 0, LABEL_TREE.index("spiral", "no_spiral")] = _NOT_SPIRAL
    return fractions


def _from_rings(table: Table) -> np.ndarray:
    """Ring or not, with the vote fractions of three questions of Galaxy Zoo DECaLS."""
    fractions = _unknown(table)
    ring = _number(table, "ring")
    fractions[:, LABEL_TREE.index("odd_feature", "ring")] = ring
    fractions[ring == 1, LABEL_TREE.index("odd", "yes")] = 1
    fractions[:, LABEL_TREE.index("smooth_or_features", "features_or_disk")] = _number(
        table, "featured_fraction"
    )
    for column, question, yes, no in (
        ("not_edge_on_fraction", "edgeon", "no", "yes"),
        ("spiral_arms_fraction", "spiral", "spiral", "no_spiral"),
    ):
        share = _number(table, column)
        fractions[:, LABEL_TREE.index(question, yes)] = share
        fractions[:, LABEL_TREE.index(question, no)] = 1 - share
    return fractions


def _from_examples(table: Table) -> np.ndarray:
    """One question and answer a row; questions that the tree does not have say nothing."""
    fractions = _unknown(table)
    pairs = zip(_text(table, "question"), _text(table, "answer"), strict=True)
    for row, (text, answer) in enumerate(pairs):
        question = EXAMPLE_QUESTIONS.get(text.lower())
        name = answer.lower()
        name = _EXAMPLE_ANSWERS.get(name, name.replace(" ", "_"))
        if (question, name) in LABEL_TREE.flat:
            for pair in (*LABEL_TREE.path(question), (question, name)):
                fractions[row, LABEL_TREE.index(*pair)] = 1
    return fractions


def _from_gz2(table: Table) -> np.ndarray:
    """Galaxy Zoo 2 catalogues; debiased fractions where they are, else weighted, else raw."""
    fractions = _unknown(table)
    for question in GZ2_TREE.questions:
        for answer in question.answers:
            for ending in ("debiased", "weighted_fraction", "fraction"):
                name = f"{answer.column}_{ending}"
                if name in table.colnames:
                    values = _number(table, name)
                    fractions[:, LABEL_TREE.index(question.name, answer.name)] = values
                    break
        _forget_unasked(table, question, fractions)
    return fractions


def _forget_unasked(table: Table, question: object, fractions: np.ndarray) -> None:
    """A question that nobody answered has no fractions, whatever the table fills in."""
    counts = [f"{a.column}_count" for a in question.answers]
    if all(name in table.colnames for name in counts):
        asked = sum(_number(table, name) for name in counts) > 0
        fractions[~asked, LABEL_TREE.columns(question.name)] = np.nan


_LAYOUTS: tuple[tuple[set[str], Callable[[Table], np.ndarray]], ...] = (
    ({f"{GZ2_TREE.questions[0].answers[0].column}_fraction"}, _from_gz2),
    ({"spiral", "gz1_class"}, _from_pool),
    ({"ring", "featured_fraction"}, _from_rings),
    ({"question", "answer"}, _from_examples),
    ({"label"}, _from_labels),
)

"""Frozen splits: which galaxies train and which test, by their ids, the same for every method."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gmc_astro._files import make_folder, write_json
from gmc_astro.exceptions import InputError

__all__ = ["Split", "frozen_splits", "make_split"]

FORMAT = 1


@dataclass(frozen=True)
class Split:
    """One division of a catalogue into a training and a test part.

    Parameters
    ----------
    seed : int
        Seed that it was drawn with.
    test : tuple of str
        Ids of the test part.
    train : mapping of str to tuple of str
        Ids of the training part by class, in the order in which they are labelled: a fraction
        of the labels is the beginning of each class, so that smaller ones lie in larger ones.

    Examples
    --------
    >>> from gmc_astro.evaluation import make_split
    >>> split = make_split([f"g{i}" for i in range(20)], [0] * 10 + [1] * 10, ["a", "b"], seed=0)
    >>> len(split.test), len(split.labelled(1.0)), len(split.labelled(0.01))
    (4, 16, 2)
    """

    seed: int
    test: tuple[str, ...]
    train: Mapping[str, tuple[str, ...]]

    def labelled(self, fraction: float) -> tuple[str, ...]:
        """Ids that have a label when a fraction of the training part has one.

        Parameters
        ----------
        fraction : float
            Share of each class, above 0 to 1; at least one galaxy of each.

        Returns
        -------
        ids : tuple of str
            Ids, class after class.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the fraction is not above 0 and at most 1.
        """
        if not 0 < fraction <= 1:
            raise InputError(f"fraction {fraction} is not above 0 and at most 1 (0.01 is 1 %)")
        return tuple(
            galaxy
            for members in self.train.values()
            for galaxy in members[: max(round(fraction * len(members)), 1)]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the split as plain values for JSON.

        Returns
        -------
        values : dict
            `from_dict` reads them back.
        """
        train = {name: list(members) for name, members in self.train.items()}
        return {"seed": self.seed, "test": list(self.test), "train": train}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Split:
        """Read what `to_dict` gave.

        Parameters
        ----------
        values : mapping
            Plain values, also after a round trip through JSON.

        Returns
        -------
        split : `Split`
            The same one.
        """
        train = {name: tuple(members) for name, members in values["train"].items()}
        return cls(int(values["seed"]), tuple(values["test"]), train)


def make_split(
    ids: Sequence[str],
    targets: Sequence[int],
    names: Sequence[str],
    *,
    seed: int,
    test_share: float = 0.2,
    test_ids: Sequence[str] | None = None,
) -> Split:
    """Draw a stratified split in the catalogue's own class balance.

    Parameters
    ----------
    ids : sequence of str, shape (N,)
        Ids of the galaxies, each once.
    targets : sequence of int, shape (N,)
        Their classes, 0 to K - 1.
    names : sequence of str, shape (K,)
        Names of the classes.
    seed : int
        Seed of the draw.
    test_share : float, optional
        Share of each class in the test part: at least one galaxy, but never the last one.
    test_ids : sequence of str, optional
        An official test part; only the order of the labels is then drawn.

    Returns
    -------
    split : `Split`
        The split; the order of the rows in the catalogue does not matter.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If an id occurs twice, fewer than two classes have a galaxy to train on, or no galaxy
        is left to test with.

    Examples
    --------
    >>> from gmc_astro.evaluation import make_split
    >>> ids = [f"galaxy {i}" for i in range(10)]
    >>> split = make_split(ids, [0, 1] * 5, ["spiral", "smooth"], seed=0)
    >>> len(split.test)
    2
    """
    ids, targets = np.asarray(ids, dtype=str), np.asarray(targets)
    if len(np.unique(ids)) < len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise InputError(f"id '{values[counts > 1][0]}' occurs twice; give each galaxy one id")
    rng = np.random.default_rng(seed)
    official = None if test_ids is None else set(np.asarray(test_ids, dtype=str).tolist())
    test, train = [], {}
    for k, name in enumerate(names):
        members = rng.permutation(np.sort(ids[targets == k])).tolist()
        if official is None:
            held = round(test_share * len(members))
            held = min(max(held, 1), max(len(members) - 1, 0))
            test += members[:held]
            members = members[held:]
        else:
            test += [g for g in members if g in official]
            members = [g for g in members if g not in official]
        train[name] = tuple(members)
    trained = sum(bool(members) for members in train.values())
    if trained < 2 or not test:
        raise InputError(
            f"{len(ids)} galaxies make no split: {trained} classes have one to train on and "
            f"{len(test)} galaxies are left to test; at least two classes need two galaxies"
        )
    return Split(seed, tuple(sorted(test)), train)


def frozen_splits(
    path: str | os.PathLike,
    ids: Sequence[str],
    targets: Sequence[int],
    names: Sequence[str],
    *,
    seeds: Sequence[int],
    test_share: float = 0.2,
    test_ids: Sequence[str] | None = None,
) -> list[Split]:
    """Read splits from a file, and draw and add those that it lacks.

    What the file says holds, so that a later version of numpy cannot change a split.

    Parameters
    ----------
    path : path-like
        JSON file; made if it is not there.
    ids, targets, names, test_share, test_ids
        As for `make_split`.
    seeds : sequence of int
        Splits to return.

    Returns
    -------
    splits : list of `Split`
        One a seed, in order.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the file was made for other galaxies, labels or options, or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from gmc_astro.evaluation import frozen_splits
    >>> ids, targets, names = [f"galaxy {i}" for i in range(10)], [0, 1] * 5, ["spiral", "smooth"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "splits.json"
    ...     drawn = frozen_splits(path, ids, targets, names, seeds=[0])
    ...     read = frozen_splits(path, ids, targets, names, seeds=[0, 1])
    >>> drawn[0] == read[0], len(read)
    (True, 2)
    """
    path = Path(path)
    about = {
        "format": FORMAT,
        "catalogue_sha256": catalogue_hash(ids, targets, names),
        "galaxies": len(ids),
        "test_share": None if test_ids is not None else test_share,
    }
    kept = _read(path, about) if path.exists() else {}
    official = None if test_ids is None else set(map(str, test_ids)) & set(map(str, ids))
    if official is not None and any(set(split.test) != official for split in kept.values()):
        raise InputError(
            f"{path} was made for another test part than test_ids now names: give another output "
            "folder, or the test part that it was made for"
        )
    options = {"test_share": test_share, "test_ids": test_ids}
    missing = [seed for seed in seeds if seed not in kept]
    kept |= {seed: make_split(ids, targets, names, seed=seed, **options) for seed in missing}
    if missing:
        make_folder(path.parent)
        write_json(path, about | {"splits": [kept[seed].to_dict() for seed in sorted(kept)]})
    return [kept[seed] for seed in seeds]


def _read(path: Path, about: Mapping[str, Any]) -> dict[int, Split]:
    """Splits of a file, if they are of this catalogue."""
    try:
        document = json.loads(path.read_text())
        splits = [Split.from_dict(values) for values in document["splits"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise InputError(f"{path} holds no splits ({err}); remove it to draw new ones") from err
    for key, value in about.items():
        if document.get(key) != value:
            raise InputError(
                f"{path} was made for another catalogue or other options: its {key} is "
                f"{document.get(key)}, here it is {value}. Give another output folder, or the "
                "catalogue that it was made for"
            )
    return {split.seed: split for split in splits}


def catalogue_hash(ids: Sequence[str], targets: Sequence[int], names: Sequence[str]) -> str:
    """SHA-256 of which galaxy has which label, whatever the order of the rows."""
    labels = [names[k] for k in np.asarray(targets).tolist()]
    rows = sorted(zip(np.asarray(ids, dtype=str).tolist(), labels, strict=True))
    return hashlib.sha256(json.dumps([list(names), rows]).encode()).hexdigest()

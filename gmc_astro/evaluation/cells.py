"""Cells of a benchmark on disk: one method on one split with one fraction of the labels."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gmc_astro._files import make_folder, whole, write_json, writing
from gmc_astro.exceptions import InputError
from gmc_astro.learning import document_hash

__all__ = ["Cell"]


@dataclass(frozen=True)
class Cell:
    """One method, one split, one fraction of the labels.

    Parameters
    ----------
    folder : path-like
        Folder of the cells.
    row : str
        The method, as it was written.
    fraction : float
        Share of the training part that has labels; 0 for a method that needs none.
    seed : int
        The split.

    Examples
    --------
    >>> from gmc_astro.evaluation import Cell
    >>> Cell("results/cells", "probe", 0.1, 0).name
    'probe_10percent_seed0'
    """

    folder: Path
    row: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """Name of its files; a method's weights may be a path, so that is hashed."""
        head, _, weights = self.row.partition("@")
        plain = re.sub(r"[^\w.-]+", "-", head)
        if weights:
            short = re.sub(r"[^\w.-]+", "-", weights.rstrip("/").rsplit("/", 1)[-1])
            plain += f"-{short}-{document_hash({'weights': weights})[:6]}"
        return f"{plain}_{100 * self.fraction:g}percent_seed{self.seed}"

    @property
    def path(self) -> Path:
        """Its scores; written last, so that a cell with this file is finished."""
        return self.folder / f"{self.name}.json"

    @property
    def arrays(self) -> Path:
        """Its test ids and class probabilities."""
        return self.folder / f"{self.name}.npz"

    def finished(self, settings: Mapping[str, Any]) -> bool:
        """Tell whether it is there already, made with the same settings.

        Parameters
        ----------
        settings : mapping
            Everything that its result depends on.

        Returns
        -------
        finished : bool
            False where it is to be computed.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If it was made with other settings; the message says which differ.
        """
        if not (self.path.is_file() and self.arrays.is_file()):
            return False
        try:
            known = json.loads(self.path.read_text())
            if known["key"] == document_hash(settings):
                return True
            before = known["settings"]
        except (ValueError, KeyError, TypeError) as err:
            raise InputError(f"{self.path} is no cell of a benchmark; remove it") from err
        settings = json.loads(json.dumps(settings))  # lists for tuples, as in the file
        changed = sorted(
            key for key in before.keys() | settings.keys() if before.get(key) != settings.get(key)
        )
        raise InputError(
            f"{self.path} was made with other settings ({', '.join(changed)} differ): give "
            "another output folder, or --restart to compute everything again"
        )

    def write(
        self,
        settings: Mapping[str, Any],
        ids: np.ndarray,
        probabilities: np.ndarray,
        results: Mapping[str, Any],
    ) -> None:
        """Keep a finished cell; whole or not at all.

        Parameters
        ----------
        settings : mapping
            As for `finished`.
        ids : `~numpy.ndarray` of str, shape (n,)
            Ids of the test images.
        probabilities : `~numpy.ndarray`, shape (n, K)
            Their class probabilities.
        results : mapping
            Scores and whatever else is to be told.
        """
        arrays = {"ids": np.asarray(ids, str), "probabilities": probabilities.astype(np.float32)}
        make_folder(self.path.parent)
        with writing(self.path):  # the cell is finished by its scores, which are written last
            self.path.unlink(missing_ok=True)
        with whole(self.arrays) as path:
            np.savez_compressed(path, **arrays)
        document = {
            "method": self.row,
            "fraction": self.fraction,
            "seed": self.seed,
            "key": document_hash(settings),
            "settings": settings,
            **results,
        }
        write_json(self.path, document)

    @cached_property
    def results(self) -> dict[str, Any]:
        """What `write` kept as JSON."""
        return json.loads(self.path.read_text())

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Class probabilities of the test images, shape (n, K)."""
        with np.load(os.fspath(self.arrays)) as arrays:
            return arrays["probabilities"]

    @cached_property
    def ids(self) -> np.ndarray:
        """Ids of the test images, shape (n,)."""
        with np.load(os.fspath(self.arrays)) as arrays:
            return arrays["ids"]

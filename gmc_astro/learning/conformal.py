"""Sets of classes that hold the true one as often as asked for, whatever the probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro.exceptions import InputError

__all__ = ["ConformalSets", "fit_conformal"]

METHODS = ("lac", "aps")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ConformalSets:
    """What held-out rows say of how many classes a set must hold.

    Parameters
    ----------
    scores : `~numpy.ndarray`, shape (n,)
        Score of the true class of each held-out row, ascending; a class is in a row's set if
        its score is not above a quantile of these.
    method : {"lac", "aps"}
        What a score is; see `fit_conformal`.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import ConformalSets
    >>> held_out = ConformalSets(np.linspace(0.01, 0.99, 99))
    >>> round(held_out.threshold(0.9), 2)
    0.9
    >>> held_out.predict_sets([[0.95, 0.05], [0.5, 0.5]], coverage=0.9)
    array([[ True, False],
           [ True,  True]])
    """

    scores: np.ndarray
    method: str = "lac"

    def threshold(self, coverage: float = 0.9) -> float:
        """Largest score that a class in a set may have.

        Parameters
        ----------
        coverage : float, optional
            Share of sets that hold the true class, between 0 and 1.

        Returns
        -------
        threshold : float
            The ceil((n + 1) coverage)-th smallest of the n scores; infinite if there is none.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If ``coverage`` is not between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise InputError(f"coverage={coverage} must lie between 0 and 1, such as 0.9")
        rank = int(np.ceil((len(self.scores) + 1) * coverage - _ROUNDING))
        return float(self.scores[rank - 1]) if rank <= len(self.scores) else float("inf")

    def predict_sets(self, probabilities: ArrayLike, *, coverage: float = 0.9) -> np.ndarray:
        """Classes that may be the true one.

        Parameters
        ----------
        probabilities : array_like, shape (N, K)
            Class probabilities, made as those of `fit_conformal` were.
        coverage : float, optional
            Share of sets that hold the true class, between 0 and 1.

        Returns
        -------
        sets : `~numpy.ndarray` of bool, shape (N, K)
            True for the classes in a row's set. The most probable class always is, so sets
            cover more than asked where the classifier is right more often than that. All
            classes are where there are fewer than coverage / (1 - coverage) held-out rows (9
            for 90 %). Only a NaN row, which has no image, has an empty set.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If probabilities are not (N, K), or ``coverage`` is not between 0 and 1.
        """
        probabilities = _rows(probabilities)
        limit = self.threshold(coverage) + _ROUNDING
        sets = class_scores(probabilities, self.method) <= limit
        known = np.isfinite(probabilities).all(axis=1)
        best = np.where(known[:, None], probabilities, 0.0).argmax(axis=1)
        sets[np.arange(len(sets)), best] = True
        return sets & known[:, None]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the scores as named arrays of numbers, as a checkpoint keeps them.

        Returns
        -------
        arrays : dict of str to `~numpy.ndarray`
            `from_arrays` reads them back.
        """
        return {
            "scores": np.asarray(self.scores, float),
            "method": np.array([METHODS.index(self.method)]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> ConformalSets:
        """Read what `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to `~numpy.ndarray`
            Named arrays.

        Returns
        -------
        sets : `ConformalSets`
            The same one.
        """
        return cls(np.asarray(arrays["scores"]), METHODS[int(arrays["method"][0])])


def fit_conformal(
    probabilities: ArrayLike, targets: ArrayLike, *, method: str = "lac"
) -> ConformalSets:
    """Learn from labelled rows, which the classifier was not fitted on, how large sets must be.

    Every coverage can be asked for afterwards. It holds on average over galaxies that are drawn
    as the labelled ones were, not for each class or each kind of galaxy.

    Parameters
    ----------
    probabilities : array_like, shape (n, K)
        Class probabilities of held-out rows, or out-of-fold ones
        (`~gmc_astro.learning.out_of_fold_logits`), with which the coverage is approximate.
        NaN rows are left out.
    targets : array_like of int, shape (n,)
        True class of each row, -1 where it is not known.
    method : {"lac", "aps"}, optional
        ``"lac"``: a class scores 1 minus its probability; the smallest sets on average.
        ``"aps"``: it scores the sum of all larger probabilities and half its own; somewhat
        larger sets, which cover hard rows more nearly as often as easy ones. The half stands
        for the random share of the published method, so that the same rows always give the
        same sets; the coverage holds as well.

    Returns
    -------
    sets : `ConformalSets`
        The scores.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the method is not known, shapes do not fit, a target is no class, or no row is
        labelled.

    References
    ----------
    Sadinle, Lei & Wasserman 2019, arXiv:1609.00451 (lac); Romano, Sesia & Candes 2020,
    arXiv:2006.02544 (aps); Angelopoulos & Bates 2021, arXiv:2107.07511.

    Examples
    --------
    >>> from gmc_astro.learning import fit_conformal
    >>> held_out = [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1]] * 5
    >>> conformal = fit_conformal(held_out, [0, 1, 2, 1] * 5)
    >>> conformal.predict_sets([[0.95, 0.03, 0.02], [0.5, 0.45, 0.05]], coverage=0.9)
    array([[ True, False, False],
           [ True,  True, False]])
    """
    if method not in METHODS:
        raise InputError(f"method={method!r} is not one of {METHODS}")
    probabilities, targets = _rows(probabilities), np.asarray(targets)
    if targets.shape != probabilities.shape[:1] or targets.dtype.kind not in "iu":
        raise InputError(
            f"targets of shape {targets.shape} and dtype {targets.dtype} for "
            f"{len(probabilities)} rows; give one class number a row, -1 if not known"
        )
    usable = (targets >= 0) & np.isfinite(probabilities).all(axis=1)
    if not usable.any():
        raise InputError("no row is labelled and has probabilities; give at least one")
    probabilities, targets = probabilities[usable], targets[usable].astype(int)
    if targets.max() >= probabilities.shape[1]:
        raise InputError(
            f"target {targets.max()} is not one of the {probabilities.shape[1]} classes"
        )
    scores = class_scores(probabilities, method)[np.arange(len(targets)), targets]
    return ConformalSets(np.sort(scores), method)


def class_scores(probabilities: np.ndarray, method: str) -> np.ndarray:
    """Score of every class of every row, shape (N, K); the larger, the less likely it is."""
    if method == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1)
    sums = np.cumsum(ordered, axis=1) - ordered / 2
    return np.take_along_axis(sums, np.argsort(order, axis=1, kind="stable"), axis=1)


def _rows(probabilities: ArrayLike) -> np.ndarray:
    probabilities = np.asarray(probabilities, float)
    if probabilities.ndim != 2:
        raise InputError(f"probabilities of shape {probabilities.shape}; give (N, K)")
    return probabilities

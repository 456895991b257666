"""What a classifier says of labelled rows that it did not learn from."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import KFold, StratifiedKFold

from gmc_astro.exceptions import InputError

__all__ = ["out_of_fold_logits"]

Fit = Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]


def out_of_fold_logits(
    fit: Fit, targets: ArrayLike, *, folds: int = 5, random_state: int = 0
) -> np.ndarray:
    """Logits of each labelled row from a classifier that did not learn from it.

    Parameters
    ----------
    fit : callable
        ``fit(rows)`` learns from the rows numbered so, shape (n,), and returns a callable that
        gives the logits, shape (m, K), of other row numbers, shape (m,).
    targets : array_like of int, shape (N,)
        Class of each row, -1 where it is not known.
    folds : int, optional
        Stratified folds, at least 2; as many as the largest class has rows where those are
        fewer. Where no class has two, one row at a time is left out.
    random_state : int, optional
        Seed of the folds.

    Returns
    -------
    logits : `~numpy.ndarray`, shape (N, K), dtype float64
        NaN for rows that are not labelled.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If fewer than 2 rows are labelled, or ``folds`` is below 2.

    Notes
    -----
    The only row of a class is judged by a classifier that saw no row of it: its logits are
    too pessimistic, and so is a temperature learnt where many classes are such.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import out_of_fold_logits
    >>> targets = np.array([0, 1, 0, 1, -1])
    >>> def fit(rows):  # a classifier that knows nothing but frequencies
    ...     frequency = np.bincount(targets[rows], minlength=2) / len(rows)
    ...     return lambda others: np.log(np.tile(frequency, (len(others), 1)))
    >>> np.exp(out_of_fold_logits(fit, targets, folds=2))
    array([[0.5, 0.5],
           [0.5, 0.5],
           [0.5, 0.5],
           [0.5, 0.5],
           [nan, nan]])
    """
    targets = np.asarray(targets)
    labelled = np.flatnonzero(targets >= 0)
    if len(labelled) < 2 or folds < 2:
        raise InputError(
            f"{len(labelled)} labelled rows in {folds} folds; out-of-fold logits need at least 2 "
            "of each"
        )
    logits = None
    for train, test in _splits(targets[labelled], folds, random_state):
        rows = labelled[test]
        found = np.asarray(fit(labelled[train])(rows), float)
        if logits is None:
            logits = np.full((len(targets), found.shape[1]), np.nan)
        logits[rows] = found
    return logits


def _splits(targets: np.ndarray, folds: int, random_state: int) -> list:
    """Stratified folds that do not mind small classes."""
    largest = int(np.bincount(targets).max())
    if largest < 2:
        return list(KFold(len(targets)).split(targets))
    splitter = StratifiedKFold(min(folds, largest), shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        # a class with fewer rows than folds is in some of them only, which is what is wanted
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(np.zeros(len(targets)), targets))

"""How good probabilities are: calibration error, Brier score and log loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro.exceptions import InputError

__all__ = [
    "brier_score",
    "chance_calibration_error",
    "expected_calibration_error",
    "negative_log_likelihood",
]

_SMALLEST = np.finfo(float).tiny


def expected_calibration_error(
    probabilities: ArrayLike, targets: ArrayLike, *, bins: int = 15
) -> float:
    """Mean gap between how sure a classifier is and how often it is right.

    Parameters
    ----------
    probabilities : array_like, shape (N, K)
        Class probabilities; rows sum to 1.
    targets : array_like of int, shape (N,)
        True class of each row, 0 to K - 1.
    bins : int, optional
        Bins of equal width of the largest probability, between 0 and 1.

    Returns
    -------
    error : float
        0 (calibrated) to 1; the bins' gaps weighted by their rows.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If rows and targets differ in number, there are none, or a target is no class.

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599

    Examples
    --------
    >>> from gmc_astro.learning import expected_calibration_error
    >>> expected_calibration_error([[0.75, 0.25]] * 4, [0, 0, 0, 1])
    0.0
    """
    probabilities, targets = _checked(probabilities, targets)
    return _mean_gap(probabilities.max(axis=1), probabilities.argmax(axis=1) == targets, bins=bins)


def chance_calibration_error(
    probabilities: ArrayLike, *, bins: int = 15, draws: int = 500, random_state: int = 0
) -> float:
    """Calibration error that these probabilities would show if they were exactly true.

    Few rows in a bin are right more or less often than they should be by chance alone, so that
    `expected_calibration_error` of perfect probabilities is not 0. What is measured on as many
    rows means something only above this.

    Parameters
    ----------
    probabilities : array_like, shape (N, K)
        Class probabilities; rows sum to 1.
    bins : int, optional
        As for `expected_calibration_error`.
    draws : int, optional
        How often to draw which rows are right.
    random_state : int, optional
        Seed of the draws.

    Returns
    -------
    error : float
        Mean over the draws.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are no rows.

    References
    ----------
    Roelofs et al. 2022, arXiv:2012.08668 (the estimator's bias)

    Examples
    --------
    >>> from gmc_astro.learning import chance_calibration_error
    >>> few, many = ([[0.75, 0.25]] * n for n in (20, 2000))
    >>> round(chance_calibration_error(few), 2), round(chance_calibration_error(many), 2)
    (0.07, 0.01)
    """
    rows = np.zeros(np.shape(probabilities)[:1], int)  # any class: only the largest matters
    confidence = _checked(probabilities, rows)[0].max(axis=1)
    rng = np.random.default_rng(random_state)
    gaps = [
        _mean_gap(confidence, rng.random(len(confidence)) < confidence, bins=bins)
        for _ in range(draws)
    ]
    return float(np.mean(gaps))


def _mean_gap(confidence: np.ndarray, right: np.ndarray, *, bins: int) -> float:
    gaps = np.bincount(confidence_bins(confidence, bins), right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def confidence_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Number of the bin of each confidence.

    Parameters
    ----------
    confidence : `~numpy.ndarray`, shape (N,)
        Largest probabilities, 0 to 1.
    bins : int
        Bins of equal width.

    Returns
    -------
    number : `~numpy.ndarray` of int, shape (N,)
        0 to ``bins`` - 1; an edge belongs to the bin below it, as in (0, 1/15].
    """
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def brier_score(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Mean squared distance of the probabilities from the truth.

    Parameters
    ----------
    probabilities, targets
        As for `expected_calibration_error`.

    Returns
    -------
    score : float
        Sum over the classes, mean over the rows: 0 (certain and right) to 2 (certain and wrong).

    Raises
    ------
    gmc_astro.exceptions.InputError
        As for `expected_calibration_error`.

    References
    ----------
    Brier 1950, Monthly Weather Review 78, 1

    Examples
    --------
    >>> from gmc_astro.learning import brier_score
    >>> brier_score([[1.0, 0.0], [0.5, 0.5]], [0, 0])
    0.25
    """
    probabilities, targets = _checked(probabilities, targets)
    truth = np.eye(probabilities.shape[1])[targets]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def negative_log_likelihood(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Mean negative logarithm of the probability of the true class (log loss).

    Parameters
    ----------
    probabilities, targets
        As for `expected_calibration_error`.

    Returns
    -------
    loss : float
        In nats; 0 is best.

    Raises
    ------
    gmc_astro.exceptions.InputError
        As for `expected_calibration_error`.

    Examples
    --------
    >>> from gmc_astro.learning import negative_log_likelihood
    >>> round(negative_log_likelihood([[0.5, 0.5]], [1]), 4)
    0.6931
    """
    probabilities, targets = _checked(probabilities, targets)
    of_truth = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(of_truth, _SMALLEST)).mean())


def _checked(probabilities: ArrayLike, targets: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    probabilities, targets = np.asarray(probabilities, float), np.asarray(targets)
    if probabilities.ndim != 2 or targets.shape != probabilities.shape[:1] or not len(targets):
        raise InputError(
            f"probabilities of shape {probabilities.shape} and targets of shape {targets.shape}; "
            "give (N, K) and (N,), with at least one row"
        )
    if targets.dtype.kind not in "iu" or targets.min() < 0:
        raise InputError("targets must be class numbers, 0 or more; leave out unlabelled rows")
    if targets.max() >= probabilities.shape[1]:
        raise InputError(
            f"target {targets.max()} is not one of the {probabilities.shape[1]} classes"
        )
    return probabilities, targets

"""Class frequencies: probabilities for a sample that is mixed otherwise than the labelled one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro.exceptions import InputError

__all__ = ["change_priors", "estimate_priors"]

Prior = ArrayLike | Mapping[str, float]


def change_priors(
    probabilities: ArrayLike,
    trained_prior: Prior,
    class_prior: Prior,
    *,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Class probabilities where classes are as frequent as said, instead of as in training.

    Holds where each class looks the same in both samples and the probabilities are calibrated.

    Parameters
    ----------
    probabilities : array_like, shape (N, K)
        Class probabilities; NaN rows stay NaN.
    trained_prior : array_like, shape (K,), or mapping of str to float
        Frequencies of the classes among the rows that the classifier learnt from; above 0,
        with sum 1.
    class_prior : array_like, shape (K,), or mapping of str to float
        Frequencies of the classes among the rows to classify; above 0, with sum 1.
    names : sequence of str, shape (K,), optional
        Names of the classes; needed for a mapping.

    Returns
    -------
    probabilities : `~numpy.ndarray`, shape (N, K), dtype float64
        Rows sum to 1.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a prior does not name every class once, is not above 0, or does not sum to 1 within
        one in a million.

    References
    ----------
    Saerens, Latinne & Decaestecker 2002, Neural Computation 14, 21

    Examples
    --------
    >>> from gmc_astro.learning import change_priors
    >>> change_priors([[0.5, 0.5]], [0.5, 0.5], {"smooth": 0.8, "merger": 0.2},
    ...               names=["smooth", "merger"]).round(3)
    array([[0.8, 0.2]])
    """
    probabilities = _rows(probabilities)
    classes = probabilities.shape[1]
    old = _prior(trained_prior, classes, names, "trained_prior")
    new = _prior(class_prior, classes, names, "class_prior")
    return _reweighted(probabilities, new / old)


def estimate_priors(
    probabilities: ArrayLike,
    trained_prior: Prior,
    *,
    names: Sequence[str] | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-6,
) -> np.ndarray:
    """How frequent classes are among unlabelled rows, from their probabilities.

    Maximises the likelihood by expectation and maximisation. Trust it as far as the
    probabilities are calibrated, and only for some hundred rows or more.

    Parameters
    ----------
    probabilities : array_like, shape (N, K)
        Class probabilities of the unlabelled rows; NaN rows are left out.
    trained_prior, names
        As for `change_priors`.
    iterations : int, optional
        Most rounds.
    tolerance : float, optional
        Largest change of a frequency at which the rounds end.

    Returns
    -------
    prior : `~numpy.ndarray`, shape (K,), dtype float64
        Frequencies of the classes, with sum 1.

    Raises
    ------
    gmc_astro.exceptions.InputError
        As for `change_priors`, or if no row has probabilities.

    References
    ----------
    Saerens, Latinne & Decaestecker 2002, Neural Computation 14, 21

    Examples
    --------
    >>> from gmc_astro.learning import estimate_priors
    >>> estimate_priors([[0.99, 0.01]] * 9 + [[0.01, 0.99]], [0.5, 0.5]).round(2)
    array([0.91, 0.09])
    """
    probabilities = _rows(probabilities)
    old = _prior(trained_prior, probabilities.shape[1], names, "trained_prior")
    probabilities = probabilities[np.isfinite(probabilities).all(axis=1)]
    if not len(probabilities):
        raise InputError("no row has probabilities; give at least one")
    prior = old
    for _ in range(iterations):
        before, prior = prior, _reweighted(probabilities, prior / old).mean(axis=0)
        if np.abs(prior - before).max() < tolerance:
            break
    return prior


def _reweighted(probabilities: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    weighted = probabilities * ratio
    return weighted / weighted.sum(axis=1, keepdims=True)


def _rows(probabilities: ArrayLike) -> np.ndarray:
    probabilities = np.asarray(probabilities, float)
    if probabilities.ndim != 2:
        raise InputError(f"probabilities of shape {probabilities.shape}; give (N, K)")
    return probabilities


def _prior(prior: Prior, classes: int, names: Sequence[str] | None, argument: str) -> np.ndarray:
    """Frequencies in the order of the classes, checked."""
    if isinstance(prior, Mapping):
        if names is None or set(prior) != set(names):
            raise InputError(
                f"{argument} names {sorted(prior)}; give a frequency for each of the classes "
                f"{list(names) if names is not None else '(name them with names=)'}"
            )
        prior = [prior[name] for name in names]
    values = np.asarray(prior, float)
    if values.shape != (classes,):
        raise InputError(f"{argument} has shape {values.shape}; give one for each of {classes}")
    if not (np.isfinite(values) & (values > 0)).all():
        raise InputError(f"{argument}={values.tolist()} must be above 0 for every class")
    if abs(values.sum() - 1) > 1e-6:
        raise InputError(
            f"{argument}={values.tolist()} sums to {values.sum():g}, not 1; divide by the sum"
        )
    return values / values.sum()

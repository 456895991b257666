"""Probabilities that mean what they say: a temperature learnt from rows that were held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from gmc_astro.exceptions import InputError
from gmc_astro.learning.folds import out_of_fold_logits
from gmc_astro.learning.metrics import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
)

__all__ = [
    "CalibrationReport",
    "Calibrator",
    "calibration_report",
    "cross_calibrated",
    "fit_calibrator",
    "report_of",
]

KINDS = ("none", "temperature", "vector")
FEWEST = 20  # labels that every class must have before "auto" looks at vector scaling
SPREAD = 0.5  # prior standard deviation of ln(temperature), and of each scale and bias
_LARGEST = np.log(50.0)  # of |ln(temperature)|


@dataclass(frozen=True)
class Calibrator:
    """Turns logits into probabilities: softmax(scale * logits / temperature + bias).

    Parameters
    ----------
    temperature : float, optional
        Above 1 makes probabilities less certain, below 1 more.
    scale, bias : `~numpy.ndarray`, shape (K,), optional
        Factor and offset of each class; ones and zeros, for any K, unless the kind is
        ``"vector"``.
    kind : {"none", "temperature", "vector"}, optional
        How it was fitted.

    Examples
    --------
    >>> from gmc_astro.learning import Calibrator
    >>> Calibrator(temperature=2.0).apply([[2.0, 0.0]]).round(3)
    array([[0.731, 0.269]])
    """

    temperature: float = 1.0
    scale: np.ndarray = field(default_factory=lambda: np.ones(1))
    bias: np.ndarray = field(default_factory=lambda: np.zeros(1))
    kind: str = "none"

    def apply(self, logits: ArrayLike) -> np.ndarray:
        """Calibrated probabilities.

        Parameters
        ----------
        logits : array_like, shape (N, K)
            Logits, or logarithms of probabilities; NaN rows stay NaN.

        Returns
        -------
        probabilities : `~numpy.ndarray`, shape (N, K), dtype float64
            Rows sum to 1.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the logits are not (N, K), or of other classes than the calibrator.
        """
        logits = _rows(logits)
        if len(self.scale) not in (1, logits.shape[1]):
            raise InputError(
                f"logits of {logits.shape[1]} classes for a calibrator of {len(self.scale)}; "
                "fit it on logits of the same classes"
            )
        return softmax(self.scale * (logits / self.temperature) + self.bias, axis=1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the calibrator as named arrays of numbers, as a checkpoint keeps them.

        Returns
        -------
        arrays : dict of str to `~numpy.ndarray`
            `from_arrays` reads them back.
        """
        return {
            "temperature": np.array([self.temperature]),
            "scale": np.asarray(self.scale, float),
            "bias": np.asarray(self.bias, float),
            "kind": np.array([KINDS.index(self.kind)]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Calibrator:
        """Read what `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to `~numpy.ndarray`
            Named arrays.

        Returns
        -------
        calibrator : `Calibrator`
            The same one.
        """
        return cls(
            float(arrays["temperature"][0]),
            np.asarray(arrays["scale"]),
            np.asarray(arrays["bias"]),
            KINDS[int(arrays["kind"][0])],
        )


@dataclass(frozen=True)
class CalibrationReport:
    """How good probabilities are before and after calibration.

    Parameters
    ----------
    ece_before, ece_after : float
        `~gmc_astro.learning.expected_calibration_error`.
    brier_before, brier_after : float
        `~gmc_astro.learning.brier_score`.
    nll_before, nll_after : float
        `~gmc_astro.learning.negative_log_likelihood`, in nats.
    rows : int
        Labelled rows measured on.
    kind : str
        Kind of the calibrator.
    temperature : float
        Its temperature.

    Examples
    --------
    >>> from gmc_astro.learning import CalibrationReport
    >>> print(CalibrationReport(0.2, 0.05, 0.4, 0.3, 0.9, 0.6, 50, "temperature", 2.5))
    calibration: temperature, T = 2.50, 50 labelled rows
                           before  after
    calibration error       0.200  0.050
    Brier score             0.400  0.300
    log loss                0.900  0.600
    """

    ece_before: float
    ece_after: float
    brier_before: float
    brier_after: float
    nll_before: float
    nll_after: float
    rows: int
    kind: str
    temperature: float

    def __str__(self) -> str:
        lines = [
            f"calibration: {self.kind}, T = {self.temperature:.2f}, {self.rows} labelled rows",
            f"{'':22s} before  after",
        ]
        for name, before, after in (
            ("calibration error", self.ece_before, self.ece_after),
            ("Brier score", self.brier_before, self.brier_after),
            ("log loss", self.nll_before, self.nll_after),
        ):
            lines.append(f"{name:22s} {before:6.3f} {after:6.3f}")
        return "\n".join(lines)


def fit_calibrator(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    kind: str = "auto",
    weights: ArrayLike | None = None,
    random_state: int = 0,
) -> Calibrator:
    """Learn a temperature, or a factor and an offset a class, from held-out logits.

    Minimises the sum over rows of the negative log-likelihood. A normal prior of standard
    deviation 0.5 on ln(temperature) keeps few rows from saying too much (twenty rows that are all
    right would ask for temperature 0); with some hundred rows it no longer matters. Vector scaling
    starts at that temperature and has the same prior on each scale around 1 and bias around 0.

    Parameters
    ----------
    logits : array_like, shape (N, K)
        Logits of rows that the classifier was not fitted on, as
        `~gmc_astro.learning.out_of_fold_logits` gives them. NaN rows are left out.
    targets : array_like of int, shape (N,)
        True class of each row, -1 where it is not known.
    kind : {"auto", "none", "temperature", "vector"}, optional
        ``"auto"`` takes vector scaling if every class has at least 20 labels and its
        cross-validated negative log-likelihood is lower than the temperature's by more than one
        standard error of the difference; else the temperature.
    weights : array_like, shape (N,), optional
        Weight of each row, 0 or more; only their ratios matter.
    random_state : int, optional
        Seed of the folds of ``"auto"``.

    Returns
    -------
    calibrator : `Calibrator`
        The calibrator.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the kind is not known, shapes do not fit, a target is no class, a weight is negative,
        or no row can be used.

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import fit_calibrator
    >>> logits = np.array([[4.0, 0.0]] * 100)  # 98 % sure, and right in 70 %
    >>> calibrator = fit_calibrator(logits, [0] * 70 + [1] * 30)
    >>> calibrator.apply([[4.0, 0.0]]).round(1)
    array([[0.7, 0.3]])
    """
    if kind not in ("auto", *KINDS):
        raise InputError(f"kind={kind!r} is not one of {('auto', *KINDS)}")
    logits, targets, weights = _usable(logits, targets, weights)
    if kind == "auto":
        kind = _better_kind(logits, targets, weights, random_state)
    if kind == "none":
        return Calibrator()
    temperature = _fit_temperature(logits, targets, weights)
    if kind == "temperature":
        return Calibrator(temperature, kind=kind)
    scale, bias = _fit_vector(logits / temperature, targets, weights)
    return Calibrator(temperature, scale, bias, kind)


def calibration_report(
    logits: ArrayLike,
    targets: ArrayLike,
    calibrator: Calibrator,
    *,
    held_out: bool = False,
    weights: ArrayLike | None = None,
    folds: int = 5,
    random_state: int = 0,
) -> CalibrationReport:
    """Measure what a calibrator does.

    Parameters
    ----------
    logits, targets
        As for `fit_calibrator`.
    calibrator : `Calibrator`
        What is measured.
    held_out : bool, optional
        True if the calibrator was fitted on other rows than these. By default it was fitted on
        these very rows, and the numbers after calibration are those of calibrators of its
        kind, each fitted on the other folds than it is measured on.
    weights : array_like, shape (N,), optional
        Weights that the calibrator was fitted with; the measures are not weighted.
    folds, random_state
        As for `~gmc_astro.learning.out_of_fold_logits`.

    Returns
    -------
    report : `CalibrationReport`
        The numbers.

    Raises
    ------
    gmc_astro.exceptions.InputError
        As for `fit_calibrator`, or if fewer than 2 rows can be used to cross-validate.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import calibration_report, fit_calibrator
    >>> logits, targets = np.array([[4.0, 0.0]] * 400), [0] * 280 + [1] * 120
    >>> report = calibration_report(logits, targets, fit_calibrator(logits, targets))
    >>> report.ece_before > 0.25, report.ece_after < 0.05
    (True, True)
    """
    logits, targets, weights = _usable(logits, targets, weights)
    if held_out:
        after = calibrator.apply(logits)
    else:
        options = {"weights": weights, "folds": folds, "random_state": random_state}
        after = cross_calibrated(logits, targets, calibrator.kind, **options)
    return report_of(logits, targets, calibrator, after)


def report_of(
    logits: np.ndarray, targets: np.ndarray, calibrator: Calibrator, after: np.ndarray
) -> CalibrationReport:
    """Compare the probabilities of logits with calibrated ones.

    Parameters
    ----------
    logits : `~numpy.ndarray`, shape (N, K)
        Logits.
    targets : `~numpy.ndarray` of int, shape (N,)
        True classes.
    calibrator : `Calibrator`
        What calibrated.
    after : `~numpy.ndarray`, shape (N, K)
        Calibrated probabilities, as `cross_calibrated` gives them.

    Returns
    -------
    report : `CalibrationReport`
        The numbers.
    """
    before = softmax(logits, axis=1)
    measures = (expected_calibration_error, brier_score, negative_log_likelihood)
    pairs = [measure(p, targets) for measure in measures for p in (before, after)]
    return CalibrationReport(*pairs, len(targets), calibrator.kind, calibrator.temperature)


def cross_calibrated(
    logits: np.ndarray,
    targets: np.ndarray,
    kind: str,
    *,
    weights: np.ndarray,
    folds: int = 5,
    random_state: int = 0,
) -> np.ndarray:
    """Probabilities of every row from a calibrator that was fitted on the other folds.

    Parameters
    ----------
    logits : `~numpy.ndarray`, shape (N, K)
        Logits.
    targets : `~numpy.ndarray` of int, shape (N,)
        True classes.
    kind : {"none", "temperature", "vector"}
        As for `fit_calibrator`.
    weights : `~numpy.ndarray`, shape (N,)
        Weights of the rows.
    folds, random_state
        As for `~gmc_astro.learning.out_of_fold_logits`.

    Returns
    -------
    probabilities : `~numpy.ndarray`, shape (N, K)
        Calibrated by what was learnt from other rows.
    """
    if kind == "none":
        return softmax(logits, axis=1)

    def fit(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        fitted = fit_calibrator(logits[rows], targets[rows], kind=kind, weights=weights[rows])
        return lambda others: fitted.apply(logits[others])

    return out_of_fold_logits(fit, targets, folds=folds, random_state=random_state)


def _better_kind(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, random_state: int
) -> str:
    """Vector scaling where it has labels enough and is better by more than chance."""
    if np.bincount(targets, minlength=logits.shape[1]).min() < FEWEST:
        return "temperature"
    losses = []
    for kind in ("temperature", "vector"):
        found = cross_calibrated(logits, targets, kind, weights=weights, random_state=random_state)
        of_truth = found[np.arange(len(targets)), targets]
        losses.append(-np.log(np.maximum(of_truth, np.finfo(float).tiny)))
    gain = weights * (losses[0] - losses[1])
    return "vector" if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)) else "temperature"


def _fit_temperature(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Temperature of the largest posterior probability."""
    rows = np.arange(len(targets))

    def loss(log_t: float) -> float:
        log_p = log_softmax(logits / np.exp(log_t), axis=1)[rows, targets]
        return float(-(weights * log_p).sum() + 0.5 * (log_t / SPREAD) ** 2)

    found = minimize_scalar(loss, bounds=(-_LARGEST, _LARGEST), method="bounded")
    return float(np.exp(found.x))


def _fit_vector(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset of each class, near 1 and 0; a convex problem."""
    classes = logits.shape[1]
    onehot = np.eye(classes)[targets]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = flat[:classes], flat[classes:]
        log_p = log_softmax(scale * logits + bias, axis=1)
        error = weights[:, None] * (np.exp(log_p) - onehot)
        pull = np.concatenate([scale - 1, bias]) / SPREAD**2
        value = -(weights[:, None] * onehot * log_p).sum()
        value += 0.5 * SPREAD**2 * (pull**2).sum()
        return value, np.concatenate([(error * logits).sum(0), error.sum(0)]) + pull

    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    bounds = [(0, None)] * classes + [(None, None)] * classes
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:classes], found.x[classes:]


def _rows(logits: ArrayLike) -> np.ndarray:
    logits = np.asarray(logits, float)
    if logits.ndim != 2:
        raise InputError(f"logits of shape {logits.shape}; give (N, K)")
    return logits


def _usable(
    logits: ArrayLike, targets: ArrayLike, weights: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that have logits, a class and a weight; weights of mean 1."""
    logits, targets = _rows(logits), np.asarray(targets)
    weights = np.ones(len(logits)) if weights is None else np.asarray(weights, float)
    if targets.shape != logits.shape[:1] or weights.shape != targets.shape:
        raise InputError(
            f"logits, targets and weights of shapes {logits.shape}, {targets.shape} and "
            f"{weights.shape}; give (N, K), (N,) and (N,)"
        )
    if targets.dtype.kind not in "iu" or targets.max(initial=0) >= logits.shape[1]:
        raise InputError(
            f"targets must be class numbers below {logits.shape[1]}, -1 where not known; "
            f"found {targets.dtype} up to {targets.max(initial=0)}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError("weights must be 0 or more; leave rows out with 0")
    usable = np.isfinite(logits).all(axis=1) & (targets >= 0) & (weights > 0)
    if not usable.any():
        raise InputError("no row has logits, a class and a weight; give at least one")
    weights = weights[usable]
    return logits[usable], targets[usable].astype(int), weights / weights.mean()

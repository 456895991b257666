"""A logistic head that starts where zero-shot classification is: at the classes' text embeddings.

With few labels it stays near what the words say, with many it goes where the labels lead.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from gmc_astro.exceptions import ConvergenceWarning

__all__ = ["LinearHead", "fit_probe"]

#: Strengths of the pull towards the text embeddings that cross-validation chooses from.
STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(-4, 2.5, 0.5))
_LARGE = 2_000_000  # numbers from which a product is worth more than one thread
_TO_COMPARE = 1e-6  # change of the loss, as a share of it, at which a fit that compares pulls ends
_CURVATURE = 0.1  # of the cross-entropy in a logit, roughly: p (1 - p)
_RULE = 1.0  # strength where there are too few labels a class to cross-validate


@dataclass(frozen=True)
class LinearHead:
    """A linear classifier on unit embeddings.

    Parameters
    ----------
    weights : `~numpy.ndarray`, shape (K, D)
        One vector a class.
    bias : `~numpy.ndarray`, shape (K,)
        One offset a class.
    scale : float
        Factor on the cosine similarities.
    strength : float, optional
        Pull towards the text embeddings that the fit used; NaN for a zero-shot head.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import LinearHead
    >>> head = LinearHead.zero_shot(np.array([[1.0, 0.0], [0.0, 1.0]]), scale=10.0)
    >>> head.predict_proba(np.array([[0.8, 0.6]])).round(2)
    array([[0.88, 0.12]])
    """

    weights: np.ndarray
    bias: np.ndarray
    scale: float
    strength: float = float("nan")

    @classmethod
    def zero_shot(cls, text_embeddings: np.ndarray, scale: float) -> LinearHead:
        """Head that compares images with the classes' text embeddings and nothing else.

        Parameters
        ----------
        text_embeddings : `~numpy.ndarray`, shape (K, D)
            Unit vectors.
        scale : float
            The encoder's logit scale.

        Returns
        -------
        head : `LinearHead`
            The head, without bias.
        """
        return cls(np.asarray(text_embeddings, float), np.zeros(len(text_embeddings)), scale)

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Class probabilities.

        Parameters
        ----------
        embeddings : `~numpy.ndarray`, shape (N, D)
            Unit vectors; NaN rows give NaN probabilities.

        Returns
        -------
        probabilities : `~numpy.ndarray`, shape (N, K), dtype float64
            Rows sum to 1.
        """
        return softmax(self.logits(embeddings), axis=1)

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Logits, of which `predict_proba` gives the softmax.

        Parameters
        ----------
        embeddings : `~numpy.ndarray`, shape (N, D)
            Unit vectors; NaN rows give NaN.

        Returns
        -------
        logits : `~numpy.ndarray`, shape (N, K), dtype float64
            Not normalised.
        """
        return self.scale * np.asarray(embeddings, float) @ self.weights.T + self.bias

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the head as named arrays, as a checkpoint keeps them.

        Returns
        -------
        arrays : dict of str to `~numpy.ndarray`
            `from_arrays` reads them back.
        """
        return {
            "weights": self.weights,
            "bias": self.bias,
            "scale": np.array([self.scale]),
            "strength": np.array([self.strength]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> LinearHead:
        """Read what `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to `~numpy.ndarray`
            Named arrays.

        Returns
        -------
        head : `LinearHead`
            The same one.
        """
        return cls(
            arrays["weights"],
            arrays["bias"],
            float(arrays["scale"][0]),
            float(arrays["strength"][0]),
        )


def fit_probe(
    embeddings: np.ndarray,
    targets: np.ndarray,
    text_embeddings: np.ndarray,
    *,
    scale: float,
    strength: float | None = None,
    weights: np.ndarray | None = None,
    random_state: int = 0,
) -> LinearHead:
    """Fit a logistic head that starts at, and is pulled towards, the text embeddings.

    Minimises the mean cross-entropy plus ``strength`` times the squared distance to the text
    embeddings, in units in which the embeddings are scaled by ``scale``. A class without any
    label keeps its text embedding.

    Parameters
    ----------
    embeddings : `~numpy.ndarray`, shape (N, D)
        Unit vectors of the labelled images.
    targets : `~numpy.ndarray` of int, shape (N,), or float, shape (N, K)
        Class of each image, 0 to K - 1, or the share of each class (votes), rows of sum 1.
    text_embeddings : `~numpy.ndarray`, shape (K, D)
        Unit vectors of the classes' prompts.
    scale : float
        The encoder's logit scale.
    strength : float, optional
        Strength of the pull. Default is chosen by cross-validation among the labelled images:
        the largest whose loss is within a standard error of the smallest; 1 where a class has
        fewer than 3 of them.
    weights : `~numpy.ndarray`, shape (N,), optional
        Weight of each image, 0 or more.
    random_state : int, optional
        Seed of the folds.

    Returns
    -------
    head : `LinearHead`
        The fitted head.

    References
    ----------
    Silva-Rodriguez et al. 2024, arXiv:2312.12730 (zero-shot-initialised linear probe);
    Huang et al. 2024, arXiv:2404.02285 (LP++); Breiman et al. 1984, "Classification and
    Regression Trees", section 3.4.3 (one standard error).

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import fit_probe
    >>> words = np.eye(2, 8)
    >>> rng = np.random.default_rng(0)
    >>> vectors = words[[0, 0, 0, 1, 1, 1]] + 0.1 * rng.normal(size=(6, 8))
    >>> vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    >>> head = fit_probe(vectors, np.array([0, 0, 0, 1, 1, 1]), words, scale=10.0)
    >>> head.predict_proba(vectors).argmax(axis=1)
    array([0, 0, 0, 1, 1, 1])
    """
    rows = _Rows.of(scale * np.asarray(embeddings, np.float64), targets, weights, text_embeddings)
    start = np.asarray(text_embeddings, np.float64)
    with threadpool_limits(1 if rows.features.size < _LARGE else None):
        if strength is None:
            strength = _choose_strength(rows, start, random_state)
        found, bias = _solve(rows, start, strength)
    return LinearHead(found, bias, scale, strength)


@dataclass(frozen=True)
class _Rows:
    """Features with the share of each class and a weight, of mean 1."""

    features: np.ndarray
    shares: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        start: np.ndarray,
    ) -> _Rows:
        targets = np.asarray(targets)
        shares = np.eye(len(start))[targets] if targets.ndim == 1 else targets.astype(float)
        weights = np.ones(len(shares)) if weights is None else np.asarray(weights, float)
        return cls(features, shares, weights / weights.mean())

    def __getitem__(self, rows: np.ndarray) -> _Rows:
        return _Rows(self.features[rows], self.shares[rows], self.weights[rows])

    @cached_property
    def with_ones(self) -> np.ndarray:
        """Features and a last one that is 1."""
        return np.column_stack([self.features, np.ones(len(self.features))])

    @cached_property
    def _principal(self) -> tuple[np.ndarray, np.ndarray]:
        weighted = self.weights[:, None] * self.with_ones
        return np.linalg.eigh(weighted.T @ self.with_ones / len(weighted))

    @property
    def variances(self) -> np.ndarray:
        """Mean square of the features along each principal axis."""
        return np.maximum(self._principal[0], 0)

    @property
    def axes(self) -> np.ndarray:
        """Principal axes, as columns."""
        return self._principal[1]

    @cached_property
    def in_axes(self) -> np.ndarray:
        """Features along the principal axes."""
        return self.with_ones @ self.axes

    def losses(self, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Weighted cross-entropy of each row."""
        log_p = log_softmax(self.features @ weights.T + bias, axis=1)
        return -self.weights * (self.shares * log_p).sum(axis=1)


def _choose_strength(rows: _Rows, start: np.ndarray, random_state: int) -> float:
    """Largest strength whose cross-validated loss is within a standard error of the smallest.

    The error is that of the paired difference. Leaving what the words say takes evidence: with
    few labels the smallest loss is often the smallest by chance. Weaker and weaker pulls are
    tried until one is worse than the best by more than that error.
    """
    best = rows.shares.argmax(axis=1)
    present = np.bincount(best, minlength=len(start))
    fewest = present[present > 0].min()
    if fewest < 3:
        return _RULE
    folds = StratifiedKFold(min(5, int(fewest)), shuffle=True, random_state=random_state)
    parts = [(rows[train], test) for train, test in folds.split(rows.features, best)]
    found: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(parts)
    falling = STRENGTHS[::-1]
    losses = np.empty((0, len(best)))
    for strength in falling:
        losses = np.vstack([losses, np.zeros(len(best))])
        for k, (known, test) in enumerate(parts):  # from where the stronger pull ended
            found[k] = _solve(known, start, strength, found[k], exact=_TO_COMPARE)
            losses[-1, test] = rows[test].losses(*found[k])
        excess = losses - losses[losses.mean(axis=1).argmin()]
        within = excess.mean(axis=1) <= excess.std(axis=1, ddof=1) / np.sqrt(len(best))
        if not within[-1]:  # the weakest pulls take the longest to fit
            break
    return falling[int(within.argmax())]


def _solve(
    rows: _Rows,
    start: np.ndarray,
    strength: float,
    first: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    exact: float = 1e-9,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise with L-BFGS, from the text embeddings or a first guess.

    The bias is the weight of a feature that is 1. The minimum is sought in the features' principal
    axes, each in units in which the curvature is about 1: that takes a tenth of the steps.
    """
    origin = np.column_stack([start, np.zeros(len(start))])
    shares = rows.weights[:, None] * rows.shares
    labelled = (shares.sum(axis=0) > 0)[:, None]
    units = 1 / np.sqrt(_CURVATURE * rows.variances + 2 * strength)
    features = rows.in_axes * units
    at_start = rows.with_ones @ origin.T

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        moved = flat.reshape(len(start), -1)
        log_p = log_softmax(at_start + features @ moved.T, axis=1)
        error = (rows.weights[:, None] * np.exp(log_p) - shares) / len(features)
        pull = units**2 * moved
        value = -(shares * log_p).sum() / len(features) + strength * (pull * moved).sum()
        return value, (labelled * (error.T @ features + 2 * strength * pull)).ravel()

    guess = np.zeros_like(origin)
    if first is not None:
        guess = (np.column_stack(first) - origin) @ rows.axes / units
    ends = exact * min(objective(guess.ravel())[0], 1.0)  # SciPy's is a share of 1 or more
    result = minimize(
        objective,
        guess.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxfun": 2000, "ftol": ends},
    )
    if not result.success:
        warnings.warn(f"the probe's fit stopped early: {result.message}", ConvergenceWarning, 4)
    found = origin + (units * result.x.reshape(origin.shape)) @ rows.axes.T
    return found[:, :-1], found[:, -1]

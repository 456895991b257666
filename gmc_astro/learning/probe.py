"""A logistic head that starts where zero-shot classification is: at the classes' text embeddings.

With few labels it stays near what the words say, with many it goes where the labels lead.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold

from gmc_astro.exceptions import ConvergenceWarning

__all__ = ["LinearHead", "fit_probe"]

#: Strengths of the pull towards the text embeddings that cross-validation chooses from.
STRENGTHS = tuple(10.0 ** np.arange(-4, 1.5, 0.5))
_RULE = 0.1  # strength where there are too few labels a class to cross-validate


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
        logits = self.scale * np.asarray(embeddings, float) @ self.weights.T + self.bias
        return softmax(logits, axis=1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the head as named arrays, as a checkpoint keeps them."""
        return {
            "weights": self.weights,
            "bias": self.bias,
            "scale": np.array([self.scale]),
            "strength": np.array([self.strength]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> LinearHead:
        """Read what `to_arrays` gave."""
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
    random_state: int = 0,
) -> LinearHead:
    """Fit a logistic head that starts at, and is pulled towards, the text embeddings.

    Minimises the mean cross-entropy plus ``strength`` times the squared distance to the text
    embeddings, in units in which the embeddings are scaled by ``scale``.

    Parameters
    ----------
    embeddings : `~numpy.ndarray`, shape (N, D)
        Unit vectors of the labelled images.
    targets : `~numpy.ndarray` of int, shape (N,)
        Class of each image, 0 to K - 1.
    text_embeddings : `~numpy.ndarray`, shape (K, D)
        Unit vectors of the classes' prompts.
    scale : float
        The encoder's logit scale.
    strength : float, optional
        Strength of the pull. Default is chosen by cross-validation among the labelled images,
        or by rule where a class has fewer than 3 of them.
    random_state : int, optional
        Seed of the folds.

    Returns
    -------
    head : `LinearHead`
        The fitted head.

    References
    ----------
    Silva-Rodriguez et al. 2024, arXiv:2312.12730 (zero-shot-initialised linear probe);
    Huang et al. 2024, arXiv:2404.02285 (LP++).
    """
    features = scale * np.asarray(embeddings, np.float64)
    start = np.asarray(text_embeddings, np.float64)
    if strength is None:
        strength = _choose_strength(features, targets, start, random_state)
    weights, bias = _solve(features, targets, start, strength)
    return LinearHead(weights, bias, scale, strength)


def _choose_strength(
    features: np.ndarray, targets: np.ndarray, start: np.ndarray, random_state: int
) -> float:
    """Strength with the smallest cross-validated cross-entropy."""
    present = np.bincount(targets, minlength=len(start))
    fewest = present[present > 0].min()
    if fewest < 3:
        return _RULE
    folds = StratifiedKFold(min(5, int(fewest)), shuffle=True, random_state=random_state)
    losses = np.zeros(len(STRENGTHS))
    for train, test in folds.split(features, targets):
        for i, strength in enumerate(STRENGTHS):
            weights, bias = _solve(features[train], targets[train], start, strength)
            losses[i] += _cross_entropy(features[test] @ weights.T + bias, targets[test]) * len(
                test
            )
    return float(STRENGTHS[int(np.argmin(losses))])


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(targets)), targets].mean())


def _solve(
    features: np.ndarray, targets: np.ndarray, start: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise with L-BFGS from the text embeddings."""
    n, (classes, dim) = len(features), start.shape
    onehot = np.eye(classes)[targets]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[: classes * dim].reshape(classes, dim), flat[classes * dim :]
        log_p = log_softmax(features @ weights.T + bias, axis=1)
        error = (np.exp(log_p) - onehot) / n
        pull = weights - start
        value = -(onehot * log_p).sum() / n + strength * ((pull**2).sum() + (bias**2).sum())
        gradient = np.concatenate(
            [(error.T @ features + 2 * strength * pull).ravel(), error.sum(0) + 2 * strength * bias]
        )
        return value, gradient

    result = minimize(
        objective,
        np.concatenate([start.ravel(), np.zeros(classes)]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "maxfun": 1000},
    )
    if not result.success:
        warnings.warn(f"the probe's fit stopped early: {result.message}", ConvergenceWarning, 4)
    return result.x[: classes * dim].reshape(classes, dim), result.x[classes * dim :]

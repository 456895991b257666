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
#: Shares of the way from the start to the end of a fit that are chosen from.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LARGE = 2_000_000  # numbers from which a product is worth more than one thread
_TO_COMPARE = 1e-6  # tolerance of a fit that compares pulls
_CURVATURE = 0.1  # of the cross-entropy in a logit, roughly: p (1 - p)
_HELD = 1e-3  # curvature of the loss, as a share of the pull's, below which an axis stays put
_FEWEST = 3  # labels of a class from which some are held out
_ERRORS = 1.5  # standard errors that the next part of the way must be worth; 1 with many labels
_ENOUGH = 20  # labels of such classes that suffice where another class has fewer
_MANY = 500  # labels from which chance weighs less
_LEAST = 1.0  # strength times labels, where these are not many: words count for a label at least
_RULE = (1.0, 0.5)  # strength and share where there are too few labels to cross-validate


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
    share : float, optional
        Share of the way from the text embeddings to the fit that the head went.

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
    share: float = 1.0

    @property
    def pull(self) -> dict[str, float]:
        """Options of `fit_probe` that fit other rows as this head was fitted."""
        return {"strength": self.strength, "share": self.share}

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
            "share": np.array([self.share]),
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
            float(arrays["share"][0]) if "share" in arrays else 1.0,
        )


def fit_probe(
    embeddings: np.ndarray,
    targets: np.ndarray,
    text_embeddings: np.ndarray,
    *,
    scale: float,
    strength: float | None = None,
    share: float | None = None,
    weights: np.ndarray | None = None,
    tolerance: float = 1e-9,
    random_state: int = 0,
) -> LinearHead:
    """Fit a logistic head that starts at, and is pulled towards, the text embeddings.

    Minimises the mean cross-entropy plus ``strength`` times the squared distance to the text
    embeddings, in units in which the embeddings are scaled by ``scale``, and goes a share of the
    way there. A class without any label keeps its text embedding.

    Parameters
    ----------
    embeddings : `~numpy.ndarray`, shape (N, D)
        Unit vectors of the labelled images.
    targets : `~numpy.ndarray` of int, shape (N,), or float, shape (N, K)
        Class of each image, 0 to K - 1, or the share of each class (votes), rows of sum 1.
    text_embeddings : `~numpy.ndarray`, shape (K, D)
        Unit vectors of the classes' prompts. A class whose vector is NaN, as it has no words,
        starts at its mean image; in a cross-validation at that of the images not held out.
    scale : float
        The encoder's logit scale.
    strength : float, optional
        Strength of the pull. Default is the one with the smallest loss in a cross-validation
        among the labelled images, with fewer than 500 of them no less than 1 / N; it is 1 where
        a class has fewer than 3 labels, and the others fewer than 20 together.
    share : float, optional
        Share of the way from the text embeddings to the minimum. Default is the smallest of
        0, 1/4, 1/2, 3/4 and 1 whose cross-validated loss is within 1.5 standard errors of the
        smallest, with 500 labels or more within 1; that with the smallest loss where the text
        embeddings say less than the classes' frequencies; 1/2 for lack of labels; 1 where
        ``strength`` is given.
    weights : `~numpy.ndarray`, shape (N,), optional
        Weight of each image, 0 or more.
    tolerance : float, optional
        Change of the loss in a step, as a share of it, at which the fit ends.
    random_state : int, optional
        Seed of the folds.

    Returns
    -------
    head : `LinearHead`
        The fitted head.

    References
    ----------
    Silva-Rodriguez et al. 2024, arXiv:2312.12730 (zero-shot-initialised linear probe);
    Huang et al. 2024, arXiv:2404.02285 (LP++); Wortsman et al. 2021, arXiv:2109.01903 (part of the
    way); Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3 (standard
    errors as a bar).

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
    words = np.asarray(text_embeddings, np.float64)
    with threadpool_limits(1 if rows.features.size < _LARGE else None):
        usual = 1.0
        if strength is None:
            strength, usual = _choose_pull(rows, words, random_state)
        share = usual if share is None else share
        start = rows.start(words, rows.weights)
        found = _solve(rows, rows.weights[None], start[None], strength, tolerance=tolerance)[0]
    weights, bias = found[:, :-1], found[:, -1]
    return LinearHead(start + share * (weights - start), share * bias, scale, strength, share)


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

    def start(self, words: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The words (K, D); for NaN the mean of the class's rows, zero where it has none."""
        sums = self.shares.T @ (weights[:, None] * self.features)
        means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        return np.where(np.isnan(words), means, words)

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


def _choose_pull(rows: _Rows, words: np.ndarray, random_state: int) -> tuple[float, float]:
    """Strength with the smallest cross-validated loss, and the share of the way that it is worth.

    Weaker and weaker pulls are tried until one is worse than the best by more than a standard
    error. Leaving what the words say takes evidence: with few labels the smallest loss is often
    the smallest by chance. Words that say less than the classes' frequencies have no such credit.
    Of a class with fewer than 3 labels none is held out.
    """
    best = rows.shares.argmax(axis=1)
    counts = np.bincount(best, minlength=len(words))
    held = np.flatnonzero(counts[best] >= _FEWEST)
    if len(held) < (_ENOUGH if len(held) < len(best) else 1):
        return _RULE
    count = min(5, counts[counts >= _FEWEST].min())
    folds = StratifiedKFold(count, shuffle=True, random_state=random_state)
    fold = np.full(len(best), -1)  # of which a row is held out
    for k, (_, test) in enumerate(folds.split(held, best[held])):
        fold[held[test]] = k
    parts = rows.weights * (fold != np.arange(count)[:, None])
    starts = np.stack([rows.start(words, weights) for weights in parts])

    def held_out(heads: np.ndarray, features: np.ndarray) -> np.ndarray:
        return np.tensordot(heads, features.T, 1)[fold[held], :, held]

    def losses_of(logits: np.ndarray) -> np.ndarray:
        log_p = log_softmax(logits, axis=-1)
        return -rows.weights[held] * (rows.shares[held] * log_p).sum(axis=-1)

    least, errors = (0.0, 1.0) if len(held) >= _MANY else (_LEAST / len(best), _ERRORS)
    falling = [strength for strength in STRENGTHS[::-1] if strength >= least]
    found, ends, losses = None, [], []
    for strength in falling:  # each from where the stronger pull ended
        found = _solve(rows, parts, starts, strength, found, tolerance=_TO_COMPARE)
        ends.append(held_out(found, rows.with_ones))
        losses.append(losses_of(ends[-1]))
        if not _near_the_best(np.array(losses), 1.0)[-1]:  # the weakest take the longest to fit
            break
    chosen = int(np.mean(losses, axis=1).argmin())
    began, ended = held_out(starts, rows.features), ends[chosen]
    on_the_way = losses_of(np.stack([began + share * (ended - began) for share in SHARES]))
    frequencies = rows.weights[held] @ rows.shares[held] / len(held)
    trusted = on_the_way[0].mean() < losses_of(np.log(np.maximum(frequencies, 1e-12))).mean()
    near = _near_the_best(on_the_way, errors if trusted else 0.0)
    return falling[chosen], SHARES[int(near.argmax())]


def _near_the_best(losses: np.ndarray, errors: float) -> np.ndarray:
    """Which rows of losses (A, N) have a mean within some standard errors of the smallest.

    The error is that of the paired difference.
    """
    excess = losses - losses[losses.mean(axis=1).argmin()]
    error = excess.std(axis=1, ddof=1) / np.sqrt(losses.shape[1])
    return excess.mean(axis=1) <= errors * error


def _solve(
    rows: _Rows,
    weights: np.ndarray,
    start: np.ndarray,
    strength: float,
    first: np.ndarray | None = None,
    *,
    tolerance: float,
) -> np.ndarray:
    """Fit some heads with L-BFGS, each to other weights (A, N) of the rows.

    They start at text embeddings (A, K, D), or where ``first`` (A, K, D + 1) says, and the heads
    found are such: the bias is the weight of a feature that is 1. The minimum is sought in the
    features' principal axes, each in units in which the curvature is about 1: that takes a tenth
    of the steps. Axes along which the features hardly vary are left out, as the pull would hold
    them where they are; and one product of matrices for all heads takes half as long as one each.
    """
    origin = np.concatenate([start, np.zeros_like(start[..., :1])], axis=-1)
    weights = (weights / weights.sum(axis=1, keepdims=True))[:, None]
    shares = weights * rows.shares.T
    labelled = (shares.sum(axis=-1) > 0)[..., None]
    curvature, pulled = _CURVATURE * rows.variances, 2 * strength
    moving = curvature >= min(_HELD * pulled, curvature.max())
    axes, units = rows.axes[:, moving], 1 / np.sqrt(curvature[moving] + pulled)
    features = rows.in_axes[:, moving] * units
    at_start = np.tensordot(origin, rows.with_ones.T, 1)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        moved = flat.reshape(guess.shape)
        log_p = log_softmax(at_start + np.tensordot(moved, features.T, 1), axis=1)
        error = weights * np.exp(log_p) - shares
        pull = units**2 * moved
        value = -(shares * log_p).sum() + strength * (pull * moved).sum()
        slope = np.tensordot(error, features, 1) + pulled * pull
        return value, (labelled * slope).ravel()

    guess = np.zeros((*start.shape[:2], len(units)))
    if first is not None:
        guess = (first - origin) @ axes / units
    ends = tolerance * min(objective(guess.ravel())[0], 1.0)  # SciPy's is a share of 1 or more
    result = minimize(
        objective,
        guess.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxfun": 2000, "ftol": ends},
    )
    if not result.success:
        warnings.warn(f"the probe's fit stopped early: {result.message}", ConvergenceWarning, 4)
    return origin + (units * result.x.reshape(guess.shape)) @ axes.T

"""Scores of a classifier, how sure they are, and whether one method is better than another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from gmc_astro.exceptions import InputError
from gmc_astro.learning import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
)

__all__ = [
    "bootstrap_interval",
    "classification_metrics",
    "macro_f1",
    "mcnemar_test",
    "paired_test",
]


def classification_metrics(
    probabilities: ArrayLike, targets: ArrayLike, names: Sequence[str]
) -> dict[str, Any]:
    """Score class probabilities against the truth.

    Parameters
    ----------
    probabilities : array_like, shape (N, K)
        Class probabilities; rows sum to 1.
    targets : array_like of int, shape (N,)
        True class of each row, 0 to K - 1.
    names : sequence of str, shape (K,)
        Names of the classes.

    Returns
    -------
    metrics : dict
        ``accuracy`` and ``macro_f1`` on the rows as they are; ``balanced_accuracy``, the mean
        of the classes' recalls; ``ece``, ``brier`` and ``nll`` as in `gmc_astro.learning`;
        ``classes``, for each class its ``f1``, ``precision``, ``recall`` and number of
        ``rows``; and ``confusion`` (K, K), true classes down, predicted ones across. A class
        without a row has no scores (None) and does not count in means over classes.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the three do not belong together, or a probability is not finite.

    Notes
    -----
    CLIP-GMC's public code draws its evaluation images evenly over the classes, whatever their
    shares in the test set, so that its accuracy estimates ``balanced_accuracy``.

    Examples
    --------
    >>> from gmc_astro.evaluation import classification_metrics
    >>> scores = classification_metrics(
    ...     [[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]], [0, 0, 0, 1], ["smooth", "spiral"]
    ... )
    >>> scores["accuracy"], scores["balanced_accuracy"], scores["classes"]["spiral"]["rows"]
    (1.0, 1.0, 1)
    """
    probabilities, targets = np.asarray(probabilities, float), np.asarray(targets)
    if probabilities.ndim != 2 or probabilities.shape[1] != len(names):
        raise InputError(
            f"probabilities have shape {probabilities.shape} for {len(names)} classes; "
            "give (N, K), one column a class"
        )
    if wrong := int((~np.isfinite(probabilities).all(axis=1)).sum()):
        raise InputError(f"{wrong} rows have no probabilities: leave out rows without an image")
    calibration = {
        "ece": expected_calibration_error(probabilities, targets),
        "brier": brier_score(probabilities, targets),
        "nll": negative_log_likelihood(probabilities, targets),
    }
    found, labels = probabilities.argmax(axis=1), np.arange(len(names))
    precision, recall, f1, rows = precision_recall_fscore_support(
        targets, found, labels=labels, zero_division=0.0
    )
    present = rows > 0
    columns = {"f1": f1, "precision": precision, "recall": recall}
    classes = {
        name: {
            **{key: float(v[k]) if present[k] else None for key, v in columns.items()},
            "rows": int(rows[k]),
        }
        for k, name in enumerate(names)
    }
    return {
        "accuracy": float(accuracy_score(targets, found)),
        "macro_f1": float(f1[present].mean()),
        "balanced_accuracy": float(recall[present].mean()),
        **calibration,
        "classes": classes,
        "confusion": confusion_matrix(targets, found, labels=labels).tolist(),
    }


def macro_f1(
    targets: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Mean F1 over the classes that occur; quick enough for thousands of resamplings.

    Parameters
    ----------
    targets, predicted : `~numpy.ndarray` of int, shape (N,)
        True and predicted classes.
    weights : `~numpy.ndarray`, shape (N,), optional
        How often each row counts.

    Returns
    -------
    score : float
        0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.evaluation import macro_f1
    >>> macro_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
    0.7333333333333334
    """
    classes = int(max(targets.max(), predicted.max())) + 1
    true = np.bincount(targets, weights, classes)
    found = np.bincount(predicted, weights, classes)
    right = targets == predicted
    hits = np.bincount(targets[right], None if weights is None else weights[right], classes)
    present = true > 0
    return float((2 * hits[present] / (true + found)[present]).mean())


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float],
    n: int,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    random_state: int = 0,
) -> tuple[float, float]:
    """Interval of a score that a new draw of test rows would give.

    Parameters
    ----------
    statistic : callable
        Maps row numbers, shape (n,), some of them drawn more than once, to a score.
    n : int
        Number of rows.
    confidence : float, optional
        Share of the resampled scores in the interval.
    resamples : int, optional
        Draws with replacement.
    random_state : int, optional
        Seed of the draws.

    Returns
    -------
    low, high : float
        Percentiles of the resampled scores.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are fewer than two rows, or ``confidence`` is not between 0 and 1.

    References
    ----------
    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.evaluation import bootstrap_interval
    >>> right = np.array([1, 1, 1, 0] * 25)
    >>> low, high = bootstrap_interval(lambda rows: right[rows].mean(), len(right))
    >>> bool(low < 0.75 < high)
    True
    """
    if n < 2:
        raise InputError(f"{n} rows cannot be resampled; give two or more")
    if not 0 < confidence < 1:
        raise InputError(f"confidence={confidence} is not between 0 and 1, such as 0.95")
    result = stats.bootstrap(
        (np.arange(n),),
        statistic,
        vectorized=False,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(random_state),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def paired_test(
    scores_a: ArrayLike, scores_b: ArrayLike, *, test_share: float = 0.2
) -> dict[str, float | None]:
    """Test whether two methods differ, from their scores on the same splits.

    The corrected resampled t-test. Splits of one catalogue share most of their galaxies, so
    their scores are not independent and the plain paired t-test finds differences that are not
    there; the correction widens the variance by the ratio of test part to training part. That
    ratio is of the whole parts also where only a fraction of the labels is used: what repeats
    from split to split is then less, so that the test errs on the side of "no difference".

    Parameters
    ----------
    scores_a, scores_b : array_like, shape (J,)
        Scores of both methods, split by split.
    test_share : float, optional
        Share of the catalogue in the test part.

    Returns
    -------
    test : dict
        ``difference`` (mean of a minus b), ``statistic`` (Student's t with J - 1 degrees of
        freedom) and two-sided ``p``; the latter two are None for fewer than two splits, and
        where all splits differ by the same, which says nothing of chance.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If scores differ in number, there are none, or ``test_share`` is not between 0 and 1.

    References
    ----------
    Nadeau & Bengio 2003, Machine Learning 52, 239

    Examples
    --------
    >>> from gmc_astro.evaluation import paired_test
    >>> test = paired_test([0.93, 0.92, 0.94, 0.93, 0.95], [0.90, 0.90, 0.91, 0.91, 0.91])
    >>> round(test["difference"], 3), bool(test["p"] < 0.05)
    (0.028, True)
    """
    a, b = np.asarray(scores_a, float), np.asarray(scores_b, float)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise InputError(f"scores of shapes {a.shape} and {b.shape}; give one a split for both")
    if not 0 < test_share < 1:
        raise InputError(f"test_share={test_share} is not between 0 and 1")
    difference = a - b
    mean, splits = float(difference.mean()), len(difference)
    if splits < 2:
        return {"difference": mean, "statistic": None, "p": None}
    variance = difference.var(ddof=1) * (1 / splits + test_share / (1 - test_share))
    if variance == 0:
        return {"difference": mean, "statistic": None, "p": 1.0 if mean == 0 else None}
    statistic = mean / float(np.sqrt(variance))
    p = 2 * stats.t.sf(abs(statistic), splits - 1)
    return {"difference": mean, "statistic": statistic, "p": float(p)}


def mcnemar_test(right_a: ArrayLike, right_b: ArrayLike) -> dict[str, float]:
    """Test whether two methods are right on the same test images equally often.

    McNemar's test in its exact, binomial form: images on which both are right or both wrong say
    nothing of the difference; of the others, half should go either way.

    Parameters
    ----------
    right_a, right_b : array_like of bool, shape (N,)
        Whether each method is right, image by image; each galaxy once.

    Returns
    -------
    test : dict
        ``only_a`` and ``only_b``, on how many images only that one is right, and two-sided
        ``p``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the methods differ in their number of images.

    References
    ----------
    McNemar 1947, Psychometrika 12, 153; Dietterich 1998, Neural Computation 10, 1895

    Examples
    --------
    >>> from gmc_astro.evaluation import mcnemar_test
    >>> mcnemar_test([True] * 10, [True] * 4 + [False] * 6)
    {'only_a': 6, 'only_b': 0, 'p': 0.03125}
    """
    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if a.shape != b.shape or a.ndim != 1:
        raise InputError(f"images of shapes {a.shape} and {b.shape}; give the same for both")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if only_a + only_b == 0:
        return {"only_a": 0, "only_b": 0, "p": 1.0}
    p = stats.binomtest(only_a, only_a + only_b).pvalue
    return {"only_a": only_a, "only_b": only_b, "p": float(p)}

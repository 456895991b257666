"""Scores and tests against scikit-learn, and on cases whose answer is known."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from gmc_astro.evaluation import (
    bootstrap_interval,
    classification_metrics,
    macro_f1,
    mcnemar_test,
    paired_test,
)
from gmc_astro.exceptions import InputError


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    targets = rng.choice(3, 200, p=[0.7, 0.2, 0.1])
    probabilities = rng.dirichlet([1, 1, 1], 200)
    probabilities[np.arange(200), targets] += 0.5
    return probabilities / probabilities.sum(axis=1, keepdims=True), targets


def test_scores_agree_with_scikit_learn(predictions):
    probabilities, targets = predictions
    found = probabilities.argmax(axis=1)
    scores = classification_metrics(probabilities, targets, ["a", "b", "c"])
    assert scores["accuracy"] == pytest.approx(np.mean(found == targets))
    assert scores["macro_f1"] == pytest.approx(f1_score(targets, found, average="macro"))
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(targets, found))
    assert scores["classes"]["c"]["f1"] == pytest.approx(f1_score(targets, found, average=None)[2])
    assert np.sum(scores["confusion"]) == 200
    assert macro_f1(targets, found) == pytest.approx(scores["macro_f1"])


def test_balanced_accuracy_differs_from_the_natural_one():
    probabilities = np.tile([0.9, 0.1], (10, 1))
    scores = classification_metrics(probabilities, [0] * 9 + [1], ["a", "b"])
    assert (scores["accuracy"], scores["balanced_accuracy"]) == (0.9, 0.5)


def test_a_class_without_rows_has_no_score():
    scores = classification_metrics([[0.9, 0.1, 0], [0.2, 0.8, 0]], [0, 1], ["a", "b", "c"])
    assert scores["macro_f1"] == 1.0
    assert scores["classes"]["c"] == {"f1": None, "precision": None, "recall": None, "rows": 0}


def test_rows_without_probabilities_are_refused():
    with pytest.raises(InputError, match="1 rows have no probabilities"):
        classification_metrics([[np.nan, np.nan], [0.2, 0.8]], [0, 1], ["a", "b"])
    with pytest.raises(InputError, match="for 3 classes"):
        classification_metrics([[0.5, 0.5]], [0], ["a", "b", "c"])


def test_weights_of_macro_f1_are_repeated_rows(predictions):
    probabilities, targets = predictions
    found = probabilities.argmax(axis=1)
    times = np.random.default_rng(1).integers(0, 4, len(targets))
    rows = np.repeat(np.arange(len(targets)), times)
    assert macro_f1(targets, found, times) == pytest.approx(macro_f1(targets[rows], found[rows]))


def test_the_interval_of_a_share_is_the_binomial_one():
    right = np.arange(400) < 300
    low, high = bootstrap_interval(lambda rows: right[rows].mean(), 400, resamples=4000)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.005)
    with pytest.raises(InputError, match="cannot be resampled"):
        bootstrap_interval(np.mean, 1)


def test_the_corrected_test_holds_its_level_where_the_plain_one_does_not():
    """Two methods that are the same, on overlapping splits of one catalogue."""
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(0)
    plain, corrected = 0, 0
    for _ in range(300):
        galaxies = rng.normal(size=100)  # how much easier each is for method a, 0 on average
        tests = [rng.permutation(100)[:20] for _ in range(20)]
        scores = np.array([galaxies[rows].mean() for rows in tests])
        plain += ttest_rel(scores, np.zeros(20)).pvalue < 0.05
        corrected += paired_test(scores, np.zeros(20))["p"] < 0.05
    assert plain > 60
    assert corrected < 30


def test_paired_tests_at_their_edges():
    assert paired_test([0.9, 0.8], [0.9, 0.8])["p"] == 1.0
    assert paired_test([0.9], [0.8])["p"] is None
    assert paired_test([0.75, 0.75], [0.5, 0.5])["p"] is None  # no spread says nothing of chance
    with pytest.raises(InputError, match="one a split"):
        paired_test([0.9], [0.8, 0.7])
    with pytest.raises(InputError, match="test_share"):
        paired_test([0.9], [0.8], test_share=1)


def test_mcnemar_counts_what_only_one_gets_right():
    a = np.array([True] * 15 + [False] * 5)
    b = np.array([True] * 5 + [False] * 10 + [True] * 5)
    found = mcnemar_test(a, b)
    assert (found["only_a"], found["only_b"]) == (10, 5)
    assert found["p"] == pytest.approx(0.3018, abs=1e-4)
    assert mcnemar_test(a, a)["p"] == 1.0
    with pytest.raises(InputError, match="the same for both"):
        mcnemar_test(a, b[:3])


def test_a_confidence_is_a_share():
    with pytest.raises(InputError, match="confidence=95 is not between 0 and 1"):
        bootstrap_interval(lambda rows: rows.mean(), 10, confidence=95)

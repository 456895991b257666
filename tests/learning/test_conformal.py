"""Sets of classes that cover what they promise."""

import numpy as np
import pytest
from scipy.special import softmax

from gmc_astro.exceptions import InputError
from gmc_astro.learning import ConformalSets, fit_calibrator, fit_conformal
from gmc_astro.learning.calibration import cross_calibrated

METHODS = ["lac", "aps"]


def draw(n, seed=0, sharpness=1.0, classes=5):
    """Probabilities, and classes drawn from them after they are sharpened."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, classes))
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    targets = (cumulated < rng.uniform(size=(n, 1))).sum(axis=1).clip(max=classes - 1)
    return softmax(sharpness * logits, axis=1), targets


def coverage_of(conformal, rows, coverage):
    probabilities, targets = rows
    sets = conformal.predict_sets(probabilities, coverage=coverage)
    return sets[np.arange(len(targets)), targets].mean()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0], ids=["timid", "calibrated", "overconfident"])
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_fresh_rows_are_covered_as_often_as_asked(method, sharpness, coverage):
    conformal = fit_conformal(*draw(3000, 0, sharpness), method=method)
    found = coverage_of(conformal, draw(10000, 1, sharpness), coverage)
    assert found == pytest.approx(coverage, abs=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_few_rows_cover_on_average_over_draws(method):
    """The correction for a finite sample: with 19 rows a plain quantile covers too little."""
    fresh = draw(1000, 10**6)
    found = [
        coverage_of(fit_conformal(*draw(19, seed), method=method), fresh, 0.9)
        for seed in range(300)
    ]
    assert np.mean(found) == pytest.approx(0.9, abs=0.02)


def test_sets_after_a_calibration_on_the_same_rows():
    """Scores from calibrators that knew the rows promise more than fresh rows keep."""
    fresh, targets_of_fresh = draw(3000, 10**6)
    found = []
    for seed in range(60):
        probabilities, targets = draw(100, seed)
        logits = np.log(probabilities)
        fitted = fit_calibrator(logits, targets, kind="vector")
        others = cross_calibrated(logits, targets, fitted.kind, weights=np.ones(100))
        rows = fitted.apply(np.log(fresh)), targets_of_fresh
        found.append(coverage_of(fit_conformal(others, targets), rows, 0.9))
    assert np.mean(found) > 0.893


@pytest.mark.parametrize("method", METHODS)
def test_less_coverage_smaller_sets(method):
    conformal = fit_conformal(*draw(1000), method=method)
    probabilities, _ = draw(500, 1)
    previous = np.ones((500, 5), bool)
    for coverage in (0.95, 0.9, 0.8, 0.7):
        sets = conformal.predict_sets(probabilities, coverage=coverage)
        assert (sets <= previous).all()
        assert sets.sum() < previous.sum()
        assert sets[np.arange(500), probabilities.argmax(axis=1)].all()
        previous = sets
    # asked for less than it is right, it still names the most probable class
    assert (conformal.predict_sets(probabilities, coverage=0.01).sum(axis=1) == 1).all()


def mixture(n, seed):
    """Seven rows of ten are easy, three are hard: eight classes that are much alike."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < 0.3
    easy_rows = rng.dirichlet([12] + [0.15] * 7, n)
    probabilities = np.where(hard[:, None], rng.dirichlet([8] * 8, n), easy_rows)
    targets = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=7)
    return probabilities, targets, hard


def test_lac_sets_are_smaller_and_aps_sets_cover_hard_rows_better():
    *rows, _ = mixture(4000, 0)
    probabilities, targets, hard = mixture(8000, 1)
    size, covered = {}, {}
    for method in METHODS:
        sets = fit_conformal(*rows, method=method).predict_sets(probabilities)
        size[method] = sets.sum(axis=1).mean()
        covered[method] = sets[hard, targets[hard]].mean()
    assert size["lac"] < size["aps"]
    assert covered["lac"] < covered["aps"] - 0.02


@pytest.mark.parametrize(("rows", "everything"), [(1, True), (8, True), (9, False)])
def test_too_few_rows_give_every_class(rows, everything):
    probabilities = np.tile([0.7, 0.2, 0.1], (rows, 1))
    conformal = fit_conformal(probabilities, np.zeros(rows, int))
    sets = conformal.predict_sets([[0.8, 0.15, 0.05]], coverage=0.9)
    assert sets.all() == everything
    assert sets[0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_nan_rows_no_rows_and_float32(method):
    probabilities, targets = draw(100)
    probabilities[3], targets[5] = np.nan, -1
    conformal = fit_conformal(probabilities.astype(np.float32), targets, method=method)
    assert len(conformal.scores) == 98
    sets = conformal.predict_sets(probabilities)
    assert not sets[3].any()
    assert np.delete(sets, 3, axis=0).any(axis=1).all()
    assert conformal.predict_sets(np.zeros((0, 5))).shape == (0, 5)


@pytest.mark.parametrize("method", METHODS)
def test_arrays_round_trip(method):
    conformal = fit_conformal(*draw(50), method=method)
    arrays = conformal.to_arrays()
    assert all(values.dtype.kind in "fi" for values in arrays.values())
    again = ConformalSets.from_arrays(arrays)
    assert again.method == method
    np.testing.assert_array_equal(again.scores, conformal.scores)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"method": "raps"}, "raps"),
        ({"targets": [0]}, r"\(1,\)"),
        ({"targets": [0, 2]}, "target 2"),
        ({"targets": [-1, -1]}, "no row"),
        ({"probabilities": [0.5, 0.5]}, r"\(N, K\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        fit_conformal(**{"probabilities": np.eye(2), "targets": [0, 1], **arguments})


@pytest.mark.parametrize("coverage", [0, 1, 90, np.nan])
def test_what_is_no_coverage_is_refused(coverage):
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_conformal(*draw(20)).predict_sets(np.eye(5), coverage=coverage)

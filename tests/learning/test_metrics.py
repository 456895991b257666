"""Metrics of probabilities, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from gmc_astro.exceptions import InputError
from gmc_astro.learning import (
    brier_score,
    chance_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
)


@pytest.fixture
def predictions():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(4), 500)
    targets = np.array([rng.choice(4, p=p) for p in probabilities])
    return probabilities, targets


def test_log_loss_is_that_of_scikit_learn(predictions):
    assert negative_log_likelihood(*predictions) == pytest.approx(
        log_loss(predictions[1], predictions[0])
    )


def test_brier_score_is_the_squared_distance(predictions):
    probabilities, targets = predictions
    by_hand = np.mean(
        [np.sum((p - np.eye(4)[t]) ** 2) for p, t in zip(probabilities, targets, strict=True)]
    )
    assert brier_score(probabilities, targets) == pytest.approx(by_hand)


def test_drawn_from_its_probabilities_means_calibrated(predictions):
    assert expected_calibration_error(*predictions) < 0.08
    sharper = predictions[0] ** 4 / (predictions[0] ** 4).sum(1, keepdims=True)
    assert expected_calibration_error(sharper, predictions[1]) > 0.15


def test_calibration_error_weights_bins_by_rows():
    """Three rows at 0.9 of which two are right, one at 0.6 that is wrong."""
    probabilities = [[0.9, 0.1]] * 3 + [[0.6, 0.4]]
    expected = 0.75 * abs(2 / 3 - 0.9) + 0.25 * 0.6
    assert expected_calibration_error(probabilities, [0, 0, 1, 1]) == pytest.approx(expected)


def test_chance_is_what_true_probabilities_show_on_as_many_rows(predictions):
    """Over many sets of targets drawn from the probabilities, the mean error is that of chance."""
    probabilities, rng = predictions[0], np.random.default_rng(0)
    cumulated = probabilities.cumsum(axis=1)
    found = []
    for _ in range(500):
        drawn = (rng.random((len(probabilities), 1)) > cumulated[:, :-1]).sum(axis=1)
        found.append(expected_calibration_error(probabilities, drawn))
    chance = chance_calibration_error(probabilities)
    assert chance == pytest.approx(np.mean(found), rel=0.05)
    assert chance == chance_calibration_error(probabilities) > 0.02
    with pytest.raises(InputError, match="shape"):
        chance_calibration_error([])


def test_certain_and_wrong_is_finite():
    assert np.isfinite(negative_log_likelihood([[1.0, 0.0]], [1]))


@pytest.mark.parametrize(
    ("targets", "match"),
    [
        ([0], "shape"),
        ([0, 2], "not one of the 2"),
        ([0, -1], "unlabelled"),
        ([0.0, 1.0], "numbers"),
    ],
)
def test_bad_targets_are_named(targets, match):
    with pytest.raises(InputError, match=match):
        brier_score([[0.5, 0.5]] * 2, targets)

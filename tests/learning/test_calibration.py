"""Calibrated probabilities, and other class frequencies."""

import numpy as np
import pytest
from scipy.special import softmax

from gmc_astro.exceptions import InputError
from gmc_astro.learning import (
    Calibrator,
    LinearHead,
    calibration_report,
    change_priors,
    estimate_priors,
    expected_calibration_error,
    fit_calibrator,
    fit_probe,
    negative_log_likelihood,
    out_of_fold_logits,
)


def draw(n, temperature=1.0, scale=1.0, bias=0.0, seed=0, classes=3):
    """Logits and classes drawn so that softmax(scale * logits / temperature + bias) is true."""
    rng = np.random.default_rng(seed)
    logits = temperature * 2 * rng.normal(size=(n, classes))
    cumulated = softmax(scale * logits / temperature + bias, axis=1).cumsum(axis=1)
    return logits, (cumulated < rng.uniform(size=(n, 1))).sum(axis=1).clip(max=classes - 1)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_is_found(true):
    found = fit_calibrator(*draw(3000, true), kind="temperature")
    assert found.temperature == pytest.approx(true, rel=0.1)


def test_few_rows_that_are_all_right_do_not_make_certain():
    logits = 3 * np.eye(2)[np.arange(20) % 2]
    calibrator = fit_calibrator(logits, np.arange(20) % 2)
    assert 0.4 < calibrator.temperature < 1
    assert calibrator.apply(logits).max() < 0.9999


def test_few_overconfident_rows_help_on_others():
    """Over many draws of twenty rows, the calibrated log loss of other rows is lower."""
    others = draw(2000, 2.5, seed=99)
    before = negative_log_likelihood(softmax(others[0], axis=1), others[1])
    after = [
        negative_log_likelihood(fit_calibrator(*draw(20, 2.5, seed=s)).apply(others[0]), others[1])
        for s in range(20)
    ]
    assert np.mean(np.array(after) < before) >= 0.85
    assert np.mean(after) < 0.85 * before
    assert max(after) < before + 0.15


def test_vector_scaling_finds_what_a_temperature_cannot():
    skewed = {
        "temperature": 1.5,
        "scale": np.array([1.0, 0.5, 1.3]),
        "bias": np.array([1.0, 0, -1]),
    }
    logits, targets = draw(3000, **skewed)
    calibrator = fit_calibrator(logits, targets)
    assert calibrator.kind == "vector"
    fresh, truth = draw(3000, **skewed, seed=7)
    one = fit_calibrator(logits, targets, kind="temperature")
    assert negative_log_likelihood(calibrator.apply(fresh), truth) < (
        negative_log_likelihood(one.apply(fresh), truth) - 0.05
    )
    assert expected_calibration_error(calibrator.apply(fresh), truth) < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_auto_stays_with_the_temperature_where_that_is_enough(seed):
    assert fit_calibrator(*draw(400, 2, seed=seed)).kind == "temperature"


def test_auto_needs_labels_of_every_class():
    logits, targets = draw(600, 1, bias=np.array([2.0, 0, -2]))
    kept = (targets < 2) | (np.cumsum(targets == 2) <= 19)
    assert fit_calibrator(logits, targets).kind == "vector"
    assert fit_calibrator(logits[kept], targets[kept]).kind == "temperature"


@pytest.mark.parametrize("kind", ["temperature", "vector"])
def test_a_class_without_labels_keeps_a_probability(kind):
    logits, targets = draw(100)
    kept = targets < 2
    found = fit_calibrator(logits[kept], targets[kept], kind=kind).apply(logits)
    assert np.isfinite(found).all()
    assert (found[:, 2] > 0).all()


def test_weights_are_copies_of_rows():
    logits, targets = draw(60, 2)
    weights = np.arange(60) % 3
    several = np.repeat(np.arange(60), weights)
    # 20 rows of weight 0, 20 of 1, 20 of 2: the same mean weight over rows as the copies have
    a = fit_calibrator(logits, targets, kind="temperature", weights=weights)
    b = fit_calibrator(logits[several], targets[several], kind="temperature")
    c = fit_calibrator(logits, targets, kind="temperature", weights=100 * weights)
    assert a.temperature == pytest.approx(b.temperature, rel=0.1)
    assert a.temperature == pytest.approx(c.temperature)
    plain = fit_calibrator(logits, targets, kind="temperature")
    assert a.temperature != pytest.approx(plain.temperature, rel=1e-4)


def test_apply_keeps_nan_rows_and_takes_none_and_float32():
    calibrator = fit_calibrator(*draw(100), kind="vector")
    logits = np.array([[1, 2, 3], [np.nan] * 3], np.float32)
    found = calibrator.apply(logits)
    assert found.dtype == np.float64
    assert found[0].sum() == pytest.approx(1)
    assert np.isnan(found[1]).all()
    assert calibrator.apply(np.zeros((0, 3))).shape == (0, 3)
    np.testing.assert_allclose(Calibrator().apply(logits[:1]), softmax(logits[:1], axis=1))


def test_nan_and_unlabelled_rows_teach_nothing():
    logits, targets = draw(100, 2)
    more = np.vstack([logits, [[np.nan] * 3, [50.0, 0, 0]]])
    found = fit_calibrator(more, np.append(targets, [0, -1]))
    assert found.temperature == fit_calibrator(logits, targets).temperature


@pytest.mark.parametrize("kind", ["none", "temperature", "vector"])
def test_arrays_round_trip(kind):
    logits, targets = draw(200, 2)
    calibrator = fit_calibrator(logits, targets, kind=kind)
    arrays = calibrator.to_arrays()
    assert all(values.dtype.kind in "fi" for values in arrays.values())
    again = Calibrator.from_arrays(arrays)
    assert again.kind == kind
    np.testing.assert_array_equal(again.apply(logits), calibrator.apply(logits))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "isotonic"}, "isotonic"),
        ({"targets": [0, 1]}, r"\(2,\)"),
        ({"targets": [0, 1, 3]}, "up to 3"),
        ({"targets": [-1, -1, -1]}, "no row"),
        ({"targets": [0.0, 1.0, 2.0]}, "float64"),
        ({"logits": np.ones(3)}, r"\(N, K\)"),
        ({"weights": [1, 1, -1]}, "0 or more"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        fit_calibrator(**{"logits": np.eye(3), "targets": [0, 1, 2], **arguments})


def test_other_classes_are_refused():
    calibrator = fit_calibrator(*draw(100), kind="vector")
    with pytest.raises(InputError, match="2 classes for a calibrator of 3"):
        calibrator.apply(np.zeros((1, 2)))


# ---- out of fold -------------------------------------------------------------------------


def remember(seen):
    """A fit whose logits say which rows it learnt from."""

    def fit(rows):
        seen.append(set(rows.tolist()))
        return lambda others: np.array([[float(r in rows), float(r)] for r in others])

    return fit


def test_no_row_is_judged_by_what_learnt_from_it():
    targets = np.array([0, 1, -1] * 10)
    seen = []
    found = out_of_fold_logits(remember(seen), targets)
    labelled = targets >= 0
    np.testing.assert_array_equal(found[labelled, 0], 0)
    np.testing.assert_array_equal(found[labelled, 1], np.flatnonzero(labelled))
    assert np.isnan(found[~labelled]).all()
    assert len(seen) == 5
    assert all(targets[list(rows)].min() == 0 for rows in seen)


@pytest.mark.parametrize(
    ("targets", "fits"),
    [
        ([0] * 12 + [1], 5),
        ([0, 0, 1, 2], 2),
        ([0, 1, 2], 3),
        ([0, 0, 0, 1, 1, 1], 3),
    ],
    ids=["a class of one", "few", "one of each", "fewer than folds"],
)
def test_small_classes(targets, fits):
    seen = []
    found = out_of_fold_logits(remember(seen), np.array(targets))
    assert len(seen) == fits
    np.testing.assert_array_equal(found[:, 0], 0)


def test_one_labelled_row_is_refused():
    with pytest.raises(InputError, match="1 labelled rows"):
        out_of_fold_logits(remember([]), np.array([0, -1]))


def test_a_probe_is_better_calibrated_from_out_of_fold_than_from_its_own_rows():
    rng = np.random.default_rng(3)
    centres = np.linalg.qr(rng.normal(size=(30, 3)))[0].T

    def sample(n):
        vectors = centres[np.arange(n) % 3] + 0.4 * rng.normal(size=(n, 30))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.arange(n) % 3

    def logits(head, vectors):
        return head.scale * vectors @ head.weights.T + head.bias

    def learn(rows):
        head = fit_probe(x[rows], y[rows], centres, scale=20, strength=1e-4)
        return lambda others: logits(head, x[others])

    (x, y), (fresh, truth) = sample(60), sample(900)
    head = learn(np.arange(60))
    found = LinearHead.zero_shot(centres, 20)  # only to show that logits and probabilities agree
    np.testing.assert_allclose(softmax(logits(found, x), axis=1), found.predict_proba(x))
    out = fit_calibrator(out_of_fold_logits(learn, y), y)
    own = fit_calibrator(head(np.arange(60)), y)
    x = fresh
    raw = head(np.arange(900))
    losses = [negative_log_likelihood(c.apply(raw), truth) for c in (out, Calibrator(), own)]
    assert losses == sorted(losses)
    assert losses[0] < 0.8 * losses[1]


# ---- the report --------------------------------------------------------------------------


def test_report_of_the_rows_it_was_fitted_on_is_cross_validated():
    logits, targets = draw(30, 1, seed=2)
    noise = logits + 8 * np.random.default_rng(0).normal(size=logits.shape)
    calibrator = fit_calibrator(noise, targets, kind="vector")
    honest = calibration_report(noise, targets, calibrator)
    flattered = calibration_report(noise, targets, calibrator, held_out=True)
    assert honest.nll_after > flattered.nll_after
    assert honest.nll_before == flattered.nll_before


def test_report_says_that_it_got_better():
    logits, targets = draw(400, 3)
    report = calibration_report(logits, targets, fit_calibrator(logits, targets))
    assert report.ece_after < 0.5 * report.ece_before
    assert report.brier_after < report.brier_before
    assert report.nll_after < report.nll_before
    assert report.rows == 400
    text = str(report)
    assert f"{report.ece_before:.3f}" in text
    assert f"T = {report.temperature:.2f}, 400 labelled rows" in text
    assert len({len(line) for line in text.splitlines()[1:]}) == 1


def test_report_without_calibration_is_the_same_before_and_after():
    report = calibration_report(*draw(50), Calibrator())
    assert (report.ece_before, report.nll_before) == (report.ece_after, report.nll_after)


# ---- class frequencies -------------------------------------------------------------------


def shifted(n, prior, seed=0):
    """Probabilities for equal classes, of rows in which they are not equal."""
    rng = np.random.default_rng(seed)
    targets = rng.choice(3, n, p=prior)
    x = 1.5 * np.eye(3)[targets] + rng.normal(size=(n, 3))
    return softmax(1.5 * x, axis=1), targets


def test_new_frequencies_are_calibrated():
    prior = [0.85, 0.1, 0.05]
    probabilities, targets = shifted(4000, prior)
    changed = change_priors(probabilities, [1 / 3] * 3, prior)
    np.testing.assert_allclose(changed.sum(axis=1), 1)
    np.testing.assert_allclose(changed.mean(axis=0), prior, atol=0.015)
    assert expected_calibration_error(changed, targets) < 0.02
    assert negative_log_likelihood(changed, targets) < (
        negative_log_likelihood(probabilities, targets) - 0.05
    )


def test_there_and_back():
    probabilities, _ = shifted(20, [0.5, 0.3, 0.2])
    there = change_priors(probabilities, [0.2, 0.3, 0.5], [0.6, 0.3, 0.1])
    back = change_priors(there, [0.6, 0.3, 0.1], [0.2, 0.3, 0.5])
    np.testing.assert_allclose(back, probabilities)


def test_frequencies_by_name_follow_the_names():
    probabilities = np.array([[0.2, 0.8], [np.nan, np.nan]], np.float32)
    found = change_priors(probabilities, [0.5, 0.5], {"bar": 0.9, "arm": 0.1}, names=["arm", "bar"])
    np.testing.assert_allclose(found[0], [0.02 / 0.74, 0.72 / 0.74], rtol=1e-6)
    assert np.isnan(found[1]).all()
    assert change_priors(np.zeros((0, 2)), [0.5, 0.5], [0.5, 0.5]).shape == (0, 2)


@pytest.mark.parametrize(
    ("prior", "says"),
    [
        ([0.5, 0.6], "sums to 1.1"),
        ([1.0, 0.0], "above 0"),
        ([1.0], "each of 2"),
        ([0.5, np.nan], "above 0"),
        ({"a": 0.5, "c": 0.5}, r"\['a', 'c'\]"),
    ],
)
def test_what_is_no_frequency_is_refused(prior, says):
    with pytest.raises(InputError, match=says):
        change_priors([[0.5, 0.5]], [0.5, 0.5], prior, names=["a", "b"])
    with pytest.raises(InputError, match=says):
        estimate_priors([[0.5, 0.5]], prior, names=["a", "b"])


def test_a_mapping_needs_names():
    with pytest.raises(InputError, match="names="):
        change_priors([[0.5, 0.5]], [0.5, 0.5], {"a": 0.5, "b": 0.5})


@pytest.mark.parametrize("prior", [[0.85, 0.1, 0.05], [1 / 3, 1 / 3, 1 / 3], [0.02, 0.49, 0.49]])
def test_frequencies_are_estimated(prior):
    # these probabilities are exact, so that the estimate is that of a perfect classifier
    probabilities, _ = shifted(4000, prior)
    probabilities[0] = np.nan
    np.testing.assert_allclose(estimate_priors(probabilities, [1 / 3] * 3), prior, atol=0.025)


def test_no_rows_have_no_frequencies():
    with pytest.raises(InputError, match="no row"):
        estimate_priors(np.full((2, 2), np.nan), [0.5, 0.5])

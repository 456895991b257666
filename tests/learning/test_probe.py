"""The few-label head: starts at the words, goes where labels lead."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from gmc_astro.learning import LinearHead, fit_probe

RNG = np.random.default_rng(0)
CENTRES = np.linalg.qr(RNG.normal(size=(12, 3)))[0].T  # three orthogonal classes in 12-D


def sample(n, spread=0.25, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    vectors = CENTRES[targets] + spread * rng.normal(size=(n, 12))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), targets


def accuracy(head, seed=9):
    vectors, targets = sample(600, seed=seed)
    return (head.predict_proba(vectors).argmax(axis=1) == targets).mean()


def test_zero_shot_head_is_softmax_of_scaled_cosines():
    vectors, _ = sample(5)
    found = LinearHead.zero_shot(CENTRES, 10).predict_proba(vectors)
    expected = np.exp(10 * vectors @ CENTRES.T)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True))


def test_a_class_without_words_starts_at_its_mean_image():
    vectors, targets = sample(30)
    words = CENTRES.copy()
    words[1] = np.nan
    head = fit_probe(vectors, targets, words, scale=10, strength=1e6)
    mean = vectors[targets == 1].mean(axis=0)
    expected = [CENTRES[0], mean / np.linalg.norm(mean), CENTRES[2]]
    np.testing.assert_allclose(head.weights, expected, atol=1e-4)


def test_a_strong_pull_is_the_zero_shot_head():
    vectors, targets = sample(30)
    head = fit_probe(vectors, targets, CENTRES, scale=10, strength=1e6)
    np.testing.assert_allclose(head.weights, CENTRES, atol=1e-4)


def test_no_pull_is_logistic_regression():
    vectors, targets = sample(90, spread=0.8)
    head = fit_probe(vectors, targets, CENTRES, scale=3, strength=1e-3)
    reference = LogisticRegression(
        C=1 / (2 * 1e-3 * len(vectors)), fit_intercept=False, max_iter=2000
    ).fit(3 * vectors, targets)
    test, _ = sample(200, seed=5)
    agree = head.predict_proba(test).argmax(axis=1) == reference.predict(3 * test)
    assert agree.mean() > 0.95


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
def test_a_fit_is_the_minimum_along_axes_that_hardly_vary_too(strength):
    """Features whose variance falls by ten decades, as that of real embeddings does."""
    rng = np.random.default_rng(2)
    targets = np.arange(150) % 3
    vectors = (0.5 * np.eye(3, 40)[targets] + rng.normal(size=(150, 40))) * np.logspace(0, -5, 40)
    weights = rng.uniform(0.5, 2, 150)
    words = 0.1 * rng.normal(size=(3, 40))

    def loss(flat):
        moved = flat.reshape(3, 41)
        logits = vectors @ (words + moved[:, :-1]).T + moved[:, -1]
        known = log_softmax(logits, axis=1)[np.arange(150), targets]
        return -np.average(known, weights=weights) + strength * (moved**2).sum()

    head = fit_probe(vectors, targets, words, scale=1, strength=strength, weights=weights)
    found = np.column_stack([head.weights - words, head.bias]).ravel()
    least = minimize(loss, found, method="L-BFGS-B", options={"maxfun": 100_000}).fun
    assert least < loss(np.zeros(123)) / 1.01
    assert loss(found) < least * (1 + 1e-4)


def test_one_label_a_class_does_not_lose_what_the_words_knew():
    vectors, targets = sample(3, spread=0.6)
    zero_shot = accuracy(LinearHead.zero_shot(CENTRES, 10))
    assert accuracy(fit_probe(vectors, targets, CENTRES, scale=10)) > zero_shot - 0.03


def test_few_labels_do_not_lose_what_the_words_knew():
    """Over many draws: a fit on chance alone may not undo words that are right."""
    zero_shot = accuracy(LinearHead.zero_shot(CENTRES, 10))
    fits = [
        accuracy(fit_probe(*sample(9, spread=0.6, seed=seed), CENTRES, scale=10, random_state=seed))
        for seed in range(100, 130)
    ]
    assert np.mean(fits) > zero_shot - 0.01


def test_labels_beat_wrong_words():
    vectors, targets = sample(300)
    wrong = CENTRES[[1, 2, 0]]
    assert accuracy(LinearHead.zero_shot(wrong, 10)) < 0.1
    assert accuracy(fit_probe(vectors, targets, wrong, scale=10)) > 0.85


def test_same_seed_same_head():
    vectors, targets = sample(60)
    a, b = (fit_probe(vectors, targets, CENTRES, scale=10, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(a.weights, b.weights)
    assert a.strength == b.strength


def test_a_class_without_labels_keeps_its_words():
    vectors, targets = sample(60)
    kept = targets < 2
    head = fit_probe(vectors[kept], targets[kept], CENTRES, scale=10, strength=0.1)
    assert head.weights.shape == (3, 12)
    assert CENTRES[2] @ head.weights[2] > 0.5


def test_nan_rows_stay_nan():
    vectors, _ = sample(4)
    vectors[2] = np.nan
    found = LinearHead.zero_shot(CENTRES, 10).predict_proba(vectors)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[[0, 1, 3]].sum(axis=1), 1)


def test_arrays_round_trip():
    head = fit_probe(*sample(30), CENTRES, scale=10, strength=0.1)
    again = LinearHead.from_arrays(head.to_arrays())
    vectors, _ = sample(5)
    np.testing.assert_array_equal(again.predict_proba(vectors), head.predict_proba(vectors))
    assert again.pull == pytest.approx({"strength": 0.1, "share": 1.0})


def test_a_share_of_the_way_lies_between_the_words_and_the_fit():
    vectors, targets = sample(60)
    words, whole, half = (
        fit_probe(vectors, targets, CENTRES, scale=10, strength=0.01, share=share).logits(vectors)
        for share in (0.0, 1.0, 0.5)
    )
    np.testing.assert_allclose(words, LinearHead.zero_shot(CENTRES, 10).logits(vectors))
    np.testing.assert_allclose(half, (words + whole) / 2)


def test_more_labels_go_further_from_words_that_are_wrong():
    wrong = CENTRES + 0.8 * CENTRES[[1, 2, 0]]
    wrong /= np.linalg.norm(wrong, axis=1, keepdims=True)
    few, many = (fit_probe(*sample(n, spread=0.6), wrong, scale=10).share for n in (9, 300))
    assert few < many


def test_a_rare_class_does_not_keep_the_others_from_being_learnt():
    """Where one class has two labels, the pull is still chosen on labels of the others."""
    vectors, targets = sample(300, spread=0.6)
    kept = np.concatenate([np.flatnonzero(targets != 2), np.flatnonzero(targets == 2)[:2]])
    wrong = CENTRES[[1, 0, 2]]
    head = fit_probe(vectors[kept], targets[kept], wrong, scale=10)
    others, truth = sample(600, seed=9)
    found = head.predict_proba(others).argmax(axis=1)
    assert head.strength < 0.5 < head.share
    assert (found == truth)[truth != 2].mean() > 0.9

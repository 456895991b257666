"""Probabilities in words, made as sure as they are right."""

import pickle
import shutil

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.exceptions import InputError
from gmc_astro.learning import expected_calibration_error

CLASSES = {"round": ["a round galaxy"], "elongated": ["an elongated galaxy"]}


@pytest.fixture
def classifier(tiny_folder):
    return GalaxyMorphologyClassifier(tiny_folder, classes=CLASSES, device="cpu", precision="fp32")


def truth_at(classifier, pictures, sure):
    """Labels that agree with the model as often as it would be right were it that sure."""
    likely = classifier.zero_shot(pictures)["label"] == "round"
    wrong = np.arange(len(pictures)) % 10 >= 10 * sure
    return np.where(likely ^ wrong, "round", "elongated")


@pytest.mark.parametrize("sure", [0.7, 0.9])
def test_probabilities_become_as_sure_as_they_are_right(classifier, pictures, sure):
    labels = truth_at(classifier, pictures, sure)
    before = classifier.predict_proba(pictures)
    assert classifier.calibrate_words(pictures, labels) is classifier
    after = classifier.predict_proba(pictures)
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    targets = (labels == "elongated").astype(int)
    errors = [expected_calibration_error(p, targets) for p in (before, after)]
    assert errors[1] < errors[0]
    assert after.max(axis=1).mean() == pytest.approx(sure, abs=0.1)


def test_embeddings_stay_as_they_are(classifier, pictures, labels):
    before = classifier.embed(pictures)
    classifier.calibrate_words(pictures, labels)
    np.testing.assert_array_equal(classifier.embed(pictures), before)


def test_a_calibrated_model_is_kept_by_files_and_pickles(classifier, pictures, labels, tmp_path):
    stored = classifier.zero_shot(pictures).meta["checkpoint_sha256"]
    classifier.calibrate_words(pictures, labels)
    expected, table = classifier.predict_proba(pictures), classifier.zero_shot(pictures)
    assert stored
    assert table.meta["checkpoint_sha256"] == ""  # it is no longer what lies in the file
    classifier.save(tmp_path / "mine")
    for other in (
        GalaxyMorphologyClassifier(tmp_path / "mine", device="cpu", precision="fp32"),
        pickle.loads(pickle.dumps(classifier)),
    ):
        np.testing.assert_allclose(other.predict_proba(pictures), expected, atol=1e-6)


def test_rows_without_a_label_do_not_count(classifier, pictures, labels):
    alone = classifier.calibrate_words(pictures[:20], labels[:20]).temperature_
    other = GalaxyMorphologyClassifier(
        classifier.model, classes=CLASSES, device="cpu", precision="fp32"
    )
    masked = np.ma.masked_array(labels, mask=np.arange(len(labels)) >= 20)
    assert other.calibrate_words(pictures, masked).temperature_ == pytest.approx(alone)


def test_what_cannot_be_calibrated_is_said(classifier, tiny_folder, pictures, labels):
    with pytest.raises(InputError, match="fewer than two classes"):
        classifier.calibrate_words(pictures, np.full(len(pictures), "round"))
    with pytest.raises(NotFittedError):
        GalaxyMorphologyClassifier(tiny_folder).calibrate_words(pictures, labels)
    with pytest.raises(InputError, match="scale=0 must be more than 0"):
        classifier.encoder.set_logit_scale(0)


def test_calibrated_twice_is_divided_by_both(classifier, pictures):
    before = classifier.encoder.logit_scale
    for sure in (0.7, 0.9):
        classifier.calibrate_words(pictures, truth_at(classifier, pictures, sure))
    assert classifier.encoder.logit_scale == pytest.approx(before / classifier.temperature_)


def test_a_temperature_is_of_the_model_that_it_was_found_for(
    classifier, tiny_folder, pictures, labels, tmp_path
):
    shutil.copytree(tiny_folder, tmp_path / "same")
    classifier.calibrate_words(pictures, labels).set_params(precision="bf16")
    classifier.embed(pictures)  # by the same model
    assert classifier.temperature_ != 1
    classifier.set_params(model=str(tmp_path / "same")).embed(pictures)
    assert not hasattr(classifier, "temperature_")
    classifier.fit(pictures, labels, method="reference")
    with pytest.raises(InputError, match=r"fit\(method='reference'\) has tuned the encoder"):
        classifier.calibrate_words(pictures, labels)

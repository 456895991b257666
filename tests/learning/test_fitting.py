"""Methods of fitting behind one interface, through the estimator, on a tiny real network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.exceptions import InputError, TrainingError
from gmc_astro.learning import (
    FIT_METHODS,
    FineTuning,
    Fitted,
    Labelled,
    LabelTraining,
    LinearHead,
    Pixels,
    class_starts,
    finetuning,
    fit_finetune,
    fit_head,
    fit_probe,
    fit_reference,
    labelled_images,
    register_fit_method,
)
from gmc_astro.models import load_encoder
from gmc_astro.morphology import ClassScheme
from gmc_astro.sources import ArraySource

NAMES = ["round", "elongated"]
QUICK = FineTuning(LabelTraining(epochs=1, least_steps=60, ema=0.9))


@pytest.fixture
def classifier(tiny_folder):
    return GalaxyMorphologyClassifier(tiny_folder, classes=NAMES, device="cpu", views=2)


@pytest.fixture
def labelled(classifier, pictures, labels):
    encoder = classifier.encoder
    return Labelled(
        encoder,
        ClassScheme.from_any(NAMES),
        encoder.encode_images(pictures, views=2),
        np.eye(2)[(labels == "elongated").astype(int)],
        np.ones(len(pictures)),
        pixels=Pixels(ArraySource(pictures), np.arange(len(pictures))),
        views=2,
    )


def weights_of(encoder):
    return {name: value.clone() for name, value in encoder.network.state_dict().items()}


def test_finetuning_learns_what_a_random_tower_does_not_know(labelled, pictures, labels):
    before = weights_of(labelled.encoder)
    fitted = fit_finetune(labelled, QUICK)
    assert all((before[k] == v).all() for k, v in weights_of(labelled.encoder).items())
    found = fitted.head.predict_proba(fitted.encoder.encode_images(pictures, views=2))
    assert (found.argmax(axis=1) == labelled.targets).mean() > 0.9
    assert np.isfinite(fitted.held_out).all()
    assert (fitted.held_out.argmax(axis=1) == labelled.targets).mean() > 0.8


def test_where_embeddings_say_nothing_the_whole_way_is_gone(labelled):
    noise = np.random.default_rng(0).normal(size=labelled.embeddings.shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    fitted = fit_finetune(replace(labelled, embeddings=noise), QUICK)
    assert fitted.log["share_of_the_way"] > 0.5


def test_finetuning_is_reproducible(labelled, pictures):
    quick = FineTuning(LabelTraining(epochs=1, least_steps=3, ema=0))
    first, second = (fit_finetune(labelled, quick) for _ in range(2))
    np.testing.assert_array_equal(first.head.weights, second.head.weights)
    np.testing.assert_array_equal(
        first.encoder.encode_images(pictures[:2]), second.encoder.encode_images(pictures[:2])
    )


def test_finetuning_with_a_validation_part_holds_nothing_out(labelled, monkeypatch):
    real = finetuning._train
    quick = FineTuning(LabelTraining(epochs=1, least_steps=2))
    other = replace(
        labelled,
        embeddings=labelled.embeddings[:6],
        shares=labelled.shares[:6],
        weights=labelled.weights[:6],
        pixels=Pixels(labelled.pixels.source, np.arange(6)),
    )
    ends = []
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "_train", lambda *args: ends.append(real(*args)) or ends[-1])
        assert fit_finetune(replace(labelled, validation=other), quick).held_out.shape == (6, 2)
    assert len(ends) == 1  # what was measured on it is what comes out


def test_a_tuned_encoder_may_see_larger_images(classifier, pictures, labels, tmp_path):
    words = classifier.encoder.encode_images(pictures, views=2)
    classifier.fit(pictures, labels, method="finetune", image_size=48)
    assert classifier.encoder.contract.size == 48
    assert classifier.score(pictures, labels) > 0.9
    again = GalaxyMorphologyClassifier.load(classifier.save(tmp_path / "large"), device="cpu")
    assert again.encoder.contract.size == 48
    np.testing.assert_allclose(
        again.predict_proba(pictures), classifier.predict_proba(pictures), atol=1e-5
    )
    classifier.fit(pictures, labels)  # the model itself is as it was
    np.testing.assert_array_equal(classifier.encoder.encode_images(pictures, views=2), words)


def test_the_size_of_what_is_not_tuned(classifier, pictures, labels):
    with pytest.raises(InputError, match="image_size= is for methods that tune the encoder"):
        classifier.fit(pictures, labels, image_size=48)


@pytest.mark.parametrize("method", ["finetune", "reference"])
def test_a_tuned_encoder_can_still_be_asked_in_other_words(
    classifier, pictures, labels, tmp_path, method
):
    classifier.fit(pictures[:8], labels[:8], method=method)
    asked = classifier.zero_shot(pictures, ["spiral galaxy", "smooth galaxy", "merger"])
    again = GalaxyMorphologyClassifier.load(classifier.save(tmp_path / "tuned"), device="cpu")
    expected = again.zero_shot(pictures, ["spiral galaxy", "smooth galaxy", "merger"])
    np.testing.assert_allclose(asked["probabilities"], expected["probabilities"], atol=1e-5)


def test_a_diverging_training_ends_in_a_sentence(labelled):
    wild = FineTuning(LabelTraining(epochs=1, least_steps=20, ema=0.9), rate=1e30)
    with pytest.raises(TrainingError, match=r"diverged: its loss is (nan|inf) at step \d+"):
        fit_finetune(labelled, wild)


def test_one_label_a_class_can_be_finetuned(classifier, pictures, labels):
    classifier.fit(pictures[:2], labels[:2], method="finetune")
    assert classifier.fit_log_["share_of_the_way"] == 0.5
    assert classifier.calibration_ is None
    assert np.isfinite(classifier.predict_proba(pictures)).all()


def test_reference_tunes_the_image_tower_alone(classifier, pictures, labels):
    start = weights_of(classifier.encoder)
    classifier.fit(pictures, labels, method="reference")
    end = weights_of(classifier.encoder)
    changed = {k.split(".")[0] for k, v in end.items() if not (start[k] == v).all()}
    assert changed == {"visual", "logit_scale"}
    words = classifier.head_.linear.weights
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, atol=1e-5)


def test_reference_needs_every_class(classifier, pictures, labels):
    classifier.set_params(classes=[*NAMES, "spiral"])
    with pytest.raises(InputError, match=r"none is of \['spiral'\]"):
        classifier.fit(pictures, labels, method="reference")


def test_a_tuned_classifier_is_saved_whole(classifier, pictures, labels, tmp_path):
    classifier.fit(pictures, labels, method="finetune")
    kept = GalaxyMorphologyClassifier.load(classifier.save(tmp_path / "tuned"), device="cpu")
    kept.set_params(views=2)
    before, after = classifier.predict(pictures[:6]), kept.predict(pictures[:6])
    np.testing.assert_allclose(after["probabilities"], before["probabilities"], atol=1e-5)
    np.testing.assert_allclose(after["novelty"], before["novelty"], rtol=1e-3)
    np.testing.assert_array_equal(
        kept.predict_sets(pictures[:6]), classifier.predict_sets(pictures[:6])
    )


def test_a_tuned_classifier_has_other_weights_than_its_checkpoint(classifier, pictures, labels):
    assert classifier.fit(pictures, labels).predict(pictures[:2]).meta["checkpoint_sha256"]
    classifier.fit(pictures[:2], labels[:2], method="finetune")
    assert classifier.predict(pictures[:2]).meta["checkpoint_sha256"] == ""


def test_a_second_fit_starts_from_the_pretrained_model(classifier, pictures, labels):
    probe = classifier.fit(pictures, labels).head_.linear.weights
    classifier.fit(pictures, labels, method="finetune")
    assert classifier.encoder is not classifier._checkpoint().encoder
    np.testing.assert_array_equal(classifier.fit(pictures, labels).head_.linear.weights, probe)


def test_vote_fractions_teach_as_labels_do(classifier, pictures, labels):
    onehot = np.stack([labels == name for name in NAMES], axis=1).astype(float)
    hard = classifier.fit(pictures, labels).predict_proba(pictures)
    np.testing.assert_allclose(classifier.fit(pictures, onehot).predict_proba(pictures), hard)
    votes = {name: 0.2 + 0.6 * onehot[:, k] for k, name in enumerate(NAMES)}
    softer = classifier.fit(pictures, votes).head_.linear.predict_proba(classifier.embed(pictures))
    assert softer.max() < hard.max()


def test_held_out_rows_say_nothing_of_noise_where_classes_are_numbers():
    """What a head starts from must not have seen the rows that it is judged on."""
    encoder = load_encoder("compact", device="cpu")
    noise = np.random.default_rng(0).normal(size=(60, encoder.dim))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    scheme, targets = ClassScheme.from_any(["0", "1"]), np.arange(60) % 2
    fitted = fit_head(Labelled(encoder, scheme, noise, np.eye(2)[targets], np.ones(60)))
    assert (fitted.held_out.argmax(axis=1) == targets).mean() < 0.7


def test_a_weight_of_two_is_a_row_twice(classifier, pictures, labels):
    weights = np.where(np.arange(40) < 10, 2, 1)
    once = classifier.fit(pictures, labels, sample_weight=weights).head_.linear
    twice = np.concatenate([np.arange(40), np.arange(10)])
    both = fit_probe(
        classifier.embed(pictures)[twice],
        (labels[twice] == "elongated").astype(int),
        class_starts(classifier.encoder, ClassScheme.from_any(NAMES)),
        scale=classifier.encoder.logit_scale,
        strength=once.strength,
    )
    np.testing.assert_allclose(once.weights, both.weights, atol=1e-3)


def test_numbers_that_have_prompts_begin_at_these(classifier):
    scheme = ClassScheme.from_any({0: ["a smooth galaxy"], 1: ["1"]})
    bare = ClassScheme.from_any([0, 1])
    assert np.isfinite(class_starts(classifier.encoder, scheme)).all()
    assert np.isnan(class_starts(classifier.encoder, bare)).all()


def test_rows_of_weight_zero_do_not_teach(classifier, pictures, labels):
    wrong = labels.copy()
    wrong[:8] = np.where(labels[:8] == "round", "elongated", "round")
    weights = (np.arange(40) >= 8).astype(float)
    some = classifier.fit(pictures, wrong, sample_weight=weights).head_.linear.weights
    np.testing.assert_array_equal(
        some, classifier.fit(pictures[8:], labels[8:]).head_.linear.weights
    )


def test_a_class_without_labels_keeps_its_words(classifier, pictures, labels):
    classifier.set_params(classes=[*NAMES, "spiral galaxy"])
    words = classifier.ready(classifier.classes).head_.linear.weights[2]
    head = classifier.fit(pictures, labels).head_.linear
    np.testing.assert_allclose(head.weights[2], words, atol=1e-7)
    assert head.bias[2] == 0


def test_unlabelled_rows_teach_only_when_asked(classifier, pictures, labels):
    few = np.ma.array(labels, mask=np.arange(40) >= 10)
    alone = classifier.fit(pictures, few).head_.linear.weights
    np.testing.assert_array_equal(
        alone, classifier.fit(pictures[:10], labels[:10]).head_.linear.weights
    )
    together = classifier.fit(pictures, few, transductive=True).head_.linear.weights
    assert not np.allclose(alone, together)
    with pytest.raises(InputError, match="transductive"):
        classifier.fit(pictures, few, method="finetune", transductive=True)


def test_a_validation_part_calibrates(classifier, pictures, labels):
    classifier.fit(pictures[:20], labels[:20], validation=(pictures[20:], labels[20:]))
    assert classifier.calibration_.rows == 20


def test_a_second_fit_embeds_nothing(classifier, pictures, labels, monkeypatch):
    classifier.fit(pictures, labels)
    encoder = classifier.encoder

    def refuse(*args, **kwargs):
        raise AssertionError("embedded again")

    monkeypatch.setattr(encoder, "encode_images", refuse)
    classifier.fit(pictures, labels)
    classifier.predict(pictures[::2])
    with pytest.raises(AssertionError, match="embedded again"):
        classifier.predict(255 - pictures)


def test_kept_embeddings_teach_as_images_do(classifier, pictures, labels):
    kept = classifier.embed(pictures)
    kept[3] = np.nan
    some = np.ma.array(labels, mask=np.arange(40) == 3)
    head = classifier.fit(pictures, some).head_.linear
    other = classifier.fit_embeddings(kept, labels).head_.linear
    np.testing.assert_array_equal(head.weights, other.weights)
    assert classifier.fit_log_["labels"] == 39
    with pytest.raises(InputError, match="39 labels for 40"):
        classifier.fit_embeddings(kept, labels[:39])
    with pytest.raises(InputError, match=r"embeddings have shape \(40, 3\)"):
        classifier.fit_embeddings(kept[:, :3], labels)


def test_embeddings_of_a_tuned_encoder_are_learnt_from_where_it_is_kept(
    classifier, pictures, labels, tmp_path
):
    classifier.fit(pictures[:8], labels[:8], method="finetune")
    kept = classifier.embed(pictures)
    with pytest.raises(InputError, match=r"has tuned the encoder .* save\(\) it and load\(\) that"):
        classifier.fit_embeddings(kept, labels)
    again = GalaxyMorphologyClassifier.load(classifier.save(tmp_path / "tuned"), device="cpu")
    found = again.fit_embeddings(kept, labels).predict(pictures)["label"]
    np.testing.assert_array_equal(found, again.predict_embeddings(kept)["label"])


def test_other_priors_move_the_probabilities(classifier, pictures, labels):
    classifier.fit(pictures, labels)
    before = classifier.predict(pictures)["probabilities"].mean(axis=0)
    table = classifier.predict(pictures, class_prior={"round": 0.9, "elongated": 0.1})
    assert table["probabilities"].mean(axis=0)[0] > before[0]
    same = classifier.predict(pictures, class_prior=[0.5, 0.5])["probabilities"]
    np.testing.assert_allclose(same.mean(axis=0), before)


def test_abstaining_masks_the_label_and_says_so(classifier, pictures, labels):
    table = classifier.fit(pictures, labels).predict(pictures, abstain_below=1.0)
    unsure = np.asarray(table["probability"]) < 1
    assert unsure.any()
    np.testing.assert_array_equal(table["label"].mask, unsure)
    assert set(table["status"][unsure]) == {"ok (abstained: no class is 1 probable)"}
    with pytest.raises(InputError, match="abstain_below=2"):
        classifier.predict(pictures, abstain_below=2)


def test_novelty_knows_noise_from_galaxies(classifier, pictures, labels):
    classifier.fit(pictures, labels)
    noise = np.random.default_rng(0).integers(0, 255, pictures.shape, dtype=np.uint8)
    assert np.median(classifier.predict(noise)["novelty"]) > np.median(
        classifier.predict(pictures)["novelty"]
    )


def test_suggestions_are_rows_with_an_image(classifier, pictures, labels):
    rows = classifier.fit(pictures[:10], labels[:10]).suggest_labels(pictures, 5)
    assert len(set(rows.tolist())) == 5
    assert rows.max() < 40


def test_a_registered_method_is_a_method(classifier, pictures, labels, tmp_path):
    @register_fit_method("means")
    def fit_means(labelled):
        head = LinearHead.zero_shot(labelled.shares.T @ labelled.embeddings, 1.0)
        return Fitted(head, head.logits(labelled.embeddings))

    try:
        assert classifier.fit(pictures, labels, method="means").fit_log_["method"] == "means"
        with pytest.raises(InputError, match="already"):
            register_fit_method("means")(lambda labelled: None)
        classifier.fit(pictures, labels, method="means", image_size=48)
        assert classifier.encoder.contract.size == 48  # the head knows embeddings of that size
        classifier.fit(pictures, labels, method="means")
        assert classifier.encoder.contract.size == 32
    finally:
        del FIT_METHODS["means"]
    assert classifier.predict(pictures[:1]).meta["head"] == "fitted"
    assert classifier.zero_shot(pictures[:1]).meta["head"] == "zero-shot"
    classifier.save(tmp_path / "means")
    saved = GalaxyMorphologyClassifier(tmp_path / "means", device="cpu")
    assert saved.predict(pictures[:1]).meta["head"] == "fitted"
    with pytest.raises(InputError, match="method='means' is not one of 'finetune', 'probe'"):
        classifier.fit(pictures, labels, method="means")


@pytest.mark.parametrize(
    ("fractions", "match"),
    [
        (np.ones((40, 3)), "2 classes"),
        (np.zeros((40, 2)), "all 0"),
        (-np.ones((40, 2)), "negative"),
        ({"round": np.ones(40)}, r"no vote fractions of \['elongated'\]"),
    ],
)
def test_bad_fractions_are_named(classifier, pictures, fractions, match):
    with pytest.raises(InputError, match=match):
        classifier.fit(pictures, fractions)


def test_bad_weights_are_named(classifier, pictures, labels):
    with pytest.raises(InputError, match="sample_weight of shape"):
        classifier.fit(pictures, labels, sample_weight=[1, 2])
    with pytest.raises(InputError, match="0 or more"):
        classifier.fit(pictures, labels, sample_weight=-np.ones(40))
    with pytest.raises(InputError, match="sample_weight holds something that is no number"):
        classifier.fit(pictures, labels, sample_weight=["much"] * 40)


def test_large_images_are_reduced_in_memory():
    images = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), dtype=np.uint8)
    found = labelled_images(ArraySource(images), np.array([1, 4]), 24)
    assert found.shape == (2, 32, 32, 3)
    assert abs(found[0].mean() - images[1].mean()) < 2
    np.testing.assert_array_equal(
        labelled_images(ArraySource(images), np.array([2]), 64)[0], images[2]
    )


def test_a_prior_needs_labels_of_every_class(classifier, pictures, labels):
    classifier.set_params(classes=[*NAMES, "spiral"])
    classifier.fit(pictures, labels)
    with pytest.raises(InputError, match=r"class_prior= .* saw none of \['spiral'\]"):
        classifier.predict(pictures, class_prior=[0.4, 0.3, 0.3])


def test_reference_computes_in_float32_whatever_predictions_do(labelled):
    ends = []
    for precision in ("fp32", "bf16"):
        labelled.encoder.precision = precision
        fitted = fit_reference(labelled)
        assert fitted.encoder.precision == precision
        ends.append(weights_of(fitted.encoder))
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())

"""The estimator that people meet, on a tiny model."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import QTable, Table
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
)
from sklearn.utils.validation import check_is_fitted

from gmc_astro import ClassScheme, GalaxyMorphologyClassifier, open_images
from gmc_astro.exceptions import (
    CheckpointError,
    GmcAstroWarning,
    InputError,
    RecipeMismatchWarning,
    TrainingError,
)
from gmc_astro.imaging import SDSS_LUPTON
from gmc_astro.learning import PretrainSettings
from gmc_astro.morphology import GZ2_FIVE_CLASS, VoteTable
from gmc_astro.sources import ArraySource

CLASSES = ["round galaxy", "elongated galaxy"]


@pytest.fixture
def classifier(tiny_folder):
    return GalaxyMorphologyClassifier(tiny_folder, device="cpu", precision="fp32")


@pytest.mark.parametrize(
    "check",
    [
        check_do_not_raise_errors_in_init_or_set_params,
        check_estimator_cloneable,
        check_estimator_tags_renamed,
        check_estimator_repr,
        check_get_params_invariance,
        check_mixin_order,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_set_params,
        check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learn_conventions(check):
    check("GalaxyMorphologyClassifier", GalaxyMorphologyClassifier())


def test_nothing_is_loaded_before_it_is_needed(tmp_path):
    classifier = GalaxyMorphologyClassifier(tmp_path / "no model here")
    with pytest.raises((CheckpointError, InputError), match="no model here"):
        classifier.embed(np.zeros((1, 8, 8, 3), np.uint8))


def test_zero_shot(classifier, pictures):
    table = classifier.zero_shot(pictures, CLASSES)
    assert isinstance(table, QTable)
    assert len(table) == 40
    assert set(table["label"]) <= set(CLASSES)
    np.testing.assert_allclose(table["probabilities"].sum(axis=1), 1)
    np.testing.assert_allclose(table["probability"], table["probabilities"].max(axis=1))
    assert table.meta["class_names"] == CLASSES
    assert table.meta["model"] == "tiny"
    assert table.meta["head"] == "zero-shot"
    assert len(table.meta["checkpoint_sha256"]) == 64
    assert "torch" in table.meta["versions"]


@pytest.mark.parametrize(
    "classes",
    [CLASSES, {name: ["one prompt"] for name in CLASSES}, ClassScheme.from_any(CLASSES)],
    ids=["names", "prompts", "scheme"],
)
def test_kinds_of_classes(classifier, pictures, classes):
    assert classifier.zero_shot(pictures[:2], classes).meta["class_names"] == CLASSES


def test_classes_of_the_constructor(tiny_folder, pictures):
    classifier = GalaxyMorphologyClassifier(tiny_folder, classes=CLASSES, device="cpu")
    assert classifier.predict(pictures[:2]).meta["class_names"] == CLASSES


def test_a_model_without_classes_says_so(classifier, pictures):
    for method in (classifier.predict, classifier.predict_proba, classifier.zero_shot):
        with pytest.raises(NotFittedError, match=r"has no classes of its own: name some"):
            method(pictures)


def test_predict_proba_and_embed(classifier, pictures):
    classifier.set_params(classes=CLASSES)
    proba = classifier.predict_proba(pictures)
    assert proba.shape == (40, 2)
    assert proba.dtype == np.float64
    vectors = classifier.embed(pictures)
    assert vectors.shape == (40, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_embeddings_are_enough(classifier, pictures):
    vectors = classifier.embed(pictures)
    vectors[3] = np.nan
    table = classifier.predict_embeddings(vectors, CLASSES, ids=np.arange(40), meta={"run": "7"})
    direct = classifier.zero_shot(pictures, CLASSES)
    assert table["status"][3] == "no embedding"
    assert table["label"].mask.nonzero()[0].tolist() == [3]
    others = np.delete(np.arange(40), 3)
    np.testing.assert_allclose(table["probabilities"][others], direct["probabilities"][others])
    assert table.meta["run"] == "7"
    assert table.meta["head"] == "zero-shot"
    fitted = classifier.fit(pictures[:8], CLASSES * 4)
    assert fitted.predict_embeddings(vectors).meta["head"] == "fitted"
    with pytest.raises(InputError, match=r"shape \(40, 3\); this model's are \(N, 16\)"):
        classifier.predict_embeddings(vectors[:, :3], CLASSES)


def test_ready_does_not_change_the_classifier(classifier, pictures):
    ready = classifier.ready(["clockwise spiral", "anticlockwise spiral"])
    assert ready.views == 4
    assert ready.classes_.tolist() == ["clockwise spiral", "anticlockwise spiral"]
    assert not hasattr(classifier, "head_")
    assert classifier.views == 8


def test_a_broken_file_keeps_its_place(classifier, pictures, tmp_path):
    for i in range(3):
        Image.fromarray(pictures[i]).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:60])
    table = classifier.zero_shot(tmp_path, CLASSES)
    assert table["label"].mask.tolist() == [False, True, False]
    assert table["status"][0] == table["status"][2] == "ok"
    assert table["status"][1] not in ("ok", "")
    assert np.isnan(table["probabilities"][1]).all()
    vectors = classifier.embed(tmp_path)
    assert np.isnan(vectors[1]).all()
    assert np.isfinite(vectors[[0, 2]]).all()


def test_fit_learns_what_labels_say(classifier, pictures, labels):
    fitted = classifier.fit(pictures[:20], labels[:20])
    assert fitted is classifier
    check_is_fitted(classifier)
    assert classifier.classes_.tolist() == ["elongated", "round"]
    assert classifier.score(pictures[20:], labels[20:]) > 0.9
    table = classifier.predict(pictures[20:])
    assert table.meta["head"] == "fitted"


def test_fit_takes_integers_that_index_the_classes(tiny_folder, pictures, labels):
    classifier = GalaxyMorphologyClassifier(
        tiny_folder, classes=["elongated", "round"], device="cpu", precision="fp32"
    )
    numbers = (labels == "round").astype(np.uint8)
    classifier.fit(pictures[:20], numbers[:20])
    assert classifier.score(pictures[20:], numbers[20:]) > 0.9
    assert classifier.score(pictures[20:], labels[20:]) > 0.9


def test_fit_leaves_out_rows_without_label_or_image(classifier, pictures, labels, tmp_path):
    for i in range(12):
        Image.fromarray(pictures[i]).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "03.png").write_bytes(b"broken")
    some = np.ma.array(labels[:12], mask=np.arange(12) == 5)
    with pytest.warns(GmcAstroWarning, match="1 of 11 labelled images cannot .* such as row 3: un"):
        classifier.fit(tmp_path, some, size=48)
    kept = [i for i in range(12) if i not in (3, 5)]
    other = clone(classifier).fit(pictures[kept], labels[kept])
    np.testing.assert_allclose(
        classifier.head_.linear.weights, other.head_.linear.weights, atol=1e-4
    )


def test_fit_twice_is_the_same(classifier, pictures, labels):
    first = classifier.fit(pictures, labels).head_
    second = classifier.fit(pictures, labels).head_
    np.testing.assert_array_equal(first.linear.weights, second.linear.weights)


def test_labels_of_a_hdf5_stack(classifier, pictures, labels, tmp_path):
    import h5py

    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["images"] = pictures
        file["ans"] = (labels == "round").astype(np.uint8)
    source = open_images(tmp_path / "stack.h5")
    classifier.fit(source, source.labels)
    assert classifier.score(source, source.labels) > 0.9


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c, x, y: c.fit(x, y[:5]), "5 labels for 40 images"),
        (lambda c, x, y: c.fit(x, ["a"] * 40), "two or more|fewer than two"),
        (lambda c, x, y: c.fit(x, y, method="magic"), "method='magic' is not one of"),
        (lambda c, x, y: c.fit(x, y, colour="red"), "colour"),
        (lambda c, x, y: c.fit(x, y).score(x, y[:3]), "3 labels for 40 images"),
        (lambda c, x, y: c.zero_shot(x, ["one"]), "fewer than two; name two or more"),
        (lambda c, x, y: c.embed(42), "42|int"),
        (lambda c, x, y: c.pretrain(x, ["a caption"] * 3), "3 rows of votes or captions for 40"),
        (lambda c, x, y: c.pretrain(x, ["a"] * 40, recipe="secret"), "recipe='secret'"),
    ],
)
def test_bad_input_is_named(classifier, pictures, labels, call, says):
    with pytest.raises((InputError, TypeError), match=says):
        call(classifier, pictures, labels)


def test_labels_that_are_no_classes(tiny_folder, pictures, labels):
    classifier = GalaxyMorphologyClassifier(tiny_folder, classes=["bar", "ring"], device="cpu")
    with pytest.raises(InputError, match=r"labels \['elongated', 'round'\] are not among"):
        classifier.fit(pictures, labels)


def test_save_and_load(classifier, pictures, labels, tmp_path):
    classifier.fit(pictures[:20], labels[:20])
    path = classifier.save(tmp_path / "mine", card="# Mine\n")
    again = GalaxyMorphologyClassifier.load(path, device="cpu", precision="fp32")
    np.testing.assert_array_equal(again.predict_proba(pictures), classifier.predict_proba(pictures))
    assert again.classes_.tolist() == classifier.classes_.tolist()
    assert again.predict(pictures[:1]).meta["head"] == "fitted"
    with pytest.raises(CheckpointError, match="exists"):
        classifier.save(path)
    again.save(path, overwrite=True)


def test_a_folder_can_be_given_as_model(classifier, pictures, labels, tmp_path):
    path = classifier.fit(pictures[:20], labels[:20]).save(tmp_path / "mine")
    again = GalaxyMorphologyClassifier(path, device="cpu", precision="fp32")
    np.testing.assert_array_equal(again.predict_proba(pictures), classifier.predict_proba(pictures))


def test_pickle_leaves_the_network_out(classifier, pictures, labels):
    classifier.fit(pictures[:20], labels[:20])
    content = pickle.dumps(classifier)
    assert len(content) < 20_000
    again = pickle.loads(content)
    np.testing.assert_array_equal(again.predict_proba(pictures), classifier.predict_proba(pictures))


def test_pickle_keeps_a_network_that_was_trained_here(classifier, pictures, labels):
    settings = PretrainSettings(epochs=1, batch_size=8)
    classifier.pretrain(pictures, list(labels), recipe=settings, progress=False)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.embed(pictures), classifier.embed(pictures))


def test_a_saved_head_is_not_saved_again_for_other_classes(classifier, pictures, labels, tmp_path):
    folder = classifier.fit(pictures, labels).save(tmp_path / "two")
    names = ["round", "elongated", "ring"]
    other = GalaxyMorphologyClassifier(folder, classes=names, device="cpu")
    again = GalaxyMorphologyClassifier.load(other.save(tmp_path / "three"), device="cpu")
    table = again.predict(pictures[:4])
    assert table.meta["class_names"] == names
    assert table.meta["head"] == "zero-shot"
    np.testing.assert_allclose(
        table["probabilities"], other.predict(pictures[:4])["probabilities"], atol=1e-6
    )
    kept = GalaxyMorphologyClassifier(folder, device="cpu").save(tmp_path / "copy")
    assert GalaxyMorphologyClassifier(kept, device="cpu").predict(pictures[:4]).meta["head"] == (
        "fitted"
    )


def test_pretrain_on_votes_then_save(classifier, pictures, labels, tmp_path):
    votes = VoteTable.read(
        Table({"id": np.arange(40).astype(str), "label": ["elliptical", "edge_on"] * 20})
    )
    before = classifier.embed(pictures[:2])
    settings = PretrainSettings(epochs=2, batch_size=8, learning_rate=1e-3)
    classifier.fit(pictures, labels)
    classifier.pretrain(pictures, votes, recipe=settings, progress=False)
    assert len(classifier.training_log_) == 2
    assert not hasattr(classifier, "head_")
    after = classifier.embed(pictures[:2])
    assert not np.allclose(before, after, atol=1e-3)
    again = GalaxyMorphologyClassifier.load(
        classifier.save(tmp_path / "m"), device="cpu", precision="fp32"
    )
    np.testing.assert_array_equal(again.embed(pictures[:2]), after)
    assert again._checkpoint().metadata["training"] == classifier.training_log_


def test_epochs_overrule_the_recipe(classifier, pictures, labels):
    classifier.pretrain(pictures, list(labels), epochs=1, progress=False)
    assert len(classifier.training_log_) == 1


def test_colours_are_converted_where_they_can_be(classifier, cube):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = classifier.zero_shot(cube, CLASSES)
    assert table.meta["model_recipe"] == "SDSS_LUPTON"
    assert table["label"].tolist()[0] in CLASSES


def test_other_colours_are_warned_of(classifier, pictures):
    with pytest.warns(RecipeMismatchWarning, match="colours of GZ_DECALS.*trained on SDSS_LUPTON"):
        classifier.zero_shot(pictures[:3], CLASSES, recipe="GZ_DECALS")


def test_a_recipe_asked_for_is_kept_and_warned_of(classifier, cube):
    with pytest.warns(RecipeMismatchWarning, match="colours of LEGACY_DR9"):
        table = classifier.zero_shot(cube, CLASSES, recipe="LEGACY_DR9")
    assert table.meta["image_recipe"] == "LEGACY_DR9"


def test_a_model_of_colours_of_ones_own(classifier, pictures, tmp_path):
    """It keeps their name; what they are has to be said again."""
    mine = replace(SDSS_LUPTON, name="MINE", stretch=0.3)
    source = ArraySource(pictures[:8], recipe=mine)
    classifier.pretrain(source, CLASSES * 4, epochs=1, progress=False)
    saved = GalaxyMorphologyClassifier(classifier.save(tmp_path / "mine"), device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = saved.zero_shot(pictures[:3], CLASSES, recipe=mine)
        saved.zero_shot(source, CLASSES)
    assert table.meta["model_recipe"] == table.meta["image_recipe"] == "MINE"
    with pytest.raises(InputError, match=r"colours MINE.*with recipe="):
        saved.zero_shot(pictures[:3], CLASSES)


def test_handedness_is_not_averaged_away(classifier):
    """Eight views mirror; classes that speak of clockwise arms must not be."""
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[0, 4:12, 4:28] = 200
    picture[0, 4:28, 4:8] = 200
    pair = np.concatenate([picture, picture[:, :, ::-1]])
    sense = classifier.zero_shot(pair, ["clockwise spiral", "anticlockwise spiral"])
    assert sense.meta["views"] == 4
    assert not np.allclose(*np.asarray(sense["probabilities"]), atol=1e-4)
    plain = classifier.zero_shot(pair, CLASSES)
    assert plain.meta["views"] == 8
    np.testing.assert_allclose(*np.asarray(plain["probabilities"]), atol=1e-4)


def test_the_bundled_model_has_the_five_classes(pictures):
    table = GalaxyMorphologyClassifier(device="cpu", views=1).predict(pictures[:2])
    assert table.meta["class_names"] == list(GZ2_FIVE_CLASS.names)


def test_embeddings_of_another_image_size_are_made_anew(classifier, pictures):
    classifier.embed(pictures)
    classifier.encoder.set_image_size(48)
    expected = classifier.encoder.encode_images(pictures, views=8)
    np.testing.assert_allclose(classifier.embed(pictures), expected, atol=1e-5)


def test_a_contract_given_to_save_is_that_of_the_file_alone(classifier, tmp_path):
    own = classifier.encoder.contract
    folder = classifier.save(tmp_path / "a", contract=replace(own, span=3.0))
    assert classifier.encoder.contract == own
    assert GalaxyMorphologyClassifier(folder).encoder.contract.span == 3.0


def test_random_weights_are_those_of_random_state():
    seeds = (0, 0, 1)
    words = [
        GalaxyMorphologyClassifier(weights="random", random_state=seed).encoder.encode_texts(["x"])
        for seed in seeds
    ]
    np.testing.assert_array_equal(words[0], words[1])
    assert not np.allclose(words[0], words[2])


@pytest.mark.parametrize(
    ("method", "options"), [("probe", {}), ("reference", {}), ("reference", {"image_size": 40})]
)
def test_what_was_labelled_is_not_suggested(classifier, pictures, labels, method, options):
    classifier.fit(pictures[:15], labels[:15], method=method, **options)
    assert set(classifier.suggest_labels(pictures, 25)) == set(range(15, 40))
    with pytest.raises(InputError, match=r"n=26 rows of 25 that have an image, and no label yet"):
        classifier.suggest_labels(pictures, 26)


def test_a_loaded_classifier_answers_as_the_saved_one(classifier, pictures, labels, tmp_path):
    classifier.set_params(views=1).fit(pictures, labels)
    again = GalaxyMorphologyClassifier.load(
        classifier.save(tmp_path / "one"), device="cpu", precision="fp32"
    )
    assert again.views == 1
    assert again.calibration_ == classifier.calibration_
    expected = classifier.predict_proba(pictures)
    np.testing.assert_allclose(again.predict_proba(pictures), expected, atol=1e-6)
    assert GalaxyMorphologyClassifier.load(tmp_path / "one", views=4).views == 4


def test_arguments_of_the_constructor_are_checked_when_they_are_used(tiny_folder, pictures):
    with pytest.raises(InputError, match="batch_size=0 is not 1 or more"):
        GalaxyMorphologyClassifier(tiny_folder, batch_size=0).embed(pictures)
    with pytest.raises(InputError, match="model=3 is no name, and no path of a folder"):
        GalaxyMorphologyClassifier(3).embed(pictures)


def test_names_of_galaxies_are_no_labels(classifier, pictures):
    with pytest.raises(InputError, match="each of the 40 labels is another one: give class names"):
        classifier.fit(pictures, np.arange(40) + 1237648720693755918)
    with pytest.raises(InputError, match="all of 40 labels are empty or masked"):
        classifier.fit(pictures, [""] * 40)
    with pytest.raises(InputError, match=r"validation=0.2 is not a pair \(images, labels\)"):
        classifier.fit(pictures, ["a", "b"] * 20, validation=0.2)


def test_options_that_mean_nothing_are_named(classifier, pictures, labels):
    with pytest.raises(InputError, match=r"sample_weigth is no option here, nor one of open_im"):
        classifier.fit(pictures, labels, sample_weigth=np.ones(40))
    with pytest.raises(InputError, match=r"options \['recipe'\] come too late for images that"):
        classifier.zero_shot(open_images(pictures), CLASSES, recipe="SDSS_LUPTON")
    with pytest.raises(InputError, match=r"classes is no option here"):
        classifier.fit(pictures, labels).predict(open_images(pictures), classes=CLASSES)


def test_images_that_are_labelled_twice_are_told(classifier, pictures, labels):
    twice = np.concatenate([pictures, pictures[:4]])
    with pytest.warns(GmcAstroWarning, match="4 of 44 labelled images repeat others"):
        classifier.fit(twice, np.concatenate([labels, labels[:4]]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrainingError])
def test_a_stopped_pretraining_leaves_the_model_as_it_was(classifier, pictures, labels, error):
    def stop(encoder):
        raise error("stopped")

    before = classifier.encoder.weights_sha256
    with pytest.raises(error):
        classifier.pretrain(pictures, list(labels), epochs=1, progress=False, validation=stop)
    assert classifier.encoder.weights_sha256 == before
    assert classifier.checkpoint_sha256


def test_another_precision_or_model_after_a_pretraining(classifier, pictures, labels, tmp_path):
    classifier.save(tmp_path / "before")
    classifier.pretrain(pictures, list(labels), epochs=1, progress=False)
    classifier.fit(pictures, labels)
    learnt = classifier.encoder.weights_sha256
    classifier.set_params(precision="bf16")
    assert classifier.encoder.precision == "bf16"
    assert classifier.encoder.weights_sha256 == learnt
    assert classifier.training_log_
    classifier.predict(pictures)
    classifier.set_params(model=str(tmp_path / "before"))
    assert classifier.encoder.weights_sha256 != learnt
    assert not hasattr(classifier, "training_log_")
    with pytest.raises(NotFittedError):
        classifier.predict(pictures)


def test_pretraining_keeps_the_classes_of_a_model(classifier, pictures, labels, tmp_path):
    classifier.set_params(classes=CLASSES).save(tmp_path / "named")
    again = GalaxyMorphologyClassifier(tmp_path / "named", device="cpu")
    again.pretrain(pictures, list(labels), epochs=1, progress=False)
    assert again.predict(pictures).meta["class_names"] == CLASSES
    again.save(tmp_path / "learnt")
    assert GalaxyMorphologyClassifier(tmp_path / "learnt").predict(pictures).meta["class_names"]


def test_scores_count_what_can_be_had_and_say_so(classifier, pictures, labels, tmp_path):
    files = [tmp_path / f"{i:02d}.png" for i in range(12)]
    for file, picture in zip(files, pictures, strict=False):
        Image.fromarray(picture).save(file)
    classifier.fit(pictures[20:], labels[20:])
    whole = classifier.score(list(map(str, files)), labels[:12])
    files[3].write_bytes(b"broken")
    with pytest.warns(GmcAstroWarning, match="1 of 12 labelled images cannot be had and are not"):
        assert classifier.score(tmp_path, labels[:12]) == pytest.approx(whole, abs=1 / 11)
    for file in files:
        file.write_bytes(b"broken")
    with (
        pytest.warns(GmcAstroWarning, match="12 of 12"),
        pytest.raises(InputError, match="none of 12 rows has an image and a label"),
    ):
        classifier.score(tmp_path, labels[:12])


def test_a_fit_without_classes_keeps_those_of_the_model(pictures):
    """A class without a label is still known in words; other names are classes of their own."""
    own = GalaxyMorphologyClassifier(device="cpu", views=1)
    known = list(GZ2_FIVE_CLASS.names)
    own.fit(pictures, [known[0], known[3]] * 20)
    assert own.classes_.tolist() == known
    assert own.predict_proba(pictures[:2]).shape == (2, 5)
    own.fit(pictures, {known[0]: [0.9, 0.1] * 20, known[2]: [0.1, 0.9] * 20})
    assert own.classes_.tolist() == known
    own.fit(pictures, [known[0], "ring"] * 20)
    assert own.classes_.tolist() == sorted([known[0], "ring"])

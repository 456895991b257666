"""Contrastive pretraining of a tiny model, for real."""

import json
import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from astropy.table import Table
from PIL import Image

from gmc_astro import open_images
from gmc_astro.exceptions import InputError, TrainingError, UnknownWordsWarning
from gmc_astro.learning import (
    FixedCaptions,
    PretrainSettings,
    VoteCaptions,
    as_captions,
    pretrain,
    validate_questions,
)
from gmc_astro.models.network import token_embedding
from gmc_astro.morphology import GZ2_TREE, VoteTable

SETTINGS = PretrainSettings(epochs=3, batch_size=8, learning_rate=3e-3, ema=0.5)


@pytest.fixture
def captions(labels):
    return FixedCaptions([f"a galaxy, measured {label} in outline" for label in labels])


def weights(encoder):
    return {k: v.clone() for k, v in encoder.network.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_words_and_images_meet(fresh_encoder, pictures, labels, captions):
    source = open_images(pictures)
    log = pretrain(
        fresh_encoder, source, captions, settings=replace(SETTINGS, epochs=25), progress=False
    ).log
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]
    texts = [f"a galaxy, measured {label} in outline" for label in ("round", "elongated")]
    similarity = fresh_encoder.encode_images(pictures) @ fresh_encoder.encode_texts(texts).T
    found = np.array(["round", "elongated"])[similarity.argmax(axis=1)]
    assert (found == labels).mean() > 0.9


def test_a_diverging_training_ends_in_a_sentence(fresh_encoder, pictures, captions):
    source, wild = open_images(pictures), replace(SETTINGS, learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"diverged: its loss is (nan|inf) at step \d+"):
        pretrain(fresh_encoder, source, captions, settings=wild, progress=False)


def test_two_files_teach_what_one_does(make_tiny_encoder, pictures, captions, tmp_path):
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, images in zip(paths, np.split(pictures, [13]), strict=True):
        with h5py.File(path, "w") as file:
            file["images"] = images
    one, two = make_tiny_encoder(), make_tiny_encoder()
    pretrain(one, open_images(pictures), captions, settings=SETTINGS, progress=False)
    pretrain(two, open_images(paths), captions, settings=SETTINGS, progress=False)
    assert same(weights(one), weights(two))


def test_words_that_no_caption_had_are_zero_and_warned_of(fresh_encoder, pictures, captions):
    start = token_embedding(fresh_encoder.network).weight.detach().clone()
    settings = replace(SETTINGS, epochs=1, prune_words=True)
    pretrain(fresh_encoder, open_images(pictures), captions, settings=settings, progress=False)
    table = token_embedding(fresh_encoder.network).weight.detach()
    kept = table.any(dim=1)
    tokens = fresh_encoder.tokenizer(["a galaxy, measured round elongated in outline"])[0]
    assert set(np.flatnonzero(kept).tolist()) | {0} == set(tokens.tolist())
    assert (table[kept] != start[kept]).any(dim=1).all()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh_encoder.encode_texts(["A round galaxy!", "elongated in outline"])
    with pytest.warns(UnknownWordsWarning, match="tiny never read the words barred, quokka:"):
        fresh_encoder.encode_texts(["a barred galaxy", "a round quokka"])


def test_same_seed_same_weights(make_tiny_encoder, pictures, captions):
    results = []
    for seed in (0, 0, 1):
        encoder = make_tiny_encoder()
        settings = replace(SETTINGS, epochs=1, seed=seed)
        pretrain(encoder, open_images(pictures), captions, settings=settings, progress=False)
        results.append(weights(encoder))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_an_interrupted_run_ends_as_an_undisturbed_one(
    make_tiny_encoder, pictures, captions, tmp_path
):
    whole = make_tiny_encoder()
    options = {"settings": SETTINGS, "progress": False}
    whole_log = pretrain(whole, open_images(pictures), captions, **options).log

    class Killed(Exception):
        pass

    def kill_in_the_second_epoch(encoder, seen=[]):  # noqa: B006 - counts its calls
        seen.append(1)
        if len(seen) == 2:
            raise Killed
        return {}

    options = {"settings": SETTINGS, "folder": tmp_path / "run", "progress": False}
    with pytest.raises(Killed):
        pretrain(
            make_tiny_encoder(),
            open_images(pictures),
            captions,
            validation=kill_in_the_second_epoch,
            **options,
        )
    resumed = make_tiny_encoder()
    log = pretrain(resumed, open_images(pictures), captions, **options).log
    assert same(weights(resumed), weights(whole))
    assert [entry["loss"] for entry in log] == [entry["loss"] for entry in whole_log]


def test_folder_holds_state_and_log(fresh_encoder, pictures, captions, tmp_path):
    log = pretrain(
        fresh_encoder,
        open_images(pictures),
        captions,
        settings=SETTINGS,
        folder=tmp_path,
        progress=False,
    ).log
    lines = [
        json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()
    ]
    assert lines[0]["settings"]["batch_size"] == 8
    assert lines[1:] == log
    assert [entry["epoch"] for entry in log] == [1, 2, 3]
    state = torch.load(tmp_path / "training_state.pt", weights_only=True)
    assert state["epoch"] == 3
    assert state["losses"] == []


def test_another_run_in_the_folder_is_not_continued(fresh_encoder, pictures, captions, tmp_path):
    options = {"folder": tmp_path, "progress": False}
    source = open_images(pictures)
    pretrain(fresh_encoder, source, captions, settings=replace(SETTINGS, epochs=1), **options)
    other = replace(SETTINGS, epochs=1, learning_rate=1e-4)
    with pytest.raises(InputError, match=r"other settings \(learning_rate\).*resume=False"):
        pretrain(fresh_encoder, source, captions, settings=other, **options)
    log = pretrain(fresh_encoder, source, captions, settings=other, resume=False, **options).log
    assert len(log) == 1


def test_an_encoder_with_colours_of_its_own_is_trained_again(fresh_encoder, pictures, captions):
    """Its contract has no more than their name, of which pictures cannot be recoloured."""
    fresh_encoder.contract = replace(fresh_encoder.contract, recipe="my_survey")
    before = {k: v.clone() for k, v in fresh_encoder.network.state_dict().items()}
    settings = PretrainSettings(epochs=1, batch_size=20, ema=0)
    pretrain(fresh_encoder, open_images(pictures), captions, settings=settings, progress=False)
    assert any(not v.equal(before[k]) for k, v in fresh_encoder.network.state_dict().items())


def test_averaged_weights_are_the_result(make_tiny_encoder, pictures, captions):
    results = {}
    for ema in (0, 0.9):
        encoder = make_tiny_encoder()
        settings = replace(SETTINGS, ema=ema)
        pretrain(encoder, open_images(pictures), captions, settings=settings, progress=False)
        results[ema] = weights(encoder)
    assert not same(results[0], results[0.9])


def test_votes_become_captions(fresh_encoder, pictures, votes):
    seen = []

    def watch(encoder):
        seen.append(encoder.network.training)
        return validate_questions(encoder, open_images(pictures), votes)

    log = pretrain(
        fresh_encoder,
        open_images(pictures),
        as_captions(votes, 40),
        settings=SETTINGS,
        progress=False,
        validation=watch,
    ).log
    assert {"smooth_or_features", "outline"} <= set(log[-1])
    assert 0 <= log[-1]["outline"] <= 1


def test_questions_that_were_not_really_asked_are_no_truth(fresh_encoder, pictures):
    """Two of forty volunteers who saw features say little of whether a galaxy is edge-on."""
    counts = np.full((40, len(GZ2_TREE)), np.nan, np.float32)
    counts[:, GZ2_TREE.columns("smooth_or_features")] = [38, 2, 0]
    counts[:20, GZ2_TREE.columns("smooth_or_features")] = [2, 38, 0]
    counts[:, GZ2_TREE.columns("edgeon")] = np.array([[2, 0], [0, 2]])[np.arange(40) % 2]
    shares = counts.copy()
    for question in GZ2_TREE.questions:
        columns = GZ2_TREE.columns(question.name)
        shares[:, columns] /= counts[:, columns].sum(axis=1, keepdims=True)
    stray = VoteTable(np.arange(40).astype(str), shares, GZ2_TREE, counts)
    asked = validate_questions(fresh_encoder, open_images(pictures), stray)
    assert set(asked) == {"smooth_or_features"}


def test_a_mirrored_image_is_spoken_of_as_it_looks():
    votes = VoteTable.read(
        Table({"id": np.arange(60).astype(str), "label": ["spiral_clockwise"] * 60})
    )
    captions, rows = VoteCaptions(votes), np.arange(60)
    for mirrored, sense in ((False, "clockwise"), (True, "anticlockwise")):
        flipped = np.full(60, mirrored)
        texts = captions.write(rows, epoch=0, seed=0, flipped=flipped)
        words = {word for text in texts for word in text.split() if "clockwise" in word}
        assert words == {sense}
        assert (captions.relation(rows, texts, flipped=flipped) > 0).any()
        assert (captions.relation(rows, texts, flipped=~flipped) < 0).any()


def test_votes_that_were_counted_turn_with_the_image():
    columns = {name: [0.0, 0.0] for name in ("P_EL", "P_EDGE", "P_DK", "P_MG")}
    table = Table({"OBJID": [1, 2], "P_CW": [0.9, 0.9], "P_ACW": [0.1, 0.1], **columns})
    table["NVOTE"] = 50
    captions = VoteCaptions(VoteTable.read(table))
    counts = captions.counts(np.arange(2), flipped=np.array([False, True]))
    place = [
        captions.answers.index(("galaxy_type", sense)) for sense in ("clockwise", "anticlockwise")
    ]
    assert counts[:, place].tolist() == [[45, 5], [5, 45]]


def test_given_sentences_turn_with_the_image():
    fixed = FixedCaptions(["Clockwise arms", "an anti-clockwise spiral", "a disk"])
    texts = fixed.write(np.arange(3), epoch=0, seed=0, flipped=np.array([True, True, True]))
    assert texts == ["Anticlockwise arms", "a clockwise spiral", "a disk"]


def test_relation_of_votes_and_of_fixed_captions(votes):
    relation = VoteCaptions(votes).relation(
        np.array([0, 1]),
        ["a smooth galaxy", "an edge-on galaxy", "a galaxy"],
        flipped=np.zeros(2, bool),
    )
    assert relation.tolist() == [[1, -1, 0], [-1, 1, 0]]
    fixed = FixedCaptions(["a", "b", "a"])
    relation = fixed.relation(np.arange(3), ["a", "b"], flipped=np.zeros(3, bool))
    assert relation.tolist() == [[1, -1], [-1, 1], [1, -1]]


def test_numbers_must_agree(fresh_encoder, pictures, captions):
    with pytest.raises(InputError, match="40 captions for 39 images"):
        pretrain(fresh_encoder, open_images(pictures[:39]), captions, settings=SETTINGS)
    with pytest.raises(InputError, match="2 rows of votes or captions for 3 images"):
        as_captions(["a", "b"], 3)


def test_a_missing_caption_is_named():
    with pytest.raises(InputError, match="caption of row 1 is None"):
        FixedCaptions(["a", None])


def test_no_image_at_all(fresh_encoder, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no")
    source = open_images(tmp_path, size=32)
    with pytest.raises(InputError, match="no row of the source has an image"):
        pretrain(fresh_encoder, source, FixedCaptions(["x"]), settings=SETTINGS, progress=False)


def test_a_run_on_other_images_or_captions_is_not_continued(
    fresh_encoder, pictures, captions, tmp_path
):
    options = {"settings": replace(SETTINGS, epochs=1), "folder": tmp_path, "progress": False}
    source = open_images(pictures)
    pretrain(fresh_encoder, source, captions, **options)
    with pytest.raises(InputError, match=r"other inputs \(images\)"):
        pretrain(fresh_encoder, open_images(pictures[::-1].copy()), captions, **options)
    other = as_captions(["a galaxy"] * len(source), len(source))
    with pytest.raises(InputError, match=r"other inputs \(captions\)"):
        pretrain(fresh_encoder, source, other, **options)
    with pytest.raises(InputError, match=r"other inputs \(captions, images\)"):
        pretrain(fresh_encoder, source, captions, exclude=pictures[:4], **options)


def test_rows_without_an_image_do_not_count_as_steps(make_tiny_encoder, pictures, tmp_path):
    paths = [tmp_path / f"{i:02d}.png" for i in range(2 * len(pictures))]
    for path, picture in zip(paths[::2], pictures, strict=True):
        Image.fromarray(picture).save(path)
    rates = []
    for given in (paths, paths[::2]):
        images = open_images([str(path) for path in given])
        captions = as_captions(["a galaxy"] * len(images), len(images))
        log = pretrain(make_tiny_encoder(), images, captions, settings=SETTINGS, progress=False).log
        rates.append([entry["learning_rate"] for entry in log])
    assert rates[0] == rates[1]


def test_a_validation_may_return_numbers_of_numpy(fresh_encoder, pictures, captions, tmp_path):
    options = {"settings": replace(SETTINGS, epochs=1), "folder": tmp_path, "progress": False}
    watch = {"accuracy": np.mean([0.0, 1.0]), "other": np.float32(0.25)}.copy
    for _ in range(2):  # the second goes on from what the first kept
        log = pretrain(
            fresh_encoder, open_images(pictures), captions, validation=lambda _: watch(), **options
        ).log
        assert (log[-1]["accuracy"], log[-1]["other"]) == (0.5, 0.25)


def test_a_refused_run_leaves_the_encoder_as_it_was(fresh_encoder, pictures, captions, tmp_path):
    source, options = open_images(pictures), {"folder": tmp_path, "progress": False}
    one_epoch = replace(SETTINGS, epochs=1)
    fresh_encoder.network.logit_scale.requires_grad_(False)
    before = [p.requires_grad for p in fresh_encoder.network.parameters()]
    pretrain(fresh_encoder, source, captions, settings=one_epoch, **options)
    locked = replace(one_epoch, locked_images=True)
    with pytest.raises(InputError, match="a run with other settings"):
        pretrain(fresh_encoder, source, captions, settings=locked, **options)
    assert [p.requires_grad for p in fresh_encoder.network.parameters()] == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width=0 must be more than 0"),
        ({"learning_rate": 0}, "learning_rate=0 must be more than 0"),
        ({"ema": -1}, "ema=-1 must be 0 or more, and less than 1"),
        ({"seed": -1}, "seed=-1 must be 0 or more"),
        ({"weight_decay": float("nan")}, "weight_decay=nan must be 0 or more"),
    ],
)
def test_settings_out_of_their_range(settings, message):
    with pytest.raises(InputError, match=message):
        PretrainSettings(**settings)


def test_how_often_to_save(fresh_encoder, pictures, captions):
    with pytest.raises(InputError, match="save_every=0 must be 1 or more"):
        pretrain(fresh_encoder, open_images(pictures), captions, save_every=0, progress=False)


def test_captions_keep_their_word_for_anticlockwise():
    both = ["a clockwise spiral", "a counterclockwise spiral"]
    captions = FixedCaptions(both)
    rows, mirrored = np.arange(2), np.ones(2, bool)
    assert captions.write(rows, epoch=0, seed=0, flipped=mirrored) == both[::-1]
    relation = captions.relation(rows, both[::-1], flipped=mirrored)
    assert relation.tolist() == [[1, -1], [-1, 1]]

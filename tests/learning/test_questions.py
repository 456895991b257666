"""What is asked of images: the tree's questions, what is not known, and what was denied."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table

from gmc_astro.exceptions import InputError
from gmc_astro.learning import (
    Augmentation,
    FixedCaptions,
    PretrainSettings,
    Questions,
    VoteCaptions,
    as_captions,
    class_shares,
    pretrain,
)
from gmc_astro.morphology import ClassScheme, VoteTable
from gmc_astro.sources import open_images


def read(**columns):
    rows = len(next(iter(columns.values())))
    return VoteTable.read(Table({"id": np.arange(rows).astype(str), **columns}))


def question(questions, sentence):
    """Columns of the question that has an answer said so."""
    place = next(i for i, ways in enumerate(questions.sentences) if sentence in ways)
    return np.flatnonzero(questions.numbers == questions.numbers[place])


def test_answers_of_a_question_sum_to_one_or_are_not_known():
    votes = read(label=["elliptical", "edge_on", "spiral", "merger", ""])
    questions = Questions.of_votes(votes)
    for number in range(len(questions.weights)):
        total = questions.shares[:, questions.numbers == number].sum(axis=1)
        assert (np.isnan(total) | (np.abs(total - 1) < 1e-6)).all()
    edge_on = question(questions, "an edge-on disk")
    assert questions.shares[1, edge_on].tolist() == [1, 0]
    assert np.isnan(questions.shares[[0, 4]][:, edge_on]).all()
    assert np.isnan(questions.shares[4]).all()


def test_a_question_with_one_answer_for_all_is_not_asked():
    smooth = Questions.of_votes(read(label=["elliptical", "elliptical"]))
    assert smooth.sentences == ()
    both = Questions.of_votes(read(label=["elliptical", "edge_on"]))
    assert question(both, "a smooth galaxy").size == 3


def test_an_answer_without_votes_has_what_the_others_leave():
    votes = read(label=["spiral", "spiral"])
    fractions = votes.fractions.copy()
    columns = [votes.tree.index("spiral", name) for name in ("spiral", "no_spiral")]
    fractions[:, columns] = [[np.nan, 0.75], [0.5, np.nan]]
    questions = Questions.of_votes(replace(votes, fractions=fractions))
    spiral = question(questions, "a spiral galaxy")
    assert questions.shares[:, spiral].tolist() == [[0.25, 0.75], [0.5, 0.5]]


def test_what_is_not_there_is_asked_for_too():
    votes = read(label=["spiral", "spiral"])
    fractions = votes.fractions.copy()
    fractions[:, votes.tree.index("odd_feature", "ring")] = [1, 0]
    questions = Questions.of_votes(replace(votes, fractions=fractions))
    ring = question(questions, "a galaxy without a ring")
    assert questions.shares[:, ring].tolist() == [[1, 0], [0, 1]]


def test_handedness_is_not_asked_for():
    votes = read(label=["spiral_clockwise", "spiral_anticlockwise", "edge_on"])
    said = " ".join(way for ways in Questions.of_votes(votes).sentences for way in ways)
    assert "clockwise" not in said
    assert "edge-on" in said


def test_what_was_measured_is_asked_for_where_wanted():
    votes = read(label=["elliptical", "edge_on", "spiral"])
    votes = votes.with_outline(np.array([0.95, 0.2, np.nan]))
    voted, measured = (VoteCaptions(votes, measured=wanted).questions for wanted in (False, True))
    assert not any("measured" in way for ways in voted.sentences for way in ways)
    outline = question(measured, "a galaxy, measured oval in outline")
    assert len(measured.weights) == len(voted.weights) + 1
    np.testing.assert_array_equal(measured.shares[:2, outline], [[1, 0, 0], [0, 0, 1]])
    assert np.isnan(measured.shares[2, outline]).all()


def test_classes_are_one_more_question():
    votes = read(label=["elliptical", "edge_on", "spiral"])
    scheme = ClassScheme.from_any({"round": ["a round galaxy"], "flat": ["a flat galaxy"]})
    shares, _ = class_shares(["round", None, "flat"], scheme.names)
    alone = VoteCaptions(votes).questions
    questions = VoteCaptions(votes, classes=(scheme, shares)).questions
    assert len(questions.weights) == len(alone.weights) + 1
    assert questions.weights[-1] > questions.weights[0]
    columns = question(questions, "a flat galaxy")
    np.testing.assert_array_equal(questions.shares[:, columns], shares.astype(np.float32))
    drawn = questions.draw(torch.Generator().manual_seed(0))
    assert all(one in ways for one, ways in zip(drawn, questions.sentences, strict=True))


def test_captions_stay_as_they_are(votes):
    captions = VoteCaptions(votes)
    assert as_captions(captions, len(votes)) is captions
    with pytest.raises(InputError, match="rows of votes or captions for 2 images"):
        as_captions(captions, 2)


def test_captions_of_ones_own_stay_too(votes):
    class Own:
        """Captions that are no subclass of the package's."""

        def __init__(self, captions):
            self.captions = captions

        def __len__(self):
            return len(self.captions)

        def __getattr__(self, name):
            return getattr(self.captions, name)

    own = Own(VoteCaptions(votes))
    assert as_captions(own, len(votes)) is own


def test_a_run_goes_on_with_the_same_answers_only(fresh_encoder, pictures, votes, tmp_path):
    scheme = ClassScheme.from_any(["a round galaxy", "a flat galaxy"])
    first, _ = class_shares(["a round galaxy", "a flat galaxy"] * 20, scheme.names)
    source = open_images(pictures)
    options = {"settings": PretrainSettings(epochs=1, batch_size=20, loss="answers")}
    options |= {"folder": tmp_path, "progress": False}
    pretrain(fresh_encoder, source, VoteCaptions(votes, classes=(scheme, first)), **options)
    pretrain(fresh_encoder, source, VoteCaptions(votes, classes=(scheme, first)), **options)
    other = VoteCaptions(votes, classes=(scheme, first[:, ::-1]))
    with pytest.raises(InputError, match="answers"):
        pretrain(fresh_encoder, source, other, **options)


def test_sentences_have_no_answers_nor_have_labels_that_are_all_the_same(fresh_encoder, pictures):
    source, n = open_images(pictures), len(pictures)
    settings = PretrainSettings(epochs=1, loss="answers")
    for captions in (FixedCaptions(["a galaxy"] * n), VoteCaptions(read(label=["spiral"] * n))):
        with pytest.raises(InputError, match='loss="answers" needs votes or labels'):
            pretrain(fresh_encoder, source, captions, settings=settings, progress=False)


def test_an_encoder_learns_the_answers(fresh_encoder, pictures, votes):
    """Round or elongated galaxies, asked in the tree's words."""
    settings = PretrainSettings(
        epochs=25, batch_size=8, learning_rate=3e-3, loss="answers", ema=0.5
    )
    source = open_images(pictures)
    result = pretrain(fresh_encoder, source, VoteCaptions(votes), settings=settings, progress=False)
    losses = [entry["loss"] for entry in result.log]
    assert losses[-1] < losses[0] / 2
    found = (
        fresh_encoder.encode_images(pictures)
        @ fresh_encoder.encode_texts(["a smooth galaxy", "a disk galaxy"]).T
    )
    truth = np.arange(len(pictures)) % 2
    assert (found.argmax(axis=1) == truth).mean() > 0.9


def test_senses_are_asked_for_only_where_no_image_is_mirrored(fresh_encoder, pictures, votes):
    scheme = ClassScheme.from_any(["a clockwise spiral galaxy", "an anticlockwise spiral galaxy"])
    shares, _ = class_shares(list(scheme.names) * 20, scheme.names)
    captions = VoteCaptions(votes, classes=(scheme, shares))
    settings = PretrainSettings(epochs=1, batch_size=20, loss="answers")
    with pytest.raises(InputError, match="train with an augmentation of flip=0"):
        pretrain(fresh_encoder, open_images(pictures), captions, settings=settings, progress=False)
    settings = replace(settings, augmentation=Augmentation(flip=0))
    pretrain(fresh_encoder, open_images(pictures), captions, settings=settings, progress=False)

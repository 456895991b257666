"""Vote counts: their likelihood, and a head that learns to predict them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import dirichlet_multinomial

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.exceptions import CheckpointError, InputError
from gmc_astro.learning import PretrainSettings, VoteHead, dirichlet_multinomial_loss, votes_table
from gmc_astro.learning.vote_head import VoteLayer, counted_answers
from gmc_astro.models import write_checkpoint
from gmc_astro.morphology import LABEL_TREE, VoteTable

QUESTIONS = torch.tensor([0, 0, 0, 1, 1])
ALPHA = np.array([[1.5, 2.0, 9.0, 4.0, 1.0], [30.0, 2.0, 1.0, 1.0, 1.0]])
COUNTS = np.array([[3.0, 0.0, 7.0, 2.0, 2.0], [20.0, 1.0, 0.0, 0.0, 0.0]])


def loss(alpha, counts):
    return dirichlet_multinomial_loss(torch.tensor(alpha), torch.tensor(counts), QUESTIONS)


def test_likelihood_is_scipys():
    by_hand = [
        dirichlet_multinomial.logpmf(COUNTS[row, part].astype(int), ALPHA[row, part], n)
        for row, part, n in ((0, slice(0, 3), 10), (0, slice(3, 5), 4), (1, slice(0, 3), 21))
    ]
    np.testing.assert_allclose(loss(ALPHA, COUNTS), -np.sum(by_hand) / 2)


def test_unknown_counts_say_nothing():
    unknown = COUNTS.copy()
    unknown[0, 4] = np.nan
    np.testing.assert_allclose(loss(ALPHA, unknown)[None], loss(ALPHA, COUNTS * [1, 1, 1, 0, 0]))
    alpha = torch.tensor(ALPHA, requires_grad=True)
    nothing = torch.full((2, 5), torch.nan)
    value = dirichlet_multinomial_loss(alpha, nothing, QUESTIONS)
    value.backward()
    assert value == 0
    assert (alpha.grad == 0).all()


def test_gradients():
    alpha = torch.tensor(ALPHA, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a: dirichlet_multinomial_loss(a, torch.tensor(COUNTS), QUESTIONS), (alpha,)
    )


def test_uncertainty_is_that_of_the_distribution():
    """Against numbers drawn from the same Dirichlet distribution."""
    answers = (("bar", "bar"), ("bar", "no_bar"), ("odd", "yes"), ("odd", "no"))
    head = VoteHead(np.zeros((4, 3)), np.array([-3.0, -1.0, 0.0, -4.0]), answers)
    alpha = head.concentration(np.zeros((1, 3)))[0]
    fraction, deviation = head.predict(np.zeros((1, 3)))
    rng = np.random.default_rng(0)
    for part in (slice(0, 2), slice(2, 4)):
        drawn = rng.dirichlet(alpha[part], 200_000)
        np.testing.assert_allclose(fraction[0, part], drawn.mean(axis=0), atol=2e-3)
        np.testing.assert_allclose(deviation[0, part], drawn.std(axis=0), atol=2e-3)


def test_the_trained_layer_and_the_head_agree():
    layer = VoteLayer(4, (("bar", "bar"), ("bar", "no_bar")))
    torch.nn.init.normal_(layer.weights, generator=torch.Generator().manual_seed(0))
    features = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    counts = torch.tensor([[3.0, 1.0]] * 3)
    alpha = torch.from_numpy(layer.head().concentration(features.numpy()))
    by_head = dirichlet_multinomial_loss(alpha, counts, layer.question_of)
    assert layer(features, counts).item() == pytest.approx(by_head.item(), abs=1e-4)


def test_table_of_failed_rows():
    head = VoteHead(np.ones((2, 3)), np.zeros(2), (("bar", "bar"), ("bar", "no_bar")))
    table = votes_table(head, np.full((2, 3), 0.5), ["ok", "no such file"], ids=["a", "b"])
    assert table.colnames[:3] == ["id", "bar_bar_fraction", "bar_bar_fraction_std"]
    assert table["bar_bar_fraction"][0] == pytest.approx(0.5)
    assert np.isnan(table["bar_bar_fraction"][1])
    assert np.isnan(table["bar_no_bar_fraction_std"][1])


def test_a_head_that_does_not_fit_is_refused():
    with pytest.raises(CheckpointError, match="for 1 answers"):
        VoteHead.from_arrays({"weights": np.ones((2, 3)), "bias": np.ones(2)}, [("bar", "bar")])


@pytest.fixture(scope="module")
def counted():
    """Counts that 40 volunteers would give: round galaxies smooth, elongated ones edge-on."""
    rng = np.random.default_rng(0)
    counts = np.full((40, len(LABEL_TREE)), np.nan, np.float32)
    for question, shares in (
        ("smooth_or_features", ([0.85, 0.1, 0.05], [0.15, 0.8, 0.05])),
        ("edgeon", ([0.1, 0.9], [0.9, 0.1])),
    ):
        for row in range(40):
            drawn = rng.multinomial(40, rng.dirichlet(20 * np.array(shares[row % 2])))
            counts[row, LABEL_TREE.columns(question)] = drawn
    fractions = counts / 40
    return VoteTable(np.arange(40).astype(str), fractions.astype(np.float32), counts=counts)


def test_counted_questions_only(counted):
    questions = {question for question, _ in counted_answers(counted)}
    assert questions == {"smooth_or_features", "edgeon"}
    assert counted_answers(replace(counted, counts=None)) == ()


def test_counts_travel_with_their_rows(counted):
    np.testing.assert_array_equal(counted[[3, 1]].counts, counted.counts[[3, 1]])
    joined = VoteTable.concatenate([counted[:2], replace(counted[2:3], counts=None)])
    np.testing.assert_array_equal(joined.counts[:2], counted.counts[:2])
    assert np.isnan(joined.counts[2]).all()


def test_a_pretrained_model_predicts_votes(tiny_folder, pictures, counted, tmp_path):
    classifier = GalaxyMorphologyClassifier(tiny_folder, device="cpu", precision="fp32")
    with pytest.raises(InputError, match="'tiny' predicts no votes"):
        classifier.predict_votes(pictures[:1])
    settings = PretrainSettings(epochs=40, batch_size=20, learning_rate=1e-2, ema=0)
    classifier.pretrain(pictures, counted, recipe=settings, progress=False)
    table = classifier.predict_votes(pictures)
    predicted = np.asarray(table["edgeon_yes_fraction"])
    truth = counted.fraction("edgeon", "yes")
    assert np.corrcoef(predicted, truth)[0, 1] > 0.8
    off = (predicted - truth) / np.asarray(table["edgeon_yes_fraction_std"])
    assert 0.3 < np.std(off) < 3
    total = table["edgeon_yes_fraction"] + table["edgeon_no_fraction"]
    np.testing.assert_allclose(total, 1)
    assert "bar_bar_fraction" not in table.colnames

    folder = classifier.save(tmp_path / "model")
    assert (folder / "votes.safetensors").is_file()
    again = GalaxyMorphologyClassifier.load(folder, device="cpu", precision="fp32")
    np.testing.assert_allclose(again.predict_votes(pictures)["edgeon_yes_fraction"], predicted)
    assert again.save(tmp_path / "copy").joinpath("votes.safetensors").is_file()


def test_mirror_images_do_not_average_handedness(tiny_folder, pictures, tmp_path):
    classifier = GalaxyMorphologyClassifier(tiny_folder, device="cpu", precision="fp32")
    rng = np.random.default_rng(0)
    answers = [("handedness", "clockwise"), ("handedness", "anticlockwise")]
    head = VoteHead(rng.normal(size=(2, 16)), np.zeros(2), tuple(answers))
    metadata = {"votes": answers, "versions": {}}
    write_checkpoint(tmp_path / "m", classifier.encoder, metadata=metadata, votes=head.to_arrays())
    found = [
        GalaxyMorphologyClassifier(tmp_path / "m", precision="fp32", views=views)
        .predict_votes(pictures)["handedness_clockwise_fraction"]
        .value
        for views in (4, 8)
    ]
    np.testing.assert_allclose(*found, atol=1e-6)

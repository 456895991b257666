"""The contrastive loss against open_clip's, and what shared captions do to it."""

import pytest
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss

from gmc_astro.learning.losses import LOSSES, Pairs, contrastive_loss, sigmoid_loss


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    return [F.normalize(torch.randn(6, 8, generator=generator), dim=1) for _ in range(2)]


def diagonal(n):
    return 2 * torch.eye(n, dtype=torch.int8) - 1


def test_equals_clip_where_every_caption_is_its_own(features):
    scale = torch.tensor(14.0)
    theirs = ClipLoss()(*features, scale)
    torch.testing.assert_close(contrastive_loss(*features, diagonal(6), scale), theirs)


def test_gradients_equal_those_of_clip(features):
    scale = torch.tensor(14.0)
    grads = []
    for loss in (
        lambda i, t: contrastive_loss(i, t, diagonal(6), scale),
        lambda i, t: ClipLoss()(i, t, scale),
    ):
        images = features[0].clone().requires_grad_()
        loss(images, features[1]).backward()
        grads.append(images.grad)
    torch.testing.assert_close(*grads)


def test_a_shared_caption_costs_nothing_once_it_is_met():
    vector = F.normalize(torch.ones(1, 8), dim=1)
    other = F.normalize(torch.eye(8)[:1] - vector, dim=1)
    images = torch.cat([vector, vector, other])
    texts = torch.cat([vector, other])
    relation = torch.tensor([[1, -1], [1, -1], [-1, 1]])
    assert contrastive_loss(images, texts, relation, torch.tensor(100.0)) < 1e-6


def test_one_hot_loss_would_push_equal_captions_apart():
    """Why relation is an input: the diagonal alone never lets two equal galaxies rest."""
    vector = F.normalize(torch.ones(1, 8), dim=1).repeat(2, 1)
    assert ClipLoss()(vector, vector, torch.tensor(100.0)) > 0.6
    both = torch.ones(2, 2)
    assert contrastive_loss(vector, vector, both, torch.tensor(100.0)) == pytest.approx(0, abs=1e-6)


def test_unknown_pairs_do_not_pull_or_push(features):
    images, texts = (f.clone().requires_grad_() for f in features)
    relation = torch.zeros(6, 6)
    relation[0, 0], relation[0, 1], relation[1, 0] = 1, -1, -1
    contrastive_loss(images, texts, relation, torch.tensor(5.0)).backward()
    assert images.grad[2:].abs().max() == 0
    assert texts.grad[2:].abs().max() == 0
    assert images.grad[0].abs().max() > 0


def test_nothing_known_is_no_loss_and_finite(features):
    images = features[0].clone().requires_grad_()
    loss = contrastive_loss(images, features[1], torch.zeros(6, 6), torch.tensor(5.0))
    loss.backward()
    assert loss == 0
    assert torch.isfinite(images.grad).all()


@pytest.fixture
def own():
    return torch.arange(6)


@pytest.mark.parametrize("name", ["infonce", "soft", "relation"])
def test_each_loss_is_clip_where_all_captions_differ(features, own, name):
    target = {"infonce": None, "soft": torch.eye(6), "relation": diagonal(6)}[name]
    scale = torch.tensor(14.0)
    found = LOSSES[name](*features, Pairs(own, target), scale, None)
    torch.testing.assert_close(found, ClipLoss()(*features, scale), atol=1e-6, rtol=0)


def test_sigmoid_is_open_clips_where_all_captions_differ(features):
    scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
    theirs = SigLipLoss()(*features, scale, bias)
    ours = sigmoid_loss(*features, torch.eye(6), scale, bias)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_are_those_of_the_loss(features, name):
    images = features[0].double().requires_grad_()
    texts = features[1][:4].double().requires_grad_()
    scale = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    own = torch.tensor([0, 1, 2, 3, 3, 0])
    generator = torch.Generator().manual_seed(1)
    similarity = torch.rand(6, 6, generator=generator, dtype=torch.float64)
    similarity = torch.maximum(similarity, (own[:, None] == own).double())
    relation = torch.tensor([[1, -1, 0, -1]] * 3 + [[-1, 0, 1, 1]] * 3)
    pairs = Pairs(own, relation if name == "relation" else similarity)
    if name == "answers":  # two questions of two answers, of which one image was not asked
        shares = torch.tensor([[1, 0, 0.5, 0.5], [0, 1, torch.nan, torch.nan]]).repeat(3, 1)
        numbers, weights = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 8.0])
        pairs = Pairs(target=shares.double(), questions=numbers, weights=weights)
    assert torch.autograd.gradcheck(
        lambda *values: LOSSES[name](values[0], values[1], pairs, values[2], values[3]),
        (images, texts, scale, bias),
    )


@pytest.mark.parametrize("name", ["soft", "relation", "sigmoid"])
def test_equal_captions_are_not_pulled_apart(features, name):
    """All galaxies of the batch have one caption: nothing may drive their images apart."""
    start = features[0]
    text = features[1][:1]
    own = torch.zeros(6, dtype=torch.long)
    target = torch.ones(6, 1) if name == "relation" else torch.ones(6, 6)
    bias = torch.tensor(-10.0)

    def loss(images):
        return LOSSES[name](images, text, Pairs(own, target), torch.tensor(10.0), bias)

    images = start.clone().requires_grad_()
    value = loss(images)
    value.backward()
    assert torch.isfinite(value)
    moved = start - 0.01 * images.grad
    before, after = (torch.cdist(x, x).max() for x in (start, moved))
    assert after <= before + 1e-6

    met = text.repeat(6, 1).requires_grad_()
    loss(met).backward()
    across = met.grad - (met.grad @ text.T) * text  # what would turn an image away
    assert across.abs().max() < 1e-6
    if name != "sigmoid":  # a sigmoid is never quite 1
        assert loss(met).abs() < 1e-5
        assert met.grad.abs().max() < 1e-5

"""The contrastive loss against open_clip's, and what shared captions do to it."""

import pytest
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss

from gmc_astro.learning.losses import contrastive_loss


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

"""Augmentation: seeded, within range, and honest about mirror images."""

import pytest
import torch

from gmc_astro.learning.augment import Augmentation, augment

NOTHING = Augmentation(
    rotate=False, zoom=(1, 1), shift=0, flip=0, gain=0, contrast=0, grey=0, blur=0, noise=0
)


@pytest.fixture
def images():
    return torch.rand(16, 3, 24, 24, generator=torch.Generator().manual_seed(3))


def seeded(images, settings, seed=0, size=24):
    return augment(images, size, settings, torch.Generator().manual_seed(seed))


def test_nothing_changes_nothing(images):
    changed, flipped = seeded(images, NOTHING)
    torch.testing.assert_close(changed, images, atol=1e-5, rtol=0)
    assert not flipped.any()


def test_flipped_says_which_were_mirrored(images):
    from dataclasses import replace

    changed, flipped = seeded(images, replace(NOTHING, flip=0.5))
    assert 0 < flipped.sum() < len(images)
    torch.testing.assert_close(changed[flipped], images[flipped].flip(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(changed[~flipped], images[~flipped], atol=1e-5, rtol=0)


def test_same_seed_same_images(images):
    a, b, c = (seeded(images, Augmentation(), seed)[0] for seed in (1, 1, 2))
    torch.testing.assert_close(a, b, atol=0, rtol=0)
    assert not torch.allclose(a, c)


def test_size_and_range(images):
    changed, _ = seeded(images, Augmentation(), size=16)
    assert changed.shape == (16, 3, 16, 16)
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_rotation_without_mirror_keeps_handedness():
    """A pinwheel turned by any angle keeps its sense; a mirrored one loses it."""
    from dataclasses import replace

    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 65)] * 2, indexing="ij")
    phase = torch.atan2(y, x) * 2 - 8 * torch.hypot(x, y)
    wheel = (0.5 + 0.5 * torch.cos(phase)).expand(8, 3, 65, 65)

    def sense(pictures):
        """Correlation with a spiral of either sense, largest over its angles."""
        found = []
        for sign in (1, -1):
            angle = torch.atan2(y, x) * 2 - sign * 8 * torch.hypot(x, y)
            inside = torch.hypot(x, y) < 0.9
            waves = torch.stack([torch.cos(angle), torch.sin(angle)]) * inside
            parts = torch.einsum("nhw,khw->nk", pictures[:, 0] - 0.5, waves)
            found.append(parts.norm(dim=1))
        return found[0] > found[1]

    turned, _ = seeded(wheel, replace(NOTHING, rotate=True), size=65)
    assert sense(turned).all()
    mirrored, flipped = seeded(wheel, replace(NOTHING, rotate=True, flip=1.0), size=65)
    assert flipped.all()
    assert not sense(mirrored).any()

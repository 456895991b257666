"""Augmentation: seeded, within range, and honest about mirror images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import GZ_DECALS, RECIPES, SDSS_LUPTON, SDSS_VIEWER, make_rgb
from gmc_astro.learning.augment import Augmentation, apply_draws, augment, draw
from gmc_astro.learning.recolour import recolour

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


def test_bytes_are_changed_as_floats_are(images):
    from gmc_astro.learning.augment import apply_draws, draw
    from gmc_astro.models.preprocess import to_channels_first

    pixels = (images.permute(0, 2, 3, 1) * 255).to(torch.uint8)
    settings = replace(Augmentation(), opening=3)
    draws = draw(16, settings, torch.Generator().manual_seed(0))
    by_bytes = apply_draws(pixels, 24, settings, draws)
    by_floats = apply_draws(to_channels_first(pixels), 24, settings, draws)
    torch.testing.assert_close(by_bytes, by_floats, atol=1e-6, rtol=0)


def test_a_part_of_a_batch_is_changed_as_in_the_whole(images):
    from gmc_astro.learning.augment import apply_draws, draw

    settings = replace(Augmentation(), recolour=0.5)
    draws = draw(16, settings, torch.Generator().manual_seed(0))
    whole = apply_draws(images, 24, settings, draws, recipe=SDSS_LUPTON)
    part = apply_draws(images[3:9], 24, settings, draws[3:9], recipe=SDSS_LUPTON)
    torch.testing.assert_close(part, whole[3:9], atol=1e-5, rtol=0)


def test_opening_is_scipys(images):
    from scipy.ndimage import grey_opening

    opened, _ = seeded(images, replace(NOTHING, opening=3))
    expected = np.stack([[grey_opening(p, (3, 3)) for p in image] for image in images.numpy()])
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(opened.numpy()[inner], expected[inner], atol=1e-5)


def test_crop_keeps_the_middle(images):
    """Half of the width, at the size of half of the width: the pixels in the middle."""
    cropped, _ = seeded(images, replace(NOTHING, crop=0.5), size=12)
    torch.testing.assert_close(cropped, images[:, :, 6:18, 6:18], atol=1e-5, rtol=0)


def test_noise_is_gaussian_of_the_size_asked_for():
    grey = torch.full((256, 3, 32, 32), 0.5)
    noisy, _ = seeded(grey, replace(NOTHING, noise=0.1), size=32)
    assert noisy.std(dim=(1, 2, 3)).max() < 0.105
    # uniform numbers squared, times 0.1, have a root mean square of 0.1 / sqrt(5)
    assert (noisy - 0.5).square().mean().sqrt().item() == pytest.approx(0.1 / 5**0.5, rel=0.1)
    assert not torch.equal(noisy[0], noisy[1])


@pytest.mark.parametrize("there", list(RECIPES.values()), ids=list(RECIPES))
@pytest.mark.parametrize("here", [SDSS_LUPTON, SDSS_VIEWER, GZ_DECALS], ids=lambda r: r.name)
def test_recolouring_is_what_the_other_survey_would_have_shown(make_galaxy, here, there):
    """Against make_rgb of the same flux; the colours of single bands are known exactly."""
    shape = make_galaxy(48, 6)
    flux = np.stack([0.1 * f * shape for f in (0.3, 0.6, 1.0)])  # blue first
    colours = {
        recipe: [make_rgb(_bands(flux, recipe), recipe=recipe, flip=False)]
        for recipe in (here, there)
    }
    picture, expected = (
        torch.from_numpy(np.stack(colours[r])).permute(0, 3, 1, 2).float() / 255
        for r in (here, there)
    )
    found = recolour(picture.clone(), here, (there,), torch.zeros(1, dtype=torch.long))
    before = (picture - expected).abs().mean()
    after = (found - expected).abs().mean()
    assert after < 0.03
    if here != there:
        assert after < 0.5 * before


def _bands(flux, recipe):
    """Flux in the recipe's bands: i is taken for z where there are four."""
    return flux if len(recipe.bands) == 3 else np.stack([flux[0], flux[1], flux[2], flux[2]])


def test_recolouring_needs_to_know_the_colours(images):
    settings = replace(NOTHING, recolour=1.0)
    same, _ = seeded(images, settings)
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    other, _ = augment(images, 24, settings, torch.Generator().manual_seed(0), recipe=SDSS_LUPTON)
    assert (other - images).abs().mean() > 0.01


def test_what_is_shown_smaller_is_averaged_not_skipped():
    """Of stripes a pixel wide nothing is left where every other pixel would be skipped."""
    stripes = torch.zeros(16, 3, 128, 128)
    stripes[..., ::2] = 1.0
    settings = replace(NOTHING, zoom=(0.7, 1.3))
    draws = draw(16, settings, torch.Generator().manual_seed(0))
    shown = apply_draws(stripes, 64, settings, draws)
    coarse = 2 * draws.matrix[:, 0, 0] >= 2
    assert 3 < coarse.sum() < 13
    np.testing.assert_allclose(shown[coarse], 0.5, atol=1e-6)
    assert (shown[~coarse].std(dim=(1, 2, 3)) > 0.1).all()
    each = [apply_draws(stripes[[i]], 64, settings, draws[[i]]) for i in range(16)]
    torch.testing.assert_close(torch.cat(each), shown)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zoom": (0, 1)}, r"zoom=\(0, 1\) must be two numbers above 0"),
        ({"zoom": (2, 1)}, "the smaller one first"),
        ({"flip": 2}, "flip=2 must be between 0 and 1"),
        ({"opening": 2}, "opening=2 must be 0, or an odd number"),
        ({"crop": 0}, "crop=0 above 0"),
    ],
)
def test_changes_out_of_their_range(changes, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**changes)

import numpy as np
import pytest

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import (
    GZ_DECALS,
    SDSS_VIEWER,
    Bands,
    crop_square,
    frame_galaxy,
    measure_galaxy,
    read_bands,
    recipe_for,
    render_bands,
)


@pytest.mark.parametrize("size", [16, 40, 100])
def test_flux_is_conserved(make_galaxy, size):
    plane = make_galaxy(size=81, r_eff=4)[None]
    square = crop_square(plane, (40, 40), 80, size)
    assert square.shape == (1, size, size)
    assert square.sum() * (80 / size) ** 2 == pytest.approx(plane.sum(), rel=0.02)


def test_crop_at_scale_one_is_a_slice(make_galaxy):
    plane = make_galaxy(size=33)[None]
    np.testing.assert_allclose(
        crop_square(plane, (16, 16), 9, 9), plane[:, 12:21, 12:21], rtol=1e-5
    )


def test_beyond_the_edge_is_zero():
    square = crop_square(np.ones((1, 20, 20)), (0, 0), 20, 20)
    assert square[0, 0, 0] == 0
    assert square[0, 15, 15] == 1
    larger = crop_square(np.ones((1, 20, 20)), (0, 0), 20, 80)[0]  # the corner is at -0.5
    assert larger[0].max() == larger[:, 0].max() == 0
    assert larger[38:, 38:].min() == 1
    assert larger.sum() == 42**2


@pytest.mark.parametrize("shape", [(64, 64), (40, 64)])
@pytest.mark.parametrize("size", [16, 40, 64, 224, 1000])
def test_no_pixel_of_the_edge_is_lost(shape, size):
    """A whole image has no frame of zeros, however large it is made."""
    middle = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    square = crop_square(np.ones((2, *shape)), middle, min(shape), size)
    np.testing.assert_allclose(square, 1, rtol=1e-5)
    assert square.dtype == np.float32


def test_nan_is_zero():
    assert crop_square(np.full((1, 9, 9), np.nan), (4, 4), 9, 9).sum() == 0


def test_galaxies_of_any_size_look_the_same_when_framed(make_galaxy):
    framed = []
    for r_eff in (4, 8):
        plane = make_galaxy(size=160, r_eff=r_eff)
        framed.append(frame_galaxy(plane[None], measure_galaxy(plane), size=64)[0])
    small, large = framed
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.99


def test_render_measures_in_arcsec(cube):
    image, measured, note = render_bands(read_bands(cube), size=64)
    assert image.shape == (64, 64, 3)
    assert measured["petro_r90"] == pytest.approx(2.32 * 5 * 0.262, rel=0.1)
    assert note == ""


def test_fallback_is_told():
    noise = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    _, measured, note = render_bands(Bands(noise, ("g", "r", "z")), size=32)
    assert note == "fixed framing: no source at the centre"
    assert np.isnan(measured["petro_r90"])


def test_a_hot_pixel_is_not_measured():
    planes = np.zeros((3, 64, 64), np.float32)
    planes[:, 32, 31] = 1000
    _, measured, note = render_bands(Bands(planes, ("g", "r", "z")), size=32)
    assert note == "fixed framing: the source at the centre is a single pixel"
    assert np.isnan(list(measured.values())).all()


def test_fixed_width_shows_less_sky(cube):
    bands = read_bands(cube)
    whole, _, _ = render_bands(bands, framing="none", size=40)
    middle, _, _ = render_bands(bands, framing="fixed", width=20, size=40)
    assert middle.mean() > 1.5 * whole.mean()


def test_unknown_framing(cube):
    with pytest.raises(InputError, match="framing='big'"):
        render_bands(read_bands(cube), framing="big")


def test_recipe_suits_the_bands():
    plane = np.ones((1, 4, 4), np.float32)
    assert recipe_for(Bands(plane.repeat(3, 0), ("g", "r", "z"))) is GZ_DECALS
    assert recipe_for(Bands(plane.repeat(3, 0), ("g", "r", "i"))) is SDSS_VIEWER

import numpy as np
import pytest
from astropy import units as u
from astropy.utils.masked import Masked
from astropy.visualization import make_lupton_rgb
from astropy.wcs import WCS
from PIL import Image

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import (
    GZ_DECALS,
    LEGACY_DR9,
    LEGACY_DR10,
    SDSS_LUPTON,
    SDSS_VIEWER,
    is_south_up,
    make_rgb,
    read_bands,
)


@pytest.fixture(scope="module")
def flux():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-32:32, -32:32]
    light = np.exp(-np.hypot(x, y) / 6)
    return (light * np.array([0.5, 2, 9])[:, None, None] + rng.normal(0, 0.05, (3, 64, 64))).astype(
        np.float32
    )


def test_viewer_follows_the_published_formula(flux):
    g, r, z = (np.maximum(0, s * f + 0.03) for s, f in zip((6.0, 3.4, 2.2), flux, strict=True))
    mean = (g + r + z) / 3
    expected = [
        np.where(
            mean > 0, c * np.arcsinh(20 * mean) / (np.sqrt(20) * np.where(mean > 0, mean, 1)), 0
        )
        for c in (z, r, g)
    ]
    expected = (np.clip(np.stack(expected, -1), 0, 1) * 255).astype(int)
    found = make_rgb(flux, recipe=LEGACY_DR9, flip=False).astype(int)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("masked", [np.ma.array, Masked])
@pytest.mark.parametrize("by_band", [False, True])
def test_masked_pixels_are_empty_sky(flux, masked, by_band):
    mask = np.zeros(flux.shape, bool)
    mask[:, :8] = True
    nan, bright = np.where(mask, np.nan, flux), np.where(mask, np.float32(1e6), flux)
    given = masked(bright, mask=mask)
    given = dict(zip("grz", given, strict=True)) if by_band else given
    np.testing.assert_array_equal(make_rgb(given), make_rgb(nan))


def test_flux_in_other_units(flux):
    janskys = flux * 3.631e-6 * u.Jy
    mask = np.zeros(flux.shape, bool)
    for given in (
        flux * u.nmgy,
        flux * 1e-9 * u.mgy,
        janskys,
        janskys.to(u.erg / u.s / u.cm**2 / u.Hz),
    ):
        np.testing.assert_allclose(make_rgb(given).astype(int), make_rgb(flux), atol=1)
    masked = Masked(janskys, mask=mask)
    np.testing.assert_allclose(make_rgb(masked).astype(int), make_rgb(flux), atol=1)
    by_band = dict(zip("grz", janskys, strict=True))
    np.testing.assert_allclose(make_rgb(by_band).astype(int), make_rgb(flux), atol=1)


@pytest.mark.parametrize("unit", [u.s, u.ct, u.dimensionless_unscaled])
def test_a_unit_that_is_none_of_flux(flux, unit):
    with pytest.raises(InputError, match="give flux in nanomaggies, or in a unit that becomes Jy"):
        make_rgb(flux * unit)


def test_lupton_equals_astropy(flux):
    expected = make_lupton_rgb(flux[2], flux[1], flux[0], stretch=0.5, Q=10)
    found = make_rgb(flux, recipe=SDSS_LUPTON, flip=False)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_asinh_limits_are_black_and_white():
    scales = np.array(GZ_DECALS.scales)[:, None, None]
    assert make_rgb(scales * np.full((3, 2, 2), -0.5), recipe=GZ_DECALS).max() == 0
    assert make_rgb(scales * np.full((3, 2, 2), 301.0), recipe=GZ_DECALS).min() == 255


def test_four_bands_mix():
    only_i = np.zeros((4, 2, 2))
    only_i[2] = 0.05
    red, green, blue = make_rgb(only_i, recipe=LEGACY_DR10)[0, 0].tolist()
    assert green > red > blue


@pytest.mark.parametrize("name", ["decals_dr3_a", "decals_dr3_s", "decals_dr5_c"])
def test_same_as_galaxy_zoo_decals_own_picture(data_folder, name):
    """Their JPEGs are south up; what is left is JPEG noise and their desaturation."""
    bands = read_bands(data_folder / "fits" / f"{name}.fits")
    theirs = np.asarray(Image.open(data_folder / "fits" / f"{name}.jpg").convert("RGB"), int)
    ours = make_rgb(bands.data, recipe=GZ_DECALS, flip=True).astype(int)
    assert np.abs(ours - theirs).mean() <= 6


def test_bands_by_name_are_put_in_order(flux):
    by_name = dict(zip("zrg", flux[::-1], strict=True))
    np.testing.assert_array_equal(make_rgb(by_name), make_rgb(flux))


def test_one_band_is_grey(flux):
    picture = make_rgb({"g": flux[0]}, recipe=LEGACY_DR9)
    assert np.ptp(picture, axis=-1).max() == 0
    assert picture.max() > 100


def test_missing_band_is_named(flux):
    with pytest.raises(InputError, match="needs the bands g, r, z; z missing"):
        make_rgb({"g": flux[0], "r": flux[1]})


def test_wrong_number_of_planes(flux):
    with pytest.raises(InputError, match=r"shape \(2, 64, 64\)"):
        make_rgb(flux[:2])


def test_shapes_must_agree(flux):
    with pytest.raises(InputError, match="all must be the same"):
        make_rgb({"g": flux[0], "r": flux[1], "z": flux[2][:5]})


@pytest.mark.parametrize("recipe", [LEGACY_DR9, GZ_DECALS, SDSS_LUPTON, SDSS_VIEWER])
def test_nan_is_empty_sky_and_input_is_left_alone(flux, recipe):
    hole = flux.copy()
    hole[:, 10, 20] = np.nan
    kept, sky = hole.copy(), make_rgb(np.zeros_like(flux), recipe=recipe)[0, 0]
    np.testing.assert_array_equal(make_rgb(hole, recipe=recipe, flip=False)[10, 20], sky)
    np.testing.assert_array_equal(hole, kept)


def test_big_endian_gives_the_same(flux):
    np.testing.assert_array_equal(make_rgb(flux.astype(">f4")), make_rgb(flux))


def _wcs(step):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cdelt = [-1e-4, step]
    return wcs


def test_north_is_up_whatever_the_file_does(flux):
    usual, turned = _wcs(1e-4), _wcs(-1e-4)
    assert is_south_up(usual)
    assert not is_south_up(turned)
    upright = make_rgb(flux, wcs=usual)
    np.testing.assert_array_equal(make_rgb(flux[:, ::-1], wcs=turned), upright)
    np.testing.assert_array_equal(make_rgb(flux), upright)

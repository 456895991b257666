import numpy as np
import pytest

from gmc_astro.exceptions import InputError, MeasurementError
from gmc_astro.imaging import cut_out, find_galaxies


@pytest.fixture(scope="module")
def sky(make_galaxy):
    """Three galaxies of different size on a noisy sky."""
    plane = np.random.default_rng(0).normal(10, 2, (200, 260))
    for x, y, r_eff in ((60, 50, 7), (180, 60, 5), (120, 150, 9)):
        plane[y - 32 : y + 32, x - 32 : x + 32] += 80 * make_galaxy(64, r_eff)
    return np.repeat(np.clip(plane, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def test_finds_them_largest_first(sky):
    galaxies = find_galaxies(sky)
    assert len(galaxies) == 3
    assert galaxies["x"][0] == pytest.approx(119.5, abs=1)
    assert galaxies["y"][0] == pytest.approx(149.5, abs=1)
    assert (np.diff(galaxies["area"]) <= 0).all()


def test_cutouts_are_centred(sky):
    cutouts, widths = cut_out(sky, find_galaxies(sky), size=33)
    assert cutouts.shape == (3, 33, 33, 3)
    assert (widths > 0).all()
    assert all(
        np.unravel_index(c[..., 0].argmax(), (33, 33)) == pytest.approx((16, 16), abs=2)
        for c in cutouts
    )


def test_nothing_there():
    with pytest.raises(MeasurementError, match="no source"):
        find_galaxies(np.full((100, 100, 3), 7, np.uint8))


def test_needs_colours():
    with pytest.raises(InputError, match=r"give \(H, W, 3\)"):
        find_galaxies(np.zeros((100, 100)))

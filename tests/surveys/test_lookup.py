"""SkyServer's cross-match through astroquery's own client."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.masked import Masked

from gmc_astro.exceptions import InputError, SurveyError
from gmc_astro.surveys import look_up_petrosian
from gmc_astro.testing import Fault, Faults, galaxy_at, serve_surveys


def test_radii_of_known_objects(server, sky):
    coords = sky(4)
    south = SkyCoord([150.0], [-5.0], unit="deg")  # the server knows nothing in the south
    both = SkyCoord(np.append(coords.ra, south.ra), np.append(coords.dec, south.dec))
    objects = look_up_petrosian(both)
    expected = [2.25 * galaxy_at(c.ra.deg, c.dec.deg).disk_radius for c in coords]
    np.testing.assert_allclose(objects["petro_r90"][:4].to_value(u.arcsec), expected)
    assert (objects["objid"][:4] > 0).all()
    assert (objects["separation"][:4] < 0.01 * u.arcsec).all()
    assert np.isnan(objects["petro_r90"][4])
    assert objects["objid"][4] == 0


def test_no_position_is_not_found(server, sky):
    known = sky(2)
    ra = Masked([known[0].ra.deg, 10.0, known[1].ra.deg, np.nan], mask=[False, True, False, False])
    dec = [known[0].dec.deg, 20.0, known[1].dec.deg, 20.0] * u.deg
    objects = look_up_petrosian(SkyCoord(ra * u.deg, dec))
    assert (objects["objid"] > 0).tolist() == [True, False, True, False]
    assert np.isfinite(objects["petro_r90"]).tolist() == [True, False, True, False]
    lost = look_up_petrosian(SkyCoord([np.nan], [np.nan], unit="deg"))
    assert np.isnan(lost["petro_r90"]).all()


def test_nothing_is_known(server):
    objects = look_up_petrosian(SkyCoord(150.0, -5.0, unit="deg"))
    assert np.isnan(objects["petro_r90"]).all()


@pytest.mark.parametrize(
    ("name", "says"), [("page", "no table"), ("overloaded", "could not be asked.*503")]
)
def test_a_failing_server_is_told(sky, name, says):
    with (
        serve_surveys(Faults((Fault(name, ""),), share=1.0)),
        pytest.raises(SurveyError, match=says),
    ):
        look_up_petrosian(sky(1))


def test_positions_only():
    with pytest.raises(InputError, match="give SkyCoord"):
        look_up_petrosian([150.0, 2.0])

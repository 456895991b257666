"""The real services, one position each; run with ``pytest --remote-data``.

Each test checks that the address, the layer or HiPS identifiers and the layout of the answer are
still what the package takes them for: bands in order, a galaxy in the middle, north up, and a
Petrosian radius near the catalogue's.
"""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from gmc_astro import fetch_cutouts
from gmc_astro.surveys import conf, look_up_petrosian

M61 = SkyCoord(185.4789, 4.4737, unit="deg")  # a large spiral in every survey
GALAXY = SkyCoord(184.85, 5.79, unit="deg")
PATIENT = {"timeout": 60.0, "tries": 5, "pause": 1.0}


@pytest.fixture(autouse=True)
def _patient():
    """The settings that users have, where the other tests of this folder are in a hurry."""
    with (
        conf.set_temp("timeout", PATIENT["timeout"]),
        conf.set_temp("tries", PATIENT["tries"]),
        conf.set_temp("pause", PATIENT["pause"]),
    ):
        yield


def check_cutout(survey):
    """A fixed cutout shows the core of a galaxy in its middle, in more than one colour."""
    batch = fetch_cutouts(
        M61, survey=survey, framing="fixed", field=300 * u.arcsec, cache=False, progress=False
    ).read()
    assert batch.status.tolist() == ["ok"]
    grey = batch.images[0].mean(axis=-1)
    assert grey[104:120, 104:120].mean() > 2 * np.median(grey[:8])
    assert np.ptp(batch.images[0].astype(int), axis=-1).max() > 5


@pytest.mark.remote_data
def test_sdss():
    """SDSS through hips2fits, and the object that SkyServer knows at a position."""
    check_cutout("sdss")
    objects = look_up_petrosian(GALAXY, radius=60 * u.arcsec)
    assert len(objects) == 1
    assert (objects["objid"] > 0).all()


@pytest.mark.remote_data
def test_legacy_surveys():
    """The viewer's FITS and JPEG of one place look the same way up."""
    check_cutout("decals")
    options = {"survey": "decals", "framing": "fixed", "field": 300 * u.arcsec, "cache": False}
    fits, jpeg = (
        fetch_cutouts(M61, image_format=kind, progress=False, **options).read().images[0]
        for kind in ("fits", "jpeg")
    )
    same, flipped = (
        np.corrcoef(fits.mean(axis=-1).ravel(), other.mean(axis=-1).ravel())[0, 1]
        for other in (jpeg, jpeg[::-1])
    )
    assert same > flipped


@pytest.mark.remote_data
def test_any_hips():
    """Another survey's HiPS."""
    check_cutout("panstarrs")

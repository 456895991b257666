"""Surveys as data."""

import dataclasses

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import get_recipe
from gmc_astro.surveys import SURVEYS, Footprint, Survey, get_survey, register_survey

INSIDE = {  # a position of each survey
    "sdss": (184.85, 5.79),
    "decals": (184.85, 5.79),
    "decals-dr9": (184.85, 5.79),
    "legacy-hips": (184.85, 5.79),
    "panstarrs": (10.0, 41.0),
    "des": (53.0, -27.0),
    "hsc": (150.0, 2.0),
    "euclid": (269.73, 66.02),
}


@pytest.mark.parametrize("name", SURVEYS)
def test_shipped_surveys_are_whole(name):
    survey = get_survey(name)
    assert survey.footprint.contains(SkyCoord(*INSIDE[name], unit="deg")).tolist() == [True]
    assert 0.05 < survey.pixel_scale.to_value(u.arcsec) < 0.5
    assert survey.credit.strip()
    assert survey.service == "viewer" or set(survey.hips) >= set(survey.bands)
    if len(survey.bands) > 1:
        assert set(get_recipe(survey.recipe).bands) <= set(survey.bands)
    with pytest.raises(dataclasses.FrozenInstanceError):
        survey.layer = "other"


def test_footprints_end():
    north = SkyCoord(184.85, 60, unit="deg")
    assert not get_survey("decals").footprint.contains(north)
    assert get_survey("decals-dr9").footprint.contains(north)
    assert not get_survey("euclid").footprint.contains(SkyCoord(0, 0, unit="deg"))
    galactic = SkyCoord(l=[0, 0], b=[90, -90], unit="deg", frame="galactic")
    assert Footprint(dec=(0, 90)).contains(galactic).tolist() == [True, False]
    assert not Footprint().contains(SkyCoord(np.nan, 0, unit="deg"))


def test_a_name_is_found_or_guessed():
    assert get_survey("SDSS") is SURVEYS["sdss"]
    with pytest.raises(InputError, match="did you mean 'decals'"):
        get_survey("decal")


def test_a_survey_of_ones_own(monkeypatch):
    monkeypatch.setattr("gmc_astro.surveys.shipped.SURVEYS", dict(SURVEYS))
    hips = {band: f"me/P/{band}" for band in "gri"}
    mine = Survey(
        "mine", "Mine", "hips2fits", ("g", "r", "i"), 0.2 * u.arcsec, "SDSS_LUPTON", hips=hips
    )
    assert get_survey(register_survey(mine).name) is mine
    with pytest.raises(InputError, match="there is a survey 'mine' already"):
        register_survey(mine)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"service": "ftp"}, "service='ftp'"),
        ({"pixel_scale": 0.2}, "not an angle"),
        ({"pixel_scale": 0.2 * u.s}, "not an angle"),
        ({"layer": ""}, "needs layer"),
        ({"service": "hips2fits"}, "no identifier"),
        ({"recipe": "SDSS_LUPTON"}, "needs bands"),
    ],
)
def test_a_survey_that_cannot_be(change, says):
    with pytest.raises(InputError, match=says):
        dataclasses.replace(get_survey("decals"), **change)

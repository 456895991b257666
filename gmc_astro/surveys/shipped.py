"""The surveys that come with the package, and those that users register.

Adding one is an entry here and a line in its test. Identifiers of HiPS are those of the CDS; where
the flux scale of a HiPS could not be verified, ``nanomaggies`` is NaN, and pictures are scaled by
their own noise.
"""

from __future__ import annotations

import difflib
import math

from astropy import units as u

from gmc_astro.exceptions import InputError
from gmc_astro.surveys.survey import Footprint, Survey

__all__ = ["SURVEYS", "get_survey", "register_survey"]

_LEGACY_CREDIT = (
    "The Legacy Surveys consist of three individual and complementary projects: DECaLS, BASS and "
    "MzLS (Dey et al. 2019). See https://www.legacysurvey.org/acknowledgment"
)
_HIPS_CREDIT = "This work made use of hips2fits, a tool developed at CDS, Strasbourg, France."

_SHIPPED = (
    Survey(
        "sdss",
        "Sloan Digital Sky Survey DR9",
        "hips2fits",
        ("g", "r", "i"),
        0.396 * u.arcsec,
        "SDSS_LUPTON",
        hips={band: f"CDS/P/SDSS9/{band}" for band in "ugriz"},
        picture="CDS/P/SDSS9/color",
        footprint=Footprint(dec=(-27, 86)),
        credit="Sloan Digital Sky Survey: see https://www.sdss.org/collaboration/citing-sdss. "
        + _HIPS_CREDIT,
    ),
    Survey(
        "decals",
        "DESI Legacy Imaging Surveys DR10 (DECaLS in the south)",
        "viewer",
        ("g", "r", "z"),
        0.262 * u.arcsec,
        "GZ_DECALS",
        layer="ls-dr10",
        footprint=Footprint(dec=(-90, 36)),
        credit=_LEGACY_CREDIT,
    ),
    Survey(
        "decals-dr9",
        "DESI Legacy Imaging Surveys DR9 (DECaLS, BASS, MzLS)",
        "viewer",
        ("g", "r", "z"),
        0.262 * u.arcsec,
        "GZ_DECALS",
        layer="ls-dr9",
        footprint=Footprint(dec=(-70, 86)),
        credit=_LEGACY_CREDIT,
    ),
    Survey(
        "legacy-hips",
        "DESI Legacy Imaging Surveys DR10, as HiPS",
        "hips2fits",
        ("g", "r", "z"),
        0.262 * u.arcsec,
        "GZ_DECALS",
        hips={band: f"CDS/P/DESI-Legacy-Surveys/DR10/{band}" for band in "griz"},
        picture="CDS/P/DESI-Legacy-Surveys/DR10/color",
        footprint=Footprint(dec=(-90, 86)),
        credit=f"{_LEGACY_CREDIT} {_HIPS_CREDIT}",
    ),
    Survey(
        "panstarrs",
        "Pan-STARRS1 3-pi Survey DR1",
        "hips2fits",
        ("g", "r", "i"),
        0.258 * u.arcsec,
        "SDSS_LUPTON",
        hips={band: f"CDS/P/PanSTARRS/DR1/{band}" for band in "griz"},
        picture="CDS/P/PanSTARRS/DR1/color-i-r-g",
        flux_unit="count",
        nanomaggies=math.nan,
        footprint=Footprint(dec=(-31, 90)),
        credit="The Pan-STARRS1 Surveys: see https://panstarrs.stsci.edu. " + _HIPS_CREDIT,
    ),
    Survey(
        "des",
        "Dark Energy Survey DR2",
        "hips2fits",
        ("g", "r", "i"),
        0.263 * u.arcsec,
        "SDSS_LUPTON",
        hips={band: f"CDS/P/DES-DR2/{band}" for band in "griz"},
        picture="CDS/P/DES-DR2/ColorIRG",
        flux_unit="count (zero point 30)",
        nanomaggies=10 ** ((22.5 - 30) / 2.5),
        footprint=Footprint(dec=(-70, 8)),
        credit="This project used public archival data from the Dark Energy Survey. "
        + _HIPS_CREDIT,
    ),
    Survey(
        "hsc",
        "Hyper Suprime-Cam Subaru Strategic Program DR2",
        "hips2fits",
        ("g", "r", "i"),
        0.168 * u.arcsec,
        "SDSS_LUPTON",
        hips={band: f"CDS/P/HSC/DR2/wide/{band}" for band in "grizy"},
        flux_unit="count (zero point 27)",
        nanomaggies=10 ** ((22.5 - 27) / 2.5),
        footprint=Footprint(dec=(-8, 56)),
        credit="Hyper Suprime-Cam Subaru Strategic Program (Aihara et al. 2019). " + _HIPS_CREDIT,
    ),
    Survey(
        "euclid",
        "Euclid Quick Release Q1, VIS",
        "hips2fits",
        ("VIS",),
        0.1 * u.arcsec,
        "SDSS_LUPTON",
        hips={"VIS": "CDS/P/Euclid/Q1/VIS"},
        flux_unit="count",
        nanomaggies=math.nan,
        footprint=Footprint(
            circles=((269.73, 66.02, 4.0), (61.24, -48.42, 5.0), (52.93, -28.09, 3.5))
        ),
        credit="This work has made use of the Euclid Quick Release Q1 data of the European Space "
        "Agency (ESA) mission Euclid, doi:10.57780/esa-2853f3b. " + _HIPS_CREDIT,
    ),
)

#: Surveys by name: those that come with the package, and those that were registered.
SURVEYS: dict[str, Survey] = {survey.name: survey for survey in _SHIPPED}


def get_survey(survey: str | Survey) -> Survey:
    """Find a survey by name.

    Parameters
    ----------
    survey : str or Survey
        A name in `SURVEYS` in any case, or a survey, which is returned as it is.

    Returns
    -------
    survey : `Survey`
        The survey.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is no survey of that name.

    Examples
    --------
    >>> from gmc_astro.surveys import get_survey
    >>> get_survey("decals").bands
    ('g', 'r', 'z')
    """
    if isinstance(survey, Survey):
        return survey
    if not isinstance(survey, str) or survey.lower() not in SURVEYS:
        close = difflib.get_close_matches(str(survey).lower(), SURVEYS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"survey={survey!r} is not one of {', '.join(SURVEYS)}{hint}")
    return SURVEYS[survey.lower()]


def register_survey(survey: Survey, *, overwrite: bool = False) -> Survey:
    """Make a survey known by its name, for example one of your own HiPS.

    Parameters
    ----------
    survey : `Survey`
        The survey.
    overwrite : bool, optional
        Replace one of the same name.

    Returns
    -------
    survey : `Survey`
        The same.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the name is taken.

    Examples
    --------
    >>> from astropy import units as u
    >>> from gmc_astro.surveys import Survey, register_survey
    >>> mine = Survey("my-survey", "My survey", "hips2fits", ("g", "r", "i"), 0.2 * u.arcsec,
    ...               "SDSS_LUPTON", hips={band: f"me/P/mine/{band}" for band in "gri"})
    >>> register_survey(mine, overwrite=True).name
    'my-survey'
    """
    if survey.name in SURVEYS and not overwrite:
        raise InputError(f"there is a survey {survey.name!r} already; give another name")
    SURVEYS[survey.name] = survey
    return survey

"""Surveys as data, and their cutouts at positions: politely fetched, checked, framed, kept."""

from gmc_astro.surveys.conf import Conf, conf
from gmc_astro.surveys.cutouts import CutoutSource, fetch_cutouts
from gmc_astro.surveys.lookup import look_up_petrosian
from gmc_astro.surveys.shipped import SURVEYS, get_survey, register_survey
from gmc_astro.surveys.survey import Footprint, Survey

__all__ = [
    "SURVEYS",
    "Conf",
    "CutoutSource",
    "Footprint",
    "Survey",
    "conf",
    "fetch_cutouts",
    "get_survey",
    "look_up_petrosian",
    "register_survey",
]

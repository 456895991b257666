"""Imaging: FITS to bands, bands to RGB by recipe, and the size and shape of a galaxy."""

from gmc_astro.imaging.detect import cut_out, find_galaxies
from gmc_astro.imaging.fits import Bands, read_bands
from gmc_astro.imaging.framing import (
    SPAN,
    Framing,
    crop_square,
    frame_galaxy,
    recipe_for,
    render_bands,
)
from gmc_astro.imaging.measure import OF_JPEG, GalaxyShape, grey, measure_galaxy
from gmc_astro.imaging.recipes import (
    GZ_DECALS,
    LEGACY_DR9,
    LEGACY_DR10,
    RECIPES,
    SDSS_LUPTON,
    SDSS_VIEWER,
    ColourRecipe,
    get_recipe,
)
from gmc_astro.imaging.rgb import is_south_up, make_rgb
from gmc_astro.imaging.source import OK, ImageBatch, ImageSource, is_ok

__all__ = [
    "GZ_DECALS",
    "LEGACY_DR9",
    "LEGACY_DR10",
    "OF_JPEG",
    "OK",
    "RECIPES",
    "SDSS_LUPTON",
    "SDSS_VIEWER",
    "SPAN",
    "Bands",
    "ColourRecipe",
    "Framing",
    "GalaxyShape",
    "ImageBatch",
    "ImageSource",
    "crop_square",
    "cut_out",
    "find_galaxies",
    "frame_galaxy",
    "get_recipe",
    "grey",
    "is_ok",
    "is_south_up",
    "make_rgb",
    "measure_galaxy",
    "read_bands",
    "recipe_for",
    "render_bands",
]

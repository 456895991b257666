import json
from dataclasses import replace

import pytest

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import GZ_DECALS, LEGACY_DR9, RECIPES, ColourRecipe, get_recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_survives_json(recipe):
    assert ColourRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_found_by_name_in_any_case():
    assert get_recipe("gz_decals") is GZ_DECALS


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="'WISE' is not one of GZ_DECALS, LEGACY_DR9"):
        get_recipe("WISE")


def test_frozen():
    with pytest.raises(AttributeError):
        LEGACY_DR9.offset = 1


def test_every_band_needs_a_scale():
    with pytest.raises(InputError, match="3 bands need 3 scales"):
        replace(LEGACY_DR9, scales=(1.0,))


def test_kind_must_be_known():
    with pytest.raises(InputError, match="kind 'log'"):
        replace(LEGACY_DR9, kind="log")

"""Colour recipes: how a survey turns flux into an RGB picture, as frozen records.

A model knows the colours that it was trained on; the record of them travels with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gmc_astro.exceptions import InputError

__all__ = [
    "GZ_DECALS",
    "LEGACY_DR9",
    "LEGACY_DR10",
    "RECIPES",
    "SDSS_LUPTON",
    "SDSS_VIEWER",
    "ColourRecipe",
    "get_recipe",
]

KINDS = ("viewer", "asinh", "lupton")


@dataclass(frozen=True)
class ColourRecipe:
    """How bands become red, green and blue.

    Parameters
    ----------
    name : str
        Name of the recipe.
    kind : {"viewer", "asinh", "lupton"}
        ``"viewer"``: the Legacy Surveys viewer's common asinh stretch of all channels.
        ``"asinh"``: each channel on its own, as Galaxy Zoo DECaLS made its images.
        ``"lupton"``: Lupton et al. 2004 as astropy implements it, which keeps the hue.
    bands : tuple of str
        Bands in the order in which arrays hold them, blue first.
    scales : tuple of float
        A factor on (viewer, lupton) or a unit of (asinh) each band's flux in nanomaggies.
    mix : tuple of 3 tuples of float
        Share of each band in the red, the green and the blue channel.
    softening : float
        Q of the viewer's and Lupton's stretch; not used by ``"asinh"``.
    offset : float, optional
        Viewer: added to the scaled flux.
    stretch : float, optional
        Lupton: linear stretch.
    limits : tuple of float, optional
        Asinh: scaled fluxes shown as black and white.
    reference : str, optional
        Where the recipe comes from.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the kind is unknown, or the scales or the mix do not fit the bands.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from gmc_astro.imaging import SDSS_LUPTON
    >>> SDSS_LUPTON.bands
    ('g', 'r', 'i')
    >>> brighter = replace(SDSS_LUPTON, name="brighter", stretch=0.3)
    >>> brighter.stretch, SDSS_LUPTON.stretch
    (0.3, 0.5)
    """

    name: str
    kind: str
    bands: tuple[str, ...]
    scales: tuple[float, ...]
    mix: tuple[tuple[float, ...], ...]
    softening: float = 0.0
    offset: float = 0.0
    stretch: float = 0.5
    limits: tuple[float, float] = (-0.5, 300.0)
    reference: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"recipe {self.name}: kind {self.kind!r} is not one of {KINDS}")
        n = len(self.bands)
        if len(self.scales) != n or len(self.mix) != 3 or any(len(row) != n for row in self.mix):
            raise InputError(
                f"recipe {self.name}: {n} bands need {n} scales and a mix of 3 rows of {n}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values for JSON.

        Returns
        -------
        recipe : dict
            One entry a field; `from_dict` reads it back.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ColourRecipe:
        """Read what `to_dict` gave, also after a round trip through JSON.

        Parameters
        ----------
        values : mapping
            One entry a field.

        Returns
        -------
        recipe : `ColourRecipe`
            The recipe.
        """
        fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        fixed["mix"] = tuple(tuple(row) for row in values["mix"])
        return cls(**fixed)


_ONE_EACH = ((0, 0, 1), (0, 1, 0), (1, 0, 0))  # three bands, blue first: red is the last one

#: Legacy Surveys viewer, grz of data releases 8 and 9.
LEGACY_DR9 = ColourRecipe(
    "LEGACY_DR9",
    "viewer",
    ("g", "r", "z"),
    (6.0, 3.4, 2.2),
    _ONE_EACH,
    softening=20,
    offset=0.03,
    reference="Legacy Surveys viewer, https://www.legacysurvey.org/viewer",
)

#: Legacy Surveys viewer, griz of data release 10.
LEGACY_DR10 = ColourRecipe(
    "LEGACY_DR10",
    "viewer",
    ("g", "r", "i", "z"),
    (9.0, 5.1, 4.5, 3.3),
    ((0, 0, 0.25, 0.75), (0, 0.5, 0.5, 0), (0.75, 0.25, 0, 0)),
    softening=20,
    offset=0.03,
    reference="Legacy Surveys viewer, https://www.legacysurvey.org/viewer",
)

#: Legacy Surveys viewer, SDSS gri.
SDSS_VIEWER = ColourRecipe(
    "SDSS_VIEWER",
    "viewer",
    ("g", "r", "i"),
    (2.5, 1.5, 1.0),
    _ONE_EACH,
    softening=20,
    offset=0.02,
    reference="Legacy Surveys viewer, https://www.legacysurvey.org/viewer",
)

#: Lupton et al. 2004 for SDSS frames, with astropy's usual constants.
SDSS_LUPTON = ColourRecipe(
    "SDSS_LUPTON",
    "lupton",
    ("g", "r", "i"),
    (1.0, 1.0, 1.0),
    _ONE_EACH,
    softening=10,
    stretch=0.5,
    reference="Lupton et al. 2004, PASP 116, 133, arXiv:astro-ph/0312483",
)

#: Images shown to volunteers by Galaxy Zoo DECaLS, without their desaturation of faint pixels.
GZ_DECALS = ColourRecipe(
    "GZ_DECALS",
    "asinh",
    ("g", "r", "z"),
    (0.008, 0.014, 0.019),
    _ONE_EACH,
    limits=(-0.5, 300.0),
    reference="Walmsley et al. 2022, MNRAS 509, 3966, arXiv:2102.08414",
)

#: All recipes by name.
RECIPES: Mapping[str, ColourRecipe] = {
    recipe.name: recipe for recipe in (GZ_DECALS, LEGACY_DR9, LEGACY_DR10, SDSS_VIEWER, SDSS_LUPTON)
}


def get_recipe(recipe: str | ColourRecipe) -> ColourRecipe:
    """Find a recipe by name.

    Parameters
    ----------
    recipe : str or ColourRecipe
        A name in `RECIPES` in any case, or a recipe, which is returned as it is.

    Returns
    -------
    recipe : `ColourRecipe`
        The recipe.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is no recipe of that name.

    Examples
    --------
    >>> from gmc_astro.imaging import get_recipe
    >>> get_recipe("legacy_dr9").bands
    ('g', 'r', 'z')
    """
    if isinstance(recipe, ColourRecipe):
        return recipe
    if not isinstance(recipe, str) or recipe.upper() not in RECIPES:
        raise InputError(f"recipe={recipe!r} is not one of {', '.join(RECIPES)}")
    return RECIPES[recipe.upper()]

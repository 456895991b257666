"""Bands to RGB: each recipe's formula in float32, in place, one image at a time.

One image fits into a processor's cache where a batch does not; that, and writing into the same
few arrays, is what makes it faster than the textbook form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy import units as u

from gmc_astro.exceptions import InputError
from gmc_astro.imaging.recipes import LEGACY_DR9, ColourRecipe, get_recipe

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["is_south_up", "make_rgb"]

Flux = np.ndarray | Mapping[str, np.ndarray]
_TINY = np.float32(1e-30)  # keeps a division from failing where there is no light


def make_rgb(
    bands: Flux,
    *,
    recipe: str | ColourRecipe = LEGACY_DR9,
    flip: bool | Literal["auto"] = "auto",
    wcs: WCS | None = None,
) -> np.ndarray:
    """Render bands as an RGB picture with north up.

    Parameters
    ----------
    bands : `~numpy.ndarray` or `~astropy.units.Quantity`, shape (B, H, W), or mapping to (H, W)
        Flux in nanomaggies, or a Quantity: in the order of the recipe's bands, or by band. One
        band alone gives a grey picture on that band's scale. Pixels that are NaN or masked are
        shown as empty sky.
    recipe : str or ColourRecipe, optional
        Recipe or its name.
    flip : {"auto", True, False}, optional
        Turn rows upside down. FITS counts rows from the bottom, pictures from the top, so
        ``"auto"`` turns, unless ``wcs`` says that the first row is the northern one.
    wcs : `~astropy.wcs.WCS`, optional
        World coordinates of the bands.

    Returns
    -------
    rgb : `~numpy.ndarray`, shape (H, W, 3), dtype uint8
        The picture, first row at the top.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a band of the recipe is missing, the shapes differ, or the unit is not one of flux
        per frequency.

    References
    ----------
    Lupton et al. 2004, PASP 116, 133, arXiv:astro-ph/0312483; each recipe names its own.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import make_rgb
    >>> make_rgb(np.zeros((3, 8, 8)), recipe="GZ_DECALS").shape
    (8, 8, 3)
    """
    recipe = get_recipe(recipe)
    planes, scales, mix = _planes(bands, recipe)
    render = {"viewer": _viewer, "asinh": _asinh, "lupton": _lupton}[recipe.kind]
    rgb = render(planes, scales, mix, recipe)
    if flip == "auto":
        flip = wcs is None or is_south_up(wcs)
    return np.ascontiguousarray(rgb[::-1]) if flip else rgb


def is_south_up(wcs: WCS) -> bool:
    """Tell whether declination grows with the row number, as FITS images usually have it.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        World coordinates with two celestial axes.

    Returns
    -------
    south_up : bool
        True where the first row is the southern one (shown at the top, it must be turned).

    Examples
    --------
    >>> from astropy.wcs import WCS
    >>> from gmc_astro.imaging import is_south_up
    >>> wcs = WCS(naxis=2)
    >>> wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    >>> wcs.wcs.cdelt = [-0.262 / 3600, 0.262 / 3600]
    >>> is_south_up(wcs)
    True
    """
    # astropy's copies of coordinates change the filters of warnings, which threads share
    celestial = wcs if (wcs.naxis, wcs.wcs.lng) == (2, 0) else wcs.celestial
    if celestial.naxis != 2:
        return True
    row, column = (n / 2 for n in (celestial.array_shape or (2, 2)))
    low, high = celestial.wcs_pix2world([[column, row], [column, row + 1]], 0)
    return bool(high[1] >= low[1])


def _planes(
    bands: Flux, recipe: ColourRecipe
) -> tuple[np.ndarray, tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Bands as native float32 in the recipe's order, with their scales and shares."""
    if isinstance(bands, Mapping):
        names = tuple(bands)
        missing = [band for band in recipe.bands if band not in bands]
        if len(names) == 1:
            planes, at = [bands[names[0]]], _place(names[0], recipe)
        elif missing:
            raise InputError(
                f"recipe {recipe.name} needs the bands {', '.join(recipe.bands)}; "
                f"{', '.join(missing)} missing, given were {', '.join(names)}"
            )
        else:
            planes, at = [bands[band] for band in recipe.bands], None
    else:
        planes = _nanomaggies(bands)
        if planes.ndim != 3 or len(planes) not in (1, len(recipe.bands)):
            raise InputError(
                f"bands have shape {planes.shape}; recipe {recipe.name} needs "
                f"({len(recipe.bands)}, H, W) in the order {', '.join(recipe.bands)}, or one band"
            )
        at = _place("", recipe) if len(planes) == 1 else None
    shapes = {np.shape(plane) for plane in planes}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise InputError(f"bands have shapes {sorted(shapes)}; all must be the same (H, W)")
    planes = np.stack([_nanomaggies(plane) for plane in planes])
    if not np.isfinite(planes).all():  # nan_to_num takes longer than all the rest
        np.nan_to_num(planes, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    if at is None:
        return planes, recipe.scales, recipe.mix
    return planes, (recipe.scales[at],), ((1.0,), (1.0,), (1.0,))


def _nanomaggies(flux: np.ndarray) -> np.ndarray:
    """Flux as plain float32 in nanomaggies, NaN where it is masked."""
    mask = getattr(flux, "mask", np.ma.nomask)
    if isinstance(flux, u.Quantity):
        try:
            flux = flux.to_value(u.nmgy, u.zero_point_flux(3631 * u.Jy))
        except u.UnitConversionError as err:
            raise InputError(
                f"bands are in {flux.unit or 'no unit'}; give flux in nanomaggies, or in a unit "
                "that becomes Jy"
            ) from err
    values = np.asarray(getattr(flux, "unmasked", flux), dtype=np.float32)
    return values if mask is np.ma.nomask else np.where(mask, np.float32(np.nan), values)


def _place(band: str, recipe: ColourRecipe) -> int:
    """Whose scale a single band takes: its own, else the recipe's middle one."""
    return recipe.bands.index(band) if band in recipe.bands else len(recipe.bands) // 2


def _channel(planes: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """One channel as the weighted sum of planes; a view where it is one plane."""
    used = [(share, plane) for share, plane in zip(shares, planes, strict=True) if share]
    if len(used) == 1 and used[0][0] == 1:
        return used[0][1]
    total = np.float32(used[0][0]) * used[0][1]
    for share, plane in used[1:]:
        total += np.float32(share) * plane
    return total


def _viewer(
    planes: np.ndarray, scales: tuple[float, ...], mix: tuple, recipe: ColourRecipe
) -> np.ndarray:
    """``channel * asinh(Q I) / (sqrt(Q) I)`` with I the mean of the positive scaled bands."""
    for plane, scale in zip(planes, scales, strict=True):
        plane *= np.float32(scale)
        plane += np.float32(recipe.offset)
        np.maximum(plane, 0, out=plane)
    intensity = planes.mean(axis=0)
    factor = np.float32(recipe.softening) * intensity
    np.arcsinh(factor, out=factor)
    factor /= np.float32(np.sqrt(recipe.softening)) * np.maximum(intensity, _TINY)
    factor *= 255  # where there is no light, all channels are zero as well
    return _stack([_channel(planes, shares) * factor for shares in mix])


def _asinh(
    planes: np.ndarray, scales: tuple[float, ...], mix: tuple, recipe: ColourRecipe
) -> np.ndarray:
    """Each plane's asinh, from the lower limit (black) to the upper one (white)."""
    black, white = (np.float32(np.arcsinh(limit)) for limit in recipe.limits)
    for plane, scale in zip(planes, scales, strict=True):
        plane /= np.float32(scale)
        np.arcsinh(plane, out=plane)
        plane -= black
        plane *= 255 / (white - black)
    return _stack([_channel(planes, shares) for shares in mix])


def _lupton(
    planes: np.ndarray, scales: tuple[float, ...], mix: tuple, recipe: ColourRecipe
) -> np.ndarray:
    """One factor for all channels, and where one would exceed white, all are scaled down."""
    for plane, scale in zip(planes, scales, strict=True):
        if scale != 1:
            plane *= np.float32(scale)
    channels = [_channel(planes, shares) for shares in mix]
    intensity = channels[0] + channels[1]
    intensity += channels[2]
    intensity *= np.float32(1 / 3)
    # as astropy: slope so that a tenth of the stretch's range is shown as a tenth of white
    slope = 0.1 / np.arcsinh(0.1 * recipe.softening)
    factor = intensity * np.float32(recipe.softening / recipe.stretch)
    np.arcsinh(factor, out=factor)
    factor *= np.float32(255 * slope)
    factor /= np.maximum(intensity, _TINY)
    factor *= intensity > 0
    brightest = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    brightest *= factor
    factor *= 255 / np.maximum(brightest, np.float32(255))
    return _stack([channel * factor for channel in channels])


def _stack(channels: list[np.ndarray]) -> np.ndarray:
    """Clip to 0..255 and truncate to uint8, as the surveys' own pictures are."""
    rgb = np.empty((*channels[0].shape, 3), np.uint8)
    for i, channel in enumerate(channels):
        np.clip(channel, 0, 255, out=channel)
        rgb[..., i] = channel
    return rgb

"""Framing: how much of the sky around a galaxy an image shows.

Galaxy Zoo scales its images by Petrosian radius; a cutout at a position has a fixed pixel scale.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from gmc_astro.exceptions import InputError, MeasurementError, UnreadableImageError
from gmc_astro.imaging.fits import Bands, holds_data
from gmc_astro.imaging.measure import GalaxyShape, measure_galaxy
from gmc_astro.imaging.recipes import GZ_DECALS, SDSS_VIEWER, ColourRecipe
from gmc_astro.imaging.rgb import is_south_up, make_rgb

__all__ = ["SPAN", "Framing", "crop_square", "frame_galaxy", "recipe_for", "render_bands"]

Framing = Literal["petrosian", "fixed", "none"]
SPAN = 6.4  # petroR90 across the central three quarters of a Galaxy Zoo 2 image


def crop_square(
    planes: np.ndarray, centre: tuple[float, float], width: float, size: int
) -> np.ndarray:
    """Cut a square out of planes and resample it; sky beyond the outermost pixels is zero.

    Surface brightness is kept: shrinking averages the pixels that fall together, so flux is
    conserved once the new pixel's area is counted.

    Parameters
    ----------
    planes : `~numpy.ndarray`, shape (B, H, W)
        Flux per pixel, or brightness.
    centre : tuple of float
        x and y of the square's middle; the first pixel's centre is (0, 0).
    width : float
        Side of the square in pixels.
    size : int
        Side of the result in pixels.

    Returns
    -------
    planes : `~numpy.ndarray`, shape (B, size, size), dtype float32
        The square.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import crop_square
    >>> planes = np.ones((3, 100, 120), np.float32)
    >>> square = crop_square(planes, centre=(59.5, 49.5), width=80, size=40)
    >>> square.shape, float(square.mean())
    ((3, 40, 40), 1.0)
    """
    from scipy.ndimage import affine_transform, gaussian_filter1d

    step = width / size
    planes, (left, bottom) = _window(planes, centre, width + 6 * step + 4)
    centre = centre[0] - left, centre[1] - bottom
    planes = np.nan_to_num(planes, nan=0.0)
    if step > 1:  # average over what a new pixel covers, else stars are lost between samples
        for axis in (-1, -2):
            planes = gaussian_filter1d(planes, 0.5 * np.sqrt(step**2 - 1), axis=axis)
    first = [c - (width - step) / 2 for c in (centre[1], centre[0])]
    # a pixel reaches half a pixel beyond its centre: that rim is filled from a copy beside it
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    square = np.stack(
        [
            affine_transform(plane, (step, step), [f + 1 for f in first], (size, size), order=1)
            for plane in padded
        ]
    )
    rows, columns = (
        np.abs(f + step * np.arange(size) - (n - 1) / 2) <= n / 2
        for f, n in zip(first, planes.shape[1:], strict=True)
    )
    return square * (rows[:, None] & columns)


def _window(
    planes: np.ndarray, centre: tuple[float, float], width: float
) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of the planes that a square touches (at least one pixel), and where it begins."""
    slices = []
    for c, n in zip((centre[1], centre[0]), planes.shape[-2:], strict=True):
        start = int(np.clip(np.floor(c - width / 2), 0, n - 1))
        slices.append(slice(start, int(np.clip(np.ceil(c + width / 2) + 1, start + 1, n))))
    part = np.asarray(planes[..., slices[0], slices[1]], np.float32)
    return part, (slices[1].start, slices[0].start)


def frame_galaxy(
    planes: np.ndarray, shape: GalaxyShape, *, size: int, span: float = SPAN
) -> np.ndarray:
    """Cut out the galaxy so that ``span`` Petrosian radii (petroR90) fill the image.

    Parameters
    ----------
    planes : `~numpy.ndarray`, shape (B, H, W)
        Flux or brightness.
    shape : `GalaxyShape`
        What `measure_galaxy` found on an image of the same size.
    size : int
        Side of the result in pixels.
    span : float, optional
        Width of the result in petroR90.

    Returns
    -------
    planes : `~numpy.ndarray`, shape (B, size, size), dtype float32
        The galaxy, centred.

    Examples
    --------
    >>> from gmc_astro.imaging import frame_galaxy, measure_galaxy
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> planes = render_galaxy(SimulatedGalaxy(disk_radius=3.0))
    >>> shape = measure_galaxy(planes.sum(axis=0))
    >>> frame_galaxy(planes, shape, size=64).shape
    (3, 64, 64)
    """
    return crop_square(planes, shape.centroid, span * shape.petro_r90, size)


def recipe_for(bands: Bands) -> ColourRecipe:
    """Recipe for bands when none is asked for: that of Galaxy Zoo on their survey.

    Parameters
    ----------
    bands : `Bands`
        Bands by name.

    Returns
    -------
    recipe : `ColourRecipe`
        `GZ_DECALS` where there is z and no i, else `SDSS_VIEWER`.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import Bands, recipe_for
    >>> planes = np.zeros((3, 64, 64), np.float32)
    >>> recipe_for(Bands(planes, ("g", "r", "z"))).name
    'GZ_DECALS'
    >>> recipe_for(Bands(planes, ("g", "r", "i"))).name
    'SDSS_VIEWER'
    """
    return GZ_DECALS if "z" in bands.names and "i" not in bands.names else SDSS_VIEWER


def render_bands(
    bands: Bands,
    *,
    recipe: ColourRecipe | None = None,
    framing: Framing = "petrosian",
    size: int = 224,
    width: float | None = None,
) -> tuple[np.ndarray, dict[str, float], str]:
    """Go all the way from bands to one RGB image.

    Parameters
    ----------
    bands : `Bands`
        Flux.
    recipe : ColourRecipe, optional
        Colours. Default suits the bands; see `recipe_for`.
    framing : {"petrosian", "fixed", "none"}, optional
        ``"petrosian"``: 6.4 petroR90 across, measured on the bands' sum; where that cannot
        be measured, as ``"fixed"``. ``"fixed"``: ``width`` around the middle. ``"none"``:
        the whole image, its shorter side filled.
    size : int, optional
        Side of the result in pixels.
    width : float, optional
        Side of the square for ``"fixed"``, in pixels of the bands. Default is the whole image.

    Returns
    -------
    image : `~numpy.ndarray`, shape (size, size, 3), dtype uint8
        The picture, north up.
    measured : dict of str to float
        ``petro_r90`` (arcsec, or pixels where there are no coordinates), ``axis_ratio`` and
        ``centre_shift`` (as petro_r90); NaN where not measured.
    note : str
        Which fallback was taken and why; empty if none.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the framing is unknown or the recipe's bands are missing.
    gmc_astro.exceptions.UnreadableImageError
        If a band that the recipe needs is the same everywhere, or missing.

    Examples
    --------
    >>> from gmc_astro.imaging import Bands, render_bands
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> bands = Bands(render_galaxy(SimulatedGalaxy()), ("g", "r", "z"))
    >>> image, measured, note = render_bands(bands, size=64)
    >>> image.shape, image.dtype.name, note
    ((64, 64, 3), 'uint8', '')
    >>> list(measured)
    ['petro_r90', 'axis_ratio', 'centre_shift']
    """
    if framing not in get_args(Framing):
        raise InputError(f"framing={framing!r} is not one of {get_args(Framing)}")
    recipe = recipe or recipe_for(bands)
    _check_data(bands, recipe)
    shape, note = None, ""
    if framing == "petrosian":
        try:
            shape = measure_galaxy(np.nansum(bands.data, axis=0))
        except MeasurementError as err:
            note = f"fixed framing: {err}"
    height, across = bands.data.shape[1:]
    if shape is not None:
        planes = frame_galaxy(bands.data, shape, size=size)
    else:
        side = width if width and framing != "none" else min(height, across)
        planes = crop_square(bands.data, ((across - 1) / 2, (height - 1) / 2), side, size)
    image = make_rgb(
        dict(zip(bands.names, planes, strict=True)),
        recipe=recipe,
        flip=bands.wcs is None or is_south_up(bands.wcs),
    )
    return image, _columns(shape, bands.pixel_scale or 1.0), note


def _check_data(bands: Bands, recipe: ColourRecipe) -> None:
    """Refuse bands without data: a black channel, or a black image, would be classified."""
    blank = [name for name, p in zip(bands.names, bands.data, strict=True) if not holds_data(p)]
    if len(blank) == len(bands.names):
        raise UnreadableImageError("the image is empty: all pixels are equal or missing")
    if lost := [name for name in blank if name in recipe.bands]:
        raise UnreadableImageError(f"no data in band {', '.join(lost)}")


def _columns(shape: GalaxyShape | None, scale: float) -> dict[str, float]:
    if shape is None:
        return {"petro_r90": np.nan, "axis_ratio": np.nan, "centre_shift": np.nan}
    return {
        "petro_r90": shape.petro_r90 * scale,
        "axis_ratio": shape.axis_ratio,
        "centre_shift": shape.centre_shift * scale,
    }

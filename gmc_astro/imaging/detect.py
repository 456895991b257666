"""Find the galaxies of a picture of the sky, with photutils."""

from __future__ import annotations

import warnings

import numpy as np
from astropy.table import QTable

from gmc_astro.exceptions import InputError, MeasurementError
from gmc_astro.imaging.framing import SPAN, crop_square
from gmc_astro.imaging.measure import OF_JPEG, grey, measure_galaxy

__all__ = ["cut_out", "find_galaxies"]

_SMOOTHING = 1.5  # pixels
_MESH = 64  # pixels of a cell of the background
_WIDTH = 9.0  # of a cutout, in standard deviations of the light on a display scale


def find_galaxies(image: np.ndarray, *, threshold: float = 8.0, min_area: int = 120) -> QTable:
    """Find extended sources in an RGB picture.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (H, W, 3)
        Picture of the sky.
    threshold : float, optional
        Detection level above the background, in standard deviations of the smoothed sky.
    min_area : int, optional
        Pixels that a source must cover.

    Returns
    -------
    galaxies : `~astropy.table.QTable`
        Largest first, with columns ``x``, ``y`` (pixels from the first one's centre),
        ``semimajor``, ``semiminor`` (standard deviations of the light, pixels),
        ``orientation`` (degrees from the x axis towards y) and ``area`` (pixels).

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the picture is not (H, W, 3).
    gmc_astro.exceptions.MeasurementError
        If there is no source.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import find_galaxies
    >>> y, x = np.mgrid[:128, :128]
    >>> light = 200 * np.exp(-np.hypot(x - 40, (y - 80) / 0.6) / 6)
    >>> sky = np.random.default_rng(0).normal(10, 1, (128, 128, 3))
    >>> galaxies = find_galaxies(light[..., np.newaxis] + sky)
    >>> round(galaxies["x"][0]), round(galaxies["y"][0])
    (40, 80)
    """
    from astropy.stats import mad_std
    from photutils.background import Background2D, MedianBackground
    from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources
    from photutils.utils.exceptions import NoDetectionsWarning
    from scipy.ndimage import gaussian_filter

    if np.ndim(image) != 3 or np.shape(image)[-1] != 3:
        raise InputError(f"the picture has shape {np.shape(image)}; give (H, W, 3)")
    plane = grey(image)
    mesh = min(_MESH, *plane.shape)
    plane = plane - Background2D(plane, (mesh, mesh), bkg_estimator=MedianBackground()).background
    smooth = gaussian_filter(plane, _SMOOTHING)
    with warnings.catch_warnings(action="ignore", category=NoDetectionsWarning):
        segments = detect_sources(smooth, threshold * mad_std(smooth), n_pixels=min_area)
    if segments is None:
        raise MeasurementError("the picture shows no source; lower threshold or min_area")
    segments = deblend_sources(
        smooth, segments, n_pixels=min_area, n_levels=16, contrast=0.02, progress_bar=False
    )
    found = SourceCatalog(plane, segments)
    table = QTable(
        {
            "x": found.x_centroid,
            "y": found.y_centroid,
            "semimajor": found.semimajor_axis.value,
            "semiminor": found.semiminor_axis.value,
            "orientation": found.orientation.value,
            "area": found.area.value.astype(int),
        }
    )
    table.sort("area", reverse=True)
    return table


def cut_out(image: np.ndarray, galaxies: QTable, *, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut each galaxy out of the picture, framed by its Petrosian radius.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (H, W, 3), dtype uint8
        The picture.
    galaxies : `~astropy.table.QTable`
        What `find_galaxies` found.
    size : int
        Side of the cutouts in pixels.

    Returns
    -------
    cutouts : `~numpy.ndarray`, shape (N, size, size, 3), dtype uint8
        6.4 petroR90 across where that can be measured, else as wide as the source's light.
        The sky (the picture's median) is taken off each channel, because models know it as
        black. Black beyond the picture's edge.
    width : `~numpy.ndarray`, shape (N,)
        Side of each cutout in pixels of the picture.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import cut_out, find_galaxies
    >>> y, x = np.mgrid[:128, :128]
    >>> light = 200 * np.exp(-np.hypot(x - 40, (y - 80) / 0.6) / 6)
    >>> sky = np.random.default_rng(0).normal(10, 1, (128, 128, 3))
    >>> picture = light[..., np.newaxis] + sky
    >>> cutouts, width = cut_out(picture, find_galaxies(picture), size=64)
    >>> cutouts.shape, width.shape
    ((1, 64, 64, 3), (1,))
    """
    planes = np.moveaxis(np.asarray(image, np.float32), -1, 0)
    planes = planes - np.median(planes, axis=(1, 2), keepdims=True)
    cutouts = np.zeros((len(galaxies), size, size, 3), np.uint8)
    widths = np.zeros(len(galaxies))
    for i, (x, y, sigma) in enumerate(galaxies.iterrows("x", "y", "semimajor")):
        widths[i] = _width(planes, (x, y), _WIDTH * sigma)
        square = crop_square(planes, (x, y), widths[i], size)
        cutouts[i] = np.moveaxis(square, 0, -1).clip(0, 255).round()
    return cutouts, widths


def _width(planes: np.ndarray, centre: tuple[float, float], guess: float) -> float:
    """Width that shows as much sky as Galaxy Zoo does; held near what the light's extent says.

    A crowded field on a display scale lifts the growth curve's outskirts, so that the radius
    alone would show too much sky.
    """
    side = max(int(2 * guess), 24)
    square = crop_square(planes, centre, side, side)
    try:
        shape = measure_galaxy(square.mean(axis=0), isophote=OF_JPEG)
    except MeasurementError:
        return guess
    return float(np.clip(SPAN * shape.petro_r90, guess / 1.5, guess * 1.5))

"""Size and shape of the galaxy in the middle of an image, measured with photutils."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from gmc_astro.exceptions import MeasurementError

__all__ = ["OF_JPEG", "GalaxyShape", "grey", "measure_galaxy"]

OF_JPEG = 0.08  # isophote for images on a display scale
ETA = 0.2  # Petrosian ratio that defines the radius, as in SDSS
APERTURE = 2.0  # Petrosian flux is summed out to this many Petrosian radii, as in SDSS
_SMOOTHING = 1.5  # pixels, for detection only
_THRESHOLD = 3.0  # times the smoothed sky's standard deviation
_NEAR = 0.2  # the galaxy's pixels come within this fraction of the width of the middle
_MIN_PIXELS = 12
_STEP = 0.5  # pixels between the radii of the growth curve
_OUTSKIRTS = 2.5  # times the isophote's radius: faint light from here on is taken as noise
_FAINT = 5.0  # standard errors of a profile that counts as faint
_CORE = 0.2  # of petroR90: out to here a spiral galaxy's light is mostly its bulge's
_DISC = (0.35, 0.8)  # of petroR90: where it is the disc's
_FLATTEST = 0.2  # axis ratio of ellipses; discs seen edge-on are as thick as that
_DEBLENDING = threading.Lock()  # photutils changes the filters of warnings, which threads share


@dataclass(frozen=True)
class GalaxyShape:
    """What was measured of one galaxy; lengths in pixels.

    Parameters
    ----------
    centroid : tuple of float
        x and y of the flux-weighted centre; the first pixel's centre is (0, 0).
    centre_shift : float
        Distance of the centroid from the middle of the image.
    petro_radius : float
        Radius at which the surface brightness is 0.2 of the mean within.
    petro_r50, petro_r90 : float
        Radii that hold 50 and 90 per cent of the Petrosian flux.
    axis_ratio : float
        Minor over major axis of the isophote's second moments, 0 to 1.
    position_angle : float
        Of the major axis, in degrees anticlockwise from the x axis.
    flux : float
        Petrosian flux, in the unit of the image times pixels.
    core_contrast : float
        Mean surface brightness of the core, within 0.2 petroR90, over that of the disc, from 0.35
        to 0.8 petroR90, both in ellipses shaped like the isophote; NaN without light there.

    Examples
    --------
    >>> from gmc_astro.imaging import measure_galaxy
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> galaxy = SimulatedGalaxy(axis_ratio=0.5, bulge_share=0.0)
    >>> shape = measure_galaxy(render_galaxy(galaxy, ("r",))[0])
    >>> print(f"{shape.petro_r90:.0f} pixels, axis ratio {shape.axis_ratio:.1f}")
    27 pixels, axis ratio 0.5
    """

    centroid: tuple[float, float]
    centre_shift: float
    petro_radius: float
    petro_r50: float
    petro_r90: float
    axis_ratio: float
    position_angle: float
    flux: float
    core_contrast: float


def grey(image: np.ndarray) -> np.ndarray:
    """Mean of an RGB image's channels.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (H, W, 3)
        RGB image.

    Returns
    -------
    grey : `~numpy.ndarray`, shape (H, W), dtype float32
        One plane. Display scales are not linear: shapes are good, fluxes are not.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import grey
    >>> grey(np.array([[[30, 60, 90]]], np.uint8))
    array([[60.]], dtype=float32)
    """
    return np.asarray(image, np.float32).mean(axis=-1)


def measure_galaxy(image: np.ndarray, *, isophote: float = 0.01) -> GalaxyShape:
    """Measure the galaxy nearest to the middle of an image.

    The sky is the median; neighbours are told apart by multi-threshold deblending and left
    out of the measurement. Radii come from circular apertures, as SDSS measures them.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (H, W)
        Flux. NaN pixels are taken as sky.
    isophote : float, optional
        Faintest brightness, as a fraction of the peak, that outlines the galaxy where noise
        does not set a higher one. JPEGs, whose display scale lifts faint light and whose
        compression hides noise, want about 0.08 (`OF_JPEG`).

    Returns
    -------
    shape : `GalaxyShape`
        Size and shape in pixels.

    Raises
    ------
    gmc_astro.exceptions.MeasurementError
        If nothing stands out in the middle of the image, or only a single pixel, or the profile
        does not fall off before its edge.

    References
    ----------
    Petrosian 1976, ApJ 209, L1; Blanton et al. 2001, AJ 121, 2358, arXiv:astro-ph/0012085
    (SDSS's choice of 0.2 and two radii). ``benchmarks/framing.py`` measures how well petroR90
    is recovered from noisy images.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import measure_galaxy
    >>> y, x = np.mgrid[-40:41, -40:41]
    >>> shape = measure_galaxy(np.exp(-np.hypot(x, y / 0.5) / 4))
    >>> round(shape.axis_ratio, 1)
    0.5
    """
    sky, noise = _sky(image)
    image = np.nan_to_num(np.asarray(image, np.float32) - sky, nan=0.0)
    own, others = _segments(image, noise, isophote)
    centroid, ratio, angle = _moments(image, own)
    radii, enclosed, area = _growth(np.where(others, 0, image), ~others, centroid, own, noise)
    petro, flux, r50, r90 = _petrosian(radii, enclosed, area)
    middle = (np.array(image.shape[::-1]) - 1) / 2
    return GalaxyShape(
        centroid=centroid,
        centre_shift=float(np.hypot(*(np.array(centroid) - middle))),
        petro_radius=petro,
        petro_r50=r50,
        petro_r90=r90,
        axis_ratio=ratio,
        position_angle=angle,
        flux=flux,
        core_contrast=_core_contrast(image, ~others, centroid, (ratio, angle), r90),
    )


def _core_contrast(
    image: np.ndarray,
    kept: np.ndarray,
    centre: tuple[float, float],
    shape: tuple[float, float],
    r90: float,
) -> float:
    """Mean brightness of the core over the disc's; shape is axis ratio and position angle."""
    reach = int(np.ceil(_DISC[1] * r90)) + 1  # no pixel beyond it counts
    near = tuple(slice(max(int(c) - reach, 0), int(c) + reach + 2) for c in centre[::-1])
    image, kept = image[near], kept[near]
    y, x = np.indices(image.shape) + np.array([near[0].start, near[1].start])[:, None, None]
    ratio, angle = max(shape[0], _FLATTEST), np.deg2rad(shape[1])
    across, up = x - centre[0], y - centre[1]
    along = across * np.cos(angle) + up * np.sin(angle)
    aside = up * np.cos(angle) - across * np.sin(angle)
    radius = np.hypot(along, aside / ratio) / r90
    core = image[kept & (radius < _CORE)]
    disc = image[kept & (radius > _DISC[0]) & (radius < _DISC[1])]
    if not core.size or not disc.size or disc.mean() <= 0:
        return float("nan")
    return float(core.mean() / disc.mean())


def _sky(image: np.ndarray) -> tuple[float, float]:
    """Median and standard deviation of the sky; from the rim, where the galaxy is faintest."""
    from astropy.stats import mad_std

    image = np.asarray(image, np.float32)
    if image.ndim != 2 or min(image.shape) < 16:
        raise MeasurementError(f"image has shape {image.shape}; need a plane of 16 pixels or more")
    rim = max(min(image.shape) // 10, 3)
    values = np.concatenate(
        [image[:rim].ravel(), image[-rim:].ravel(), image[:, :rim].ravel(), image[:, -rim:].ravel()]
    )
    values = values[np.isfinite(values)]
    if not values.size:
        raise MeasurementError("the rim of the image has no finite pixel: no sky to measure")
    return float(np.median(values)), float(mad_std(values))


def _segments(image: np.ndarray, noise: float, isophote: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the galaxy in the middle, and pixels of other objects."""
    from photutils.segmentation import SegmentationImage, deblend_sources
    from scipy.ndimage import gaussian_filter, label

    smooth = gaussian_filter(image, _SMOOTHING)
    # smoothing by sigma pixels divides white noise by 2 sqrt(pi) sigma
    level = _THRESHOLD * noise / (2 * np.sqrt(np.pi) * _SMOOTHING)
    level = max(level, isophote * float(smooth.max()))
    objects, _ = label(smooth > level, structure=np.ones((3, 3)))
    objects[np.bincount(objects.ravel())[objects] < _MIN_PIXELS] = 0
    nearest = _central_label(objects) if level > 0 else 0
    if nearest == 0:
        raise MeasurementError("no source at the centre")
    with _DEBLENDING:
        segments = deblend_sources(
            smooth,
            SegmentationImage(objects),
            n_pixels=_MIN_PIXELS,
            labels=[nearest],
            n_levels=8,
            contrast=0.02,
            progress_bar=False,
        )
    own = segments.data == _central_label(segments.data)
    return own, (segments.data > 0) & ~own


def _central_label(labels: np.ndarray) -> int:
    """Label of the segment that comes nearest to the middle; 0 where none is near."""
    height, width = labels.shape
    y, x = np.nonzero(labels)
    distance = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    if not distance.size or distance.min() > _NEAR * min(height, width):
        return 0
    nearest = int(np.argmin(distance))
    return int(labels[y[nearest], x[nearest]])


def _moments(image: np.ndarray, own: np.ndarray) -> tuple[tuple[float, float], float, float]:
    """Centroid, axis ratio and position angle of the galaxy's isophote.

    Brightness weighs by its square root: plain flux is ruled by the round bulge and the
    seeing, the bare outline by noise at its rim.
    """
    y, x = np.nonzero(own)
    flux = np.clip(image[own], 0, None)
    centroid = float(np.average(x, weights=flux)), float(np.average(y, weights=flux))
    weights = np.sqrt(flux)
    dx, dy = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    xx, yy, xy = (float(np.average(p, weights=weights)) for p in (dx * dx, dy * dy, dx * dy))
    minor, major = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
    if not major > 0:
        raise MeasurementError("the source at the centre is a single pixel")
    angle = float(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)))
    return centroid, float(np.sqrt(max(minor, 0) / major)), angle


def _growth(
    image: np.ndarray,
    usable: np.ndarray,
    centre: tuple[float, float],
    own: np.ndarray,
    noise: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flux within circles of growing radius; masked pixels take the mean of their ring."""
    y, x = np.indices(image.shape, dtype=np.float32)
    ring = np.hypot(x - centre[0], y - centre[1])
    bins = np.minimum((ring / _STEP).astype(int), int(max(image.shape) / _STEP)).ravel()
    pixels = np.bincount(bins).astype(float)
    good = np.bincount(bins, weights=usable.ravel(), minlength=len(pixels))
    flux = np.bincount(bins, weights=(image * usable).ravel(), minlength=len(pixels))
    radii = _STEP * np.arange(1, len(pixels) + 1)
    mean = _profile(flux, good, noise, radii > _OUTSKIRTS * ring[own].max())
    reach = int(_reach(image.shape, centre) / _STEP)
    area = np.cumsum(pixels)
    return radii[:reach], np.cumsum(mean * pixels)[:reach], area[:reach]


def _profile(
    flux: np.ndarray, pixels: np.ndarray, noise: float, outskirts: np.ndarray
) -> np.ndarray:
    """Mean brightness of rings from the centre outwards, which never rises.

    Rings that would rise are joined to their mean, which keeps their flux and averages noise
    where there is most of it. Joined rings of the outskirts that do not stand out count as sky,
    or else a chance plateau far out would move the radius at low signal-to-noise ratios.
    """
    from scipy.optimize import isotonic_regression

    mean = flux / np.maximum(pixels, 1)
    fit = isotonic_regression(mean, weights=np.maximum(pixels, 1e-3), increasing=False)
    mean, block = fit.x, np.repeat(np.arange(len(fit.blocks) - 1), np.diff(fit.blocks))
    error = noise / np.sqrt(np.maximum(np.bincount(block, weights=pixels), 1))[block]
    return np.where(outskirts & (mean < _FAINT * error), 0, mean)


def _reach(shape: tuple[int, ...], centre: tuple[float, float]) -> float:
    """Radius at which circles around the centre leave the image at all four corners."""
    corners = [(x, y) for x in (0, shape[1] - 1) for y in (0, shape[0] - 1)]
    return max(float(np.hypot(x - centre[0], y - centre[1])) for x, y in corners) * 0.8


def _petrosian(
    radii: np.ndarray, enclosed: np.ndarray, area: np.ndarray
) -> tuple[float, float, float, float]:
    """Petrosian radius and flux, and the radii of 50 and 90 per cent of that flux."""
    # local brightness in a ring from 0.8 to 1.25 r, as in SDSS, against the mean within r
    inner, outer = (np.interp(f * radii, radii, enclosed) for f in (0.8, 1.25))
    inner_area, outer_area = (np.interp(f * radii, radii, area) for f in (0.8, 1.25))
    ratio = (
        (outer - inner)
        / np.maximum(outer_area - inner_area, 1)
        / np.where(enclosed > 0, enclosed, np.inf)
        * area
    )
    below = np.flatnonzero((ratio < ETA) & (radii > 2))
    below = below[below * 1.25 < len(radii)]
    if not len(below) or enclosed[below[0]] <= 0:
        raise MeasurementError("the profile does not fall off before the image's edge")
    i = below[0]
    petro = float(np.interp(ETA, ratio[[i, i - 1]], radii[[i, i - 1]])) if i else float(radii[0])
    flux = float(np.interp(APERTURE * petro, radii, enclosed))
    grown = np.maximum.accumulate(enclosed[: np.searchsorted(radii, APERTURE * petro) + 1])
    r50, r90 = (float(np.interp(share * flux, grown, radii[: len(grown)])) for share in (0.5, 0.9))
    return petro, flux, r50, r90

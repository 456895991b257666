"""Simulated galaxies: Sersic bulge and disk, bar, arms, seeing, noise; the same for every survey.

A galaxy is drawn from its position alone, so that two requests for one place, in other bands,
fields or pixel scales, show one and the same galaxy.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from astropy.convolution import Gaussian2DKernel, convolve_fft
from astropy.modeling.models import Sersic2D

from gmc_astro.exceptions import InputError

__all__ = ["SimulatedGalaxy", "galaxy_at", "render_galaxy"]

#: Flux of each band as a share of r, of a blue disk and of a red bulge.
DISK_COLOUR = {"u": 0.4, "g": 0.8, "r": 1.0, "i": 1.1, "z": 1.2, "y": 1.25, "VIS": 1.05}
BULGE_COLOUR = {"u": 0.15, "g": 0.5, "r": 1.0, "i": 1.4, "z": 1.7, "y": 1.9, "VIS": 1.2}
OVERSAMPLING = 3  # a Sersic profile of index 4 is steep within one pixel


@dataclass(frozen=True)
class SimulatedGalaxy:
    """A galaxy as numbers.

    Parameters
    ----------
    flux : float
        Nanomaggies in r.
    disk_radius, bulge_radius : float
        Half-light radii in arcsec.
    bulge_share : float
        Share of the flux in r that is in the bulge.
    bulge_index : float
        Sersic index of the bulge; the disk's is 1.
    axis_ratio : float
        Of the disk.
    angle : float
        Of the disk's major axis, in radians from the x axis to the y axis of the array.
    bar : float
        Share of the disk's flux that is in a bar.
    arms : int
        Number of arms; 0 for none.
    arm_contrast : float
        Brightness of the arms against the disk.
    winding : float
        Pitch angle in radians; negative winds the other way.
    bulge_axis_ratio : float, optional
        Of the bulge. Default is halfway between the disk's and round.
    ring : float
        Share of the disk's flux that is in a ring.
    ring_radius, ring_width : float
        Of the ring, in half-light radii of the disk; the width is a standard deviation.
    clumps : tuple of tuple of float
        Bright knots of the disk: place along and across it in half-light radii, and share of the
        disk's flux, of each.
    redness : float
        Colour of the disk: 0 that of young stars, 1 that of the bulge.
    tail : float
        Share of the disk's flux that is in a tidal tail.
    companion : `SimulatedGalaxy`, optional
        A second galaxy, with the colours of the first.
    offset : tuple of float
        Place of the companion against the first, x and y in arcsec.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If bar, ring, knots and tail hold more light than the disk has.

    Examples
    --------
    >>> from gmc_astro.testing import SimulatedGalaxy
    >>> spiral = SimulatedGalaxy(disk_radius=5.0, arms=2, bar=0.2)
    >>> spiral.flux, spiral.arms
    (400.0, 2)
    """

    flux: float = 400.0
    disk_radius: float = 4.0
    bulge_radius: float = 1.0
    bulge_share: float = 0.2
    bulge_index: float = 4.0
    axis_ratio: float = 0.8
    angle: float = 0.0
    bar: float = 0.0
    arms: int = 0
    arm_contrast: float = field(default=0.8, kw_only=True)
    winding: float = field(default=0.35, kw_only=True)
    bulge_axis_ratio: float | None = field(default=None, kw_only=True)
    ring: float = field(default=0.0, kw_only=True)
    ring_radius: float = field(default=1.5, kw_only=True)
    ring_width: float = field(default=0.16, kw_only=True)
    clumps: tuple[tuple[float, float, float], ...] = field(default=(), kw_only=True)
    redness: float = field(default=0.0, kw_only=True)
    tail: float = field(default=0.0, kw_only=True)
    companion: SimulatedGalaxy | None = field(default=None, kw_only=True)
    offset: tuple[float, float] = field(default=(0.0, 0.0), kw_only=True)

    def __post_init__(self) -> None:
        share = self.bar + self.ring + self.tail + sum(knot[2] for knot in self.clumps)
        if share > 1:
            raise InputError(
                f"bar, ring, clumps and tail hold {share:.2f} of the disk's flux; give shares of "
                "1 together, or less"
            )


def galaxy_at(ra: float, dec: float, seed: int = 0) -> SimulatedGalaxy:
    """Draw the galaxy of a position.

    Parameters
    ----------
    ra, dec : float
        Position in degrees; rounded to 1e-4 degrees, 0.36 arcsec.
    seed : int, optional
        Another sky.

    Returns
    -------
    galaxy : `SimulatedGalaxy`
        The same for the same position and seed.

    Examples
    --------
    >>> from gmc_astro.testing import galaxy_at
    >>> galaxy_at(184.85, 5.79) == galaxy_at(184.85, 5.79)
    True
    >>> galaxy_at(184.85, 5.79) == galaxy_at(184.85, 5.79, seed=1)
    False
    """
    rng = np.random.default_rng(zlib.crc32(f"{ra:.4f} {dec:.4f} {seed}".encode()))
    smooth = rng.random() < 0.4
    return SimulatedGalaxy(
        flux=float(10 ** rng.uniform(2.2, 3.2)),
        disk_radius=float(rng.uniform(2.0, 7.0)),
        bulge_radius=float(rng.uniform(0.8, 2.0)),
        bulge_share=float(rng.uniform(0.7, 1.0) if smooth else rng.uniform(0.05, 0.4)),
        axis_ratio=float(rng.uniform(0.5, 1.0) if smooth else rng.uniform(0.2, 1.0)),
        angle=float(rng.uniform(0, np.pi)),
        bar=0.0 if smooth else float(rng.choice([0.0, 0.2])),
        arms=0 if smooth else int(rng.choice([0, 2, 2, 3])),
        winding=float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.5)),
    )


def render_galaxy(
    galaxy: SimulatedGalaxy,
    bands: str | tuple[str, ...] = ("g", "r", "z"),
    *,
    pixels: int = 224,
    pixel_scale: float = 0.262,
    seeing: float = 1.2,
    noise: float = 0.01,
    seed: int = 0,
) -> np.ndarray:
    """Draw a galaxy in the middle of an image.

    Parameters
    ----------
    galaxy : `SimulatedGalaxy`
        What to draw.
    bands : sequence of str, optional
        Bands, as ("g", "r", "z") or "grz".
    pixels : int, optional
        Side of the image.
    pixel_scale : float, optional
        Arcseconds a pixel.
    seeing : float, optional
        Full width at half maximum of the point spread function in arcsec; 0 for none.
    noise : float, optional
        Standard deviation of the sky, in nanomaggies a square arcsecond's root.
    seed : int, optional
        Of the noise.

    Returns
    -------
    planes : `~numpy.ndarray`, shape (B, pixels, pixels), dtype float32
        Nanomaggies a pixel.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is no such band.

    Examples
    --------
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> planes = render_galaxy(SimulatedGalaxy(flux=400.0), ("g", "r", "z"), pixels=128)
    >>> planes.shape, planes.dtype.name
    ((3, 128, 128), 'float32')
    """
    bands = (bands,) if bands in DISK_COLOUR else tuple(bands)
    if unknown := [band for band in bands if band not in DISK_COLOUR]:
        raise InputError(f"bands {unknown} are not among {', '.join(DISK_COLOUR)}")
    fine = OVERSAMPLING * pixels
    step = pixel_scale / OVERSAMPLING
    x, y = np.meshgrid(*[(np.arange(fine) - (fine - 1) / 2) * step] * 2)
    disk, bulge = _disk(galaxy, x, y), _bulge(galaxy, x, y)
    if galaxy.companion is not None:
        place = x - galaxy.offset[0], y - galaxy.offset[1]
        disk += _disk(galaxy.companion, *place)
        bulge += _bulge(galaxy.companion, *place)
    if seeing:
        kernel = Gaussian2DKernel(seeing / 2.355 / step)
        disk, bulge = (convolve_fft(plane, kernel, boundary="fill") for plane in (disk, bulge))
    disk, bulge = (
        plane.reshape(pixels, OVERSAMPLING, pixels, OVERSAMPLING).sum(axis=(1, 3))
        for plane in (disk, bulge)
    )
    rng = np.random.default_rng(seed)
    sigma = noise * pixel_scale
    return np.stack(
        [
            _disk_colour(galaxy, band) * disk
            + BULGE_COLOUR[band] * bulge
            + sigma * rng.normal(size=disk.shape)
            for band in bands
        ]
    ).astype(np.float32)


def _disk_colour(galaxy: SimulatedGalaxy, band: str) -> float:
    """Flux of the disk in a band as a share of r."""
    return (1 - galaxy.redness) * DISK_COLOUR[band] + galaxy.redness * BULGE_COLOUR[band]


def _bulge(galaxy: SimulatedGalaxy, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ratio = galaxy.bulge_axis_ratio or (1 + galaxy.axis_ratio) / 2
    plane = _sersic(x, y, galaxy.bulge_radius, galaxy.bulge_index, ratio, galaxy.angle)
    return plane * galaxy.flux * galaxy.bulge_share


def _disk(galaxy: SimulatedGalaxy, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Exponential disk with its arms, bar, ring, knots and tail."""
    plane = _sersic(x, y, galaxy.disk_radius, 1.0, galaxy.axis_ratio, galaxy.angle)
    # in the disk's own plane, in its half-light radii
    along = (x * np.cos(galaxy.angle) + y * np.sin(galaxy.angle)) / galaxy.disk_radius
    across = (y * np.cos(galaxy.angle) - x * np.sin(galaxy.angle)) / galaxy.disk_radius
    across = across / galaxy.axis_ratio
    radius = np.hypot(along, across) + 1e-3
    azimuth = np.arctan2(across, along)
    if galaxy.arms:
        phase = azimuth - np.log(radius) / np.tan(galaxy.winding)
        strength = galaxy.arm_contrast * np.clip(radius / 0.5 - 0.4, 0, 1)
        plane = plane * (1 + strength * np.cos(galaxy.arms * phase))  # as much light as before
    parts = [(share, _spot(along - u, across - v, 0.18)) for u, v, share in galaxy.clumps]
    parts += [(galaxy.ring, _ring(radius, galaxy.ring_radius, galaxy.ring_width))]
    parts += [(galaxy.tail, _tail(radius, azimuth))]
    unit = (x[0, 1] - x[0, 0]) ** 2 / (galaxy.disk_radius**2 * galaxy.axis_ratio)  # of a pixel
    parts = [(share, part * unit) for share, part in parts if share]
    if galaxy.bar:
        ratio = 0.35 * galaxy.axis_ratio
        bar = _sersic(x, y, 0.5 * galaxy.disk_radius, 0.5, ratio, galaxy.angle + 0.6)
        parts.append((galaxy.bar, bar))
    plane = plane * (1 - sum(share for share, _ in parts))
    for share, part in parts:
        plane = plane + share * part
    return plane * galaxy.flux * (1 - galaxy.bulge_share)


def _spot(u: np.ndarray, v: np.ndarray, width: float) -> np.ndarray:
    """Gaussian of two coordinates, of integral 1."""
    return np.exp(-(u**2 + v**2) / (2 * width**2)) / (2 * np.pi * width**2)


def _ring(radius: np.ndarray, middle: float, width: float) -> np.ndarray:
    """Gaussian of the radius, of integral 1 over the plane."""
    from scipy.special import erf

    inside = width**2 * np.exp(-(middle**2) / (2 * width**2))
    outside = middle * width * np.sqrt(np.pi / 2) * (1 + erf(middle / (width * np.sqrt(2))))
    light = 2 * np.pi * (inside + outside)
    return np.exp(-((radius - middle) ** 2) / (2 * width**2)) / light


def _tail(radius: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """One open arc from the disk outwards that fades with the radius, of integral 1."""
    turn = np.angle(np.exp(1j * (azimuth - np.log(radius) / np.tan(0.9))))
    return np.exp(-((turn * radius) ** 2) / 0.25) * _fading(radius) / _light_of_tail()


def _fading(radius: np.ndarray) -> np.ndarray:
    """Brightness of a tail along its middle."""
    return np.clip(radius - 0.8, 0, 1) * np.exp(-radius / 1.5)


@cache
def _light_of_tail() -> float:
    """Integral of a tail over the plane; over each circle it is that of a Gaussian."""
    from scipy.integrate import quad
    from scipy.special import erf

    width = 0.5 * np.sqrt(np.pi)
    return quad(lambda r: _fading(r) * width * erf(2 * np.pi * r), 0.8, 40, points=[1.8])[0]


def _sersic(
    x: np.ndarray, y: np.ndarray, radius: float, index: float, ratio: float, angle: float
) -> np.ndarray:
    """Sersic profile whose pixels sum to the share of its light that is in the image."""
    model = Sersic2D(1.0, radius, index, 0.0, 0.0, 1 - ratio, angle)
    pixel = (x[0, 1] - x[0, 0]) ** 2
    return model(x, y) * pixel / _total(radius, index, ratio)


def _total(radius: float, index: float, ratio: float) -> float:
    """Light of a Sersic profile of unit surface brightness at its half-light radius.

    Graham & Driver 2005, PASA 22, 118, equation 4.
    """
    from scipy.special import gamma, gammaincinv

    b = gammaincinv(2 * index, 0.5)
    return float(
        2 * np.pi * index * radius**2 * ratio * np.exp(b) * b ** (-2 * index) * gamma(2 * index)
    )

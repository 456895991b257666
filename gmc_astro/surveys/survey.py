"""A survey as data: what it observed, who serves it, and in which colours it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from astropy import units as u
from astropy.coordinates import ConvertError, SkyCoord

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import get_recipe

__all__ = ["Footprint", "Survey", "as_icrs", "icrs_degrees"]

SERVICES = ("viewer", "hips2fits")


@dataclass(frozen=True)
class Footprint:
    """Sky beyond which a survey certainly has nothing.

    It is drawn generously: inside of it the survey's service has the last word.

    Parameters
    ----------
    dec : tuple of float, optional
        Southern and northern limit of declination in degrees.
    circles : tuple of (ra, dec, radius), optional
        Fields in degrees; where there are any, a position has to be in one of them.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro.surveys import Footprint
    >>> Footprint(dec=(-30, 90)).contains(SkyCoord([10, 10], [-40, 0], unit="deg"))
    array([False,  True])
    """

    dec: tuple[float, float] = (-90.0, 90.0)
    circles: tuple[tuple[float, float, float], ...] = ()

    def contains(self, coords: SkyCoord) -> np.ndarray:
        """Tell which positions may be in the survey.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`, shape (N,)
            Positions.

        Returns
        -------
        inside : `~numpy.ndarray` of bool, shape (N,)
            False where the survey certainly has nothing, and where a position is not finite.
        """
        ra, dec = icrs_degrees(coords)
        inside = np.isfinite(ra) & (dec >= self.dec[0]) & (dec <= self.dec[1])
        if self.circles:
            places = SkyCoord(ra, dec, unit="deg")
            near = [
                places.separation(SkyCoord(*centre, unit="deg")) < radius * u.deg
                for *centre, radius in self.circles
            ]
            inside &= np.any(near, axis=0)
        return inside


def as_icrs(coords: SkyCoord) -> SkyCoord:
    """Positions in ICRS.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`, shape () or (N,)
        Positions in any frame.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`, shape (N,)
        The same positions.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the frame lacks what places it on the sky, as AltAz without ``location``.
    """
    try:
        return coords.icrs.reshape(-1)
    except (AttributeError, ConvertError) as err:  # the first where location or obstime is None
        raise InputError(
            f"positions in the frame {coords.frame.name} cannot be turned into ICRS: give it "
            f"obstime and location, or give right ascension and declination ({err})"
        ) from err


def icrs_degrees(coords: SkyCoord) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination in degrees, NaN where a position is masked.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`, shape () or (N,)
        Positions in any frame.

    Returns
    -------
    ra, dec : `~numpy.ndarray`, shape (N,)
        ICRS.

    Raises
    ------
    gmc_astro.exceptions.InputError
        As `as_icrs`.
    """
    coords = as_icrs(coords)
    angles = []
    for angle in (coords.ra, coords.dec):
        degrees = np.asarray(getattr(angle, "unmasked", angle).deg, dtype=float)
        angles.append(np.where(getattr(angle, "mask", False), np.nan, degrees))
    return angles[0], angles[1]


@dataclass(frozen=True)
class Survey:
    """An imaging survey and the service that cuts images out of it.

    Parameters
    ----------
    name : str
        Short name, as in ``survey="decals"``.
    title : str
        Full name.
    service : {"viewer", "hips2fits"}
        ``"viewer"``: the Legacy Surveys viewer; ``"hips2fits"``: the CDS service, which
        serves every survey that is published as HiPS.
    bands : tuple of str
        Bands to ask for, blue first.
    pixel_scale : `~astropy.units.Quantity`
        Angle a pixel.
    recipe : str
        Name of the colour recipe in which the bands are shown.
    layer : str, optional
        Layer of the viewer.
    hips : mapping of str to str, optional
        HiPS identifier of each band.
    picture : str, optional
        HiPS identifier of the survey's own colour picture, for ``image_format="jpeg"``;
        the viewer serves it under its layer.
    flux_unit : str, optional
        Unit of the pixels.
    nanomaggies : float, optional
        Nanomaggies in one such unit; NaN where it is not known.
    footprint : `Footprint`, optional
        Where it observed.
    credit : str, optional
        Acknowledgement that the survey asks for.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the service is unknown, or a band has no HiPS or no layer.

    Examples
    --------
    >>> from astropy import units as u
    >>> from gmc_astro.surveys import Survey
    >>> hips = {band: f"me/P/mine/{band}" for band in "gri"}
    >>> survey = Survey("mine", "My survey", "hips2fits", bands=("g", "r", "i"),
    ...                 pixel_scale=0.2 * u.arcsec, recipe="SDSS_LUPTON", hips=hips)
    >>> sorted(survey.known_bands)
    ['g', 'i', 'r']
    """

    name: str
    title: str
    service: str
    bands: tuple[str, ...]
    pixel_scale: u.Quantity
    recipe: str
    layer: str = ""
    hips: Mapping[str, str] = field(default_factory=dict)
    picture: str = ""
    flux_unit: str = "nanomaggy"
    nanomaggies: float = 1.0
    footprint: Footprint = Footprint()
    credit: str = ""

    @property
    def known_bands(self) -> frozenset[str]:
        """Bands that may be asked for."""
        return frozenset(self.bands) | frozenset(self.hips)

    def __post_init__(self) -> None:
        if self.service not in SERVICES:
            raise InputError(f"survey {self.name}: service={self.service!r}, not in {SERVICES}")
        if not isinstance(self.pixel_scale, u.Quantity) or not self.pixel_scale.unit.is_equivalent(
            u.deg
        ):
            raise InputError(
                f"survey {self.name}: pixel_scale={self.pixel_scale!r} is not an angle; "
                "give for example 0.262 * u.arcsec"
            )
        if self.service == "viewer" and not self.layer:
            raise InputError(f"survey {self.name}: the viewer needs layer=")
        missing = [band for band in self.bands if band not in self.hips]
        if self.service == "hips2fits" and missing:
            raise InputError(f"survey {self.name}: hips= has no identifier for {missing}")
        needed = get_recipe(self.recipe).bands
        if len(self.bands) > 1 and not set(needed) <= set(self.bands):
            raise InputError(
                f"survey {self.name}: recipe {self.recipe} needs bands {needed}, "
                f"the survey has {self.bands}"
            )

"""The two services that cut images out of surveys, behind one interface.

Each turns (survey, at, side, pixels) into requests, and their bodies into planes or a
picture. astroquery builds and checks the hips2fits request; it is sent through a session of ours,
because astroquery's own sending switches its global cache off and on, which threads get wrong
(0.4.11), and its parsing hides the status behind AttributeError and JSONDecodeError.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import requests
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord

from gmc_astro.exceptions import InputError, SurveyError
from gmc_astro.surveys.body import check_picture
from gmc_astro.surveys.conf import conf
from gmc_astro.surveys.survey import Survey

__all__ = ["Part", "Service", "service_of"]

MOST_PIXELS = 3000  # the viewer silently clamps to this


class Part:
    """One request of a cutout: some of its bands, or its picture.

    Parameters
    ----------
    url : str
        Address.
    params : mapping
        Query.
    bands : tuple of str
        Bands of the answer; empty for a picture.
    """

    def __init__(self, url: str, params: Mapping[str, Any], bands: tuple[str, ...]) -> None:
        self.url = url
        self.params = dict(params)
        self.bands = bands

    @property
    def key(self) -> str:
        """What the answer depends on, as text."""
        query = "&".join(f"{name}={self.params[name]}" for name in sorted(self.params))
        return f"{self.url}?{query}"

    def send(self, session: requests.Session) -> requests.Response:
        """Ask the server."""
        return session.get(self.url, params=self.params, timeout=float(conf.timeout))


class Service(Protocol):
    """What fetching needs to know of a service."""

    def parts(
        self, survey: Survey, at: SkyCoord, side: u.Quantity, pixels: int, bands: Sequence[str]
    ) -> list[Part]:
        """Requests for the bands of a square cutout."""

    def picture(self, survey: Survey, at: SkyCoord, side: u.Quantity, pixels: int) -> Part:
        """Request for the survey's own colour picture."""

    def diagnose(self, response: requests.Response, part: Part, session: requests.Session) -> str:
        """Final reason behind an error status, or nothing."""


class Viewer:
    """The Legacy Surveys viewer: all bands in one FITS cube, south up."""

    def parts(
        self, survey: Survey, at: SkyCoord, side: u.Quantity, pixels: int, bands: Sequence[str]
    ) -> list[Part]:
        """One request for all bands; they are always named, because layers differ in defaults."""
        params = self._params(survey, at, side, pixels) | {"bands": "".join(bands)}
        return [Part(f"{conf.viewer}/fits-cutout", params, tuple(bands))]

    def picture(self, survey: Survey, at: SkyCoord, side: u.Quantity, pixels: int) -> Part:
        """The JPEG of the same cutout, north up."""
        params = self._params(survey, at, side, pixels)
        return Part(f"{conf.viewer}/jpeg-cutout", params | {"bands": "".join(survey.bands)}, ())

    def _params(
        self, survey: Survey, at: SkyCoord, side: u.Quantity, pixels: int
    ) -> dict[str, Any]:
        if pixels > MOST_PIXELS:
            raise InputError(f"{pixels} pixels are more than the viewer gives ({MOST_PIXELS})")
        return {
            "ra": f"{at.ra.deg:.7f}",
            "dec": f"{at.dec.deg:.7f}",
            "layer": survey.layer,
            "pixscale": f"{side.to_value(u.arcsec) / pixels:.6g}",
            "size": pixels,
        }

    def diagnose(self, response: requests.Response, part: Part, session: requests.Session) -> str:
        """Off the footprint it answers 500, but its JPEG is uniformly grey: look at that."""
        if response.status_code != 500 or not part.bands:
            return ""
        glance = Part(part.url.replace("fits-cutout", "jpeg-cutout"), part.params, ())
        try:
            check_picture(glance.send(session).content)
        except (SurveyError, requests.RequestException) as err:
            return str(err) if str(err) == "outside footprint" else ""
        return ""


class Hips2Fits:
    """The CDS service: one request a band, any HiPS, north up in the FITS sense."""

    def parts(
        self, survey: Survey, at: SkyCoord, side: u.Quantity, pixels: int, bands: Sequence[str]
    ) -> list[Part]:
        """One request a band."""
        return [
            Part(conf.hips2fits, self._params(survey.hips[b], at, side, pixels, "fits"), (b,))
            for b in bands
        ]

    def picture(self, survey: Survey, at: SkyCoord, side: u.Quantity, pixels: int) -> Part:
        """The colour HiPS of the survey."""
        if not survey.picture:
            raise InputError(f"survey {survey.name} has no colour picture; use its FITS bands")
        params = self._params(survey.picture, at, side, pixels, "jpg")
        return Part(conf.hips2fits, params, ())

    def _params(
        self, hips: str, at: SkyCoord, side: u.Quantity, pixels: int, kind: str
    ) -> dict[str, Any]:
        return _astroquery().query_async(
            get_query_payload=True,
            hips=hips,
            width=pixels,
            height=pixels,
            projection="TAN",
            ra=at.ra,
            dec=at.dec,
            fov=Angle(side),
            coordsys="icrs",
            rotation_angle=Angle(0 * u.deg),
            format=kind,
            min_cut=0.5,
            max_cut=99.5,
            stretch="linear",
            cmap="Greys_r",
        )

    def diagnose(self, response: requests.Response, part: Part, session: requests.Session) -> str:
        """Nothing that its status does not say."""
        return ""


@functools.cache
def _astroquery() -> Any:
    """One client of astroquery for all requests; it is slow to import, so only when needed."""
    from astroquery.hips2fits import hips2fitsClass

    return hips2fitsClass()


_SERVICES: dict[str, Service] = {"viewer": Viewer(), "hips2fits": Hips2Fits()}


def service_of(survey: Survey) -> Service:
    """The service that a survey names."""
    return _SERVICES[survey.service]

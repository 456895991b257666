"""One pass over positions: what is asked for, in which frame, and what became of each."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.stats import mad_std
from PIL import Image

from gmc_astro.exceptions import GmcAstroWarning, MeasurementError, SurveyError
from gmc_astro.imaging import (
    OK,
    SPAN,
    Bands,
    ColourRecipe,
    crop_square,
    frame_galaxy,
    make_rgb,
    measure_galaxy,
)
from gmc_astro.surveys.body import check_fits, check_picture
from gmc_astro.surveys.cache import BodyCache
from gmc_astro.surveys.request import ask, host_of, new_session
from gmc_astro.surveys.services import Part, service_of
from gmc_astro.surveys.survey import Survey, icrs_degrees

__all__ = ["FIELD", "Fetching", "Plan", "Row"]

#: Side of the first cutout: 6.4 petroR90 of a galaxy of 10 arcsec.
FIELD = 64 * u.arcsec
_WIDER = 4  # times that the field may be doubled
_SLACK = 1.05  # a frame may be so much wider than the field before a wider one is fetched
_MOST = 1024  # pixels across a fixed frame; a wider one comes in coarser pixels
_SDSS_NOISE = 0.02  # nanomaggies a pixel
_STRIPES = 1024  # locks that keep two threads from asking for the same thing


@dataclass(frozen=True)
class Plan:
    """What to fetch, and how to frame it; `fetch_cutouts` says what each entry means."""

    coords: SkyCoord
    survey: Survey
    size: int
    framing: str
    field: u.Quantity | None
    petro_r90: u.Quantity | None
    recipe: ColourRecipe
    bands: tuple[str, ...]
    image_format: str
    cache: BodyCache | None
    max_connections: int

    @property
    def side(self) -> u.Quantity:
        """Side of a fixed frame."""
        return self.size * self.survey.pixel_scale if self.field is None else self.field

    @property
    def measures(self) -> bool:
        """True where galaxies are measured on the way."""
        return self.framing == "petrosian" and self.image_format == "fits"


@dataclass(frozen=True)
class Row:
    """What became of one position; lengths in arcsec, and the axis ratio."""

    image: np.ndarray | None
    status: str
    pixel_scale: float = np.nan
    petro_r90: float = np.nan
    axis_ratio: float = np.nan
    centre_shift: float = np.nan


class Fetching:
    """One pass over a source: its session, and requests on their way that others wait for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.service = service_of(plan.survey)
        self.session = new_session(plan.max_connections)
        self._inside = plan.survey.footprint.contains(plan.coords)
        self._ra, self._dec = icrs_degrees(plan.coords)
        self._native = plan.survey.pixel_scale.to_value(u.arcsec)
        self._cache = plan.cache
        self._giving_up = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_STRIPES)]
        #: First row of the same position and radius, of each row; NaN is no position.
        radii = 0 * self._ra if plan.petro_r90 is None else plan.petro_r90.to_value(u.arcsec)
        places = np.stack([self._ra, self._dec, np.nan_to_num(radii)], axis=1)
        _, first, inverse = np.unique(places, axis=0, return_index=True, return_inverse=True)
        self.twins = first[inverse.ravel()]

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def row(self, i: int) -> Row:
        """Fetch and frame one position; whatever goes wrong becomes its status."""
        if not np.isfinite(self._ra[i] + self._dec[i]):
            return Row(None, "no position (masked, or not on the sky)")
        if not self._inside[i]:
            return Row(None, "outside footprint")
        try:
            if self.plan.image_format == "jpeg":
                return self._picture(i)
            if self.plan.framing == "fixed":
                return self._fixed(i, "")
            return self._petrosian(i)
        except SurveyError as err:
            return Row(None, str(err))

    # ---- framing -------------------------------------------------------------------------

    def _picture(self, i: int) -> Row:
        plan = self.plan
        part = self.service.picture(plan.survey, self._position(i), plan.side, plan.size)
        picture = Image.fromarray(check_picture(self._body(part)))
        if picture.size != (plan.size,) * 2:
            picture = picture.resize((plan.size,) * 2)
        return Row(np.asarray(picture), OK, plan.side.to_value(u.arcsec) / plan.size)

    def _fixed(self, i: int, note: str) -> Row:
        side = self.plan.side.to_value(u.arcsec)
        pixels = int(np.clip(round(side / self._native), 8, _MOST))
        bands = self._bands(i, side, pixels)
        planes = crop_square(bands.data, _middle(pixels), pixels, self.plan.size)
        status = f"{OK} ({note})" if note else OK
        return Row(self._render(planes, bands), status, side / self.plan.size)

    def _petrosian(self, i: int) -> Row:
        """Frame by a radius that is known, else by one measured on a field that is wide enough."""
        plan = self.plan
        if plan.petro_r90 is not None and np.isfinite(plan.petro_r90[i]):
            radius = plan.petro_r90[i].to_value(u.arcsec)
            bands = self._field(i, SPAN * radius)
            width = SPAN * radius / bands.pixel_scale
            planes = crop_square(bands.data, _middle(bands.data.shape[-1]), width, plan.size)
            return Row(self._render(planes, bands), OK, SPAN * radius / plan.size, radius)
        needed, reason = 0.0, ""
        for _ in range(_WIDER + 1):
            bands = self._field(i, needed)
            scale = bands.pixel_scale
            width = bands.data.shape[-1] * scale
            widest = width > 0.99 * FIELD.to_value(u.arcsec) * 2**_WIDER
            try:
                shape = measure_galaxy(np.nansum(bands.data, axis=0))
            except MeasurementError as err:
                reason = str(err)
                if "edge" not in reason or widest:
                    break
                needed = 1.5 * width  # the next wider field
                continue
            needed = SPAN * shape.petro_r90 * scale
            if needed <= _SLACK * width or widest:
                planes = frame_galaxy(bands.data, shape, size=plan.size)
                measured = shape.petro_r90 * scale, shape.axis_ratio, shape.centre_shift * scale
                return Row(self._render(planes, bands), OK, needed / plan.size, *measured)
        return self._fixed(i, f"fixed framing: {reason}")

    def _field(self, i: int, needed: float) -> Bands:
        """The narrowest of a few fields that holds so many arcseconds; the same for everybody."""
        side = FIELD.to_value(u.arcsec)
        pixels = int(np.clip(round(side / self._native), 64, 512))
        doublings = np.ceil(np.log2(max(needed / _SLACK, side) / side))
        return self._bands(i, side * 2 ** int(min(doublings, _WIDER)), pixels)

    def _render(self, planes: np.ndarray, bands: Bands) -> np.ndarray:
        by_name = dict(zip(bands.names, planes, strict=True))
        return make_rgb(by_name, recipe=self.plan.recipe, flip=True)

    # ---- bodies --------------------------------------------------------------------------

    def _position(self, i: int) -> SkyCoord:
        return SkyCoord(self._ra[i], self._dec[i], unit="deg")

    def _bands(self, i: int, side: float, pixels: int) -> Bands:
        """Planes of all bands of a square of ``side`` arcsec, in nanomaggies if that is known."""
        wanted = self.plan.bands
        parts = self.service.parts(
            self.plan.survey, self._position(i), side * u.arcsec, pixels, wanted
        )
        planes, empty = [], []
        for part in parts:
            try:
                planes.append(check_fits(self._body(part, pixels), part.bands, pixels))
            except SurveyError as err:
                if str(err) != "outside footprint" or len(parts) == 1:
                    raise
                empty += part.bands
        if empty and not planes:
            raise SurveyError("outside footprint")
        if empty:
            raise SurveyError(f"no data in band {', '.join(empty)}")
        data = _in_nanomaggies(np.concatenate(planes), self.plan.survey.nanomaggies)
        return _SkyBands(data, wanted, scale=side / pixels)

    def _body(self, part: Part, pixels: int = 0) -> bytes:
        """A body out of the cache, else from the server; asked for once, also by many threads."""
        with self._locks[hash(part.key) % _STRIPES]:
            body = self._with_cache(lambda cache: cache.get(part.key))
            if body is None:
                body = ask(
                    lambda: part.send(self.session),
                    lambda found: self._checked(found, part, pixels),
                    host=host_of(part.url),
                    connections=self.plan.max_connections,
                    diagnose=lambda answer: self.service.diagnose(answer, part, self.session),
                )
                self._with_cache(lambda cache: cache.put(part.key, body))
        return body

    def _with_cache(self, use: Callable[[BodyCache], bytes | None]) -> bytes | None:
        """Use the cache; where its disk is full or refuses, go on without it and warn once."""
        cache = self._cache
        if cache is None:
            return None
        try:
            return use(cache)
        except OSError as err:
            with self._giving_up:
                first, self._cache = self._cache is not None, None
            if first:
                warnings.warn(
                    f"answers are not kept, because the cache cannot be used: {err}; "
                    "give another folder as cache=, or cache=False",
                    GmcAstroWarning,
                    stacklevel=2,
                )
            return None

    @staticmethod
    def _checked(body: bytes, part: Part, pixels: int) -> bytes:
        if part.bands:
            check_fits(body, part.bands, pixels)
        else:
            check_picture(body)
        return body


@dataclass(frozen=True)
class _SkyBands(Bands):
    """Bands whose pixel scale is known from the request."""

    scale: float = 1.0

    @property
    def pixel_scale(self) -> float:
        """Arcseconds a pixel."""
        return self.scale


def _middle(pixels: int) -> tuple[float, float]:
    return (pixels - 1) / 2, (pixels - 1) / 2


def _in_nanomaggies(planes: np.ndarray, factor: float) -> np.ndarray:
    """Scale flux; where its unit is not known, so that the sky's noise is that of the SDSS."""
    if np.isfinite(factor):
        return planes * np.float32(factor)
    sky = np.nanmedian(planes, axis=(1, 2), keepdims=True)
    noise = mad_std(planes, axis=(1, 2), ignore_nan=True)[:, None, None]
    return ((planes - sky) * (_SDSS_NOISE / np.where(noise > 0, noise, 1))).astype(np.float32)

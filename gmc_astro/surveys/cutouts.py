"""Cutouts at positions, streamed: asked for politely, framed, and each with the truth about it."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ColourRecipe, ImageBatch, ImageSource, get_recipe, is_ok
from gmc_astro.surveys.cache import BodyCache
from gmc_astro.surveys.fetching import Fetching, Plan, Row
from gmc_astro.surveys.shipped import get_survey
from gmc_astro.surveys.survey import Survey, as_icrs

__all__ = ["CutoutSource", "fetch_cutouts"]

_FRAMINGS = ("petrosian", "fixed")
_SHARED = 512  # latest rows that rows at the same position share; earlier ones are in the cache


class CutoutSource(ImageSource):
    """Cutouts of a survey at many positions, fetched while they are read.

    Made by `fetch_cutouts`.

    Parameters
    ----------
    plan : Plan
        What to fetch, and how to frame it.
    ids : `~numpy.ndarray` of str, shape (N,)
        Name of each row.
    progress : bool, optional
        Show a progress bar, and at the end how many rows failed and why.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro import fetch_cutouts
    >>> coords = SkyCoord([184.85, 150.12], [5.79, 2.21], unit="deg")
    >>> source = fetch_cutouts(coords, survey="decals", size=128)
    >>> type(source).__name__, len(source), source.survey.name, source.recipe.name
    ('CutoutSource', 2, 'decals', 'GZ_DECALS')
    """

    def __init__(self, plan: Plan, ids: np.ndarray, *, progress: bool = True) -> None:
        self.plan = plan
        self._ids = ids
        self._progress = progress

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row, shape (N,), dtype str."""
        return self._ids

    @property
    def coords(self) -> SkyCoord:
        """Position of each row, ICRS."""
        return self.plan.coords

    @property
    def survey(self) -> Survey:
        """The survey."""
        return self.plan.survey

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colours of the images; None for the survey's own pictures."""
        return None if self.plan.image_format == "jpeg" else self.plan.recipe

    def identity(self) -> dict[str, Any]:
        """Positions, the survey, and how galaxies are framed.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        plan = self.plan
        return {
            **super().identity(),
            "survey": plan.survey.name,
            "bands": ", ".join(plan.bands),
            "image_format": plan.image_format,
            "framing": plan.framing,
            "side": str(plan.side),
            "size": plan.size,
            "recipe": plan.recipe.name,
            "radii": "" if plan.petro_r90 is None else _digest(plan.petro_r90),
        }

    def quiet(self) -> CutoutSource:
        """Return the same positions without a progress bar.

        Returns
        -------
        source : `CutoutSource`
            With the same plan.
        """
        return CutoutSource(self.plan, self._ids, progress=False)

    def in_recipe(self, recipe: ColourRecipe) -> ImageSource:
        """Return the same positions in another recipe, where the survey has its bands.

        Parameters
        ----------
        recipe : `~gmc_astro.imaging.ColourRecipe`
            Colours asked for.

        Returns
        -------
        source : `~gmc_astro.imaging.ImageSource`
            This source itself where the survey lacks a band, or gives pictures of its own.
        """
        plan = self.plan
        if self.recipe in (None, recipe):
            return self
        if len(plan.bands) == 1:
            plan = replace(plan, recipe=recipe)
        elif set(recipe.bands) <= plan.survey.known_bands:
            plan = replace(plan, recipe=recipe, bands=recipe.bands)
        else:
            return self
        return CutoutSource(plan, self._ids, progress=self._progress)

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Fetch and frame rows in order; the next ones are on their way meanwhile.

        Parameters
        ----------
        batch_size, start, stop : int, optional
            As for `ImageSource.iter_batches <gmc_astro.imaging.ImageSource.iter_batches>`.

        Yields
        ------
        batch : `~gmc_astro.imaging.ImageBatch`
            The next rows.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        fetching = Fetching(self.plan)
        ahead = batch_size + 4 * self.plan.max_connections
        pending: deque[Future[Row]] = deque()
        shared: OrderedDict[int, Future[Row]] = OrderedDict()  # of rows at the same position
        sums: Counter[str] = Counter()
        # A few threads more than connections, so that framing does not keep connections idle.
        pool = ThreadPoolExecutor(self.plan.max_connections + 2, thread_name_prefix="cutouts")
        show = self._progress and stop - start > 1
        bar = tqdm(total=stop - start, desc="cutouts", unit="image", disable=not show)
        submitted = start
        try:
            for first in range(start, stop, batch_size):
                rows = []
                for _ in range(first, min(first + batch_size, stop)):
                    while submitted < stop and len(pending) < ahead:
                        twin = int(fetching.twins[submitted])
                        if twin not in shared:
                            shared[twin] = pool.submit(fetching.row, submitted)
                        pending.append(shared[twin])
                        if len(shared) > _SHARED:
                            shared.popitem(last=False)
                        submitted += 1
                    rows.append(pending.popleft().result())
                    bar.update()
                sums.update(row.status for row in rows)
                yield self._batch(rows, first)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            fetching.close()
            bar.close()
            if show and not is_ok(list(sums)).all():
                tqdm.write("\n".join(f"{n:>8} {reason}" for reason, n in sums.most_common()))

    def _batch(self, rows: Sequence[Row], first: int) -> ImageBatch:
        images = np.zeros((len(rows), self.plan.size, self.plan.size, 3), np.uint8)
        for image, row in zip(images, rows, strict=True):
            if row.image is not None:
                image[:] = row.image
        names = ["pixel_scale"]
        if self.plan.measures:
            names += ["petro_r90", "axis_ratio", "centre_shift"]
        columns = {name: np.array([getattr(row, name) for row in rows]) for name in names}
        for name in set(names) - {"axis_ratio"}:
            columns[name] = columns[name] * u.arcsec
        return ImageBatch(images, np.array([row.status for row in rows]), first, columns)


def fetch_cutouts(
    coords: SkyCoord,
    *,
    survey: str | Survey = "decals",
    size: int = 224,
    framing: str = "petrosian",
    field: u.Quantity | None = None,
    petro_r90: u.Quantity | None = None,
    bands: Sequence[str] | None = None,
    recipe: str | ColourRecipe | None = None,
    image_format: str = "fits",
    cache: bool | str | Path = True,
    max_connections: int = 4,
    progress: bool = True,
    ids: Sequence[str] | None = None,
) -> CutoutSource:
    """Cut galaxies out of a survey.

    Nothing is fetched here: the source asks for rows when they are read, a few at once, and
    keeps what it got in a cache on disk. Reading it again asks only for what failed.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`, shape () or (N,)
        Positions in any frame.
    survey : str or Survey, optional
        One of `~gmc_astro.surveys.SURVEYS`, or a survey of your own.
    size : int, optional
        Side of the images in pixels.
    framing : {"petrosian", "fixed"}, optional
        ``"petrosian"``: 6.4 Petrosian radii (petroR90) across, three quarters of the width of a
        Galaxy Zoo 2 image; measured with photutils on a first cutout of 64 arcsec, fetched
        wider where the galaxy needs it; where it cannot be measured, as ``"fixed"``, and the
        status says so.
        ``"fixed"``: ``field`` across.
    field : `~astropy.units.Quantity`, optional
        Side of a fixed frame. Default is ``size`` pixels of the survey.
    petro_r90 : `~astropy.units.Quantity`, shape (N,), optional
        Radii that are known already (`~gmc_astro.surveys.look_up_petrosian`); NaN, masked or
        not above 0 (surveys write -9999) where not.
    bands : sequence of str, optional
        Bands to fetch. Default is the recipe's.
    recipe : str or ColourRecipe, optional
        Colours. Default is the survey's.
    image_format : {"fits", "jpeg"}, optional
        ``"jpeg"`` takes the survey's own colour pictures, framed fixed.
    cache : bool or path-like, optional
        Keep answers on disk, in this folder or in astropy's cache.
    max_connections : int, optional
        Connections to one server at once.
    progress : bool, optional
        Show a progress bar, and at the end how many rows failed and why.
    ids : sequence of str, shape (N,), optional
        Name of each row. Default is its position.

    Returns
    -------
    source : `CutoutSource`
        A row for each position, in order. Rows that cannot be had keep their place, with a
        status: ``"outside footprint"``, ``"no data in band g"``, ``"server error (503) after 5
        tries"``, ``"timed out after 5 tries"``, ``"not an image: ..."``, ``"no position
        (masked, or not on the sky)"``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the positions are not a SkyCoord or not on the sky, or an option is none that is known.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro.surveys import fetch_cutouts
    >>> source = fetch_cutouts(SkyCoord(184.85, 5.79, unit="deg"), survey="decals")
    >>> len(source)
    1
    """
    if not isinstance(coords, SkyCoord):
        raise InputError(
            f"coords of type {type(coords).__name__} are not positions; give a SkyCoord, for "
            "example SkyCoord(ra, dec, unit='deg')"
        )
    survey = get_survey(survey)
    coords = as_icrs(coords)
    if framing not in _FRAMINGS:
        raise InputError(f"framing={framing!r} is not one of {_FRAMINGS}")
    if image_format not in ("fits", "jpeg"):
        raise InputError(f"image_format={image_format!r} is neither 'fits' nor 'jpeg'")
    if max_connections < 1 or size < 1:
        raise InputError(f"max_connections={max_connections} and size={size} must be 1 or more")
    for name, value in (("field", field), ("petro_r90", petro_r90)):
        _check_angle(name, value)
    if petro_r90 is not None and np.shape(petro_r90) != (len(coords),):
        raise InputError(f"petro_r90 has shape {np.shape(petro_r90)} for {len(coords)} positions")
    recipe = get_recipe(recipe or survey.recipe)
    bands = tuple(bands or (survey.bands if len(survey.bands) == 1 else recipe.bands))
    if not set(bands) <= survey.known_bands:
        known = ", ".join(sorted(survey.known_bands))
        raise InputError(f"survey {survey.name} has bands {known}, not all of {bands}")
    if len(bands) > 1 and not set(recipe.bands) <= set(bands):
        raise InputError(f"recipe {recipe.name} needs bands {recipe.bands}, not {bands}")
    if ids is None:
        ids = coords.to_string("decimal", precision=6)
    if len(ids) != len(coords):
        raise InputError(f"{len(ids)} ids for {len(coords)} positions")
    folder = None if isinstance(cache, bool) else cache
    plan = Plan(
        coords,
        survey,
        size=size,
        framing=framing,
        field=field,
        petro_r90=None if petro_r90 is None else _known(petro_r90),
        recipe=recipe,
        bands=bands,
        image_format=image_format,
        cache=BodyCache(folder) if cache else None,
        max_connections=max_connections,
    )
    return CutoutSource(plan, np.asarray(ids, dtype=str), progress=progress)


def _known(radii: u.Quantity) -> u.Quantity:
    """Radii, NaN where they are masked or no radii."""
    radii = radii.filled(np.nan) if hasattr(radii, "filled") else radii
    return np.where(radii > 0, radii, np.nan)


def _digest(values: u.Quantity) -> str:
    return hashlib.sha256(values.to_value(u.arcsec).tobytes()).hexdigest()


def _check_angle(name: str, value: u.Quantity | None) -> None:
    """Refuse a number without a unit."""
    if value is None:
        return
    if not isinstance(value, u.Quantity) or not value.unit.is_equivalent(u.deg):
        raise InputError(f"{name}={value!r} is not an angle; give for example 64 * u.arcsec")

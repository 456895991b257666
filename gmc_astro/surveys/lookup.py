"""Radii that the SDSS has measured already, so that Galaxy Zoo 2's own framing can be repeated."""

from __future__ import annotations

import numpy as np
import requests
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError, SurveyError
from gmc_astro.surveys.conf import conf
from gmc_astro.surveys.survey import icrs_degrees

__all__ = ["look_up_petrosian"]

_AT_ONCE = 500  # positions in one cross-match
_NOT_MEASURED = 0  # SDSS gives -9999 and the like


def look_up_petrosian(
    coords: SkyCoord, *, radius: u.Quantity = 3 * u.arcsec, progress: bool = False
) -> QTable:
    """Find the SDSS object at each position, with the radius that Galaxy Zoo 2 framed it by.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`, shape () or (N,)
        Positions.
    radius : `~astropy.units.Quantity`, optional
        How far away the object may be; 3 arcmin at most.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    objects : `~astropy.table.QTable`
        A row for each position: ``objid`` (uint64, 0 where there is none), ``separation`` and
        ``petro_r90`` (petroR90_r) in arcsec, NaN where there is none, or no position.

    Raises
    ------
    gmc_astro.exceptions.SurveyError
        If SkyServer cannot be asked; the message says why.
    gmc_astro.exceptions.InputError
        If the positions are not a SkyCoord.

    References
    ----------
    Willett et al. 2013, MNRAS 435, 2835, arXiv:1308.3496 (images of 0.02 petroR90_r a pixel).

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro.surveys import look_up_petrosian
    >>> from gmc_astro.testing import serve_surveys
    >>> position = SkyCoord(184.85, 5.79, unit="deg")
    >>> with serve_surveys():  # an SDSS of simulated galaxies on this machine
    ...     objects = look_up_petrosian(position)
    >>> print(objects["petro_r90"].round(1))
    [7.2] arcsec
    """
    if not isinstance(coords, SkyCoord):
        raise InputError(f"coords of type {type(coords).__name__} are not positions; give SkyCoord")
    ra, dec = icrs_degrees(coords)
    objects = QTable(
        {
            "objid": np.zeros(len(ra), np.uint64),
            "separation": np.full(len(ra), np.nan) * u.arcsec,
            "petro_r90": np.full(len(ra), np.nan) * u.arcsec,
        }
    )
    asked = np.flatnonzero(np.isfinite(ra + dec))
    starts = range(0, len(asked), _AT_ONCE)
    for start in tqdm(starts, desc="SDSS look-up", unit="query", disable=not progress):
        rows = asked[start : start + _AT_ONCE]
        part = SkyCoord(ra[rows], dec[rows], unit="deg")
        found = _cross_match(part, radius)
        if found is None:
            continue
        places = SkyCoord(found["ra"], found["dec"], unit="deg")
        nearest, separation, _ = part.match_to_catalog_sky(places)
        near = np.flatnonzero(separation <= radius)
        rows, matches = rows[near], nearest[near]
        objects["objid"][rows] = found["objID"][matches]
        objects["separation"][rows] = separation[near]
        measured = np.asarray(found["petroR90_r"][matches], dtype=float)
        objects["petro_r90"][rows] = np.where(measured > _NOT_MEASURED, measured, np.nan) * u.arcsec
    return objects


def _cross_match(coords: SkyCoord, radius: u.Quantity) -> Table | None:
    """SkyServer's nearest primary objects; None where it has none at all."""
    from astroquery.exceptions import RemoteServiceError
    from astroquery.sdss import SDSSClass
    from urllib3.util import Retry

    client = SDSSClass()
    retry = Retry(
        total=max(int(conf.tries) - 1, 0),
        backoff_factor=float(conf.pause),
        status_forcelist=[429, 500, 502, 503, 504],
        allowed_methods=None,
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        client._session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))
    try:
        response = client.query_crossid_async(
            coords,
            radius=radius,
            photoobj_fields=["ra", "dec", "objID", "petroR90_r"],
            timeout=float(conf.timeout),
            cache=False,
        )
        response.raise_for_status()
        table = client._parse_result(response)
        if table is not None and not {"ra", "dec", "objID", "petroR90_r"} <= set(table.colnames):
            raise ValueError(f"columns {table.colnames}")
    except requests.RequestException as err:
        raise SurveyError(f"SkyServer could not be asked: {type(err).__name__}: {err}") from err
    except (RemoteServiceError, ValueError, OSError) as err:
        first = str(err).strip().splitlines() or [type(err).__name__]
        raise SurveyError(f"SkyServer's answer is no table: {first[0][:120]}") from err
    return table

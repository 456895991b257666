"""Positions on the sky, as they come: a SkyCoord, columns of a table, or words."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gmc_astro._tables import words
from gmc_astro.exceptions import InputError
from gmc_astro.sources.tables import read_catalog

__all__ = ["ids_of", "positions_in", "positions_of", "sky_positions"]

COLUMNS = (
    ("ra", "dec"),
    ("raj2000", "dej2000"),
    ("ra_deg", "dec_deg"),
    ("alpha_j2000", "delta_j2000"),
)
IDS = ("id", "galaxy_id", "object_id", "objid", "dr7objid", "source_id", "name", "iauname")


def positions_in(table: Table) -> SkyCoord | None:
    """Positions that a table holds, or None.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A SkyCoord column, or columns ``ra`` and ``dec`` (also ``RAJ2000``, ``DEJ2000``; without
        a unit: degrees) in any case.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`, shape (N,), or None
        NaN where a cell is masked, or a position is not on the sky (as -999).
    """
    for name in table.colnames:
        if isinstance(table[name], SkyCoord):
            return table[name]
    names = {name.lower(): name for name in table.colnames}
    for pair in COLUMNS:
        if set(pair) <= set(names):
            return sky_positions(*(_degrees(table, names[name]) for name in pair))
    return None


def sky_positions(ra: u.Quantity, dec: u.Quantity) -> SkyCoord:
    """Positions of two columns; where they are not on the sky (dec = -999) there is none.

    Parameters
    ----------
    ra, dec : `~astropy.units.Quantity`, shape (N,)
        Right ascension and declination; NaN where there is none.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`, shape (N,)
        NaN where a position is missing.
    """
    # a longitude of -999 deg would be wrapped into the sky without a word
    on_sky = (np.abs(ra) <= 360 * u.deg) & (np.abs(dec) <= 90 * u.deg)
    return SkyCoord(*(np.where(on_sky, values, np.nan * u.deg) for values in (ra, dec)))


def _degrees(table: Table, name: str) -> u.Quantity:
    """A column as degrees, NaN where it is masked."""
    column = table[name]
    unit = getattr(column, "unit", None) or u.deg
    mask = np.broadcast_to(getattr(column, "mask", False), len(column))
    try:
        values = np.array(getattr(column, "value", column), dtype=float)
        values[mask] = np.nan
        return u.Quantity(values, unit).to(u.deg)
    except (ValueError, TypeError, u.UnitConversionError) as err:
        raise InputError(f"column {name} does not hold angles: {err}") from err


def positions_of(images: Any) -> SkyCoord:
    """Positions of whatever was given where positions are expected.

    Parameters
    ----------
    images : SkyCoord, Table, path-like or str
        Positions; a table with positions or the path of one; ``"184.85 5.79"`` in degrees, or
        anything that SkyCoord reads with units in it (``"12h19m24s +5d47m24s"``).

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`, shape (N,)
        The positions.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are none.
    """
    if isinstance(images, SkyCoord):
        return images.reshape(-1)
    if isinstance(images, Table):
        coords = positions_in(images)
        if coords is None:
            raise InputError(
                f"the table has no positions: neither a SkyCoord column nor ra and dec; "
                f"its columns are {images.colnames}"
            )
        return coords
    if isinstance(images, str | os.PathLike):
        if os.path.exists(images):
            return positions_of(read_catalog(images))
        return _position_in_words(os.fspath(images))
    raise InputError(
        f"{images!r:.60} are not positions; give a SkyCoord (for example SkyCoord(ra, dec, "
        "unit='deg')), or a table with ra and dec"
    )


def _position_in_words(text: str) -> SkyCoord:
    try:
        words = text.replace(",", " ").split()
        hours = "h" in text or ":" in text or len(words) > 2 or text.startswith("J")
        return SkyCoord([" ".join(words)], unit=(u.hourangle if hours else u.deg, u.deg))
    except ValueError as err:
        raise InputError(
            f"{text!r} is neither a file nor a position; write degrees ('184.85 5.79') or "
            f"'12h19m24s +5d47m24s' ({err})"
        ) from err


def ids_of(table: Table) -> np.ndarray | None:
    """Names of a table's rows, where a column has one of the usual names.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    ids : `~numpy.ndarray` of str, shape (N,), or None
        The names; empty where a cell is masked.
    """
    names = {name.lower(): name for name in table.colnames}
    found = next((names[name] for name in IDS if name in names), None)
    return None if found is None else words(table[found])

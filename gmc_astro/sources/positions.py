"""Positions on the sky, as they come: a SkyCoord, columns of a table, or words."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord
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
    ("alphawin_j2000", "deltawin_j2000"),
    ("_raj2000", "_dej2000"),
    ("ra_icrs", "de_icrs"),
    ("right_ascension", "declination"),
    ("target_ra", "target_dec"),  # DESI
    ("ra_mean", "dec_mean"),
    ("ramean", "decmean"),  # Pan-STARRS
)
_SIXTIES = re.compile(r"\d *[:hdms ]")  # 12:19:24, 12h19m24s, 12 19 24
IDS = ("id", "galaxy_id", "object_id", "objid", "dr7objid", "source_id", "name", "iauname")


def positions_in(table: Table) -> SkyCoord | None:
    """Positions that a table holds, or None.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A SkyCoord column, or columns ``ra`` and ``dec`` (or other names of `COLUMNS`; without a
        unit: degrees, or sexagesimal text, of hours for a right ascension) in any case.

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
            hours = (u.hourangle, u.deg)
            return sky_positions(
                *(_degrees(table, names[name], own) for name, own in zip(pair, hours, strict=True))
            )
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


def _degrees(table: Table, name: str, sexagesimal: u.UnitBase) -> u.Quantity:
    """A column as degrees, NaN where it is masked."""
    column = table[name]
    unit = getattr(column, "unit", None) or u.deg
    mask = np.broadcast_to(getattr(column, "mask", False), len(column))
    values = np.array(getattr(column, "value", column))
    try:
        if values.dtype.kind in "USO":
            if getattr(column, "unit", None) == u.deg:
                sexagesimal = u.deg
            return _read_angles(np.char.strip(words(column)), unit, sexagesimal)
        values = values.astype(float)
        values[mask] = np.nan
        return u.Quantity(values, unit).to(u.deg)
    except (ValueError, TypeError, u.UnitConversionError) as err:
        shown = re.sub(r"np\.str_\((.*?)\)", r"\1", str(err))
        raise InputError(f"column {name} does not hold angles: {shown}") from err


def _read_angles(texts: np.ndarray, unit: u.UnitBase, sexagesimal: u.UnitBase) -> u.Quantity:
    """Angles in words: numbers in a unit, or sexagesimal; NaN where there is none."""
    degrees = np.full(len(texts), np.nan)
    sixties = np.array([_SIXTIES.search(text) is not None for text in texts.tolist()], bool)
    numbers = (texts != "") & ~sixties
    if numbers.any():
        degrees[numbers] = u.Quantity(texts[numbers].astype(float), unit).to_value(u.deg)
    if sixties.any():
        degrees[sixties] = Angle(texts[sixties].tolist(), sexagesimal).to_value(u.deg)
    return degrees * u.deg


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
                "the table has no positions: neither a SkyCoord column nor ra and dec (nor "
                f"{', '.join(' and '.join(pair) for pair in COLUMNS[1:4])}...); its columns are "
                f"{images.colnames}: rename two of them"
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

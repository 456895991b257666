"""`open_images`: the one door through which every input becomes an `ImageSource`."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gmc_astro._tables import frame_as_table, is_missing
from gmc_astro.exceptions import GmcAstroWarning, InputError
from gmc_astro.imaging import ColourRecipe, ImageSource, get_recipe
from gmc_astro.sources.arrays import ArraySource
from gmc_astro.sources.files import DEFAULT_SIZE, FileSource, find_files, is_glob
from gmc_astro.sources.hdf5 import HDF5_SUFFIXES, HDF5Source
from gmc_astro.sources.parquet import (
    ParquetSource,
    hats_partitions,
    image_column,
    is_hats,
    open_parquet,
)
from gmc_astro.sources.positions import ids_of, positions_in, positions_of
from gmc_astro.sources.selection import ConcatenatedSource
from gmc_astro.sources.tables import (
    CATALOG_SUFFIXES,
    file_column,
    is_fits_table,
    names_files,
    read_catalog,
)
from gmc_astro.surveys import Survey, fetch_cutouts

__all__ = ["open_images"]

FETCH_OPTIONS = set(inspect.signature(fetch_cutouts).parameters)
FRAMINGS = ("auto", "petrosian", "fixed", "none")
ACCEPTED = (
    "a SkyCoord, a (N, H, W, 3) uint8 array, a list of arrays of one shape, paths of JPEG, PNG, "
    "FITS or HDF5 files, a folder, a glob, a Table or DataFrame with a column of files or "
    "positions, or an ImageSource"
)


def open_images(
    images: Any,
    *,
    key: str | None = None,
    size: int | None = None,
    framing: str = "auto",
    recipe: str | ColourRecipe | None = None,
    base: str | os.PathLike | None = None,
    survey: str | Survey | None = None,
    **fetch: Any,
) -> ImageSource:
    """Open images of any kind that is known.

    Parameters
    ----------
    images : SkyCoord, array_like, path-like, sequence of path-like, Table, DataFrame or ImageSource
        Positions; a (N, H, W, 3) uint8 array, or a list of (H, W, 3) arrays or pillow images of
        one shape; a file, folder or glob, or several; an HDF5 stack; a table (or the path of
        one: CSV, TSV, ECSV, VOTable, zipped or not, FITS, Parquet) with a column of files, or
        else of positions (a SkyCoord, or ``ra`` and ``dec``); a Parquet file or a HATS
        catalogue with a column of JPEG or PNG bytes, or of positions.
    key : str, optional
        Data set of an HDF5 file, or column of a table. Default is the first usual name.
    size : int, optional
        Side in pixels to which files are resized, 224 if not given. Arrays and HDF5 stacks
        keep their own.
    framing : {"auto", "petrosian", "fixed", "none"}, optional
        How FITS images and positions are cut out; ``"auto"`` is ``"petrosian"``: 6.4
        Petrosian radii (petroR90) across, measured on the image. Pictures and arrays stay as
        they are.
    recipe : str or ColourRecipe, optional
        Colours to render FITS images and positions with; of pictures and arrays, the colours
        they have.
    base : path-like, optional
        Folder that the names in a table are relative to. Default is the table's own folder.
    survey : str or Survey, optional
        Where positions are cut out of, ``"decals"`` if not given. Given, ``images`` are taken
        as positions, also a table with files, or a string like ``"184.85 5.79"``.
    **fetch
        For positions, the other options of `~gmc_astro.surveys.fetch_cutouts`: ``cache``,
        ``max_connections``, ``field``, ``petro_r90``, ``image_format``, ``bands``, ``progress``.

    Returns
    -------
    source : `~gmc_astro.imaging.ImageSource`
        Rows of images. Rows that cannot be read keep their place, with a status that says why.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the input is of no known kind, or nothing is there at all.
    gmc_astro.exceptions.UnreadableImageError
        If an HDF5 or Parquet file cannot be opened.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import open_images
    >>> source = open_images(np.zeros((5, 64, 64, 3), dtype=np.uint8))
    >>> len(source)
    5
    """
    if framing not in FRAMINGS:
        raise InputError(f"framing={framing!r} is not one of {FRAMINGS}")
    recipe = None if recipe is None else get_recipe(recipe)
    if unknown := sorted(set(fetch) - FETCH_OPTIONS):
        raise InputError(f"{', '.join(unknown)} is no option here, nor one of open_images()")
    if isinstance(images, ImageSource):
        given = {"key": key, "size": size, "recipe": recipe, "base": base, "survey": survey}
        asked = [*fetch, *(name for name, value in given.items() if value is not None)]
        if asked or framing != "auto":
            raise InputError(
                f"options {sorted(asked) or ['framing']} come too late for images that are "
                "opened already: give them to open_images()"
            )
        return images
    if size is not None and size < 1:
        raise InputError(f"size={size} is no number of pixels; give 1 or more, such as 224")
    images = _in_one_array(frame_as_table(images))
    options = {"size": size or DEFAULT_SIZE, "framing": framing, "recipe": recipe}
    if isinstance(images, str | os.PathLike) and os.path.isdir(images) and is_hats(images):
        return _open_hats(os.fspath(images), key, survey, options, fetch)
    if survey is not None or isinstance(images, SkyCoord) or _has_positions_only(images, key):
        return _open_positions(images, survey or "decals", options, fetch)
    if fetch:
        raise InputError(f"options {sorted(fetch)} are for positions: give survey= with them")
    if isinstance(images, np.ndarray) and images.dtype.kind not in "UOS":
        return ArraySource(images, recipe=recipe)
    if isinstance(images, Table):
        return _open_listed(images, key, base, options)
    if isinstance(images, str | os.PathLike):
        return _open_path(os.fspath(images), key, base, options)
    return _open_several(images, key, base, options)


def _in_one_array(images: Any) -> Any:
    """Stack images in memory that come one by one, or as a tensor; all else stays as it is."""
    if isinstance(images, list | tuple) and images and all(map(_is_picture, images)):
        shapes = {np.shape(image): None for image in images}  # in the order that they came
        if len(shapes) > 1:
            raise InputError(
                f"images of {len(shapes)} shapes, {' and '.join(map(str, list(shapes)[:2]))}: give "
                "images of one shape, or their files, which are read at one size"
            )
        return np.stack(images)
    if isinstance(images, np.ndarray) or not _is_picture(images):
        return images
    return np.asarray(images)


def _is_picture(image: Any) -> bool:
    """Tell arrays, tensors and pillow images from tables and paths."""
    is_array = hasattr(image, "__array__") or hasattr(image, "__array_interface__")
    return is_array and not isinstance(image, Table) and np.ndim(image) > 1


def _has_positions_only(images: Any, key: str | None) -> bool:
    """True for a table that names no files but has positions."""
    if key is not None or not isinstance(images, Table):
        return False
    return not names_files(images) and positions_in(images) is not None


def _open_listed(
    table: Table, key: str | None, base: str | os.PathLike | None, options: Mapping[str, Any]
) -> FileSource:
    """Files that a table lists, with the names and positions that it has of them."""
    files = file_column(table, key, base)
    try:
        coords = positions_in(table)
    except InputError as err:  # they are beside the matter here
        warnings.warn(f"positions are left out: {err}", GmcAstroWarning, stacklevel=4)
        coords = None
    return FileSource(files, ids=ids_of(table), coords=coords, **options)


def _open_positions(
    images: Any, survey: str | Survey, options: Mapping[str, Any], fetch: Mapping[str, Any]
) -> ImageSource:
    """Positions, and the names that go with them."""
    if isinstance(images, str | os.PathLike) and os.path.exists(images):
        images = read_catalog(images)
    ids = ids_of(images) if isinstance(images, Table) else None
    framing = "petrosian" if options["framing"] == "auto" else options["framing"]
    if framing == "petrosian" and fetch.get("image_format") == "jpeg":
        framing = "fixed"
    return fetch_cutouts(
        positions_of(images), survey=survey, **(options | {"framing": framing, "ids": ids}), **fetch
    )


def _open_path(
    path: str, key: str | None, base: str | os.PathLike | None, options: Mapping[str, Any]
) -> ImageSource:
    """A file, folder or glob."""
    name, many = path.lower(), is_glob(path)
    if name.endswith(HDF5_SUFFIXES) and not many:
        return HDF5Source(path, key=key, **options)
    if name.endswith(".parquet") and not many and _holds_pictures(path, key):
        return _open_pictures(path, key, options)
    if not many and (name.endswith(CATALOG_SUFFIXES) or is_fits_table(path)):
        table = read_catalog(path)
        if _has_positions_only(table, key):
            return _open_positions(table, "decals", options, {})
        return _open_listed(table, key, base or os.path.dirname(path), options)
    found = find_files(path)
    if all(file.lower().endswith((*HDF5_SUFFIXES, *CATALOG_SUFFIXES)) for file in found):
        return _open_several(found, key, base, options)
    return FileSource(found, **options)


def _holds_pictures(path: str, key: str | None) -> bool:
    return os.path.isfile(path) and image_column(open_parquet(path).schema_arrow, key) is not None


def _open_pictures(path: str, key: str | None, options: Mapping[str, Any]) -> ImageSource:
    """Pictures in a Parquet file; they stay as they are framed."""
    return ParquetSource(path, key=key, size=options["size"], recipe=options["recipe"])


def _open_hats(
    path: str,
    key: str | None,
    survey: str | Survey | None,
    options: Mapping[str, Any],
    fetch: Mapping[str, Any],
) -> ImageSource:
    """Partitions of a HATS catalogue: with pictures, or else with positions."""
    files = hats_partitions(path)
    if survey is None and (key is not None or _holds_pictures(files[0], key)):
        return ConcatenatedSource([_open_pictures(file, key, options) for file in files])
    survey = survey or "decals"
    return ConcatenatedSource([_open_positions(file, survey, options, fetch) for file in files])


def _open_several(
    images: Any, key: str | None, base: str | os.PathLike | None, options: Mapping[str, Any]
) -> ImageSource:
    """Several paths; each may stand for many files, or be a stack of its own."""
    try:
        paths = [_path_of(value) for value in images]
    except TypeError:
        kind = type(images).__name__
        raise InputError(f"images of type {kind} cannot be opened; give {ACCEPTED}") from None
    if not paths:
        raise InputError(f"no images given; give {ACCEPTED}")
    if any(path.lower().endswith((*HDF5_SUFFIXES, *CATALOG_SUFFIXES)) for path in paths):
        return ConcatenatedSource([_open_path(path, key, base, options) for path in paths])
    many = [
        p
        for path in paths
        for p in (find_files(path) if os.path.isdir(path) or is_glob(path) else [path])
    ]
    return FileSource(many, **options)


def _path_of(value: Any) -> str:
    """One path as text; empty where there is none: None, NaN, pandas.NA, or masked."""
    if isinstance(value, bytes):
        if b"\0" in value:  # a picture has some, a name never
            raise InputError(
                "pictures in memory, as bytes, are opened with "
                "gmc_astro.sources.PictureSource(pictures)"
            )
        return os.fsdecode(value)
    return "" if is_missing(value) else os.fspath(value)

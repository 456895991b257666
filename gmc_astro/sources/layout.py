"""What is where in an HDF5 file of images: pictures, bytes or flux, and what stands beside them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import h5py
import numpy as np

from gmc_astro.exceptions import GmcAstroWarning, InputError
from gmc_astro.imaging import LEGACY_DR9, RECIPES, ColourRecipe
from gmc_astro.imaging.fits import USUAL_BANDS
from gmc_astro.sources.flux import FluxStack, band_names

__all__ = [
    "UNKNOWN_RECIPE",
    "channels_first",
    "find_images",
    "flux_layout",
    "is_encoded",
    "is_rgb",
    "named_column",
    "refuse_other_labels",
    "side_columns",
    "written_recipe",
]

#: What stands for the colours of a file where nobody knew them.
UNKNOWN_RECIPE = "unknown"
IMAGE_KEYS = ("images", "image_array", "image", "cutouts", "data")
BAND_KEYS = ("image_band", "bands", "band")
#: Names of what stands beside the images, one value a row.
SIDE_KEYS = {
    "labels": ("ans", "labels", "label", "answers", "y"),
    "ids": ("object_id", "ids", "id", "filenames", "iauname", "dr7objid"),
    "ra": ("ra", "RA"),
    "dec": ("dec", "DEC", "de"),
    "status": ("status",),
}


def find_images(file: h5py.File, key: str | None, path: str) -> list[str]:
    """Names of the data sets with images: one, or one in each numbered group."""
    if key is not None:
        if key not in file or not isinstance(file[key], h5py.Dataset):
            raise InputError(f"{path} has no data set {key!r}; it has {_contents(file)}")
        return [key]
    for name in IMAGE_KEYS:
        if isinstance(file.get(name), h5py.Dataset):
            return [name]
    groups = sorted((n for n in file if n.isdigit()), key=int)
    found = [f"{g}/{n}" for g in groups for n in IMAGE_KEYS[:1] if n in file[g]]
    if found:
        return found
    raise InputError(
        f"{path} has no images under {', '.join(IMAGE_KEYS)}; it has {_contents(file)}: "
        "say which with key="
    )


def written_recipe(file: h5py.File, data: h5py.Dataset) -> ColourRecipe | None:
    """Colours that the file names, else those of Galaxy10 DECaLS where it looks like it."""
    named = file.attrs.get("recipe")
    if named is None:
        return LEGACY_DR9 if "pxscale" in data.parent else None
    named = named.decode(errors="replace") if isinstance(named, bytes) else str(named)
    known = RECIPES.get(named.upper())
    if known is None and named != UNKNOWN_RECIPE:
        warnings.warn(
            f"{file.filename}: its attribute recipe={named!r} is not one of {', '.join(RECIPES)}, "
            "so its colours are not known; give them with recipe=",
            GmcAstroWarning,
            stacklevel=2,
        )
    return known


def _contents(file: h5py.File) -> list[str]:
    return sorted(file)[:12]


def is_encoded(data: h5py.Dataset) -> bool:
    """True for rows of JPEG or PNG bytes."""
    return data.ndim == 1 and h5py.check_vlen_dtype(data.dtype) is not None


def is_rgb(data: h5py.Dataset) -> bool:
    """True for rows of pictures."""
    if data.ndim != 4 or data.dtype != np.uint8 or 0 in data.shape[1:]:
        return False
    return 3 in (data.shape[-1], data.shape[1])


def channels_first(data: h5py.Dataset) -> bool:
    """Tell whether colours come before height and width."""
    return data.ndim == 4 and data.shape[-1] != 3 and data.shape[1] == 3


def flux_layout(
    data: h5py.Dataset, path: str, size: int, framing: str, recipe: ColourRecipe | None
) -> FluxStack:
    """Bands and layout of floating-point images; refuse what is neither flux nor RGB."""
    named = next((n for n in BAND_KEYS if isinstance(data.parent.get(n), h5py.Dataset)), None)
    if data.ndim == 4 and data.dtype.kind == "f":
        last = data.shape[1] == data.shape[2] != data.shape[3]
        planes = data.shape[3 if last else 1]
        if named:
            bands = data.parent[named]
            names = band_names(np.ravel(bands[0] if bands.ndim > 1 else bands[()]))
        elif last and not data.parent.name[1:].isdigit():  # pictures as likely as flux
            raise InputError(
                f"{path}: {data.name} has shape {data.shape} and dtype {data.dtype}; scale "
                "pictures to 0..255 and store them as uint8, or name the bands of flux in a data "
                "set image_band (for example g, r, z)"
            )
        else:
            names = USUAL_BANDS.get(planes)
        if names is not None and len(names) == planes:
            stack = FluxStack(names, last, size, framing)
            return stack if recipe is None else replace(stack, recipe=recipe)
    raise InputError(
        f"{path}: {data.name} has shape {data.shape} and dtype {data.dtype}; need uint8 RGB "
        "images of shape (N, H, W, 3), JPEG/PNG bytes, or flux of shape (N, B, H, W) whose bands "
        "image_band names (g, r, z of three, g, r, i, z of four where it is missing); render "
        "other flux with make_rgb() first"
    )


def side_columns(parts: Sequence[h5py.Dataset]) -> dict[str, list[str]]:
    """Data sets with labels, names and positions, one a part, where every part has them.

    Labels may be several numbers a row, as fractions of the votes are.
    """
    found = {}
    for name, keys in SIDE_KEYS.items():
        columns = [_beside(part, keys, name == "labels") for part in parts]
        if all(columns):
            found[name] = columns
    return found


def named_column(parts: Sequence[h5py.Dataset], name: str, path: str) -> list[str]:
    """Data sets of one value a row under a name that the user gives, one a part."""
    found = [_beside(part, [name]) for part in parts]
    if not all(found):
        fitting = sorted(key for key in parts[0].parent if _beside(parts[0], [key]))
        raise InputError(f"{path} has no data set {name!r} of one value a row; it has {fitting}")
    return found


def refuse_other_labels(parts: Sequence[h5py.Dataset], path: str) -> None:
    """Refuse labels that are there, but not one a row."""
    for part in parts:
        for data in _data_sets(part, SIDE_KEYS["labels"]):
            if data.shape and not _fits(data, part, several=True):
                raise InputError(
                    f"{path}: {data.name} has shape {data.shape} for {len(part)} images; labels "
                    "are one value a row, or a number for each class"
                )


def _beside(part: h5py.Dataset, keys: Sequence[str], several: bool = False) -> str | None:
    """Name of the first data set of one value a row, else of several numbers if they may be."""
    for many in (False, True) if several else (False,):
        for data in _data_sets(part, keys):
            if _fits(data, part, several=many):
                return data.name
    return None


def _data_sets(part: h5py.Dataset, keys: Sequence[str]) -> list[h5py.Dataset]:
    """Data sets beside the images under some of the names."""
    return [part.parent[key] for key in keys if isinstance(part.parent.get(key), h5py.Dataset)]


def _fits(data: h5py.Dataset, part: h5py.Dataset, *, several: bool) -> bool:
    """True for one value a row, or where there may be several, for one or more in two axes."""
    if not several or data.shape is None or len(data.shape) != 2:
        return data.shape == (len(part),)
    return len(data) == len(part) and (data.shape[1] == 1 or data.dtype.kind in "iuf")

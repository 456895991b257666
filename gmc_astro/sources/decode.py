"""Bytes to one square RGB image: JPEG and PNG by pillow, FITS by `gmc_astro.imaging`."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gmc_astro.exceptions import UnreadableImageError
from gmc_astro.imaging import ColourRecipe, read_bands, recipe_for, render_bands

__all__ = [
    "FITS_SUFFIXES",
    "SUFFIXES",
    "Decoded",
    "Piece",
    "decode_picture",
    "is_fits",
    "read_fits",
    "stacked",
]

FITS_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz")
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".gif", ".bmp", *FITS_SUFFIXES)

#: One row: its image or None, what was measured of it, and its status.
Decoded = tuple[np.ndarray | None, dict[str, float], str]
#: Some rows: their images, status, and what was measured.
Piece = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


def is_fits(path: str | os.PathLike) -> bool:
    """Tell by its name whether a file is FITS."""
    return os.fspath(path).lower().endswith(FITS_SUFFIXES)


def decode_picture(source: str | os.PathLike | bytes, size: int) -> np.ndarray:
    """Read a JPEG or PNG as a square RGB image.

    Parameters
    ----------
    source : path-like or bytes
        A file or its contents.
    size : int
        Side of the result in pixels; the picture's middle square is resized to it.

    Returns
    -------
    image : `~numpy.ndarray`, shape (size, size, 3), dtype uint8
        The image.

    Raises
    ------
    gmc_astro.exceptions.UnreadableImageError
        If it is missing, empty, cut off, or no picture.
    """
    prefix = "" if isinstance(source, bytes) else f"{os.fspath(source)}: "
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise UnreadableImageError(f"{prefix}no such file")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
                raise Image.DecompressionBombError(
                    f"{image.width} x {image.height} pixels are too many"
                )
            image.draft("RGB", (2 * size, 2 * size))  # JPEG: decode at half or a quarter
            image = _eight_bits(ImageOps.exif_transpose(image))
            image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
            return np.asarray(image)
    except UnidentifiedImageError as err:
        empty = len(source) == 0 if isinstance(source, bytes) else Path(source).stat().st_size == 0
        reason = "the file is empty" if empty else "not a picture"
        raise UnreadableImageError(f"{prefix}{reason}") from err
    except Exception as err:  # decoders raise nearly anything: struct.error for damaged EXIF
        raise UnreadableImageError(f"{prefix}{str(err) or type(err).__name__}") from err


def _eight_bits(image: Image.Image) -> Image.Image:
    """RGB from whatever a picture holds; transparency shows black, 16 bits are scaled down.

    Numbers that are not whole and at most 1 are shares of white.
    """
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        highest = values.max(initial=0)
        top = 65535 if highest > 255 else 1 if image.mode == "F" and highest <= 1 else 255
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image.convert("RGB")


def read_fits(
    path: str | os.PathLike, size: int, *, recipe: ColourRecipe | None, framing: str
) -> tuple[np.ndarray, dict[str, float], str]:
    """Read and render a FITS file; see `~gmc_astro.imaging.render_bands`.

    Bands that cannot make the recipe's colours are rendered with their own survey's recipe,
    and the note says so.
    """
    bands = read_bands(path)
    notes = []
    if recipe is not None and len(bands.names) > 1 and not set(recipe.bands) <= set(bands.names):
        own = recipe_for(bands)
        notes.append(f"colours of {own.name}: no {recipe.name} from {', '.join(bands.names)}")
        recipe = own
    image, measured, note = render_bands(bands, recipe=recipe, framing=framing, size=size)
    return image, measured, "; ".join([*notes, *([note] if note else [])])


def stacked(rows: Sequence[Decoded], size: int) -> Piece:
    """One array of images that were read one by one: black without one, NaN if not measured."""
    images = np.zeros((len(rows), size, size, 3), np.uint8)
    columns: dict[str, np.ndarray] = {}
    for i, (image, measured, _) in enumerate(rows):
        if image is not None:
            images[i] = image
        for name, value in measured.items():
            columns.setdefault(name, np.full(len(rows), np.nan))[i] = value
    return images, np.array([status for _, _, status in rows]), columns

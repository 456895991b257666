"""What a server sent: is it the image that was asked for? HTTP 200 alone does not say so."""

from __future__ import annotations

import io
import re

import numpy as np
from astropy.io import fits
from PIL import Image, UnidentifiedImageError

from gmc_astro.exceptions import SurveyError
from gmc_astro.imaging.fits import expected_length, holds_data

__all__ = ["check_fits", "check_picture", "plain_text"]

_PLACEHOLDER = 40  # the viewer's picture of empty sky is uniformly about 32
_FLAT = 2.0  # grey levels by which a uniform JPEG may vary


def check_fits(body: bytes, bands: tuple[str, ...], pixels: int) -> np.ndarray:
    """Read the planes of a FITS body, or say why it is not what was asked for.

    Parameters
    ----------
    body : bytes
        What the server sent.
    bands : tuple of str
        Bands that were asked for, one plane each.
    pixels : int
        Side of the image that was asked for.

    Returns
    -------
    planes : `~numpy.ndarray`, shape (B, pixels, pixels), dtype float32
        Flux; NaN where there is none.

    Raises
    ------
    gmc_astro.exceptions.SurveyError
        If the body is not FITS, is cut off, has another shape, or holds no data.
    """
    if not body.startswith(b"SIMPLE  ="):
        raise SurveyError(f"not an image: {plain_text(body)}")
    end = expected_length(io.BytesIO(body))
    if len(body) < end:
        raise SurveyError(f"not an image: broken FITS (cut off after {len(body)} of {end} bytes)")
    try:
        with fits.open(io.BytesIO(body), memmap=False) as hdus:
            data = np.asarray(hdus[0].data, dtype=np.float32)
    except (OSError, ValueError, TypeError) as err:
        raise SurveyError(f"not an image: broken FITS ({str(err).splitlines()[0][:80]})") from err
    planes = data.reshape(-1, *data.shape[-2:]) if data.ndim in (2, 3) else data
    wanted = (len(bands), pixels, pixels)
    if planes.shape != wanted:
        raise SurveyError(f"not an image: shape {planes.shape} instead of {wanted}")
    blank = [not holds_data(plane) for plane in planes]
    if all(blank):
        raise SurveyError("outside footprint")
    if any(blank):
        names = ", ".join(band for band, empty in zip(bands, blank, strict=True) if empty)
        raise SurveyError(f"no data in band {names}")
    return planes


def check_picture(body: bytes) -> np.ndarray:
    """Read a JPEG or PNG body, or say why it is not a picture of the sky.

    Parameters
    ----------
    body : bytes
        What the server sent.

    Returns
    -------
    picture : `~numpy.ndarray`, shape (H, W, 3), dtype uint8
        The picture.

    Raises
    ------
    gmc_astro.exceptions.SurveyError
        If the body is no picture, is cut off, or is the uniform grey of empty sky.
    """
    try:
        with Image.open(io.BytesIO(body)) as image:
            picture = np.asarray(image.convert("RGB"))
    except UnidentifiedImageError as err:
        raise SurveyError(f"not an image: {plain_text(body)}") from err
    except (OSError, ValueError, SyntaxError) as err:
        raise SurveyError(f"not an image: {str(err)[:80]}") from err
    if picture.std() < _FLAT and picture.mean() < _PLACEHOLDER:
        raise SurveyError("outside footprint")
    return picture


def plain_text(body: bytes, length: int = 80) -> str:
    """First words of a body that is text, without tags; else its length."""
    if not body:
        return "an empty body"
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", body[:4000].decode("utf-8", "replace"))
    words = " ".join(text.split())
    if not words or not words.isprintable():
        return f"{len(body)} bytes of no known kind"
    return repr(words[:length])

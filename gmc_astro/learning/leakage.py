"""The guard against leakage: galaxies that a test will show must not be trained on.

Where positions are known, galaxies are compared on the sky. Where they are not, images are
compared by a perceptual hash, which a resampling or another JPEG compression hardly changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.fft import dctn

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ImageSource
from gmc_astro.sources import open_images
from gmc_astro.sources.positions import positions_in

__all__ = [
    "SAME_GALAXY",
    "find_leaks",
    "hash_images",
    "hash_source",
    "nearest_bits",
]

HASH_SIDE = 16  # a hash of 256 bits
#: Bits in which two images of one galaxy may differ. Of the nearest pairs between training pool
#: and test set, four differ in 0 to 24 bits and show the same galaxy; the next differ in 32.
SAME_GALAXY = 24
#: Separation on the sky within which two positions are the same galaxy.
MATCH_RADIUS = 2 * u.arcsec

_AT_ONCE = 4096  # hashes that are compared with as many others at a time
_LUMA = (0.299, 0.587, 0.114)


def find_leaks(
    source: ImageSource,
    exclude: Any,
    *,
    radius: u.Quantity = MATCH_RADIUS,
    bits: int = SAME_GALAXY,
) -> np.ndarray:
    """Find rows of a source that show galaxies which are to be excluded.

    Parameters
    ----------
    source : `~gmc_astro.imaging.ImageSource`
        Images to train on.
    exclude : SkyCoord, Table, ImageSource, or images
        A catalogue: a SkyCoord, or a Table with positions, compared on the sky. Or images,
        whatever `~gmc_astro.sources.open_images` takes, compared by perceptual hash.
    radius : `~astropy.units.Quantity`, optional
        Largest separation on the sky of the same galaxy.
    bits : int, optional
        Largest number of bits, of 256, by which hashes of the same galaxy differ.

    Returns
    -------
    leaks : `~numpy.ndarray` of bool, shape (N,)
        True for the rows to leave out.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a catalogue is given and the source knows no positions, or the images to exclude
        cannot be opened.

    References
    ----------
    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions".

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import open_images
    >>> from gmc_astro.learning import find_leaks
    >>> images = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    >>> find_leaks(open_images(images), images[1:2])
    array([False,  True, False])
    """
    catalogue = exclude if isinstance(exclude, SkyCoord) else None
    if isinstance(exclude, Table):
        catalogue = positions_in(exclude)
    if catalogue is not None:
        return _same_place(source, catalogue, radius)
    return _alike(source, open_images(exclude), bits)


def _same_place(source: ImageSource, catalogue: SkyCoord, radius: u.Quantity) -> np.ndarray:
    """Rows within ``radius`` of a position."""
    coords = source.coords
    if coords is None:
        raise InputError(
            "exclude= is a catalogue, but the training images have no positions to compare it "
            "with: give the images of the galaxies to exclude, or training images with positions"
        )
    catalogue = catalogue.ravel() if catalogue.shape else catalogue.reshape(1)
    catalogue = catalogue[_known(catalogue)]
    leaks = np.zeros(len(coords), bool)
    placed = _known(coords)
    if len(catalogue) and placed.any():
        leaks[placed] = coords[placed].match_to_catalog_sky(catalogue)[1] <= radius
    return leaks


def _known(coords: SkyCoord) -> np.ndarray:
    return np.isfinite(coords.spherical.lon) & np.isfinite(coords.spherical.lat)


def _alike(source: ImageSource, others: ImageSource, bits: int) -> np.ndarray:
    """Rows whose image is nearly that of another source."""
    hashes, ok = hash_source(source)
    wanted, usable = hash_source(others)
    if not usable.any():
        raise InputError("exclude= holds no image that can be read; see its status")
    return ok & (nearest_bits(hashes, wanted[usable]) <= bits)


def hash_source(source: ImageSource) -> tuple[np.ndarray, np.ndarray]:
    """Hash every image of a source.

    Parameters
    ----------
    source : `~gmc_astro.imaging.ImageSource`
        Images.

    Returns
    -------
    hashes : `~numpy.ndarray` of bool, shape (N, 256)
        False where there is no image.
    ok : `~numpy.ndarray` of bool, shape (N,)
        True where there is one.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import open_images
    >>> from gmc_astro.learning import hash_source
    >>> rng = np.random.default_rng(0)
    >>> source = open_images(rng.integers(0, 255, (2, 64, 64, 3), np.uint8))
    >>> hashes, ok = hash_source(source)
    >>> hashes.shape, ok
    ((2, 256), array([ True,  True]))
    """
    hashes = np.zeros((len(source), HASH_SIDE**2), bool)
    ok = np.zeros(len(source), bool)
    for batch in source.iter_batches(256):
        rows = slice(batch.start, batch.start + len(batch))
        hashes[rows], ok[rows] = hash_images(batch.images), batch.ok
    hashes[~ok] = False
    return hashes, ok


def hash_images(images: np.ndarray) -> np.ndarray:
    """Perceptual hash of images: the signs of their lowest frequencies about the median.

    Parameters
    ----------
    images : `~numpy.ndarray`, shape (N, H, W, 3), dtype uint8
        Images.

    Returns
    -------
    hashes : `~numpy.ndarray` of bool, shape (N, 256)
        Hashes; those of unlike images differ in about 128 bits.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import hash_images
    >>> hash_images(np.zeros((2, 32, 32, 3), dtype=np.uint8)).shape
    (2, 256)
    """
    grey = torch.from_numpy(np.asarray(images)).float() @ torch.tensor(_LUMA)
    side = 4 * HASH_SIDE
    small = F.interpolate(
        grey[:, None], (side, side), mode="bicubic", antialias=True, align_corners=False
    )
    waves = dctn(small[:, 0].numpy(), axes=(1, 2))[:, :HASH_SIDE, :HASH_SIDE]
    low = waves.reshape(len(grey), HASH_SIDE**2)
    return low > np.median(low, axis=1, keepdims=True)


def nearest_bits(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Smallest number of differing bits between each hash and all others.

    Parameters
    ----------
    hashes, others : `~numpy.ndarray` of bool, shapes (N, 256), (M, 256)
        Hashes.

    Returns
    -------
    bits : `~numpy.ndarray` of int, shape (N,)
        0 to 256.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are no others.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import nearest_bits
    >>> hashes = np.zeros((2, 256), bool)
    >>> others = np.zeros((1, 256), bool)
    >>> others[0, :24] = True
    >>> nearest_bits(hashes, others)
    array([24, 24])
    """
    if not len(others):
        raise InputError("there are no hashes to compare with")
    bits = np.full(len(hashes), hashes.shape[1])
    signs, of_others = (np.where(some, np.float32(1), np.float32(-1)) for some in (hashes, others))
    for i in range(0, len(hashes), _AT_ONCE):
        rows = slice(i, i + _AT_ONCE)
        for j in range(0, len(others), _AT_ONCE):
            alike = (signs[rows] @ of_others[j : j + _AT_ONCE].T).max(axis=1)
            bits[rows] = np.minimum(bits[rows], (hashes.shape[1] - alike) / 2)
    return bits

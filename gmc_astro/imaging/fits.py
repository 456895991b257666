"""FITS to bands: whatever a survey puts into a FITS file, as native float32 planes with names."""

from __future__ import annotations

import gzip
import io
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from astropy.io import fits

from gmc_astro.exceptions import GmcAstroError, InputError, UnreadableImageError

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["USUAL_BANDS", "Bands", "expected_length", "holds_data", "read_bands"]

_BLOCK = 2880  # bytes; headers and data fill whole ones
_NOT_IMAGES = ("seg", "mask", "flag", "dq", "invvar", "ivar", "weight", "err", "var", "psf")
_BAND_KEYS = ("BANDS", "BAND", "FILTER", "FILTERS")
#: Bands of cutouts that do not name them: those of the Legacy Surveys.
USUAL_BANDS = {1: ("grey",), 3: ("g", "r", "z"), 4: ("g", "r", "i", "z")}


@dataclass(frozen=True)
class Bands:
    """Flux in one or more bands.

    Parameters
    ----------
    data : `~numpy.ndarray`, shape (B, H, W), dtype float32
        Flux, rows from the south up as in the file; NaN where there is none.
    names : tuple of str
        Name of each band, or ``("grey",)`` for one band that the file does not name.
    wcs : `~astropy.wcs.WCS` or None
        Celestial coordinates, if the file has them.
    path : str
        The file, or the first of several.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import Bands
    >>> bands = Bands(np.zeros((3, 64, 64), np.float32), ("g", "r", "z"))
    >>> bands.names, bands.pixel_scale
    (('g', 'r', 'z'), None)
    """

    data: np.ndarray
    names: tuple[str, ...]
    wcs: WCS | None = None
    path: str = ""

    @property
    def pixel_scale(self) -> float | None:
        """Arcseconds a pixel, or None without coordinates."""
        if self.wcs is None:
            return None
        from astropy.wcs.utils import proj_plane_pixel_scales

        return float(np.mean(proj_plane_pixel_scales(self.wcs)) * 3600)


def read_bands(
    path: str | os.PathLike | Mapping[str, str | os.PathLike],
    *,
    hdu: int | str | None = None,
    names: Sequence[str] | None = None,
) -> Bands:
    """Read the image of a FITS file.

    Parameters
    ----------
    path : path-like, or mapping of str to path-like
        A file with a cube or one band, or one file for each band.
    hdu : int or str, optional
        Number or name of the extension. Default is the first one that holds an image;
        segmentation maps, masks, weights and variances are passed over.
    names : sequence of str, optional
        Names of the bands. Default is what the header says, else ``g, r, z`` for three
        planes and ``g, r, i, z`` for four.

    Returns
    -------
    bands : `Bands`
        Native float32 planes.

    Raises
    ------
    gmc_astro.exceptions.UnreadableImageError
        If a file is missing, is not FITS, is cut off, or holds no image.
    gmc_astro.exceptions.InputError
        If ``names`` are not as many as there are planes, or files differ in shape.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from gmc_astro.imaging import read_bands
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cutout.fits"
    ...     header = fits.Header({"BANDS": "grz"})
    ...     fits.PrimaryHDU(np.ones((3, 64, 64), ">f4"), header).writeto(path)
    ...     bands = read_bands(path)
    >>> bands.names, bands.data.shape, bands.data.dtype.name
    (('g', 'r', 'z'), (3, 64, 64), 'float32')
    """
    if isinstance(path, Mapping):
        return _join({band: read_bands(p, hdu=hdu, names=[band]) for band, p in path.items()})
    path = Path(path)
    _check_file(path)
    with _open(path) as hdus:
        chosen = _choose(hdus, hdu, path)
        data = np.asarray(chosen.data)
        header = chosen.header
        data = data.astype(np.float32)  # native byte order, own memory: the file can be closed
    data = data.reshape(-1, *data.shape[-2:])
    if not np.isfinite(data).any():
        raise UnreadableImageError(f"{path}: the image has no finite pixel")
    return Bands(data, _names(header, len(data), names, path), _celestial(header), str(path))


def holds_data(plane: np.ndarray) -> bool:
    """Tell a band with data from one of the same number everywhere, as surveys' edges have.

    Parameters
    ----------
    plane : `~numpy.ndarray`, shape (H, W)
        Flux.

    Returns
    -------
    data : bool
        False where all pixels are missing or equal.
    """
    finite = plane[np.isfinite(plane)]
    return finite.size > 0 and bool(finite.min() < finite.max())


def _join(parts: Mapping[str, Bands]) -> Bands:
    """One file a band."""
    if not parts:
        raise InputError("give one file or more, as {band: path}")
    shapes = {band: part.data.shape for band, part in parts.items()}
    if len(set(shapes.values())) != 1:
        raise InputError(f"the bands' images differ in shape: {shapes}")
    first = next(iter(parts.values()))
    data = np.concatenate([part.data for part in parts.values()])
    return Bands(data, tuple(parts), first.wcs, first.path)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise UnreadableImageError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise UnreadableImageError(f"{path}: the file is empty")


@contextmanager
def _open(path: Path) -> Iterator[fits.HDUList]:
    """Open a file; whatever is wrong with it becomes one kind of error with one sentence."""
    try:
        with _unpacked(path) as file:
            _check_length(path, file)
            with fits.open(file, memmap=False) as hdus:
                yield hdus
    except GmcAstroError:
        raise
    except Exception as err:  # astropy, gzip, zlib and CFITSIO each have kinds of their own
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise UnreadableImageError(f"{path}: {_explain(reason[0])}") from err


def _explain(reason: str) -> str:
    """Say in plain words what astropy means by a card that is not there."""
    return "not a FITS file" if "SIMPLE" in reason or "Empty or corrupt" in reason else reason


def _unpacked(path: Path) -> BinaryIO:
    """The file; all of one that gzip packed, as astropy does not look at the checksum."""
    if path.suffix == ".gz":
        return io.BytesIO(gzip.decompress(path.read_bytes()))
    return path.open("rb")


def _check_length(path: Path, file: BinaryIO) -> None:
    """A file cut off in its middle may read as zeros; compare what is there with the headers."""
    if path.suffix in (".bz2", ".fz"):
        return
    end, size = expected_length(file), file.seek(0, os.SEEK_END)
    file.seek(0)
    if size < end - _BLOCK:  # a last block that is not padded harms nobody
        raise UnreadableImageError(f"{path}: truncated FITS file ({size} of {end} bytes)")


def expected_length(file: BinaryIO) -> int:
    """Tell from the headers how long a FITS file should be.

    astropy only warns of a file that is cut off, and to make an error of a warning, or silence,
    changes filters that all threads share.

    Parameters
    ----------
    file : binary file
        The file, which may be cut off.

    Returns
    -------
    length : int
        Bytes up to the end of the last data whose header is there; 0 where there is no header.
    """
    size, end = file.seek(0, os.SEEK_END), 0
    while end < size:
        file.seek(end)
        try:
            header = fits.Header.fromfile(file)
            axes = [header[f"NAXIS{i + 1}"] for i in range(header["NAXIS"])]
            items = math.prod(axes[header.get("GROUPS", False) :]) if axes else 0
            items = header.get("GCOUNT", 1) * (header.get("PCOUNT", 0) + items)
            blocks = math.ceil(abs(header["BITPIX"]) // 8 * items / _BLOCK)
        except (OSError, EOFError, KeyError, TypeError, ValueError, fits.VerifyError):
            break  # what is wrong with a header is said when it is read
        end = file.tell() + blocks * _BLOCK
    return end


def _choose(hdus: fits.HDUList, hdu: int | str | None, path: Path) -> fits.ImageHDU:
    """The extension asked for, else the first that is an image."""
    if hdu is not None:
        try:
            chosen = hdus[hdu]
        except (KeyError, IndexError) as err:
            raise InputError(f"{path} has no extension {hdu!r}; it has {len(hdus)}") from err
        if not _is_image(chosen):
            raise UnreadableImageError(f"{path}: extension {hdu!r} holds no image")
        return chosen
    for chosen in hdus:
        if _is_image(chosen) and not chosen.name.lower().startswith(_NOT_IMAGES):
            return chosen
    raise UnreadableImageError(f"{path}: no extension holds an image")


def _is_image(hdu: fits.hdu.base.ExtensionHDU) -> bool:
    """True for two axes, or three of which the last is a few bands."""
    shape = getattr(hdu, "shape", ())
    if not getattr(hdu, "is_image", False) or len(shape) not in (2, 3):
        return False
    return len(shape) == 2 or shape[0] <= 8


def _names(header: fits.Header, n: int, names: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    """Names given, else those of the header, else what such cubes usually hold."""
    if names is not None:
        if len(names) != n:
            raise InputError(f"{path} has {n} planes, but names are {list(names)}")
        return tuple(names)
    for key in _BAND_KEYS:
        value = str(header.get(key, "")).strip().replace(",", " ")
        found = tuple(value.split()) if " " in value else tuple(value)
        if len(found) == n and all(name.isalpha() for name in found):
            return found
    return USUAL_BANDS.get(n, tuple(f"band{i + 1}" for i in range(n)))


def _celestial(header: fits.Header) -> WCS | None:
    """Celestial part of the world coordinates, or None where the header has none or is wrong."""
    from astropy.wcs import WCS, WCSSUB_CELESTIAL, Wcsprm

    if not str(header.get("CTYPE1", "")).startswith("RA"):
        return None
    if "TAN" in header["CTYPE1"]:  # SCAMP's distortions, which wcslib refuses under this name
        header = header.copy()
        for key in [key for key in header if re.fullmatch(r"PV\d+_\d+", key)]:
            del header[key]
    try:
        # WCS(header) would warn of each card that it mends, and most files have some
        cards = Wcsprm(header.tostring().encode("ascii"), relax=True, warnings=False)
        cards.fix()
        wcs = WCS(naxis=2, fix=False)
        wcs.wcs = cards.sub([WCSSUB_CELESTIAL])
        wcs.wcs.set()
        wcs.array_shape = header["NAXIS2"], header["NAXIS1"]
        return wcs
    except (ValueError, TypeError, MemoryError):
        return None

"""What every input becomes: rows of RGB images, read in order, each with a status of its own."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike

from gmc_astro.exceptions import InputError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from gmc_astro.imaging.recipes import ColourRecipe

__all__ = ["OK", "ImageBatch", "ImageSource", "is_ok", "join_batches", "join_columns"]

OK = "ok"


def is_ok(status: ArrayLike) -> np.ndarray:
    """Tell which rows can be used.

    Parameters
    ----------
    status : array_like of str
        Status of each row: ``"ok"``, ``"ok (a note)"``, or the reason of a failure.

    Returns
    -------
    ok : `~numpy.ndarray` of bool
        True where the row has an image.

    Examples
    --------
    >>> from gmc_astro.imaging import is_ok
    >>> is_ok(["ok", "ok (fixed framing: no source at the centre)", "timed out"])
    array([ True,  True, False])
    """
    status = np.asarray(status, dtype=str)
    return (status == OK) | np.char.startswith(status, f"{OK} (")


@dataclass(frozen=True)
class ImageBatch:
    """Consecutive rows of an `ImageSource`.

    Parameters
    ----------
    images : `~numpy.ndarray`, shape (B, H, W, 3), dtype uint8
        RGB images, row 0 at the top. Zeros where the row could not be had.
    status : `~numpy.ndarray` of str, shape (B,)
        ``"ok"``, ``"ok (a note)"``, or the reason why there is no image.
    start : int
        Index in the source of the batch's first row.
    columns : mapping of str to array or `~astropy.units.Quantity`, optional
        What was measured on the way, one value a row (for example ``axis_ratio``);
        NaN where it could not be measured.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import ImageBatch
    >>> images = np.zeros((2, 64, 64, 3), np.uint8)
    >>> batch = ImageBatch(images, np.array(["ok", "timed out after 5 tries"]))
    >>> len(batch), batch.ok
    (2, array([ True, False]))
    """

    images: np.ndarray
    status: np.ndarray
    start: int = 0
    columns: Mapping[str, np.ndarray | Quantity] = field(default_factory=dict)

    @property
    def ok(self) -> np.ndarray:
        """True for the rows that have an image, shape (B,)."""
        return is_ok(self.status)

    def __len__(self) -> int:
        return len(self.images)


def join_batches(batches: Sequence[ImageBatch]) -> ImageBatch:
    """Put consecutive batches into one.

    Parameters
    ----------
    batches : sequence of ImageBatch
        One or more, in order.

    Returns
    -------
    batch : ImageBatch
        All rows; a column that some batches lack is NaN there.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If their images differ in size.
    """
    if len(batches) == 1:
        return batches[0]
    sizes = sorted({batch.images.shape[1:3] for batch in batches})
    if len(sizes) > 1:
        raise InputError(
            f"images of {' and '.join(f'{h} x {w}' for h, w in sizes)} pixels cannot be held "
            "together: give all the same size, or use them one input after the other"
        )
    images = np.concatenate([batch.images for batch in batches])
    status = np.concatenate([batch.status for batch in batches])
    return ImageBatch(images, status, batches[0].start, join_columns(batches))


def join_columns(batches: Sequence[ImageBatch]) -> dict[str, Any]:
    """Measured columns of consecutive batches.

    Parameters
    ----------
    batches : sequence of ImageBatch
        Batches in order, which may have lost their images.

    Returns
    -------
    columns : dict of str to array or Quantity
        One value a row; NaN for batches that did not measure it.
    """
    ends = np.cumsum([0, *(len(batch.status) for batch in batches)]).tolist()
    joined: dict[str, Any] = {}
    for batch, start, end in zip(batches, ends, ends[1:], strict=False):
        for name, values in batch.columns.items():
            if name not in joined:
                joined[name] = np.full(ends[-1], np.nan) * (getattr(values, "unit", None) or 1)
            joined[name][start:end] = values
    return {k: Quantity(v) if hasattr(v, "unit") else v for k, v in joined.items()}


class ImageSource(ABC):
    """Rows of uint8 RGB images that can be read in order, any number of times.

    A row that cannot be had keeps its place: its status says why and its pixels are
    zeros that nobody may use. Subclasses give ``__len__``, `ids` and `iter_batches`.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.imaging import ImageBatch, ImageSource
    >>> class Noise(ImageSource):
    ...     def __init__(self, rows):
    ...         self.rows = rows
    ...
    ...     def __len__(self):
    ...         return self.rows
    ...
    ...     @property
    ...     def ids(self):
    ...         return np.arange(self.rows).astype(str)
    ...
    ...     def iter_batches(self, batch_size=64, *, start=0, stop=None):
    ...         stop = len(self) if stop is None else min(stop, len(self))
    ...         for first in range(start, stop, batch_size):
    ...             rows = range(first, min(first + batch_size, stop))
    ...             drawn = [np.random.default_rng(i).bytes(64 * 64 * 3) for i in rows]
    ...             images = np.frombuffer(b"".join(drawn), np.uint8).reshape(-1, 64, 64, 3)
    ...             yield ImageBatch(images, np.full(len(rows), "ok"), first)
    >>> [len(batch) for batch in Noise(100).iter_batches(40)]
    [40, 40, 20]
    >>> Noise(100).read().images.shape
    (100, 64, 64, 3)
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def ids(self) -> np.ndarray:
        """Name of each row, shape (N,), dtype str."""

    @abstractmethod
    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read rows ``start`` to ``stop`` in order.

        Parameters
        ----------
        batch_size : int, optional
            Rows in each batch; the last one may be shorter.
        start, stop : int, optional
            Range of rows, as in a slice. Default is all.

        Yields
        ------
        batch : `ImageBatch`
            The next rows; every batch of a source has the same height and width.
        """

    @property
    def coords(self) -> SkyCoord | None:
        """Position of each row, or None where the input has none."""
        return None

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colour recipe of the images, or None where it is not known."""
        return None

    @property
    def labels(self) -> np.ndarray | None:
        """Labels that the input itself carries, shape (N,) or (N, K), or None."""
        return None

    def names(self, start: int, stop: int) -> tuple[np.ndarray, SkyCoord | None]:
        """Names and positions of a range of rows; of a large input, only these are read.

        Parameters
        ----------
        start, stop : int
            Range of rows.

        Returns
        -------
        ids : `~numpy.ndarray` of str, shape (stop - start,)
            Name of each row.
        coords : `~astropy.coordinates.SkyCoord`, shape (stop - start,), or None
            Position of each row, where the input has positions.
        """
        coords = self.coords
        return self.ids[start:stop], None if coords is None else coords[start:stop]

    def cuts(self, rows: int) -> np.ndarray:
        """Where to cut the rows into ranges that can be read well one by one.

        Parameters
        ----------
        rows : int
            Rows that a range should have, roughly.

        Returns
        -------
        cuts : `~numpy.ndarray` of int, shape (R + 1,)
            Range r is ``cuts[r]`` to ``cuts[r + 1]``; from 0 to the number of rows.
        """
        return np.append(np.arange(0, len(self), rows), len(self))

    def identity(self) -> dict[str, Any]:
        """Tell, without reading images, what would be different if the input had changed.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        ids, coords = self.ids, self.coords
        digest = hashlib.sha256("\n".join(ids.tolist()).encode())
        if coords is not None:
            digest.update(np.array([coords.icrs.ra.deg, coords.icrs.dec.deg]).tobytes())
        return {"kind": type(self).__name__, "rows": len(self), "sha256": digest.hexdigest()}

    def quiet(self) -> ImageSource:
        """Return the same rows without a progress bar of their own.

        Returns
        -------
        source : `ImageSource`
            This source itself where it shows none.
        """
        return self

    def in_recipe(self, recipe: ColourRecipe) -> ImageSource:
        """Return the same rows in another recipe's colours, where that can be done.

        Parameters
        ----------
        recipe : `~gmc_astro.imaging.ColourRecipe`
            Colours asked for.

        Returns
        -------
        source : `ImageSource`
            A source that renders its bands with ``recipe``; this source itself where
            the images are RGB already or the recipe's bands are missing.
        """
        return self

    def read(self) -> ImageBatch:
        """Read all rows into memory.

        Returns
        -------
        batch : `ImageBatch`
            Every row of the source.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If its images differ in size.
        """
        batches = list(self.iter_batches(max(len(self), 1)))
        if not batches:
            return ImageBatch(np.zeros((0, 0, 0, 3), np.uint8), np.zeros(0, "U2"))
        return join_batches(batches)

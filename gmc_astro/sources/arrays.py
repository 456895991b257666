"""Images that are in memory already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import OK, ColourRecipe, ImageBatch, ImageSource

__all__ = ["ArraySource"]


class ArraySource(ImageSource):
    """An array of RGB images.

    Parameters
    ----------
    images : array_like, shape (N, H, W, 3), dtype uint8
        Images; not copied.
    ids : sequence of str, optional
        Name of each. Default is its number.
    labels : array_like, shape (N,), optional
        Label of each.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours that the images have, if known.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the array has another shape or dtype; the message says what to do about it.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.sources import ArraySource
    >>> source = ArraySource(np.zeros((3, 64, 64, 3), np.uint8), ids=["a", "b", "c"])
    >>> [len(batch) for batch in source.iter_batches(2)]
    [2, 1]
    """

    def __init__(
        self,
        images: np.ndarray,
        *,
        ids: Sequence[str] | None = None,
        labels: np.ndarray | None = None,
        recipe: ColourRecipe | None = None,
    ) -> None:
        self._images = _check(np.asanyarray(images))
        self._ids = np.arange(len(images)).astype(str) if ids is None else np.asarray(ids, str)
        self._labels = None if labels is None else np.asarray(labels)
        self._recipe = recipe
        for name, values in (("ids", self._ids), ("labels", self._labels)):
            if values is not None and len(values) != len(self._images):
                raise InputError(f"{len(values)} {name} for {len(self._images)} images")

    def __len__(self) -> int:
        return len(self._images)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row, shape (N,), dtype str."""
        return self._ids

    @property
    def labels(self) -> np.ndarray | None:
        """Label of each row, or None."""
        return self._labels

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colours that the images were said to have."""
        return self._recipe

    def identity(self) -> dict[str, Any]:
        """Hash of the names and of up to 1,024 of the images, evenly spread.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        digest = hashlib.sha256("\n".join(self._ids.tolist()).encode())
        for row in np.unique(np.linspace(0, len(self) - 1, min(len(self), 1024)).astype(int)):
            digest.update(np.ascontiguousarray(self._images[row]))
        shape = "x".join(map(str, self._images.shape))
        return {"kind": "array", "rows": len(self), "shape": shape, "sha256": digest.hexdigest()}

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read rows in order; the batches are views of the array.

        Parameters
        ----------
        batch_size, start, stop : int, optional
            As for `ImageSource.iter_batches <gmc_astro.imaging.ImageSource.iter_batches>`.

        Yields
        ------
        batch : `~gmc_astro.imaging.ImageBatch`
            The next rows.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        for first in range(start, stop, batch_size):
            part = self._images[first : min(first + batch_size, stop)]
            yield ImageBatch(part, np.full(len(part), OK), first)


def _check(images: np.ndarray) -> np.ndarray:
    """Refuse what is not (N, H, W, 3) uint8, with the remedy."""
    shape, dtype = images.shape, images.dtype
    if dtype.kind == "O":
        remedy = "give one array of numbers, or files"
    elif images.ndim == 3 and shape[-1] == 3:
        remedy = "one image needs a first axis: images[np.newaxis], or a list around it"
    elif images.ndim == 4 and shape[1] == 3 and shape[-1] != 3:
        remedy = "colours come last: images.transpose(0, 2, 3, 1)"
    elif images.ndim != 4 or shape[-1] != 3:
        remedy = "give RGB images of shape (N, H, W, 3)"
    elif 0 in shape[1:]:
        remedy = "there is no pixel in them"
    elif dtype.kind == "f":
        remedy = (
            "scale to 0..255 and convert with .astype(np.uint8), or render flux with make_rgb()"
        )
    elif dtype != np.uint8:
        remedy = (
            "if they are from 0 to 255, convert with .astype(np.uint8); if not, scale them to that "
            "before"
        )
    else:
        return images
    raise InputError(f"images have shape {shape} and dtype {dtype}; {remedy}")

"""Some rows of a source, or several sources one after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ColourRecipe, ImageBatch, ImageSource
from gmc_astro.imaging.source import join_batches

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["ConcatenatedSource"]

MANY = 16  # sources


class ConcatenatedSource(ImageSource):
    """Several sources of images of one size, one after the other.

    Parameters
    ----------
    sources : sequence of ImageSource
        Sources whose images have the same height and width.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.sources import ArraySource, ConcatenatedSource
    >>> bright = ArraySource(np.full((2, 64, 64, 3), 200, np.uint8), ids=["a", "b"])
    >>> dark = ArraySource(np.zeros((1, 64, 64, 3), np.uint8), ids=["c"])
    >>> print(ConcatenatedSource([bright, dark]).ids)
    ['a' 'b' 'c']
    """

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        if not sources:
            raise InputError("give one source of images or more")
        self._sources = list(sources)
        self._starts = np.cumsum([0, *(len(source) for source in self._sources)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def ids(self) -> np.ndarray:
        """Names of all rows."""
        return np.concatenate([source.ids for source in self._sources])

    @property
    def coords(self) -> SkyCoord | None:
        """Positions of all rows where every source has them, else None."""
        return _joined([source.coords for source in self._sources])

    def names(self, start: int, stop: int) -> tuple[np.ndarray, SkyCoord | None]:
        """Names and positions of a range of rows.

        Parameters
        ----------
        start, stop : int
            Range of rows.

        Returns
        -------
        ids : `~numpy.ndarray` of str, shape (stop - start,)
            Name of each row.
        coords : `~astropy.coordinates.SkyCoord`, shape (stop - start,), or None
            Position of each row, where there are positions.
        """
        parts = [source.names(low, high) for source, low, high, _ in self._within(start, stop)]
        if not parts:
            return np.zeros(0, "U1"), None
        ids, coords = zip(*parts, strict=True)
        return np.concatenate(ids), _joined(coords)

    def cuts(self, rows: int) -> np.ndarray:
        """Cut where sources end, and within each where it says.

        Parameters
        ----------
        rows : int
            Rows that a range should have, roughly.

        Returns
        -------
        cuts : `~numpy.ndarray` of int, shape (R + 1,)
            Range r is ``cuts[r]`` to ``cuts[r + 1]``.
        """
        parts = [
            offset + source.cuts(rows)
            for source, offset in zip(self._sources, self._starts[:-1].tolist(), strict=True)
        ]
        return np.unique(np.concatenate(parts))

    def identity(self) -> dict[str, Any]:
        """Identity of each source; of very many, a hash.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        parts = {str(i): source.identity() for i, source in enumerate(self._sources)}
        if len(parts) > MANY:
            content = json.dumps(parts, sort_keys=True, default=str).encode()
            parts = {"number": len(parts), "sha256": hashlib.sha256(content).hexdigest()}
        return {"kind": "several", "rows": len(self), **parts}

    @property
    def recipe(self) -> ColourRecipe | None:
        """The sources' recipe where all have the same, else None."""
        recipes = {source.recipe for source in self._sources}
        return recipes.pop() if len(recipes) == 1 else None

    @property
    def labels(self) -> np.ndarray | None:
        """Labels of all rows where every source has them, else None."""
        labels = [source.labels for source in self._sources]
        if any(part is None for part in labels):
            return None
        return (np.ma if any(map(np.ma.isMA, labels)) else np).concatenate(labels)

    def quiet(self) -> ConcatenatedSource:
        """Return the same rows without progress bars.

        Returns
        -------
        source : `ConcatenatedSource`
            Of sources that show none.
        """
        return ConcatenatedSource([source.quiet() for source in self._sources])

    def in_recipe(self, recipe: ColourRecipe) -> ConcatenatedSource:
        """Return the same rows, those that can be rendered with another recipe.

        Parameters
        ----------
        recipe : `~gmc_astro.imaging.ColourRecipe`
            Colours asked for.

        Returns
        -------
        source : `ConcatenatedSource`
            Of sources in the recipe, where they can be.
        """
        return ConcatenatedSource([source.in_recipe(recipe) for source in self._sources])

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read rows in order; a batch may have rows of several sources.

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
        held: list[ImageBatch] = []
        for batch in self._batches(batch_size, start, stop):
            if held and held[0].images.shape[1:] != batch.images.shape[1:]:
                yield join_batches(held)  # images of another size cannot join it
                held = []
            held.append(batch)
            if sum(map(len, held)) >= batch_size:
                joined = join_batches(held)
                yield _part(joined, 0, batch_size)
                held = [_part(joined, batch_size, len(joined))] if len(joined) > batch_size else []
        if held:
            yield join_batches(held)

    def _batches(self, batch_size: int, start: int, stop: int) -> Iterator[ImageBatch]:
        """Batches that end where sources end."""
        for source, low, high, offset in self._within(start, stop):
            for batch in source.iter_batches(batch_size, start=low, stop=high):
                yield ImageBatch(batch.images, batch.status, batch.start + offset, batch.columns)

    def _within(self, start: int, stop: int) -> Iterator[tuple[ImageSource, int, int, int]]:
        """Each source that a range of rows touches, its own range, and its first row."""
        for source, offset in zip(self._sources, self._starts[:-1].tolist(), strict=True):
            low, high = max(start - offset, 0), min(stop - offset, len(source))
            if low < high:
                yield source, low, high, offset


def _part(batch: ImageBatch, low: int, high: int) -> ImageBatch:
    """Some rows of a batch."""
    if (low, high) == (0, len(batch)):
        return batch
    columns = {name: values[low:high] for name, values in batch.columns.items()}
    return ImageBatch(batch.images[low:high], batch.status[low:high], batch.start + low, columns)


def _joined(coords: Sequence[SkyCoord | None]) -> SkyCoord | None:
    """Positions one after the other, or None where one is missing."""
    if any(part is None for part in coords):
        return None
    from astropy.coordinates import SkyCoord

    parts = [part.icrs for part in coords]
    ra, dec = (np.concatenate([getattr(p, axis).deg for p in parts]) for axis in ("ra", "dec"))
    return SkyCoord(ra, dec, unit="deg")

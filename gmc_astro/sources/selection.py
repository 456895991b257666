"""Some rows of a source, or several sources one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ColourRecipe, ImageBatch, ImageSource

__all__ = ["ConcatenatedSource"]


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
    def recipe(self) -> ColourRecipe | None:
        """The sources' recipe where all have the same, else None."""
        recipes = {source.recipe for source in self._sources}
        return recipes.pop() if len(recipes) == 1 else None

    @property
    def labels(self) -> np.ndarray | None:
        """Labels of all rows where every source has them, else None."""
        labels = [source.labels for source in self._sources]
        return None if any(part is None for part in labels) else np.concatenate(labels)

    def in_recipe(self, recipe: ColourRecipe) -> ConcatenatedSource:
        """Return the same rows, those that can be rendered with another recipe."""
        return ConcatenatedSource([source.in_recipe(recipe) for source in self._sources])

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read rows in order; a batch ends where a source ends."""
        stop = len(self) if stop is None else min(stop, len(self))
        for source, offset in zip(self._sources, self._starts[:-1].tolist(), strict=True):
            first, last = max(start - offset, 0), min(stop - offset, len(source))
            if first < last:
                for batch in source.iter_batches(batch_size, start=first, stop=last):
                    yield ImageBatch(
                        batch.images, batch.status, batch.start + offset, batch.columns
                    )

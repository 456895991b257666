"""Where the images of a catalogue are: in it, named by it, or beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gmc_astro._tables import frame_as_table
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ColourRecipe, ImageBatch, ImageSource
from gmc_astro.sources import open_images, read_catalog
from gmc_astro.sources.positions import ids_of, positions_in

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = ["NamedSource", "open_catalog_images"]


class NamedSource(ImageSource):
    """Images with the names and positions of a catalogue's rows.

    Parameters
    ----------
    images : ImageSource
        The images.
    ids : `~numpy.ndarray` of str, shape (N,), optional
        Names. Default are the images' own.
    coords : `~astropy.coordinates.SkyCoord`, shape (N,), optional
        Positions. Default are the images' own.
    """

    def __init__(
        self, images: ImageSource, ids: np.ndarray | None, coords: SkyCoord | None
    ) -> None:
        self.images = images
        self._ids = ids
        self._coords = coords

    def __len__(self) -> int:
        return len(self.images)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row."""
        return self.images.ids if self._ids is None else self._ids

    @property
    def coords(self) -> SkyCoord | None:
        """Position of each row, or None."""
        return self.images.coords if self._coords is None else self._coords

    @property
    def recipe(self) -> ColourRecipe | None:
        """Recipe of the images."""
        return self.images.recipe

    def in_recipe(self, recipe: ColourRecipe) -> NamedSource:
        """Return the same rows in another recipe's colours, where that can be done."""
        return NamedSource(self.images.in_recipe(recipe), self._ids, self._coords)

    def quiet(self) -> NamedSource:
        """Return the same rows without a progress bar of their own."""
        return NamedSource(self.images.quiet(), self._ids, self._coords)

    def cuts(self, rows: int) -> np.ndarray:
        """Cut where the images say."""
        return self.images.cuts(rows)

    def identity(self) -> dict[str, Any]:
        """Identity of the images, and of the names and positions."""
        return {**self.images.identity(), "catalogue": super().identity()["sha256"]}

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read the images."""
        return self.images.iter_batches(batch_size, start=start, stop=stop)


def open_catalog_images(
    classifier: GalaxyMorphologyClassifier,
    catalog: Any,
    images: Any,
    options: Mapping[str, Any],
) -> ImageSource:
    """Open the images of a catalogue in the colours of the model.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        Whose colours are wanted.
    catalog, images
        See `classify_catalog`.
    options : mapping
        Options of `~gmc_astro.sources.open_images`.

    Returns
    -------
    source : `~gmc_astro.imaging.ImageSource`
        A row for each of the catalogue.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If images and rows differ in number, or a str is no column or data set.
    """
    options = dict(options)
    if isinstance(images, str) and images != "auto":
        options["key"] = images
    if isinstance(images, str):
        try:
            return classifier._open(catalog, options).quiet()
        except InputError as err:
            if images != "auto" and os.path.exists(images):
                raise InputError(
                    f"images={images!r} is taken for a column or data set of the catalogue, and "
                    f"{err}; give the images of a file as open_images({images!r})"
                ) from err
            raise
    beside = open_images(images, **options)
    table = _as_table(catalog)
    if len(table) != len(beside):
        raise InputError(
            f"{len(beside)} images for {len(table)} rows of the catalogue; give one a row"
        )
    return classifier._open(NamedSource(beside, ids_of(table), positions_in(table)), {}).quiet()


def _as_table(catalog: Any) -> Table:
    from astropy.coordinates import SkyCoord
    from astropy.table import QTable, Table

    catalog = frame_as_table(catalog)
    if isinstance(catalog, Table):
        return catalog
    if isinstance(catalog, SkyCoord):
        return QTable({"coord": catalog.reshape(-1)})
    return read_catalog(catalog)

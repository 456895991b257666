"""Stacks of flux, as the Multimodal Universe and AstroCLIP keep them: bands by name, no colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gmc_astro.exceptions import GmcAstroError
from gmc_astro.imaging import OK, Bands, ColourRecipe, recipe_for, render_bands
from gmc_astro.sources.decode import Decoded

__all__ = ["FluxStack", "band_names"]


def band_names(names: Sequence[bytes | str]) -> tuple[str, ...]:
    """Bands without the instrument before them.

    Parameters
    ----------
    names : sequence of str or bytes
        As a file has them: ``"DES-G"``, ``"hsc-i"``, ``"z"``.

    Returns
    -------
    names : tuple of str
        ``"g"``, ``"i"``, ``"z"``.
    """
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    return tuple(re.split(r"[-_.\s]", text.strip())[-1].lower() for text in texts)


@dataclass(frozen=True)
class FluxStack:
    """How rows of flux become images: as FITS files do.

    Parameters
    ----------
    names : tuple of str
        Bands, in the order of the array.
    channels_last : bool
        Rows are (H, W, B) instead of (B, H, W).
    size : int
        Side of the images in pixels.
    framing : {"petrosian", "fixed", "none"}
        See `~gmc_astro.imaging.render_bands`.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours asked for. Default suits the bands.
    """

    names: tuple[str, ...]
    channels_last: bool
    size: int
    framing: str
    recipe: ColourRecipe | None = None

    def in_recipe(self, recipe: ColourRecipe) -> FluxStack:
        """Return the same rows in other colours, where the bands make them."""
        if self.recipe is None and (len(self.names) == 1 or set(recipe.bands) <= set(self.names)):
            return replace(self, recipe=recipe)
        return self

    @property
    def colours(self) -> ColourRecipe:
        """Recipe that the images are rendered with."""
        return self.recipe or recipe_for(Bands(np.zeros((len(self.names), 1, 1)), self.names))

    def render(self, flux: np.ndarray) -> Decoded:
        """Render one row.

        Parameters
        ----------
        flux : `~numpy.ndarray`, shape (B, H, W) or (H, W, B)
            The row, south up as in FITS.

        Returns
        -------
        image : `~numpy.ndarray`, shape (size, size, 3), dtype uint8, or None
            The picture, north up.
        measured : dict of str to float
            Lengths in pixels; see `~gmc_astro.imaging.render_bands`.
        status : str
            ``"ok"``, ``"ok (a note)"`` or why there is no image.
        """
        planes = np.asarray(flux.transpose(2, 0, 1) if self.channels_last else flux, np.float32)
        if not np.isfinite(planes).any():
            return None, {}, "unreadable: the image has no finite pixel"
        try:
            image, measured, note = render_bands(
                Bands(planes, self.names),
                recipe=self.colours,
                framing=self.framing,
                size=self.size,
            )
        except GmcAstroError as err:
            return None, {}, f"unreadable: {err}"
        return image, measured, f"{OK} ({note})" if note else OK

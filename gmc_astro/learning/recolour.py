"""Re-colouring on the device: a batch in one survey's colours, as another would have shown it.

A picture does not hold the flux that it was made from, but short of saturation its stretch can
be undone. Bands of neighbouring colour (i and z) are taken for one another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gmc_astro.imaging import ColourRecipe

__all__ = ["flux_of", "recolour", "render"]

_LEAST = 1e-6  # of white; below it a pixel has no colour to speak of


def recolour(
    images: Tensor, source: ColourRecipe, recipes: Sequence[ColourRecipe], choice: Tensor
) -> Tensor:
    """Render each picture of a batch anew.

    Parameters
    ----------
    images : `~torch.Tensor`, shape (B, 3, H, W)
        Pictures between 0 and 1 in the colours of ``source``; changed in place.
    source : `~gmc_astro.imaging.ColourRecipe`
        Recipe that they were made by.
    recipes : sequence of `~gmc_astro.imaging.ColourRecipe`
        Recipes to choose from.
    choice : `~torch.Tensor` of int, shape (B,), on the CPU
        Recipe of each picture; negative leaves it as it is.

    Returns
    -------
    images : `~torch.Tensor`, shape (B, 3, H, W)
        Pictures between 0 and 1.
    """
    for number, recipe in enumerate(recipes):
        rows = torch.nonzero(choice == number).ravel().to(images.device)
        if len(rows) and recipe != source:
            images[rows] = render(flux_of(images[rows], source), recipe)
    return images


def flux_of(images: Tensor, recipe: ColourRecipe) -> Tensor:
    """Undo a recipe's stretch.

    Parameters
    ----------
    images : `~torch.Tensor`, shape (B, 3, H, W)
        Pictures between 0 and 1.
    recipe : `~gmc_astro.imaging.ColourRecipe`
        What made them.

    Returns
    -------
    flux : `~torch.Tensor`, shape (B, 3, H, W)
        Nanomaggies a pixel in the bands shown as red, green and blue.

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.imaging import SDSS_VIEWER
    >>> from gmc_astro.learning.recolour import flux_of, render
    >>> picture = torch.full((1, 3, 2, 2), 0.25)
    >>> torch.allclose(render(flux_of(picture, SDSS_VIEWER), SDSS_VIEWER), picture, atol=1e-4)
    True
    """
    scales = _channel_scales(recipe, images)
    if recipe.kind == "asinh":
        black, white = (math.asinh(limit) for limit in recipe.limits)
        return _sinh(images * (white - black) + black) * scales
    mean = images.mean(dim=1, keepdim=True).clamp(min=_LEAST)
    if recipe.kind == "viewer":
        total = _sinh(math.sqrt(recipe.softening) * mean) / recipe.softening
    else:
        total = _sinh(mean / _slope(recipe)) * (recipe.stretch / recipe.softening)
    return (images * (total / mean) - recipe.offset) / scales


def render(flux: Tensor, recipe: ColourRecipe) -> Tensor:
    """Stretch flux as a recipe does; `~gmc_astro.imaging.make_rgb` for batches on the device.

    Parameters
    ----------
    flux : `~torch.Tensor`, shape (B, 3, H, W)
        Nanomaggies a pixel in the bands shown as red, green and blue.
    recipe : `~gmc_astro.imaging.ColourRecipe`
        Recipe.

    Returns
    -------
    images : `~torch.Tensor`, shape (B, 3, H, W)
        Pictures between 0 and 1.
    """
    scales = _channel_scales(recipe, flux)
    if recipe.kind == "asinh":
        black, white = (math.asinh(limit) for limit in recipe.limits)
        return ((_asinh(flux / scales) - black) / (white - black)).clamp(0, 1)
    channels = flux * scales + recipe.offset
    if recipe.kind == "viewer":
        channels = channels.clamp(min=0)
    total = channels.mean(dim=1, keepdim=True)
    dark = total <= 0
    total = total.clamp(min=_LEAST)
    if recipe.kind == "viewer":
        factor = _asinh(recipe.softening * total) / (math.sqrt(recipe.softening) * total)
        return (channels * factor).masked_fill(dark, 0).clamp(0, 1)
    factor = _slope(recipe) * _asinh(total * (recipe.softening / recipe.stretch)) / total
    channels = (channels * factor).masked_fill(dark, 0)
    brightest = channels.amax(dim=1, keepdim=True).clamp(min=1)  # keep the hue where it is over 1
    return (channels / brightest).clamp(0, 1)


def _channel_scales(recipe: ColourRecipe, like: Tensor) -> Tensor:
    """Scale of red, green and blue, as the mix of the bands' scales, shape (1, 3, 1, 1)."""
    scales = np.asarray(recipe.mix, float) @ np.asarray(recipe.scales, float)
    return torch.tensor(scales, dtype=like.dtype, device=like.device).view(1, 3, 1, 1)


def _slope(recipe: ColourRecipe) -> float:
    """Slope of Lupton's stretch as astropy has it."""
    return 0.1 / math.asinh(0.1 * recipe.softening)


def _asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine; on a CPU three times as fast as torch's own."""
    return torch.sign(x) * torch.log(x.abs() + torch.sqrt(x.square() + 1))


def _sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine, likewise."""
    grown = torch.exp(x)
    return (grown - 1 / grown) / 2

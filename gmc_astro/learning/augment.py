"""Augmentation on the device: one resampling does turn, zoom, shift, mirror and resize at once.

What is random is drawn first, a few numbers an image, and applied after. So a batch may be cut
into pieces, over devices or one after the other, and each image still gets the same change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import RECIPES, ColourRecipe
from gmc_astro.learning.recolour import recolour
from gmc_astro.models import ImageContract
from gmc_astro.models.preprocess import normalise, to_channels_first

__all__ = ["Augmentation", "Draws", "apply_draws", "augment", "draw", "training_pixels"]

_IN_CACHE = 16  # images at a time on a CPU: three times as fast as more than its cache holds
_NOISE_STRIP = 2**22  # Gaussian numbers; an image's noise is cut from them at a random place


@dataclass(frozen=True)
class Augmentation:
    """How far training images are changed; each range is sampled anew for every image.

    Parameters
    ----------
    opening : int, optional
        Side in pixels of a grey opening, which takes away what is smaller; 0 for none.
    crop : float, optional
        Share of the image's width that is kept of its middle at magnification 1.
    rotate : bool, optional
        Turn by any angle.
    zoom : tuple of float, optional
        Range of magnification, sampled evenly in its logarithm.
    shift : float, optional
        Largest shift of the centre, as a fraction of the image's width.
    flip : float, optional
        Share of images that are mirrored. Mirroring changes the handedness of spiral arms.
    recolour : float, optional
        Share of images that are shown in the colours of another survey, where it is known
        which colours they have.
    gain : float, optional
        Largest relative change of each channel's brightness.
    contrast : float, optional
        Largest relative change of contrast around the image's mean.
    grey : float, optional
        Share of images whose colour is taken away (surveys of one band).
    blur : float, optional
        Largest share of a smoothed copy in the image: the point spread function gets a wing
        of 2.7 pixels full width at half maximum.
    noise : float, optional
        Largest standard deviation of added noise, on the scale 0 to 1.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a number is out of its range.

    Examples
    --------
    >>> from gmc_astro.learning import Augmentation, PretrainSettings
    >>> gentle = Augmentation(zoom=(0.9, 1.1), recolour=0.0, blur=0.0, noise=0.0)
    >>> PretrainSettings(augmentation=gentle).augmentation.zoom
    (0.9, 1.1)
    """

    opening: int = 0
    crop: float = 1.0
    rotate: bool = True
    zoom: tuple[float, float] = (0.8, 1.3)
    shift: float = 0.04
    flip: float = 0.5
    recolour: float = 0.2
    gain: float = 0.2
    contrast: float = 0.2
    grey: float = 0.05
    blur: float = 0.7
    noise: float = 0.04

    def __post_init__(self) -> None:
        low, high = self.zoom
        if not 0 < low <= high < math.inf:
            raise InputError(f"zoom={self.zoom} must be two numbers above 0, the smaller one first")
        for name in ("flip", "recolour", "gain", "contrast", "grey", "blur", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)} must be between 0 and 1")
        if self.noise < 0 or not 0 < self.crop <= 1:
            raise InputError(
                f"noise={self.noise} must be 0 or more, and crop={self.crop} above 0, up to 1"
            )
        if self.opening < 0 or (self.opening and self.opening % 2 == 0):
            raise InputError(f"opening={self.opening} must be 0, or an odd number of pixels")


@dataclass(frozen=True)
class Draws:
    """What was drawn for each of B images; an index gives those of some of them.

    Parameters
    ----------
    matrix : `~torch.Tensor`, shape (B, 2, 3)
        From places in the result to places in the image, both from -1 to 1.
    flipped : `~torch.Tensor` of bool, shape (B,)
        Which images are mirrored.
    recipe : `~torch.Tensor` of int, shape (B,)
        Which of ``gmc_astro.imaging.RECIPES`` to re-colour to; -1 for none.
    gain, contrast, grey, blur, noise : `~torch.Tensor`, shape (B, ...)
        As the options of `Augmentation` of that name.
    place : `~torch.Tensor` of int, shape (B,)
        Where in the strip of noise.
    """

    matrix: Tensor
    flipped: Tensor
    recipe: Tensor
    gain: Tensor
    contrast: Tensor
    grey: Tensor
    blur: Tensor
    noise: Tensor
    place: Tensor

    def __getitem__(self, rows: Any) -> Draws:
        return Draws(*(getattr(self, field.name)[rows] for field in fields(self)))

    def in_the_middle(self) -> Draws:
        """Return the same draws without a shift."""
        matrix = self.matrix.clone()
        matrix[:, :, 2] = 0
        return replace(self, matrix=matrix)


def augment(
    images: Tensor,
    size: int,
    settings: Augmentation,
    generator: Generator,
    *,
    recipe: ColourRecipe | None = None,
) -> tuple[Tensor, Tensor]:
    """Change a batch of images at random.

    Parameters
    ----------
    images : `~torch.Tensor`, shape (B, 3, H, W)
        Images between 0 and 1.
    size : int
        Pixels on a side of the result.
    settings : `Augmentation`
        How far to go.
    generator : `~torch.Generator`
        Source of randomness, on the CPU, so that every device sees the same numbers.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours that the images have.

    Returns
    -------
    images : `~torch.Tensor`, shape (B, 3, size, size)
        Changed images between 0 and 1.
    flipped : `~torch.Tensor` of bool, shape (B,), on the CPU
        Which images were mirrored.
    """
    draws = draw(len(images), settings, generator)
    return apply_draws(images, size, settings, draws, recipe=recipe), draws.flipped


def draw(n: int, settings: Augmentation, generator: Generator) -> Draws:
    """Draw what is random for ``n`` images.

    Parameters
    ----------
    n : int
        Number of images.
    settings : `Augmentation`
        Ranges.
    generator : `~torch.Generator`
        Source of randomness, on the CPU.

    Returns
    -------
    draws : `Draws`
        A row an image.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    flipped = uniform(0, 1) < settings.flip
    angle = uniform(0, 2 * math.pi if settings.rotate else 0)
    scale = settings.crop * torch.exp(-uniform(*(math.log(z) for z in settings.zoom)))
    mirror = torch.where(flipped, -1.0, 1.0)
    shift = uniform(-2 * settings.shift, 2 * settings.shift, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [[cos * mirror, -sin, shift[:, 0]], [sin * mirror, cos, shift[:, 1]]]
    chosen = torch.randint(len(RECIPES), (n,), generator=generator)
    return Draws(
        matrix=torch.stack([torch.stack(row, dim=1) for row in rows], dim=1),
        flipped=flipped,
        recipe=torch.where(uniform(0, 1) < settings.recolour, chosen, -1),
        gain=1 + uniform(-settings.gain, settings.gain, 3),
        contrast=1 + uniform(-settings.contrast, settings.contrast),
        grey=(uniform(0, 1) < settings.grey).float(),
        blur=uniform(0, settings.blur),
        noise=uniform(0, 1).square() * settings.noise,  # half of the images get little
        place=torch.randint(_NOISE_STRIP, (n,), generator=generator),
    )


def training_pixels(
    images: Tensor,
    contract: ImageContract,
    settings: Augmentation,
    draws: Draws,
    *,
    recipe: ColourRecipe | None = None,
) -> Tensor:
    """Change images as was drawn, and make of them what a network takes.

    Parameters
    ----------
    images : `~torch.Tensor`, shape (B, H, W, 3), dtype uint8
        Images, on the device of the network.
    contract : `~gmc_astro.models.ImageContract`
        Size and normalisation that the network wants.
    settings, draws, recipe
        As for `apply_draws`.

    Returns
    -------
    pixels : `~torch.Tensor`, shape (B, 3, size, size)
        Normalised, channels last in memory.
    """
    shape = (len(images), 3, contract.size, contract.size)
    pixels = torch.empty(shape, device=images.device, memory_format=torch.channels_last)
    step = _IN_CACHE if images.device.type == "cpu" else len(images)
    for part in (slice(start, start + step) for start in range(0, len(images), step)):
        changed = apply_draws(images[part], contract.size, settings, draws[part], recipe=recipe)
        pixels[part] = normalise(changed, contract.mean, contract.std)
    return pixels


def apply_draws(
    images: Tensor,
    size: int,
    settings: Augmentation,
    draws: Draws,
    *,
    recipe: ColourRecipe | None = None,
) -> Tensor:
    """Change images as was drawn.

    Parameters
    ----------
    images : `~torch.Tensor`, shape (B, H, W, 3), dtype uint8, or shape (B, 3, H, W)
        Images; those that are not uint8 between 0 and 1.
    size : int
        Pixels on a side of the result.
    settings : `Augmentation`
        Which changes there are.
    draws : `Draws`
        What was drawn for each.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours that the images have. Without it nothing is re-coloured.

    Returns
    -------
    images : `~torch.Tensor`, shape (B, 3, size, size)
        Changed images between 0 and 1.
    """
    if settings.opening > 1:
        images = _open(images, settings.opening, (1, 2) if images.dtype == torch.uint8 else (2, 3))
    if images.dtype == torch.uint8:
        images = to_channels_first(images)
    images = _resample(images, size, draws)
    if settings.recolour and recipe is not None:
        images = recolour(images, recipe, tuple(RECIPES.values()), draws.recipe)
    if settings.gain or settings.contrast or settings.grey:
        images = _change_colours(images, draws)
    if settings.blur:
        images = images.contiguous(memory_format=torch.channels_last)  # 7 times faster on a CPU
        share = draws.blur.to(images.device).view(-1, 1, 1, 1)
        images = torch.lerp(images, _smooth(images), share).contiguous()
    if settings.noise:
        images = _add_noise(images, draws)
    return images.clamp_(0, 1)


def _open(images: Tensor, side: int, dims: tuple[int, int]) -> Tensor:
    """Grey opening: the darkest of each neighbourhood, then the brightest of those."""
    for extreme in (torch.minimum, torch.maximum):
        for dim in dims:
            images = _extreme(images, side, dim, extreme)
    return images


def _extreme(images: Tensor, side: int, dim: int, extreme: Callable[..., Tensor]) -> Tensor:
    """Extreme of ``side`` neighbours along one axis; near an edge, of those that there are."""
    n, result = images.shape[dim], images.clone()
    for step in range(1, side // 2 + 1):
        low, high = images.narrow(dim, 0, n - step), images.narrow(dim, step, n - step)
        for part, neighbour in (
            (result.narrow(dim, step, n - step), low),
            (result.narrow(dim, 0, n - step), high),
        ):
            extreme(part, neighbour, out=part)
    return result


def _smooth(images: Tensor) -> Tensor:
    """Smooth by a box of 3 pixels, twice; at the edges, over the pixels that there are."""
    line = torch.tensor([1.0, 2, 3, 2, 1], device=images.device)
    kernel = (torch.outer(line, line) / 81).expand(3, 1, 5, 5)
    within = F.conv2d(torch.ones_like(images[:1]), kernel, padding=2, groups=3)
    return F.conv2d(images, kernel, padding=2, groups=3) / within


def _resample(images: Tensor, size: int, draws: Draws) -> Tensor:
    """Turn, zoom, shift, mirror and resize; first coarser where pixels would be skipped."""
    steps = draws.matrix[:, :, 0].norm(dim=1) * (images.shape[-1] / size)  # in pixels
    coarser = (steps + 1e-3).int().clamp(min=1)
    if len(found := coarser.unique().tolist()) == 1:
        return _sample(F.avg_pool2d(images, found[0]) if found[0] > 1 else images, size, draws)
    result = images.new_empty((*images.shape[:2], size, size))
    for factor in found:
        rows = (coarser == factor).nonzero().ravel()
        result[rows] = _sample(F.avg_pool2d(images[rows], factor), size, draws[rows])
    return result


def _sample(images: Tensor, size: int, draws: Draws) -> Tensor:
    """Take pixels where they were drawn, in one bilinear interpolation."""
    matrix = draws.matrix.to(images.device)[:, None, None]
    places = (2 * torch.arange(size, device=images.device) + 1) / size - 1
    down = matrix[..., 1] * places.view(-1, 1, 1) + matrix[..., 2]
    grid = torch.addcmul(down, matrix[..., 0], places.view(-1, 1))  # faster than affine_grid
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _change_colours(images: Tensor, draws: Draws) -> Tensor:
    """Brightness of each channel, contrast, grey: together one linear map of the channels."""
    gain, contrast, grey = (
        values.to(images.device) for values in (draws.gain, draws.contrast, draws.grey)
    )
    mean = (images.mean(dim=(2, 3)) * gain).mean(dim=1)
    own = torch.eye(3, device=images.device)
    mix = torch.lerp(own, torch.full_like(own, 1 / 3), grey.view(-1, 1, 1))
    mix = mix * (gain * contrast[:, None])[:, None]
    offset = ((1 - contrast) * mean).view(-1, 1, 1).expand(-1, 3, 1)
    return torch.baddbmm(offset, mix, images.flatten(2)).view_as(images)


def _add_noise(images: Tensor, draws: Draws) -> Tensor:
    """Add each image's piece of the strip of noise."""
    numbers = images[0].numel()
    places = (draws.place % (_NOISE_STRIP - numbers)).to(images.device)
    pieces = _noise_strip(str(images.device)).unfold(0, numbers, 1)[places].view_as(images)
    return torch.addcmul(images, pieces, draws.noise.to(images.device).view(-1, 1, 1, 1))


@lru_cache(maxsize=8)
def _noise_strip(device: str) -> Tensor:
    """Gaussian numbers, the same on every machine."""
    return torch.randn(_NOISE_STRIP, generator=Generator().manual_seed(0)).to(device)

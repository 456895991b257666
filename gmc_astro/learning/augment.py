"""Augmentation on the device: one resampling does turn, zoom, shift, mirror and resize at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

__all__ = ["Augmentation", "augment"]


@dataclass(frozen=True)
class Augmentation:
    """How far training images are changed; each range is sampled anew for every image.

    Parameters
    ----------
    rotate : bool, optional
        Turn by any angle.
    zoom : tuple of float, optional
        Range of magnification, sampled evenly in its logarithm.
    shift : float, optional
        Largest shift of the centre, as a fraction of the image's width.
    flip : float, optional
        Share of images that are mirrored. Mirroring changes the handedness of spiral arms.
    gain : float, optional
        Largest relative change of each channel's brightness.
    contrast : float, optional
        Largest relative change of contrast around the image's mean.
    grey : float, optional
        Share of images whose colour is taken away (surveys of one band).
    blur : float, optional
        Largest share of a smoothed copy in the image (seeing).
    noise : float, optional
        Largest standard deviation of added noise, on the scale 0 to 1.
    """

    rotate: bool = True
    zoom: tuple[float, float] = (0.8, 1.3)
    shift: float = 0.04
    flip: float = 0.5
    gain: float = 0.2
    contrast: float = 0.2
    grey: float = 0.05
    blur: float = 0.7
    noise: float = 0.04


def augment(
    images: Tensor, size: int, settings: Augmentation, generator: Generator
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

    Returns
    -------
    images : `~torch.Tensor`, shape (B, 3, size, size)
        Changed images between 0 and 1.
    flipped : `~torch.Tensor` of bool, shape (B,), on the CPU
        Which images were mirrored.
    """
    flipped = torch.rand(len(images), generator=generator) < settings.flip
    images = _resample(images, size, settings, flipped, generator)
    images = _change_colours(images, settings, generator)
    return _degrade(images, settings, generator).clamp_(0, 1), flipped


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def _resample(
    images: Tensor, size: int, settings: Augmentation, flipped: Tensor, generator: Generator
) -> Tensor:
    """Turn, zoom, shift, mirror and resize in one bilinear resampling."""
    n = len(images)
    angle = _uniform(n, 0, 2 * math.pi if settings.rotate else 0, generator)
    scale = torch.exp(-_uniform(n, *(math.log(z) for z in settings.zoom), generator))
    mirror = torch.where(flipped, -1.0, 1.0)
    shift = _uniform(2 * n, -2 * settings.shift, 2 * settings.shift, generator).view(n, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack(
        [
            torch.stack([cos * mirror, -sin, shift[:, 0]], dim=1),
            torch.stack([sin * mirror, cos, shift[:, 1]], dim=1),
        ],
        dim=1,
    ).to(images.device)
    grid = F.affine_grid(matrix, (n, 3, size, size), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _change_colours(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Brightness of each channel, contrast, and for a few images no colour at all."""
    n = len(images)
    gain = 1 + _uniform(3 * n, -settings.gain, settings.gain, generator).view(n, 3, 1, 1)
    images = images * gain.to(images.device)
    contrast = 1 + _uniform(n, -settings.contrast, settings.contrast, generator).view(n, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * contrast.to(images.device) + mean
    grey = (torch.rand(n, generator=generator) < settings.grey).to(images.device)
    return torch.where(grey.view(n, 1, 1, 1), images.mean(dim=1, keepdim=True), images)


def _degrade(images: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Mix in a smoothed copy (seeing), then add noise; half of the images get little of either."""
    n = len(images)
    share = _uniform(n, 0, settings.blur, generator).view(n, 1, 1, 1).to(images.device)
    smooth = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    smooth = F.avg_pool2d(smooth, 3, stride=1, padding=1, count_include_pad=False)
    images = torch.lerp(images, smooth, share)
    sigma = _uniform(n, 0, 1, generator).square().mul(settings.noise).view(n, 1, 1, 1)
    noise = torch.randn(images.shape, generator=generator)
    return images + (noise * sigma).to(images.device)

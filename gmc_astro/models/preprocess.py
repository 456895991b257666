"""On-device preprocessing: uint8 images move once, and are resized and normalised there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gmc_astro.exceptions import InputError

__all__ = ["DIHEDRAL_VIEWS", "dihedral_views", "normalise", "resize", "shrink", "to_channels_first"]

DIHEDRAL_VIEWS = (1, 2, 4, 8)


def to_channels_first(images: Tensor) -> Tensor:
    """Turn uint8 (N, H, W, 3) into float (N, 3, H, W) between 0 and 1, channels-last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def resize(images: Tensor, size: int) -> Tensor:
    """Resize float (N, 3, H, W) to (N, 3, size, size); antialiased where it shrinks."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)


def shrink(images: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 (N, H, W, 3) to squares of at most ``size`` pixels, in memory."""
    side = min(size, *images.shape[1:3])
    if images.shape[1:3] == (side, side):
        return images
    small = resize(to_channels_first(torch.from_numpy(np.ascontiguousarray(images))), side)
    return (255 * small).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Subtract the mean and divide by the standard deviation of each channel."""
    shape = (1, 3, 1, 1)
    mean = torch.tensor(mean, device=images.device).view(shape)
    std = torch.tensor(std, device=images.device).view(shape)
    return (images - mean) / std


def dihedral_views(images: Tensor, views: int) -> Iterator[Tensor]:
    """Turn and mirror square images; a galaxy has no preferred orientation on the sky.

    Parameters
    ----------
    images : `~torch.Tensor`, shape (N, 3, S, S)
        Square images.
    views : {1, 2, 4, 8}
        1: as they are; 2: also turned by 180 degrees; 4: all quarter turns; 8: these
        and their mirror images. Only the last one changes the handedness of spiral arms.

    Yields
    ------
    view : `~torch.Tensor`, shape (N, 3, S, S)
        The images in the next orientation.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If ``views`` is not 1, 2, 4 or 8.
    """
    if views not in DIHEDRAL_VIEWS:
        raise InputError(f"views={views!r} is not one of {DIHEDRAL_VIEWS}")
    turns = {1: (0,), 2: (0, 2)}.get(views, (0, 1, 2, 3))
    for base in (images, images.flip(-1)) if views == 8 else (images,):
        for quarter in turns:
            yield torch.rot90(base, quarter, (-2, -1))

"""Distillation: the embeddings that larger encoders of the same text tower give to images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gmc_astro.exceptions import InputError
from gmc_astro.models import Encoder
from gmc_astro.models.network import text_parameters

__all__ = ["Teachers", "cosine_loss"]


class Teachers:
    """Encoders that embed the images of a training step beside the one that learns.

    Parameters
    ----------
    teachers : sequence of `~gmc_astro.models.Encoder`
        None, one, or several; moved to the encoder's device.
    encoder : `~gmc_astro.models.Encoder`
        The encoder that learns.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a teacher takes other images, or speaks of them in another space.
    """

    def __init__(self, teachers: Sequence[Encoder], encoder: Encoder) -> None:
        for teacher in teachers:
            _check(teacher, encoder)
        device = str(encoder.device)
        self.encoders = tuple(teacher.moved(device, teacher.precision) for teacher in teachers)
        for teacher in self.encoders:
            teacher.network.eval()

    def __len__(self) -> int:
        return len(self.encoders)

    @torch.no_grad()
    def image_features(self, pixels: Tensor) -> Tensor:
        """Embed normalised images.

        Parameters
        ----------
        pixels : `~torch.Tensor`, shape (N, 3, S, S)
            As for `~gmc_astro.models.Encoder.image_features`.

        Returns
        -------
        features : `~torch.Tensor`, shape (N, D), float32
            Unit vectors: the direction of the mean over the teachers.
        """
        total = sum(teacher.image_features(pixels) for teacher in self.encoders)
        return F.normalize(total, dim=-1)


def cosine_loss(features: Tensor, taught: Tensor) -> Tensor:
    """One minus the cosine, averaged over images.

    Parameters
    ----------
    features, taught : `~torch.Tensor`, shape (N, D)
        Unit vectors of the one that learns, and of its teachers.

    Returns
    -------
    loss : `~torch.Tensor`, scalar
        0 where they are the same, 2 where they are opposite.
    """
    return 1 - (features * taught).sum(dim=1).mean()


def _check(teacher: Encoder, encoder: Encoder) -> None:
    """Refuse a teacher whose embeddings mean nothing to an encoder."""
    own, other = encoder.contract, teacher.contract
    if (own.size, own.mean, own.std) != (other.size, other.mean, other.std):
        raise InputError(
            f"teacher {teacher.name} takes images of {other.size} px in its normalisation, "
            f"{encoder.name} those of {own.size} px; a teacher has to see the same changes of them"
        )
    words, others = text_parameters(encoder.network), text_parameters(teacher.network)
    if [p.shape for p in words] != [p.shape for p in others] or not all(
        p.equal(q.to(p)) for p, q in zip(words, others, strict=True)
    ):
        raise InputError(
            f"teacher {teacher.name} has another text tower than {encoder.name}; train one from "
            "Encoder.with_image_tower() with locked_texts=True"
        )

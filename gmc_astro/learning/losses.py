"""Contrastive losses for captions that tell part of the truth.

In a batch many images share a caption, and a caption may be true of images that it was not
written for. Which image-caption pairs belong together is therefore an input of the loss
(`relation`), not the diagonal of a matrix.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["contrastive_loss"]

_NEVER = -1e4  # a logit that weighs nothing, yet keeps gradients finite where -inf would not


def contrastive_loss(
    image_features: Tensor, text_features: Tensor, relation: Tensor, logit_scale: Tensor
) -> Tensor:
    r"""Symmetric multi-positive InfoNCE.

    Each supported pair is set against the contradicted pairs of its row (image to text) and
    of its column (text to image); pairs of which nothing is known stay out of both sums:

    .. math:: -\log \frac{e^{s_p}}{e^{s_p} + \sum_{n \in \text{contradicted}} e^{s_n}}

    Where every image has its own caption and contradicts all others, this is CLIP's loss [1]_;
    several positives a row are averaged as in supervised contrastive learning [2]_.

    Parameters
    ----------
    image_features : `~torch.Tensor`, shape (B, D)
        Unit vectors of the images.
    text_features : `~torch.Tensor`, shape (M, D)
        Unit vectors of the distinct captions.
    relation : `~torch.Tensor`, shape (B, M)
        Positive where the caption is true of the image, negative where it is not, 0 where
        that is not known.
    logit_scale : `~torch.Tensor`, scalar
        Inverse temperature.

    Returns
    -------
    loss : `~torch.Tensor`, scalar
        Mean of both directions.

    References
    ----------
    .. [1] Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
       Supervision", arXiv:2103.00020
    .. [2] Khosla et al. 2020, "Supervised Contrastive Learning", arXiv:2004.11362

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.learning.losses import contrastive_loss
    >>> vectors = torch.eye(3)
    >>> loss = contrastive_loss(vectors, vectors, 2 * torch.eye(3) - 1, torch.tensor(100.0))
    >>> round(loss.item(), 6)
    0.0
    """
    logits = logit_scale * image_features @ text_features.T
    return (_one_direction(logits, relation) + _one_direction(logits.T, relation.T)) / 2


def _one_direction(logits: Tensor, relation: Tensor) -> Tensor:
    """Loss of the rows against their columns, averaged over rows that have a positive."""
    positive = (relation > 0).to(logits.dtype)
    against = torch.logsumexp(logits.masked_fill(relation >= 0, _NEVER), dim=1, keepdim=True)
    count = positive.sum(dim=1)
    rows = (F.softplus(against - logits) * positive).sum(dim=1) / count.clamp(min=1)
    return rows.sum() / (count > 0).sum().clamp(min=1)

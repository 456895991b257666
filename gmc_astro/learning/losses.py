"""Contrastive losses, from CLIP's own to those that know that captions tell part of the truth.

In a batch many galaxies share a caption, and a caption may be true of galaxies that it was not
written for. CLIP's loss pushes such pairs apart; the others here are told which pairs belong
together, by what the volunteers voted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "LOSSES",
    "Pairs",
    "answer_loss",
    "contrastive_loss",
    "infonce_loss",
    "sigmoid_loss",
    "soft_contrastive_loss",
]

_NEVER = -1e4  # a logit that weighs nothing, yet keeps gradients finite where -inf would not


def infonce_loss(image_features: Tensor, text_features: Tensor, logit_scale: Tensor) -> Tensor:
    """Symmetric one-hot InfoNCE, CLIP's loss: each image belongs to its own caption alone.

    Parameters
    ----------
    image_features, text_features : `~torch.Tensor`, shape (B, D)
        Unit vectors of the images and of the caption of each.
    logit_scale : `~torch.Tensor`, scalar
        Inverse temperature.

    Returns
    -------
    loss : `~torch.Tensor`, scalar
        Mean of both directions, in nats.

    References
    ----------
    Radford et al. 2021, arXiv:2103.00020.

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.learning.losses import infonce_loss
    >>> round(infonce_loss(torch.eye(3), torch.eye(3), torch.tensor(100.0)).item(), 6)
    0.0
    """
    logits = logit_scale * image_features @ text_features.T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def soft_contrastive_loss(
    image_features: Tensor, text_features: Tensor, similarity: Tensor, logit_scale: Tensor
) -> Tensor:
    r"""Symmetric contrastive loss with several, soft positives.

    The softmax over the captions of the batch is compared with the row of similarities, scaled
    to sum to 1, and likewise for the columns:

    .. math:: \mathrm{KL}\left(\frac{w_{ij}}{\sum_k w_{ik}} \,\Big\|\,
              \frac{e^{s_{ij}}}{\sum_k e^{s_{ik}}}\right)

    Where each image is similar to itself alone, this is CLIP's loss; where all galaxies of a
    batch are alike it is zero once they have one place, and nothing pulls them apart [1]_.

    Parameters
    ----------
    image_features, text_features : `~torch.Tensor`, shape (B, D)
        Unit vectors of the images and of the caption of each.
    similarity : `~torch.Tensor`, shape (B, B)
        How alike two galaxies are, 0 to 1; 1 on the diagonal and for equal captions.
    logit_scale : `~torch.Tensor`, scalar
        Inverse temperature.

    Returns
    -------
    loss : `~torch.Tensor`, scalar
        Mean of both directions, in nats; 0 or more.

    References
    ----------
    .. [1] Yang et al. 2022, "Unified Contrastive Learning in Image-Text-Label Space",
       arXiv:2204.03610

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.learning.losses import soft_contrastive_loss
    >>> same = torch.ones(3, 3) / 3**0.5
    >>> round(soft_contrastive_loss(same, same, torch.ones(3, 3), torch.tensor(100.0)).item(), 6)
    0.0
    """
    logits = logit_scale * image_features @ text_features.T
    return (_divergence(logits, similarity) + _divergence(logits.T, similarity.T)) / 2


def _divergence(logits: Tensor, similarity: Tensor) -> Tensor:
    """Kullback-Leibler divergence of each row's softmax from its targets, averaged."""
    targets = similarity.to(logits.dtype)
    targets = targets / targets.sum(dim=1, keepdim=True)
    return F.kl_div(F.log_softmax(logits, dim=1), targets, reduction="batchmean")


def sigmoid_loss(
    image_features: Tensor,
    text_features: Tensor,
    similarity: Tensor,
    logit_scale: Tensor,
    logit_bias: Tensor,
) -> Tensor:
    """Pairwise sigmoid loss: each pair is a question of its own, so no batch-wide sum is needed.

    Parameters
    ----------
    image_features, text_features : `~torch.Tensor`, shape (B, D)
        Unit vectors of the images and of the caption of each.
    similarity : `~torch.Tensor`, shape (B, B)
        Probability that the pair belongs together, 0 to 1.
    logit_scale, logit_bias : `~torch.Tensor`, scalar
        Inverse temperature, and the logit of a pair at right angles.

    Returns
    -------
    loss : `~torch.Tensor`, scalar
        Sum over the pairs of an image, averaged over images.

    References
    ----------
    Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", arXiv:2303.15343.

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.learning.losses import sigmoid_loss
    >>> scale, bias = torch.tensor(100.0), torch.tensor(-50.0)
    >>> round(sigmoid_loss(torch.eye(3), torch.eye(3), torch.eye(3), scale, bias).item(), 6)
    0.0
    """
    logits = logit_scale * image_features @ text_features.T + logit_bias
    total = F.binary_cross_entropy_with_logits(logits, similarity.to(logits.dtype), reduction="sum")
    return total / len(logits)


def contrastive_loss(
    image_features: Tensor, text_features: Tensor, relation: Tensor, logit_scale: Tensor
) -> Tensor:
    r"""Symmetric multi-positive InfoNCE on what is true, false and not known.

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


def answer_loss(
    image_features: Tensor,
    text_features: Tensor,
    shares: Tensor,
    questions: Tensor,
    weights: Tensor,
    logit_scale: Tensor,
) -> Tensor:
    """Cross-entropy of each question over its own answers: only what excludes each other competes.

    Parameters
    ----------
    image_features : `~torch.Tensor`, shape (B, D)
        Unit vectors of the images.
    text_features : `~torch.Tensor`, shape (M, D)
        Unit vectors of a sentence for each answer.
    shares : `~torch.Tensor`, shape (B, M)
        Share of each answer in its question; NaN in questions of which nothing is known.
    questions : `~torch.Tensor` of int, shape (M,)
        Number of the question of each answer.
    weights : `~torch.Tensor`, shape (Q,)
        Weight of each question in the mean over those that are known of an image.
    logit_scale : `~torch.Tensor`, scalar
        Inverse temperature.

    Returns
    -------
    loss : `~torch.Tensor`, scalar
        Mean over the images of which anything is known, in nats.

    References
    ----------
    Goyal et al. 2022, "Finetune like you pretrain", arXiv:2212.00638 (labels learnt through the
    sentences that will ask for them).

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.learning.losses import answer_loss
    >>> images, answers = torch.eye(2), torch.eye(4, 2)
    >>> shares = torch.tensor([[1.0, 0.0, float("nan"), float("nan")], [0.0, 1.0, 0.5, 0.5]])
    >>> numbers, weights = torch.tensor([0, 0, 1, 1]), torch.ones(2)
    >>> loss = answer_loss(images, answers, shares, numbers, weights, torch.tensor(100.0))
    >>> round(loss.item(), 4)  # of the second question alone: half of 0.69 for one of two images
    0.1733
    """
    logits = logit_scale * image_features @ text_features.T
    total, known = logits.new_zeros(len(logits)), logits.new_zeros(len(logits))
    for number, weight in enumerate(weights):
        answers = questions == number
        truth = shares[:, answers]
        told = torch.isfinite(truth).all(dim=1)
        losses = F.cross_entropy(logits[:, answers], truth.nan_to_num(), reduction="none")
        total = total + weight * told * losses
        known = known + weight * told
    return (total / known.clamp(min=1e-9)).sum() / (known > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class Pairs:
    """What a loss is told of the pairs in a batch of B images with M distinct captions.

    Parameters
    ----------
    own : `~torch.Tensor` of int, shape (B,), optional
        Which of the distinct captions is each image's; none for ``"answers"``.
    target : `~torch.Tensor`, optional
        For ``"relation"``: relation, shape (B, M). For ``"soft"`` and ``"sigmoid"``: similarity,
        shape (B, B). For ``"answers"``: shares, shape (B, M).
    questions : `~torch.Tensor` of int, shape (M,), optional
        For ``"answers"``: number of the question of each sentence.
    weights : `~torch.Tensor`, shape (Q,), optional
        For ``"answers"``: weight of each question.
    """

    own: Tensor | None = None
    target: Tensor | None = None
    questions: Tensor | None = None
    weights: Tensor | None = None


Loss = Callable[[Tensor, Tensor, Pairs, Tensor, Tensor | None], Tensor]

#: Losses by the name that `PretrainSettings` knows them by, each a function of image features,
#: features of the distinct captions, pairs, logit scale and logit bias.
LOSSES: dict[str, Loss] = {
    "infonce": lambda images, texts, pairs, scale, bias: infonce_loss(
        images, texts[pairs.own], scale
    ),
    "soft": lambda images, texts, pairs, scale, bias: soft_contrastive_loss(
        images, texts[pairs.own], pairs.target, scale
    ),
    "relation": lambda images, texts, pairs, scale, bias: contrastive_loss(
        images, texts, pairs.target, scale
    ),
    "sigmoid": lambda images, texts, pairs, scale, bias: sigmoid_loss(
        images, texts[pairs.own], pairs.target, scale, bias
    ),
    "answers": lambda images, texts, pairs, scale, bias: answer_loss(
        images, texts, pairs.target, pairs.questions, pairs.weights, scale
    ),
}

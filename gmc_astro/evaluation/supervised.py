"""Supervised training of an image tower: the baselines that few-label methods must beat.

A fair baseline, not a straw man: AdamW with warm-up and cosine, label smoothing, averaged
weights, turns, mirror images and zooms, the same views at prediction as the other methods, and
enough steps also where there are few labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmc_astro.exceptions import InputError
from gmc_astro.learning import LabelTraining, train_on_labels
from gmc_astro.models import ImageContract
from gmc_astro.models.device import autocast, pick_device, pick_precision
from gmc_astro.models.preprocess import dihedral_views, normalise, resize, to_channels_first

__all__ = ["predict_tower", "train_tower"]


def train_tower(
    network: nn.Module,
    images: np.ndarray,
    targets: np.ndarray,
    contract: ImageContract,
    *,
    settings: LabelTraining | None = None,
    pretrained: bool = False,
    mirror: bool = True,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Train a classifier of images from labels alone.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Maps (N, 3, S, S) to logits (N, K); trained in place.
    images : `~numpy.ndarray`, shape (N, H, W, 3), dtype uint8
        Labelled images.
    targets : `~numpy.ndarray` of int, shape (N,)
        Class of each.
    contract : `~gmc_astro.models.ImageContract`
        Size and normalisation that the network takes.
    settings : `~gmc_astro.learning.LabelTraining`, optional
        How to train.
    pretrained : bool, optional
        The body has been trained before: it learns at the lower rate, the head at the full one.
    mirror : bool, optional
        Whether mirror images may be shown; not where classes turn on handedness.
    device, precision : str, optional
        As for `~gmc_astro.models.Encoder`.
    seed : int, optional
        Seed of the order of the images and of their changes.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    network : `~torch.nn.Module`
        The averaged weights, ready to predict.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If images and targets differ in number, or there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.evaluation import train_tower
    >>> from gmc_astro.learning import LabelTraining
    >>> from gmc_astro.models import timm_tower, tower_contract
    >>> network = timm_tower("test_resnet", classes=2)
    >>> contract = tower_contract(network, 64)
    >>> images = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), np.uint8)
    >>> targets = np.array([0, 1] * 4)
    >>> settings = LabelTraining(epochs=1, least_steps=1)
    >>> trained = train_tower(network, images, targets, contract, settings=settings, device="cpu")
    >>> trained.training
    False
    """
    settings = settings or LabelTraining()
    if len(images) != len(targets) or not len(images):
        raise InputError(f"{len(targets)} targets for {len(images)} images; give one an image")
    truth = torch.from_numpy(np.asarray(targets, np.int64)).to(pick_device(device))

    def loss(network: nn.Module, pixels: Tensor, rows: Tensor) -> Tensor:
        logits = network(pixels).float()
        return F.cross_entropy(logits, truth[rows], label_smoothing=settings.label_smoothing)

    return train_on_labels(
        network,
        loss,
        _parameter_groups(network, settings, pretrained),
        images,
        contract,
        settings=settings if mirror else settings.without_mirrors(),
        device=device,
        precision=precision,
        seed=seed,
        progress=progress,
    )


@torch.inference_mode()
def predict_tower(
    network: nn.Module,
    images: np.ndarray,
    contract: ImageContract,
    *,
    views: int = 8,
    batch_size: int = 64,
    device: str = "auto",
    precision: str = "auto",
) -> np.ndarray:
    """Class probabilities of a network, averaged over orientations.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Maps (N, 3, S, S) to logits (N, K).
    images : `~numpy.ndarray`, shape (N, H, W, 3), dtype uint8
        Images.
    contract : `~gmc_astro.models.ImageContract`
        Size and normalisation that the network takes.
    views : {1, 2, 4, 8}, optional
        Orientations.
    batch_size : int, optional
        Images at a time.
    device, precision : str, optional
        As for `~gmc_astro.models.Encoder`.

    Returns
    -------
    probabilities : `~numpy.ndarray`, shape (N, K), dtype float64
        Rows sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.evaluation import predict_tower
    >>> from gmc_astro.models import timm_tower, tower_contract
    >>> network = timm_tower("test_resnet", classes=2)
    >>> contract = tower_contract(network, 64)
    >>> images = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), np.uint8)
    >>> predict_tower(network.eval(), images, contract, views=1, device="cpu").shape
    (8, 2)
    """
    device = pick_device(device)
    precision = pick_precision(precision, device)
    network = network.to(device).eval()
    parts = []
    for start in range(0, len(images), batch_size):
        part = torch.from_numpy(images[start : start + batch_size]).to(device)
        pixels = resize(to_channels_first(part), contract.size)
        pixels = normalise(pixels, contract.mean, contract.std)
        with autocast(device, precision):
            found = [
                network(view.contiguous(memory_format=torch.channels_last)).double().softmax(dim=1)
                for view in dihedral_views(pixels, views)
            ]
        parts.append(torch.stack(found).mean(dim=0).cpu().numpy())
    return np.concatenate(parts)


def _parameter_groups(
    network: nn.Module, settings: LabelTraining, pretrained: bool
) -> list[dict[str, Any]]:
    """Matrices decay, biases do not; a body that was trained before learns slowly."""
    head = network.get_classifier() if hasattr(network, "get_classifier") else network[-1]
    own = {id(p) for p in head.parameters()}
    fast = settings.rate_for(network)
    slow = settings.tuning_rate if pretrained else fast
    groups = {}
    for parameter in network.parameters():
        rate = fast if id(parameter) in own else slow
        decay = settings.weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]

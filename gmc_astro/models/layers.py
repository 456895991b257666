"""Learning rates that fall from the last layers to the first."""

from __future__ import annotations

from typing import Any

from timm.optim import param_groups_layer_decay
from torch import nn

__all__ = ["layer_groups"]

_OF_WORDS = 0.1  # rate of the text tower: a few prompts a step must not undo what it knows


def layer_groups(
    network: nn.Module, rate: float, *, decay: float = 1.0, weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """Parameter groups for fine-tuning both towers.

    Parameters
    ----------
    network : `~torch.nn.Module`
        An open_clip network.
    rate : float
        Peak learning rate of the image tower's last layers.
    decay : float, optional
        Factor on the rate from each group of the image tower's layers to the one before it. The
        text tower learns at a tenth of ``rate``.
    weight_decay : float, optional
        Of matrices and kernels; biases, normalisation layers and the logit scale do not decay.

    Returns
    -------
    groups : list of dict
        For an optimiser: ``params``, ``lr`` and ``weight_decay``.

    References
    ----------
    Howard & Ruder 2018, arXiv:1801.06146 (discriminative learning rates).

    Examples
    --------
    >>> from gmc_astro.models import layer_groups, load_encoder
    >>> encoder = load_encoder("compact", weights="random", device="cpu")
    >>> groups = layer_groups(encoder.network, 1e-4, decay=0.5)
    >>> rates = [group["lr"] for group in groups]
    >>> max(rates), min(rates) < 1e-5
    (0.0001, True)
    """
    trunk = getattr(network.visual, "trunk", network.visual)
    groups = param_groups_layer_decay(trunk, weight_decay=weight_decay, layer_decay=decay)
    groups = [
        {"params": g["params"], "lr": rate * g["lr_scale"], "weight_decay": g["weight_decay"]}
        for g in groups
    ]
    known = {id(p) for group in groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        if id(parameter) in known or not parameter.requires_grad:
            continue
        own = rate if name.startswith("visual.") else rate * _OF_WORDS
        decays = weight_decay if parameter.ndim >= 2 else 0.0
        groups.append({"params": [parameter], "lr": own, "weight_decay": decays})
    return groups

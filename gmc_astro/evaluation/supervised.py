"""Supervised training of an image tower: the baselines that few-label methods must beat.

A fair baseline, not a straw man: AdamW with warm-up and cosine, label smoothing, averaged
weights, turns, mirror images and zooms, the same views at prediction as the other methods, and
enough steps also where there are few labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError
from gmc_astro.learning import Augmentation
from gmc_astro.learning.augment import draw, training_pixels
from gmc_astro.models import ImageContract
from gmc_astro.models.device import autocast, pick_device, pick_precision
from gmc_astro.models.preprocess import dihedral_views, normalise, resize, to_channels_first

__all__ = ["SupervisedSettings", "predict_tower", "train_tower"]

_FEWEST = 16  # images a batch: batch normalisation needs some


def _galaxies() -> Augmentation:
    """A galaxy may lie any way round and be somewhat nearer or brighter; its colours are data."""
    return Augmentation(
        zoom=(0.85, 1.2), recolour=0.0, gain=0.1, contrast=0.1, grey=0.0, blur=0.0, noise=0.0
    )


@dataclass(frozen=True)
class SupervisedSettings:
    """How a tower is trained.

    Parameters
    ----------
    epochs : int, optional
        Passes over the labelled images, where these are many.
    least_steps : int, optional
        Steps to take at least, where they are few.
    batch_size : int, optional
        Images a step.
    learning_rate : float, optional
        Peak rate of a tower with random weights, and of every head.
    tuning_rate : float, optional
        Peak rate of a tower that was trained before.
    weight_decay : float, optional
        Of matrices and kernels.
    warmup : float, optional
        Share of the steps in which the rate rises.
    label_smoothing : float, optional
        Share of the truth that is spread over all classes.
    ema : float, optional
        Decay of the averaged weights, which are what predicts.
    augmentation : `~gmc_astro.learning.Augmentation`, optional
        How training images are changed.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If epochs, steps or images a step are not positive.

    Examples
    --------
    >>> from gmc_astro.evaluation import SupervisedSettings
    >>> settings = SupervisedSettings()
    >>> settings.steps(21), settings.steps(2104)
    (600, 1320)
    """

    epochs: int = 40
    least_steps: int = 600
    batch_size: int = 64
    learning_rate: float = 1e-3
    tuning_rate: float = 1e-4
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.1
    ema: float = 0.995
    augmentation: Augmentation = field(default_factory=_galaxies)

    def __post_init__(self) -> None:
        for name in ("epochs", "least_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} is not 1 or more")

    def batch(self, images: int) -> int:
        """Images a step where there are ``images`` with a label; some twice if they are few."""
        return min(self.batch_size, max(images, _FEWEST))

    def steps(self, images: int) -> int:
        """Steps of a training on ``images`` labelled images."""
        return max(self.epochs * math.ceil(images / self.batch(images)), self.least_steps)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values for JSON."""
        return asdict(self)


def train_tower(
    network: nn.Module,
    images: np.ndarray,
    targets: np.ndarray,
    contract: ImageContract,
    *,
    settings: SupervisedSettings | None = None,
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
    settings : `SupervisedSettings`, optional
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
    """
    settings = settings or SupervisedSettings()
    if len(images) != len(targets) or not len(images):
        raise InputError(f"{len(targets)} targets for {len(images)} images; give one an image")
    device = pick_device(device)
    precision = pick_precision(precision, device)
    network = network.to(device, memory_format=torch.channels_last).train()
    total = settings.steps(len(images))
    groups = _parameter_groups(network, settings, pretrained)
    optimiser = torch.optim.AdamW(groups, fused=device.type in ("cpu", "cuda"))
    schedule = LambdaLR(optimiser, _warm_up_and_cosine(settings.warmup, total))
    average = AveragedModel(network, multi_avg_fn=_growing_average(settings.ema), use_buffers=True)
    changes = settings.augmentation if mirror else _without_mirrors(settings.augmentation)
    generator = torch.Generator().manual_seed(seed)
    stack, truth = torch.from_numpy(images), torch.from_numpy(np.asarray(targets, np.int64))
    batches = _batches(len(images), settings.batch(len(images)), total, generator)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for rows in tqdm(batches, total=total, desc="train", leave=False, disable=not progress):
            draws = draw(len(rows), changes, generator)
            pixels = training_pixels(stack[rows].to(device), contract, changes, draws)
            with autocast(device, precision):
                logits = network(pixels)
            loss = F.cross_entropy(
                logits.float(), truth[rows].to(device), label_smoothing=settings.label_smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
    return average.module.eval()


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


def _batches(n: int, size: int, total: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of each step: all in a new order, again and again, cut into steps."""
    waiting = torch.empty(0, dtype=torch.long)
    for _ in range(total):
        while len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(n, generator=generator)])
        yield waiting[:size]
        waiting = waiting[size:]


def _without_mirrors(augmentation: Augmentation) -> Augmentation:
    return Augmentation(**(asdict(augmentation) | {"flip": 0.0}))


def _warm_up_and_cosine(warmup: float, total: int) -> Callable[[int], float]:
    """Share of the peak rate at each step."""
    warm = max(int(warmup * total), 1)

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1))) / 2

    return share


def _growing_average(ema: float) -> Any:
    """Moving average whose window grows with the steps taken, so that short runs have one too."""

    def update(averages: Any, values: Any, steps: Any) -> None:
        taken = int(steps)
        get_ema_multi_avg_fn(min(ema, (1 + taken) / (10 + taken)))(averages, values, steps)

    return update


def _parameter_groups(
    network: nn.Module, settings: SupervisedSettings, pretrained: bool
) -> list[dict[str, Any]]:
    """Matrices decay, biases do not; a body that was trained before learns slowly."""
    head = network.get_classifier() if hasattr(network, "get_classifier") else network[-1]
    own = {id(p) for p in head.parameters()}
    slow = settings.tuning_rate if pretrained else settings.learning_rate
    groups = {}
    for parameter in network.parameters():
        rate = settings.learning_rate if id(parameter) in own else slow
        decay = settings.weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]

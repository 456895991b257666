"""The loop that trains a network on labelled images, whatever the network and the loss.

AdamW with warm-up and cosine, averaged weights, the augmentation of pretraining, and enough
steps also where there are few labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ImageSource
from gmc_astro.learning.augment import Augmentation, draw, training_pixels
from gmc_astro.learning.averaging import growing_average
from gmc_astro.learning.schedule import check_loss, warm_up_and_cosine
from gmc_astro.models import ImageContract
from gmc_astro.models.device import autocast, pick_device, pick_precision
from gmc_astro.models.preprocess import shrink

__all__ = ["LabelTraining", "held_size", "labelled_images", "train_on_labels"]

_FEWEST = 16  # images a batch: batch normalisation needs some


def _galaxies() -> Augmentation:
    """A galaxy may lie any way round and be somewhat nearer or brighter; its colours are data."""
    return Augmentation(
        zoom=(0.85, 1.2), recolour=0.0, gain=0.1, contrast=0.1, grey=0.0, blur=0.0, noise=0.0
    )


@dataclass(frozen=True)
class LabelTraining:
    """How a network is trained on labels.

    Parameters
    ----------
    epochs : int, optional
        Passes over the labelled images, where these are many.
    least_steps : int, optional
        Steps to take at least, where they are few.
    batch_size : int, optional
        Images a step.
    learning_rate : float, optional
        Peak rate of weights that start at random. Default is 4e-3 for networks that normalise
        batches, else 1e-3.
    tuning_rate : float, optional
        Peak rate of weights that were trained before.
    weight_decay : float, optional
        Of matrices and kernels.
    warmup : float, optional
        Share of the steps in which the rate rises; it then falls to 0 as a cosine.
    label_smoothing : float, optional
        Share of the truth that is spread over all classes.
    ema : float, optional
        Decay of the averaged weights, which are the result; less during the first steps.
        0 takes the last weights.
    augmentation : `~gmc_astro.learning.Augmentation`, optional
        How training images are changed.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If epochs, steps or images a step are not positive.

    Examples
    --------
    >>> from gmc_astro.learning import LabelTraining
    >>> settings = LabelTraining()
    >>> settings.steps(21), settings.steps(2104)
    (600, 1320)
    """

    epochs: int = 40
    least_steps: int = 600
    batch_size: int = 64
    learning_rate: float | None = None
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
        """Images a step where there are ``images`` with a label; some twice if they are few.

        Parameters
        ----------
        images : int
            Images with a label.

        Returns
        -------
        batch : int
            Images a step.
        """
        return min(self.batch_size, max(images, _FEWEST))

    def steps(self, images: int) -> int:
        """Steps of a training on ``images`` labelled images.

        Parameters
        ----------
        images : int
            Images with a label.

        Returns
        -------
        steps : int
            ``least_steps`` or more.
        """
        return max(self.epochs * math.ceil(images / self.batch(images)), self.least_steps)

    def rate_for(self, network: nn.Module) -> float:
        """Peak rate of a network's weights that start at random.

        Parameters
        ----------
        network : `~torch.nn.Module`
            The network.

        Returns
        -------
        rate : float
            ``learning_rate``, or what suits the network's layers.
        """
        return self.learning_rate or (4e-3 if normalises_batches(network) else 1e-3)

    def without_mirrors(self) -> LabelTraining:
        """Return the same settings for classes that turn on handedness.

        Returns
        -------
        settings : `LabelTraining`
            No image is mirrored.
        """
        return replace(self, augmentation=replace(self.augmentation, flip=0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values for JSON.

        Returns
        -------
        settings : dict
            One entry a field.
        """
        return asdict(self)


def normalises_batches(network: nn.Module) -> bool:
    """Tell whether a network has layers of batch normalisation; they bear higher rates.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Any network.

    Returns
    -------
    found : bool
        True where there is one.
    """
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())


def labelled_images(source: ImageSource, rows: np.ndarray, size: int) -> np.ndarray:
    """Read labelled rows into memory, a little larger than the network sees them.

    Parameters
    ----------
    source : `~gmc_astro.imaging.ImageSource`
        Images.
    rows : `~numpy.ndarray` of int, shape (n,)
        Rows that have an image, in rising order.
    size : int
        Side in pixels of what the network sees. Larger images are reduced to `held_size`.

    Returns
    -------
    images : `~numpy.ndarray`, shape (n, H, W, 3), dtype uint8
        The images.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import open_images
    >>> from gmc_astro.learning import labelled_images
    >>> source = open_images(np.zeros((5, 256, 256, 3), np.uint8))
    >>> labelled_images(source, np.array([0, 3]), 96).shape
    (2, 128, 128, 3)
    """
    wanted = np.zeros(len(source), bool)
    wanted[rows] = True
    parts = []
    for batch in source.iter_batches(64):
        images = batch.images[wanted[batch.start : batch.start + len(batch)]]
        if len(images):
            parts.append(shrink(images, held_size(size)))
    return np.concatenate(parts)


def held_size(size: int) -> int:
    """Side of the images to hold for a network: turns and shifts show what lies beyond its edge.

    Parameters
    ----------
    size : int
        Side in pixels of what the network sees.

    Returns
    -------
    size : int
        A third more.

    Examples
    --------
    >>> from gmc_astro.learning import held_size
    >>> held_size(96)
    128
    """
    return round(size * 4 / 3)


def train_on_labels(
    network: nn.Module,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
    groups: list[dict[str, Any]],
    images: np.ndarray,
    contract: ImageContract,
    *,
    settings: LabelTraining,
    batches: Iterable[Tensor] | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Train a network on labelled images.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Trained in place.
    loss : callable
        ``loss(network, pixels, rows)`` gives the loss of normalised images (B, 3, S, S), which
        are the given rows, a tensor of int (B,).
    groups : list of dict
        Parameter groups of AdamW, each with its peak ``lr``.
    images : `~numpy.ndarray`, shape (N, H, W, 3), dtype uint8
        Labelled images.
    contract : `~gmc_astro.models.ImageContract`
        Size and normalisation that the network takes.
    settings : `LabelTraining`
        How to train.
    batches : iterable of `~torch.Tensor`, optional
        Rows of each step. Default shows all rows in a new order, again and again.
    device, precision : str, optional
        As for `~gmc_astro.models.Encoder`.
    seed : int, optional
        Seed of the order of the images and of their changes.
    progress : bool, optional
        Show a progress bar with loss and time left.

    Returns
    -------
    network : `~torch.nn.Module`
        The same one with the averaged weights, ready to predict.

    Raises
    ------
    gmc_astro.exceptions.TrainingError
        If the training diverges.

    References
    ----------
    Izmailov et al. 2018, arXiv:1803.05407 (averaged weights).

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from gmc_astro.learning import LabelTraining, train_on_labels
    >>> from gmc_astro.models import timm_tower, tower_contract
    >>> network = timm_tower("test_resnet", classes=2)
    >>> targets = torch.tensor([0, 1] * 8)
    >>> def loss(network, pixels, rows):
    ...     return torch.nn.functional.cross_entropy(network(pixels), targets[rows])
    >>> groups = [{"params": list(network.parameters()), "lr": 1e-3}]
    >>> images = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), np.uint8)
    >>> contract = tower_contract(network, 64)
    >>> settings = LabelTraining(epochs=1, least_steps=1)
    >>> trained = train_on_labels(
    ...     network, loss, groups, images, contract, settings=settings, device="cpu"
    ... )
    >>> trained.training
    False
    """
    device = pick_device(device)
    precision = pick_precision(precision, device)
    network = network.to(device, memory_format=torch.channels_last).train()
    generator = torch.Generator().manual_seed(seed)
    if batches is None:
        batches = _shuffled(
            len(images), settings.batch(len(images)), settings.steps(len(images)), generator
        )
    batches = list(batches)
    optimiser = torch.optim.AdamW(groups, fused=device.type in ("cpu", "cuda"))
    share = partial(warm_up_and_cosine, total=len(batches), warmup=settings.warmup)
    schedule = LambdaLR(optimiser, share)
    average = AveragedModel(network, multi_avg_fn=growing_average(settings.ema), use_buffers=True)
    stack = torch.from_numpy(images)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        with tqdm(batches, desc="train", unit="step", leave=False, disable=not progress) as bar:
            for step, rows in enumerate(bar):
                draws = draw(len(rows), settings.augmentation, generator)
                pixels = stack[rows].to(device)
                pixels = training_pixels(pixels, contract, settings.augmentation, draws)
                with autocast(device, precision):
                    value = loss(network, pixels, rows.to(device))
                optimiser.zero_grad(set_to_none=True)
                value.backward()
                shown = check_loss(value.item(), step)
                optimiser.step()
                schedule.step()
                if settings.ema:
                    average.update_parameters(network)
                bar.set_postfix_str(f"loss {shown:.3f}", refresh=False)
    if settings.ema:
        # what the network saves: its masks of -inf are not saved, and a mean makes NaN of them
        network.load_state_dict(average.module.state_dict())
    return network.eval()


def _shuffled(n: int, size: int, total: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of each step: all in a new order, again and again, cut into steps."""
    waiting = torch.empty(0, dtype=torch.long)
    for _ in range(total):
        while len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(n, generator=generator)])
        yield waiting[:size]
        waiting = waiting[size:]

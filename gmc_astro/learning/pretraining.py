"""Contrastive pretraining: images and captions in, a better encoder out.

Every random choice of a step is drawn from (seed, step), so a run that was interrupted and
resumed takes the very same steps as one that was not.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ImageSource
from gmc_astro.learning.augment import Augmentation, augment
from gmc_astro.learning.captions import Captions
from gmc_astro.learning.losses import contrastive_loss
from gmc_astro.learning.shuffling import Shuffler
from gmc_astro.models import Encoder
from gmc_astro.models.network import token_embedding
from gmc_astro.models.preprocess import normalise, to_channels_first

__all__ = ["RECIPES", "PretrainSettings", "pretrain"]

STATE_FILE = "training_state.pt"
LOG_FILE = "training_log.jsonl"
MAX_LOGIT_SCALE = math.log(100)  # CLIP's own bound: beyond it training becomes unstable

Validation = Callable[[Encoder], dict[str, float]]


@dataclass(frozen=True)
class PretrainSettings:
    """Settings of `pretrain`.

    Parameters
    ----------
    epochs : int, optional
        Passes over the images.
    batch_size : int, optional
        Images a step.
    learning_rate, weight_decay, betas
        Of AdamW; biases, normalisation layers and the logit scale are not decayed.
    warmup : float, optional
        Share of the steps over which the learning rate rises; it then falls as a cosine.
    final_rate : float, optional
        Last learning rate, as a share of ``learning_rate``.
    ema : float, optional
        Decay of the exponential moving average of the weights, which becomes the result;
        less during the first steps. 0 takes the last weights instead.
    prune_words : bool, optional
        In the result, zero the vector of each token that no caption had: such tokens say nothing
        after a random start, the model can warn of them, and its file compresses well. Not for
        an encoder that was trained before.
    augmentation : `~gmc_astro.learning.Augmentation`, optional
        How images are changed.
    seed : int, optional
        Seed of everything random.
    """

    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: float = 0.1
    final_rate: float = 0.01
    ema: float = 0.998
    prune_words: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0


#: Named settings for `pretrain`.
RECIPES: dict[str, PretrainSettings] = {"gmc": PretrainSettings()}


def pretrain(
    encoder: Encoder,
    source: ImageSource,
    captions: Captions,
    *,
    settings: PretrainSettings | None = None,
    folder: str | os.PathLike | None = None,
    resume: bool = True,
    progress: bool = True,
    validation: Validation | None = None,
) -> list[dict[str, Any]]:
    """Train an encoder's two towers on images and their captions.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        Trained in place.
    source : `~gmc_astro.imaging.ImageSource`
        Images; rows without one are skipped.
    captions : `~gmc_astro.learning.Captions`
        Language for each row.
    settings : `PretrainSettings`, optional
        Default is ``RECIPES["gmc"]``.
    folder : path-like, optional
        Where the training state is kept after each epoch (``training_state.pt``), and the
        losses and settings as JSON lines (``training_log.jsonl``). Default keeps nothing.
    resume : bool, optional
        Go on from the state in ``folder`` if there is one.
    progress : bool, optional
        Show a progress bar with loss, images a second and time left.
    validation : callable, optional
        Called with the encoder (averaged weights) after each epoch; returns named numbers.

    Returns
    -------
    log : list of dict
        One entry an epoch: ``epoch``, ``loss``, ``images_per_second`` and what ``validation`` gave.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If images and captions differ in number, or ``folder`` holds another run.

    References
    ----------
    Radford et al. 2021, arXiv:2103.00020 (contrastive image-text pretraining).
    """
    settings = settings or RECIPES["gmc"]
    if len(captions) != len(source):
        raise InputError(f"{len(captions)} captions for {len(source)} images; give one a row")
    run = _Run(encoder, settings, steps_an_epoch=max(len(source) // settings.batch_size, 1))
    keeper = _Keeper(folder, run) if folder is not None else None
    log = keeper.restore() if keeper and resume else []
    shuffler = Shuffler(source)
    for epoch in range(len(log), settings.epochs):
        batches = shuffler.batches(settings.batch_size, seed=settings.seed, epoch=epoch)
        entry = run.one_epoch(epoch, batches, captions, progress=progress)
        if validation is not None:
            with run.averaged_weights():
                entry |= validation(encoder)
        log.append(entry)
        if keeper:
            keeper.save(log)
    run.finish()
    return log


class _Run:
    """Optimiser, schedule and averaged weights of one training run."""

    def __init__(self, encoder: Encoder, settings: PretrainSettings, steps_an_epoch: int) -> None:
        self.encoder = encoder
        self.settings = settings
        self.steps_an_epoch = steps_an_epoch
        self.network = encoder.network
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(self.network, settings.weight_decay),
            lr=settings.learning_rate,
            betas=settings.betas,
            fused=encoder.device.type in ("cpu", "cuda"),
        )
        self.average = AveragedModel(
            self.network, multi_avg_fn=_averaging(settings.ema), use_buffers=True
        )

    def one_epoch(
        self,
        epoch: int,
        batches: Iterator[tuple[np.ndarray, np.ndarray]],
        captions: Captions,
        *,
        progress: bool,
    ) -> dict[str, Any]:
        """Take the steps of one epoch and return its log entry."""
        losses, images, start = [], 0, time.perf_counter()
        title = f"epoch {epoch + 1}/{self.settings.epochs}"
        bar = tqdm(
            batches, desc=title, total=self.steps_an_epoch, disable=not progress, unit="step"
        )
        for i, (pixels, rows) in enumerate(bar):
            step = epoch * self.steps_an_epoch + i
            losses.append(self.one_step(step, epoch, pixels, rows, captions))
            images += len(rows)
            speed = images / (time.perf_counter() - start)
            bar.set_postfix_str(f"loss {np.mean(losses[-20:]):.3f}, {speed:.0f} images/s")
        if not losses:
            raise InputError("no row of the source has an image to train on")
        return {
            "epoch": epoch + 1,
            "loss": round(float(np.mean(losses)), 5),
            "learning_rate": self.rate(step),
            "logit_scale": round(self.encoder.logit_scale, 3),
            "images_per_second": round(speed, 1),
        }

    def one_step(
        self, step: int, epoch: int, images: np.ndarray, rows: np.ndarray, captions: Captions
    ) -> float:
        """Change the weights once; return the loss."""
        encoder, settings = self.encoder, self.settings
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        pixels = to_channels_first(torch.from_numpy(images).to(encoder.device))
        pixels, flipped = augment(pixels, encoder.contract.size, settings.augmentation, generator)
        pixels = normalise(pixels, encoder.contract.mean, encoder.contract.std)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        texts = captions.write(rows, epoch=epoch, seed=settings.seed, flipped=flipped.numpy())
        distinct = sorted(set(texts))
        relation = torch.from_numpy(captions.relation(rows, distinct)).to(encoder.device)

        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(step)
        self.network.train()
        loss = contrastive_loss(
            encoder.image_features(pixels),
            encoder.text_features(encoder.tokenizer(distinct).to(encoder.device)),
            relation,
            self.network.logit_scale.exp(),
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            self.network.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        self.average.update_parameters(self.network)
        return loss.item()

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine."""
        settings = self.settings
        total = settings.epochs * self.steps_an_epoch
        warm = max(int(settings.warmup * total), 1)
        if step < warm:
            return settings.learning_rate * (step + 1) / warm
        phase = (step - warm) / max(total - warm, 1)
        share = (
            settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * phase)) / 2
        )
        return settings.learning_rate * share

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Put the averaged weights into the network for as long as the context lasts."""
        if not self.settings.ema:
            yield
            return
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average.module.state_dict())
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def finish(self) -> None:
        """Leave the averaged weights in the network."""
        if self.settings.ema:
            self.network.load_state_dict(self.average.module.state_dict())
        if self.settings.prune_words:
            self.prune_words()
        self.network.eval()

    def prune_words(self) -> None:
        """Zero the vectors of tokens that never had a gradient, because no caption had them."""
        table = token_embedding(self.network)
        if table is None:
            raise InputError("prune_words needs a text tower with a token embedding of its own")
        seen = self.optimiser.state[table.weight]["exp_avg_sq"].any(dim=1, keepdim=True)
        with torch.no_grad():
            table.weight.mul_(seen)


def _averaging(ema: float) -> Callable[[Any, Any, Any], None]:
    """Moving average whose window grows with the steps taken, so that short runs have one too."""

    def update(averages: Any, values: Any, steps: Any) -> None:
        taken = int(steps)
        get_ema_multi_avg_fn(min(ema, (1 + taken) / (10 + taken)))(averages, values, steps)

    return update


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases, normalisation and the logit scale do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


class _Keeper:
    """Keeps a run's state and log in a folder, whole at every moment."""

    def __init__(self, folder: str | os.PathLike, run: _Run) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run = run
        self.settings = json.loads(json.dumps(asdict(run.settings)))

    def save(self, log: list[dict[str, Any]]) -> None:
        """Write the state after an epoch, then the log."""
        run = self.run
        state = {
            "settings": self.settings,
            "log": log,
            "network": run.network.state_dict(),
            "average": run.average.state_dict(),
            "optimiser": run.optimiser.state_dict(),
        }
        temporary = self.folder / f".{STATE_FILE}.{os.getpid()}"
        try:
            torch.save(state, temporary)
            temporary.replace(self.folder / STATE_FILE)
        finally:
            temporary.unlink(missing_ok=True)
        lines = [{"settings": self.settings}, *log]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self.folder / LOG_FILE).write_text(text)

    def restore(self) -> list[dict[str, Any]]:
        """Load the state if there is one; return the log so far."""
        path = self.folder / STATE_FILE
        if not path.is_file():
            return []
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["settings"] != self.settings:
            differing = sorted(
                key for key, value in self.settings.items() if state["settings"].get(key) != value
            )
            raise InputError(
                f"{self.folder} holds a run with other settings ({', '.join(differing)}); "
                "give another folder, or resume=False to start anew"
            )
        self.run.network.load_state_dict(state["network"])
        self.run.average.load_state_dict(state["average"])
        self.run.optimiser.load_state_dict(state["optimiser"])
        return list(state["log"])

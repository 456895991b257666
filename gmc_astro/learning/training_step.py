"""One step of pretraining: images and captions through both towers, a loss, changed weights.

Every random choice of a step is drawn from (seed, step), so a run that was interrupted and
resumed takes the very same steps as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ColourRecipe
from gmc_astro.learning.augment import Draws, draw, training_pixels
from gmc_astro.learning.averaging import growing_average
from gmc_astro.learning.captions import Captions
from gmc_astro.learning.distributed import World, shared_batch_norm
from gmc_astro.learning.losses import LOSSES, Pairs
from gmc_astro.learning.questions import Questions, questions_of
from gmc_astro.learning.schedule import check_loss, warm_up_and_cosine
from gmc_astro.learning.settings import PretrainSettings
from gmc_astro.learning.teaching import Teachers, cosine_loss
from gmc_astro.learning.vote_head import VoteLayer
from gmc_astro.models import Encoder
from gmc_astro.models.device import pick_precision
from gmc_astro.models.network import text_parameters, token_embedding

__all__ = ["Features", "Trainer"]

MAX_LOGIT_SCALE = math.log(100)  # CLIP's own bound: beyond it training becomes unstable
START_BIAS = -10.0  # of the sigmoid loss: nearly all pairs are negative (Zhai et al. 2023)


class Features:
    """Features of many rows by a tower that can hold but a few of them at a time.

    With one piece, this is a plain forward and backward pass. With more, the forward pass keeps
    only the features, and the backward pass computes each piece again (GradCache, Gao et al.
    2021, arXiv:2101.06983): the same gradients, in the memory of one piece.

    Parameters
    ----------
    encode : callable
        Maps a slice of rows to their features, the same each time.
    rows : slice
        Rows to encode.
    piece : int
        Most rows at a time.
    tower : `~torch.nn.Module`
        Its running statistics count each piece once.
    """

    def __init__(
        self, encode: Callable[[slice], Tensor], rows: slice, piece: int, tower: nn.Module
    ) -> None:
        starts = range(rows.start, rows.stop, piece)
        self.encode = encode
        self.tower = tower
        self.pieces = [slice(start, min(start + piece, rows.stop)) for start in starts]
        self._kept: Tensor | None = None

    def forward(self, dim: int, device: torch.device) -> Tensor:
        """Return the features, (rows, D), cut off from the towers."""
        if not self.pieces:
            return torch.zeros(0, dim, device=device)
        if len(self.pieces) == 1:
            self._kept = self.encode(self.pieces[0])
            return self._kept.detach()
        with torch.no_grad(), _still_statistics(self.tower):
            return torch.cat([self.encode(piece) for piece in self.pieces])

    def backward(self, gradient: Tensor) -> None:
        """Send the features' gradient back into the tower."""
        if self._kept is not None:
            self._kept.backward(gradient)
            self._kept = None
            return
        for piece in self.pieces:
            start = piece.start - self.pieces[0].start
            self.encode(piece).backward(gradient[start : start + piece.stop - piece.start])


@contextmanager
def _still_statistics(network: nn.Module) -> Iterator[None]:
    """Keep running statistics as they are, so that a pass done twice counts once."""
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


class _Towers(nn.Module):
    """All that is trained: the network, the bias of a sigmoid loss, and the vote head."""

    def __init__(self, encoder: Encoder, settings: PretrainSettings, captions: Captions) -> None:
        super().__init__()
        self.network = encoder.network
        self.votes: VoteLayer | None = None
        self.bias: nn.Parameter | None = None
        if settings.vote_weight and captions.answers:
            self.votes = VoteLayer(encoder.dim, captions.answers).to(encoder.device)
        if settings.loss == "sigmoid":
            self.bias = getattr(self.network, "logit_bias", None)
            if self.bias is None:
                self.bias = nn.Parameter(torch.tensor(START_BIAS, device=encoder.device))

    def beside_towers(self) -> list[nn.Parameter]:
        """Parameters of which every process has the whole gradient."""
        found = [self.network.logit_scale]
        found += [] if self.bias is None else [self.bias]
        return found + ([] if self.votes is None else list(self.votes.parameters()))


class Trainer:
    """Optimiser, schedule and averaged weights of one training run.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        Trained in place.
    captions : `~gmc_astro.learning.Captions`
        Language for each row.
    settings : `PretrainSettings`
        Settings.
    steps_an_epoch : int
        Steps of an epoch.
    recipe : `~gmc_astro.imaging.ColourRecipe` or None
        Colours that the images have.
    world : `World`
        Processes that train together.
    teachers : sequence of `~gmc_astro.models.Encoder`, optional
        Encoders of the same text tower, whose embeddings the image tower is to have as well.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a teacher takes other images, or speaks of them in another space, or the loss asks for
        answers where there are none.
    """

    def __init__(
        self,
        encoder: Encoder,
        captions: Captions,
        settings: PretrainSettings,
        steps_an_epoch: int,
        recipe: ColourRecipe | None,
        world: World,
        teachers: Sequence[Encoder] = (),
    ) -> None:
        self.encoder = encoder
        self.teachers = Teachers(teachers, encoder)
        self.captions = captions
        self.questions: Questions | None = None
        if settings.loss == "answers":
            self.questions = questions_of(captions, flip=settings.augmentation.flip)
        self.settings = settings
        self.total_steps = settings.epochs * steps_an_epoch
        self.recipe = recipe
        self.world = world
        if settings.prune_words and token_embedding(encoder.network) is None:
            raise InputError("prune_words needs a text tower with a token embedding of its own")
        self.towers = _Towers(encoder, settings, captions)
        world.start_alike(self.towers)
        self._learnt = {p: p.requires_grad for p in encoder.network.parameters()}
        encoder.network.logit_scale.requires_grad_(not settings.defects)
        encoder.network.visual.requires_grad_(not settings.locked_images)
        for parameter in text_parameters(encoder.network):
            parameter.requires_grad_(not settings.locked_texts)
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(self.towers, settings),
            lr=settings.learning_rate,
            betas=settings.betas,
            fused=encoder.device.type in ("cpu", "cuda"),
        )
        self.start: dict[str, Tensor] = {}
        if settings.start_share:
            self.start = {k: v.clone() for k, v in encoder.network.state_dict().items()}
        self.average = AveragedModel(
            self.towers, multi_avg_fn=growing_average(settings.ema), use_buffers=True
        )

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Set the network up for training, and back when the context ends."""
        encoder, settings = self.encoder, self.settings
        precision, visual = encoder.precision, encoder.network.visual
        encoder.precision = pick_precision(settings.precision or precision, encoder.device)
        with ExitStack() as stack:
            stack.enter_context(shared_batch_norm(encoder.network, self.world))
            if settings.defects:
                stack.enter_context(torch.autograd.set_detect_anomaly(True))
            if settings.compile:
                named = isinstance(settings.compile, str)
                visual.compile(backend=settings.compile if named else "inductor")
            try:
                yield
            finally:
                visual._compiled_call_impl = None  # torch has no public way back
                encoder.precision = precision
                for parameter, learnt in self._learnt.items():
                    parameter.requires_grad_(learnt)

    def step(self, step: int, epoch: int, images: np.ndarray | Tensor, rows: np.ndarray) -> float:
        """Change the weights once.

        Parameters
        ----------
        step, epoch : int
            Numbers of the step and the epoch, from 0.
        images : `~numpy.ndarray` or `~torch.Tensor`, shape (B, H, W, 3), dtype uint8
            The step's images, of all processes.
        rows : `~numpy.ndarray` of int, shape (B,)
            Their rows.

        Returns
        -------
        loss : float
            Loss of the whole batch.

        Raises
        ------
        gmc_astro.exceptions.TrainingError
            If it is no number.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * self.rate(step)
        self.optimiser.zero_grad(set_to_none=True)
        self.towers.train()
        if self.settings.locked_images:
            self.encoder.network.visual.eval()
        with torch.random.fork_rng(self._own_gpu()):
            loss = self._gradients(step, epoch, images, rows)
        self.optimiser.step()
        with torch.no_grad():
            self.encoder.network.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        if self.settings.ema:
            self.average.update_parameters(self.towers)
        return loss

    def _gradients(
        self, step: int, epoch: int, images: np.ndarray | Tensor, rows: np.ndarray
    ) -> float:
        """Compute the loss of a batch, and put its gradient at the parameters."""
        settings, encoder, world = self.settings, self.encoder, self.world
        seed = settings.seed * 1_000_003 + step
        generator = torch.Generator().manual_seed(seed)
        draws = draw(len(rows), settings.augmentation, generator)
        flipped = draws.flipped.numpy()
        if self.questions is not None:
            texts, pairs = self.questions.draw(generator), self._answers(rows)
        else:
            texts, pairs = self._captions(rows, epoch, flipped)
        tokens = encoder.tokenizer(texts)

        def embed_images(part: slice) -> Tensor:
            torch.manual_seed(seed * 1009 + part.start)  # of dropout, the same in both passes
            return encoder.image_features(self._pixels(images[part], draws[part]))

        def embed_texts(part: slice) -> Tensor:
            torch.manual_seed(seed * 1013 + part.start)
            return encoder.text_features(tokens[part].to(encoder.device, non_blocking=True))

        piece = settings.micro_batch or len(rows)
        numbers = (len(rows), len(texts))
        leaves, parts = [], []
        for embed, n in zip((embed_images, embed_texts), numbers, strict=True):
            part = Features(embed, world.share(n), piece, encoder.network)
            whole = world.gather(part.forward(encoder.dim, encoder.device), n)
            leaves.append(whole.requires_grad_())
            parts.append(part)

        scale = encoder.network.logit_scale.exp()
        loss = LOSSES[settings.loss](*leaves, pairs, scale, self.towers.bias)
        if self.towers.votes is not None:
            counts = torch.from_numpy(self.captions.counts(rows, flipped=flipped))
            counts = counts.to(encoder.device)
            loss = loss + settings.vote_weight * self.towers.votes(leaves[0], counts)
        if self.teachers:
            taught = self._taught(images, draws)
            loss = loss + settings.teacher_weight * cosine_loss(leaves[0], taught)
        loss.backward()
        learning = [not settings.locked_images, not settings.locked_texts]
        for part, whole, n, learns in zip(parts, leaves, numbers, learning, strict=True):
            if not learns:
                continue
            gradient = torch.zeros_like(whole) if whole.grad is None else whole.grad
            part.backward(gradient[world.share(n)])
        for parameter in self.towers.beside_towers():
            if parameter.grad is not None:
                parameter.grad /= world.size
        world.sum_gradients(list(self.towers.parameters()))
        return check_loss(loss.item(), step)

    def _taught(self, images: np.ndarray | Tensor, draws: Draws) -> Tensor:
        """Mean embedding of each image by the teachers, who see it in the middle, (rows, D)."""
        draws = draws.in_the_middle()
        n, world = len(images), self.world
        whole, piece = world.share(n), self.settings.micro_batch or n
        parts = [torch.zeros(0, self.encoder.dim, device=self.encoder.device)]
        for start in range(whole.start, whole.stop, piece):
            part = slice(start, min(start + piece, whole.stop))
            pixels = self._pixels(images[part], draws[part])
            parts.append(self.teachers.image_features(pixels))
        return world.gather(torch.cat(parts), n)

    def _pixels(self, images: np.ndarray | Tensor, draws: Draws) -> Tensor:
        """Some of the images, as bytes to the device, there changed and normalised."""
        encoder, contract = self.encoder, self.encoder.contract
        pixels = images
        if isinstance(images, np.ndarray):
            pixels = torch.from_numpy(np.ascontiguousarray(images))
            if encoder.device.type == "cuda":
                pixels = pixels.pin_memory()
            pixels = pixels.to(encoder.device, non_blocking=True)
        changes = self.settings.augmentation
        return training_pixels(pixels, contract, changes, draws, recipe=self.recipe)

    def _captions(
        self, rows: np.ndarray, epoch: int, flipped: np.ndarray
    ) -> tuple[list[str], Pairs]:
        """Distinct captions of the rows, and what the loss is to know of whose they are."""
        seed, target = self.settings.seed, None
        texts = self.captions.write(rows, epoch=epoch, seed=seed, flipped=flipped)
        found, own = np.unique(np.array(texts, dtype=object), return_inverse=True)
        distinct = found.tolist()
        if self.settings.loss == "relation":
            target = self.captions.relation(rows, distinct, flipped=flipped)
        elif self.settings.loss in ("soft", "sigmoid"):
            width = self.settings.width
            target = self.captions.similarity(rows, texts, flipped=flipped, width=width)
        device = self.encoder.device
        return distinct, Pairs(
            torch.from_numpy(own).to(device),
            None if target is None else torch.from_numpy(target).to(device),
        )

    def _answers(self, rows: np.ndarray) -> Pairs:
        """What the loss is to know of which answers are right."""
        questions = self.questions
        told = {
            "target": questions.shares[rows],
            "questions": questions.numbers,
            "weights": questions.weights,
        }
        device = self.encoder.device
        return Pairs(**{name: torch.from_numpy(value).to(device) for name, value in told.items()})

    def _own_gpu(self) -> list[torch.device]:
        return [self.encoder.device] if self.encoder.device.type == "cuda" else []

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine."""
        settings = self.settings
        return settings.learning_rate * warm_up_and_cosine(
            step, self.total_steps, warmup=settings.warmup, final=settings.final_rate
        )

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Put the averaged weights into the network for as long as the context lasts."""
        own = {name: value.clone() for name, value in self.towers.state_dict().items()}
        self._average()
        try:
            yield
        finally:
            self.towers.load_state_dict(own)

    def _average(self) -> None:
        """Put the mean over the last steps into the network, and that of its start and its end."""
        if self.settings.ema:
            self.towers.load_state_dict(self.average.module.state_dict())
        with torch.no_grad():
            for name, value in self.towers.network.state_dict().items():
                if name in self.start and value.is_floating_point():
                    value.lerp_(self.start[name], self.settings.start_share)

    def state(self) -> dict[str, Any]:
        """Everything that a later process needs to go on."""
        return {
            "towers": self.towers.state_dict(),
            "average": self.average.state_dict() if self.settings.ema else {},
            "start": self.start,
            "optimiser": self.optimiser.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.towers.load_state_dict(state["towers"])
        self.start = {k: v.to(self.encoder.device) for k, v in state["start"].items()}
        if self.settings.ema:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def finish(self) -> None:
        """Leave the averaged weights in the network."""
        self._average()
        if self.settings.prune_words:
            self.prune_words()
        self.towers.eval()

    def prune_words(self) -> None:
        """Zero the vectors of tokens that never had a gradient, because no caption had them."""
        table = token_embedding(self.encoder.network)
        seen = self.optimiser.state[table.weight]["exp_avg_sq"].any(dim=1, keepdim=True)
        with torch.no_grad():
            table.weight.mul_(seen)


def _parameter_groups(towers: _Towers, settings: PretrainSettings) -> list[dict[str, Any]]:
    """Matrices and kernels decay, biases and scales do not; each tower has its learning rate."""
    images = {*towers.network.visual.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in towers.parameters():
        if parameter.requires_grad:
            groups.setdefault((parameter in images, parameter.ndim >= 2), []).append(parameter)
    share = (settings.image_learning_rate or settings.learning_rate) / settings.learning_rate
    return [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if decays else 0.0,
            "share": share if of_images else 1.0,
        }
        for (of_images, decays), parameters in groups.items()
    ]

"""Fitting both towers and a head to labels: probe first, then all of it, then half-way back.

The head starts as the probe. Images are pulled towards the prompts of their classes as in
pretraining, and towards the head's own vectors. Of the way from the start to the end only a share
is gone, chosen on labels that were held out.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from torch import Tensor, nn

from gmc_astro.exceptions import InputError
from gmc_astro.learning.fitting import Fitted, Labelled, register_fit_method
from gmc_astro.learning.label_training import (
    LabelTraining,
    labelled_images,
    normalises_batches,
    train_on_labels,
)
from gmc_astro.learning.probe import SHARES, LinearHead, fit_probe
from gmc_astro.models import Encoder, layer_groups

__all__ = ["FineTuning", "fit_finetune"]

_MANY = 500  # labels from which one part held out is enough
_HELD_OUT = 0.2
_FOLDS = 3


@dataclass(frozen=True)
class FineTuning:
    """Settings of `fit_finetune`.

    Parameters
    ----------
    training : `~gmc_astro.learning.LabelTraining`, optional
        The loop.
    rate : float, optional
        Peak learning rate of the towers' last layers. Default suits the image tower: 2e-3 where
        it normalises batches (convolutions), else 2e-5 (transformers).
    layer_decay : float, optional
        Factor on the learning rate from each group of layers to the one before it.
    head_rate : float, optional
        Learning rate of the head, as a multiple of that of the towers' last layers.
    words : float, optional
        Weight of the contrastive loss with the classes' prompts, beside that of the head.

    Examples
    --------
    >>> from gmc_astro.learning import FineTuning, LabelTraining
    >>> settings = FineTuning(LabelTraining(epochs=10), rate=1e-4)
    >>> settings.training.epochs, settings.words
    (10, 0.5)
    """

    training: LabelTraining = field(
        default_factory=lambda: LabelTraining(
            epochs=12, least_steps=60, label_smoothing=0.0, ema=0.99
        )
    )
    rate: float | None = None
    layer_decay: float = 0.98
    head_rate: float = 10.0
    words: float = 0.5


class _Tuned(nn.Module):
    """What is trained: both towers, and a head with one vector a class."""

    def __init__(self, encoder: Encoder, head: LinearHead) -> None:
        super().__init__()
        own = {"dtype": torch.float32, "device": encoder.device}
        self.network = deepcopy(encoder.network)
        self.vectors = nn.Parameter(torch.tensor(head.weights, **own))
        self.bias = nn.Parameter(torch.tensor(head.bias, **own))


@register_fit_method("finetune")
def fit_finetune(labelled: Labelled, settings: FineTuning | None = None) -> Fitted:
    """Tune both towers and a head.

    Parameters
    ----------
    labelled : `Labelled`
        Labelled galaxies with their images.
    settings : `FineTuning`, optional
        Settings.

    Returns
    -------
    fitted : `Fitted`
        A tuned copy of the encoder, and the head.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are no images behind the embeddings.

    Notes
    -----
    How far to go from the start is chosen by log loss on labels held out: those of
    ``validation``, else a fifth of 500 labels or more, else each third in turn. Then all labels
    are trained on. Where a class has fewer than three labels nothing is held out of it.

    References
    ----------
    Goyal et al. 2022, arXiv:2212.00638 (FLYP); Kumar et al. 2022, arXiv:2202.10054 (LP-FT);
    Wortsman et al. 2021, arXiv:2109.01903 (WiSE-FT).

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme, open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import FineTuning, Labelled, LabelTraining, Pixels
    >>> from gmc_astro.learning import embed_source, fit_finetune
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> drawn = [render_galaxy(SimulatedGalaxy(axis_ratio=q), pixels=96) for q in (0.9, 0.2)]
    >>> source = open_images(np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn]))
    >>> encoder = load_encoder("compact", device="cpu")
    >>> embeddings = embed_source(encoder, source, views=1).embeddings
    >>> scheme = ClassScheme.from_any(["a round galaxy", "an edge-on galaxy"])
    >>> pixels = Pixels(source, np.arange(2))
    >>> labelled = Labelled(encoder, scheme, embeddings, np.eye(2), np.ones(2), pixels, views=1)
    >>> one_step = FineTuning(LabelTraining(epochs=1, least_steps=1, batch_size=2))
    >>> fitted = fit_finetune(labelled, one_step)
    >>> fitted.encoder is encoder, fitted.held_out.shape
    (False, (2, 2))
    """
    if labelled.pixels is None:
        raise InputError('method="finetune" needs the images, not only embeddings')
    settings = settings or FineTuning()
    if labelled.scheme.mentions_handedness:
        settings = replace(settings, training=settings.training.without_mirrors())
    images = labelled_images(
        labelled.pixels.source, labelled.pixels.rows, labelled.encoder.contract.size
    )
    pull = _probe(labelled, np.arange(len(labelled)), {}).pull
    logits, shares, way = _held_out(labelled, images, pull, settings)
    step = _best_step(logits, shares)
    if way is None:
        way = _Way(labelled, images, np.arange(len(labelled)), pull, settings)
    encoder, head = way.at(SHARES[step])
    log = {"share_of_the_way": SHARES[step]}
    log |= {f"probe_{name}": value for name, value in pull.items()}
    return Fitted(head, logits[step], encoder, log)


def _probe(labelled: Labelled, rows: np.ndarray, pull: dict[str, float]) -> LinearHead:
    return fit_probe(
        labelled.embeddings[rows],
        labelled.shares[rows],
        labelled.starts,
        scale=labelled.encoder.logit_scale,
        **pull,
        weights=labelled.weights[rows],
        random_state=labelled.random_state,
    )


class _Way:
    """The way from the probe on the pretrained encoder to the tuned end, on some of the rows."""

    def __init__(
        self,
        labelled: Labelled,
        images: np.ndarray,
        rows: np.ndarray,
        pull: dict[str, float],
        settings: FineTuning,
    ) -> None:
        self.encoder = labelled.encoder
        self.head = _probe(labelled, rows, pull)
        module = _Tuned(labelled.encoder, self.head)
        self.start = {name: value.clone() for name, value in module.state_dict().items()}
        self.module = _train(module, labelled, images, rows, settings, self.head.scale)
        self.end = {name: value.clone() for name, value in self.module.state_dict().items()}

    def at(self, share: float) -> tuple[Encoder, LinearHead]:
        """Encoder and head after a share of the way."""
        self.module.load_state_dict(
            {
                name: torch.lerp(start, self.end[name], share)
                if start.is_floating_point()
                else self.end[name]
                for name, start in self.start.items()
            }
        )
        head = replace(
            self.head,
            weights=self.module.vectors.detach().cpu().double().numpy(),
            bias=self.module.bias.detach().cpu().double().numpy(),
        )
        return self.encoder.with_network(self.module.network), head


def _train(
    module: _Tuned,
    labelled: Labelled,
    images: np.ndarray,
    rows: np.ndarray,
    settings: FineTuning,
    scale: float,
) -> _Tuned:
    """Train both towers and the head on some of the rows."""
    encoder, training = labelled.encoder, settings.training
    shares = torch.tensor(labelled.shares[rows], dtype=torch.float32, device=encoder.device)
    weights = torch.tensor(labelled.weights[rows], dtype=torch.float32, device=encoder.device)
    weights = weights / weights.mean()
    draw_prompts = _prompt_tokens(labelled)
    tuned = encoder.with_network(module.network)

    def loss(module: _Tuned, pixels: Tensor, chosen: Tensor) -> Tensor:
        features = tuned.image_features(pixels)
        truth, weight = shares[chosen], weights[chosen]
        words = tuned.text_features(draw_prompts()) if settings.words else None
        with torch.autocast(encoder.device.type, enabled=False):  # logits of float32
            own = scale * features.float() @ module.vectors.T + module.bias
            value = _weighted(own, truth, weight, training.label_smoothing)
            if words is not None:
                cosines = module.network.logit_scale.exp() * features.float() @ words.float().T
                value = value + settings.words * _contrast(cosines, truth, weight)
        return value

    rate = settings.rate or _usual_rate(module.network.visual)
    groups = layer_groups(
        module.network, rate, decay=settings.layer_decay, weight_decay=training.weight_decay
    )
    own = [module.vectors, module.bias]
    groups.append({"params": own, "lr": rate * settings.head_rate, "weight_decay": 0.0})
    return train_on_labels(
        module,
        loss,
        groups,
        images[rows],
        encoder.contract,
        settings=training,
        device=encoder.device,
        precision=encoder.precision,
        seed=labelled.random_state,
        progress=labelled.progress,
    )


def _usual_rate(tower: nn.Module) -> float:
    return 2e-3 if normalises_batches(tower) else 2e-5


def _prompt_tokens(labelled: Labelled) -> Callable[[], Tensor]:
    """Draw one prompt of each class, anew for each step."""
    encoder = labelled.encoder
    tokens = [encoder.tokenizer(list(group)) for group in labelled.scheme.classes.values()]
    generator = torch.Generator().manual_seed(labelled.random_state)

    def one_each() -> Tensor:
        drawn = [group[torch.randint(len(group), (1,), generator=generator)] for group in tokens]
        return torch.cat(drawn).to(encoder.device)

    return one_each


def _weighted(logits: Tensor, truth: Tensor, weight: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of weighted rows."""
    losses = F.cross_entropy(logits, truth, label_smoothing=smoothing, reduction="none")
    return (weight * losses).mean()


def _contrast(cosines: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Contrastive loss of images (B) with prompts (K): every image of a class is its positive."""
    wanted = (truth * weight[:, None]).T
    present = wanted.sum(dim=1) > 0
    wanted = wanted[present] / wanted[present].sum(dim=1, keepdim=True)
    of_words = F.cross_entropy(cosines.T[present], wanted)
    return (_weighted(cosines, truth, weight, 0.0) + of_words) / 2


def _held_out(
    labelled: Labelled, images: np.ndarray, pull: dict[str, float], settings: FineTuning
) -> tuple[np.ndarray, np.ndarray, _Way | None]:
    """Logits (A, n, K) of rows held out, after each share of the way, and the rows' shares.

    And the way on which all labels teach, where that was gone already.
    """
    validation = labelled.validation
    if validation is not None:
        way = _Way(labelled, images, np.arange(len(labelled)), pull, settings)
        other = labelled_images(
            validation.pixels.source, validation.pixels.rows, labelled.encoder.contract.size
        )
        return _along(way, other, labelled.views), validation.shares, way
    logits = np.full((len(SHARES), *labelled.shares.shape), np.nan)
    for train, test in _splits(labelled):
        way = _Way(labelled, images, train, pull, settings)
        logits[:, test] = _along(way, images[test], labelled.views)
    return logits, labelled.shares, None


def _along(way: _Way, images: np.ndarray, views: int) -> np.ndarray:
    """Logits (A, n, K) of images after each share of the way."""
    found = []
    for share in SHARES:
        encoder, head = way.at(share)
        found.append(head.logits(encoder.encode_images(images, views=views)))
    return np.stack(found)


def _splits(labelled: Labelled) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to train on and rows to hold out; rows of classes with few labels only train."""
    targets, seed = labelled.targets, labelled.random_state
    counts = np.bincount(targets, minlength=labelled.shares.shape[1])
    enough = np.flatnonzero(counts[targets] >= _FOLDS)
    if len(enough) < _FOLDS:
        return []
    if len(labelled) >= _MANY:
        splitter = StratifiedShuffleSplit(1, test_size=_HELD_OUT, random_state=seed)
    else:
        splitter = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    parts = [enough[test] for _, test in splitter.split(enough, targets[enough])]
    return [(np.setdiff1d(np.arange(len(labelled)), test), test) for test in parts]


def _best_step(logits: np.ndarray, shares: np.ndarray) -> int:
    """Number of the share of the way with the smallest log loss on rows held out."""
    known = np.isfinite(logits).all(axis=(0, 2))
    if not known.any():
        return SHARES.index(0.5)
    losses = [
        F.cross_entropy(torch.tensor(part[known]), torch.tensor(shares[known])).item()
        for part in logits
    ]
    return int(np.argmin(losses))

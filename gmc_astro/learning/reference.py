"""Fine-tuning as the paper's public code does it (its stage 2), with its defects mended."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from gmc_astro.exceptions import InputError
from gmc_astro.learning.embedding import text_embeddings
from gmc_astro.learning.fitting import Fitted, Labelled, register_fit_method
from gmc_astro.learning.label_training import LabelTraining, labelled_images, train_on_labels
from gmc_astro.learning.losses import infonce_loss
from gmc_astro.learning.probe import LinearHead
from gmc_astro.learning.settings import RECIPES
from gmc_astro.morphology import ClassScheme

__all__ = ["fit_reference"]

#: Settings of the public code of Cai et al. 2026; its steps show one image of each class.
STAGE_2 = LabelTraining(
    epochs=20,
    least_steps=1,
    tuning_rate=2e-5,
    weight_decay=0.05,
    warmup=0.1,
    label_smoothing=0.0,
    ema=0.0,
    augmentation=RECIPES["reference"].augmentation,
)


@register_fit_method("reference")
def fit_reference(labelled: Labelled) -> Fitted:
    """Tune the image tower by InfoNCE with one fixed description of each class.

    Parameters
    ----------
    labelled : `Labelled`
        Labelled galaxies with their images.

    Returns
    -------
    fitted : `Fitted`
        A tuned copy of the encoder, and the head of the classes' descriptions.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are no images behind the embeddings, or a class has no label.

    Notes
    -----
    As there: the text tower is frozen, a step shows one image of each class, 20 passes over the
    labelled images, AdamW at 2e-5, 10 % warm-up and a cosine to 0, 32-bit numbers. Mended: the
    temperature learns. Soft labels count as their largest share; weights and the validation part
    are not used but for calibration. Without a validation part nothing is held out, and the
    probabilities are not calibrated.

    References
    ----------
    Cai et al. 2026 (CLIP-GMC).

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme, open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import Labelled, Pixels, embed_source, fit_reference
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> drawn = [render_galaxy(SimulatedGalaxy(axis_ratio=q), pixels=96) for q in (0.9, 0.2)]
    >>> source = open_images(np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn]))
    >>> encoder = load_encoder("compact", device="cpu")
    >>> embeddings = embed_source(encoder, source, views=1).embeddings
    >>> scheme = ClassScheme.from_any(["a round galaxy", "an edge-on galaxy"])
    >>> pixels = Pixels(source, np.arange(2))
    >>> labelled = Labelled(encoder, scheme, embeddings, np.eye(2), np.ones(2), pixels, views=1)
    >>> fitted = fit_reference(labelled)
    >>> fitted.encoder is encoder, fitted.head.weights.shape
    (False, (2, 256))
    """
    if labelled.pixels is None:
        raise InputError('method="reference" needs the images, not only embeddings')
    encoder, targets = labelled.encoder, labelled.targets
    names = labelled.scheme.names
    if missing := [name for k, name in enumerate(names) if not (targets == k).any()]:
        raise InputError(f'method="reference" needs a label of each class; none is of {missing}')
    described = ClassScheme.from_any({name: labelled.scheme.classes[name][:1] for name in names})
    tuned = encoder.with_network(deepcopy(encoder.network))
    tuned.precision = "fp32"
    words = torch.from_numpy(text_embeddings(tuned, described)).to(encoder.device)

    def loss(network: nn.Module, pixels: Tensor, rows: Tensor) -> Tensor:
        return infonce_loss(tuned.image_features(pixels), words, network.logit_scale.exp())

    network = tuned.network
    visual = {id(p) for p in network.visual.parameters()}
    trained = [p for p in network.parameters() if id(p) in visual or p is network.logit_scale]
    groups = [
        {
            "params": [p for p in trained if (p.ndim >= 2) == matrices],
            "lr": STAGE_2.tuning_rate,
            "weight_decay": STAGE_2.weight_decay if matrices else 0.0,
        }
        for matrices in (True, False)
    ]
    settings = STAGE_2.without_mirrors() if labelled.scheme.mentions_handedness else STAGE_2
    train_on_labels(
        network,
        loss,
        groups,
        labelled_images(labelled.pixels.source, labelled.pixels.rows, encoder.contract.size),
        encoder.contract,
        settings=settings,
        batches=_one_of_each(targets, settings.epochs, labelled.random_state),
        device=encoder.device,
        precision=tuned.precision,
        seed=labelled.random_state,
        progress=labelled.progress,
    )
    tuned.precision = encoder.precision
    head = LinearHead(
        words.cpu().double().numpy(), np.zeros(len(words)), tuned.logit_scale, strength=0.0
    )
    validation = labelled.validation
    if validation is None:
        return Fitted(head, np.full(labelled.shares.shape, np.nan), tuned)
    images = labelled_images(
        validation.pixels.source, validation.pixels.rows, encoder.contract.size
    )
    return Fitted(head, head.logits(tuned.encode_images(images, views=labelled.views)), tuned)


def _one_of_each(targets: np.ndarray, epochs: int, seed: int) -> Iterator[Tensor]:
    """One image of each class a step; an epoch has as many images as there are labels."""
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(targets == k) for k in range(targets.max() + 1)]
    for _ in range(epochs * max(len(targets) // len(rows), 1)):
        yield torch.tensor([rng.choice(own) for own in rows])

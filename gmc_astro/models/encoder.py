"""The encoder: images and words to unit vectors in one space. It is the only way to the network."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmc_astro.exceptions import CheckpointError, InputError, UnknownWordsWarning
from gmc_astro.models.contract import ImageContract
from gmc_astro.models.device import (
    SIDE_BY_SIDE,
    autocast,
    pick_device,
    pick_precision,
    seeded,
    side_by_side,
)
from gmc_astro.models.network import (
    encode_text,
    set_image_size,
    token_embedding,
    with_image_tower,
)
from gmc_astro.models.preprocess import dihedral_views, normalise, resize, to_channels_first

__all__ = ["Encoder"]

_FEW = 16  # images that are not worth sharing


class Encoder:
    """A contrastive image-text network with its tokenizer and its image contract.

    Parameters
    ----------
    network : `~torch.nn.Module`
        An open_clip model: has ``encode_image``, ``encode_text`` and ``logit_scale``.
    tokenizer : callable
        Maps a list of strings to a (M, L) tensor of token ids.
    contract : `ImageContract`
        What the images of the network are.
    model_cfg : dict
        The open_clip configuration of the network, written to checkpoints.
    name : str, optional
        What to call the model in tables and errors.
    device : str or `~torch.device`, optional
        ``"auto"`` takes the GPU where there is one.
    precision : {"auto", "fp32", "bf16"}, optional
        ``"auto"`` computes in bfloat16 where the processor has it.

    See Also
    --------
    gmc_astro.models.load_encoder : Load one by name, from a folder or from open_clip.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.models import load_encoder
    >>> encoder = load_encoder("compact", device="cpu")
    >>> images = encoder.encode_images(np.zeros((2, 224, 224, 3), np.uint8))
    >>> words = encoder.encode_texts(["a spiral galaxy", "an elliptical galaxy"])
    >>> (images @ words.T).shape
    (2, 2)
    """

    def __init__(
        self,
        network: nn.Module,
        tokenizer: Callable[[list[str]], Tensor],
        *,
        contract: ImageContract,
        model_cfg: dict[str, Any],
        name: str = "custom",
        device: str | torch.device = "auto",
        precision: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()
        self.tokenizer = tokenizer
        self.contract = contract
        self.name = name
        self.model_cfg = model_cfg

    def __repr__(self) -> str:
        size = self.contract.size
        return f"<Encoder {self.name}: {size} px, {self.dim}-D, {self.device}, {self.precision}>"

    def with_network(self, network: nn.Module) -> Encoder:
        """Return an encoder like this one around other weights of the same architecture.

        Parameters
        ----------
        network : `~torch.nn.Module`
            The network.

        Returns
        -------
        encoder : `Encoder`
            The same tokenizer, contract, device and precision.
        """
        return self._around(network, self.model_cfg, self.name)

    def moved(self, device: str | torch.device, precision: str) -> Encoder:
        """Return an encoder around the same network elsewhere; this one should not be used on.

        Parameters
        ----------
        device, precision
            As for `Encoder`.

        Returns
        -------
        encoder : `Encoder`
            With the same weights, tokenizer and contract.
        """
        where = {"device": device, "precision": precision}
        return self._around(self.network, self.model_cfg, self.name, **where)

    def _around(self, network: nn.Module, model_cfg: dict, name: str, **where: Any) -> Encoder:
        """Return an encoder with the tokenizer, contract, device and precision of this one."""
        same = {"contract": self.contract, "device": self.device, "precision": self.precision}
        return Encoder(network, self.tokenizer, model_cfg=model_cfg, name=name, **{**same, **where})

    def with_image_tower(self, name: str, *, random_state: int | None = None) -> Encoder:
        """Return an encoder with the same text tower and another, untrained image tower.

        Trained with ``locked_texts``, it comes to share this encoder's space, so that it can be
        its teacher in `~gmc_astro.learning.pretrain`.

        Parameters
        ----------
        name : str
            Architecture of timm, such as ``"convnext_tiny"``.
        random_state : int, optional
            Seed of the weights. Default draws them from torch's own generator.

        Returns
        -------
        encoder : `Encoder`
            The same tokenizer, contract, device and precision; random weights in its image tower.

        Raises
        ------
        gmc_astro.exceptions.CheckpointError
            If timm cannot build it.

        Examples
        --------
        >>> from gmc_astro.models import load_encoder
        >>> teacher = load_encoder("compact", device="cpu").with_image_tower("test_resnet")
        >>> teacher.model_cfg["vision_cfg"]["timm_model_name"], teacher.contract.size
        ('test_resnet', 160)
        """
        size = self.contract.size
        with seeded(random_state):
            network, model_cfg = with_image_tower(self.network, self.model_cfg, name, size)
        return self._around(network, model_cfg, name)

    def at_size(self, size: int) -> Encoder:
        """Return a copy that takes images of another size; see `set_image_size`.

        Parameters
        ----------
        size : int
            Pixels on a side.

        Returns
        -------
        encoder : `Encoder`
            With its own network of the same weights.
        """
        encoder = self.with_network(deepcopy(self.network))
        encoder.set_image_size(size)
        return encoder

    def set_image_size(self, size: int) -> None:
        """Let the image tower take images of another size, with the weights that it has.

        It then should be trained on: what a tower learnt at one size it sees less well at
        another, in particular where the middle of the image comes to lie elsewhere between the
        tower's last cells. Twice their distance more or less (64 px for most towers: 96, 160,
        224) leaves it where it was; a tower that learnt from galaxies off the middle minds less.

        Parameters
        ----------
        size : int
            Pixels on a side.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the tower cannot: a transformer's positions are those of one size.
        """
        set_image_size(self.network, size)
        self.contract = replace(self.contract, size=size)
        vision = self.model_cfg["vision_cfg"] | {"image_size": size}
        self.model_cfg = self.model_cfg | {"vision_cfg": vision}

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of all weights in float32, whatever file they came from."""
        digest = hashlib.sha256()
        for name, value in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.cpu().float().numpy().tobytes())
        return digest.hexdigest()

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.model_cfg["embed_dim"])

    @property
    def logit_scale(self) -> float:
        """Factor from cosine similarity to logits: learnt in training, or set afterwards."""
        return float(self.network.logit_scale.detach().exp())

    def set_logit_scale(self, scale: float) -> None:
        """Set the factor from cosine similarity to logits.

        Parameters
        ----------
        scale : float
            More than 0; the larger, the surer are probabilities in words.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If it is not.

        Examples
        --------
        >>> from gmc_astro.models import load_encoder
        >>> encoder = load_encoder("compact", device="cpu")
        >>> encoder.set_logit_scale(20.0)
        >>> round(encoder.logit_scale, 3)
        20.0
        """
        if not 0 < scale < np.inf:
            raise InputError(f"scale={scale} must be more than 0")
        with torch.no_grad():
            self.network.logit_scale.fill_(float(np.log(scale)))

    @property
    def default_batch_size(self) -> int:
        """Images at a time: enough to fill the processor, little enough for its memory."""
        return self.batch_size_on(self.device.type)

    def batch_size_on(self, device: str) -> int:
        """Images at a time on a kind of device, which need not be this one.

        Parameters
        ----------
        device : str
            ``"cpu"``, ``"cuda"`` or another kind of torch.

        Returns
        -------
        batch_size : int
            Enough to fill it, little enough for its memory.
        """
        pixels = self.contract.size**2
        budget = 4_000_000 if device == "cpu" else 25_000_000
        return int(np.clip(2 ** np.floor(np.log2(budget / pixels)), 8, 1024))

    def _autocast(self) -> AbstractContextManager:
        return autocast(self.device, self.precision)

    def image_features(self, pixels: Tensor) -> Tensor:
        """Embed normalised images, with gradients where they are enabled.

        Parameters
        ----------
        pixels : `~torch.Tensor`, shape (N, 3, S, S)
            Resized and normalised images on the encoder's device.

        Returns
        -------
        features : `~torch.Tensor`, shape (N, D), float32
            Unit vectors.
        """
        with self._autocast():
            features = self.network.encode_image(pixels)
        return F.normalize(features.float(), dim=-1)

    def text_features(self, tokens: Tensor) -> Tensor:
        """Embed token ids, with gradients where they are enabled.

        Parameters
        ----------
        tokens : `~torch.Tensor`, shape (M, L)
            What the tokenizer gave, on the encoder's device.

        Returns
        -------
        features : `~torch.Tensor`, shape (M, D), float32
            Unit vectors.
        """
        with self._autocast():
            features = encode_text(self.network, tokens)
        return F.normalize(features.float(), dim=-1)

    def encode_images(
        self, images: np.ndarray, *, views: int = 8, batch_size: int | None = None
    ) -> np.ndarray:
        """Embed images, averaged over orientations.

        Parameters
        ----------
        images : array_like, shape (N, H, W, 3), dtype uint8
            RGB images.
        views : {1, 2, 4, 8}, optional
            Orientations to average over; see ``gmc_astro.models.preprocess``.
        batch_size : int, optional
            Images at a time. Default suits the device. A CPU gets them in four parts, which its
            cores work on side by side.

        Returns
        -------
        embeddings : `~numpy.ndarray`, shape (N, D), dtype float32
            Unit vectors.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the images are not (N, H, W, 3) uint8.
        gmc_astro.exceptions.CheckpointError
            If the weights give what is no number.
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
            raise InputError(
                f"images have shape {images.shape} and dtype {images.dtype}; "
                "give uint8 RGB images of shape (N, H, W, 3)"
            )
        step = batch_size or self.default_batch_size
        if self.device.type == "cpu":
            step = min(step, max(step // SIDE_BY_SIDE, _FEW))
        self.network.eval()
        embeddings = np.zeros((len(images), self.dim), np.float32)

        def embed(start: int) -> None:
            part = torch.from_numpy(np.ascontiguousarray(images[start : start + step]))
            with torch.inference_mode():  # which each thread has to be told
                embeddings[start : start + step] = self._embed(part, views).cpu().numpy()

        starts = range(0, len(images), step)
        with side_by_side(self.device, len(starts)) as map_over:
            list(map_over(embed, starts))
        return self._checked(embeddings)

    def _embed(self, images: Tensor, views: int) -> Tensor:
        """Preprocess one batch on the device and average its views."""
        pixels = resize(to_channels_first(images.to(self.device)), self.contract.size)
        pixels = normalise(pixels, self.contract.mean, self.contract.std)
        total = sum(
            self.image_features(view.contiguous(memory_format=torch.channels_last))
            for view in dihedral_views(pixels, views)
        )
        return F.normalize(total, dim=-1)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed sentences.

        Parameters
        ----------
        texts : sequence of str
            Sentences or class prompts.

        Returns
        -------
        embeddings : `~numpy.ndarray`, shape (M, D), dtype float32
            Unit vectors.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If there is nothing to embed, or something is not a string.
        gmc_astro.exceptions.CheckpointError
            If the weights give what is no number.

        Warns
        -----
        gmc_astro.exceptions.UnknownWordsWarning
            If there are words that no caption had when the model was trained.
        """
        texts = list(texts)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise InputError(f"texts must be one or more strings, not {texts!r}")
        if unknown := self.unknown_words(texts):
            warnings.warn(
                f"{self.name} never read the words {', '.join(unknown)}: they say nothing to it; "
                "captions had those of gmc_astro.morphology.PHRASES",
                UnknownWordsWarning,
                stacklevel=2,
            )
        self.network.eval()
        tokens = self.tokenizer(texts).to(self.device)
        return self._checked(self.text_features(tokens).cpu().numpy())

    def _checked(self, embeddings: np.ndarray) -> np.ndarray:
        """The embeddings, if all are numbers: of others any class would be the most probable."""
        if not np.isfinite(embeddings).all():
            raise CheckpointError(
                f"{self.name} embeds something as NaN: its weights are damaged, or precision="
                f"{self.precision!r} does not suit them; try precision='fp32'"
            )
        return embeddings

    def unknown_words(self, texts: Sequence[str]) -> list[str]:
        """Words that the model cannot know, because no caption of its training had them.

        Only a model that was pretrained from a random start with ``prune_words`` tells them.

        Parameters
        ----------
        texts : sequence of str
            Sentences or class prompts.

        Returns
        -------
        words : list of str
            In order of the alphabet.
        """
        table = token_embedding(self.network)
        if table is None:
            return []
        never_read = ~table.weight.detach().any(dim=1).cpu()
        if not never_read.any():
            return []
        words = sorted({word for text in texts for word in re.findall(r"\w+", text.lower())})
        tokens = self.tokenizer(words)
        # Zero is padding, and also the token of "!", which is no word.
        return [
            word for word, row in zip(words, tokens, strict=True) if never_read[row[row > 0]].any()
        ]

"""Building networks: the only module that speaks to open_clip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import get_model_config
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gmc_astro.exceptions import CheckpointError, InputError

__all__ = [
    "COMPACT",
    "CONFIG_FILE",
    "HUB",
    "build_network",
    "encode_text",
    "list_architectures",
    "network_from_folder",
    "network_from_hub",
    "network_from_tag",
    "set_image_size",
    "text_parameters",
    "token_embedding",
    "tokenizer_of",
    "with_image_tower",
]

CONFIG_FILE = "open_clip_config.json"
HUB = "hf-hub:"

Tokenizer = Callable[[list[str]], Tensor]

#: open_clip configuration of the bundled model, before its training ends on larger images: a
#: RegNet image tower (the fastest of its accuracy to train and run on a CPU, see
#: ``benchmarks/towers.py``) and a three-layer text tower.
COMPACT: dict[str, Any] = {
    "embed_dim": 256,
    "vision_cfg": {
        "timm_model_name": "regnetx_004",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": 96,
    },
    "text_cfg": {
        "context_length": 48,
        "vocab_size": 49408,
        "width": 128,
        "heads": 4,
        "layers": 3,
    },
}


@contextmanager
def _quiet_open_clip() -> Iterator[None]:
    """Keep open_clip from telling, through the root logger, what we say in words of our own."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(level)


def list_architectures() -> list[str]:
    """Names of the architectures that open_clip knows.

    Returns
    -------
    names : list of str
        For example ``"ViT-B-16"``.

    Examples
    --------
    >>> from gmc_astro.models import list_architectures
    >>> "ViT-B-16" in list_architectures()
    True
    """
    return open_clip.list_models()


def build_network(model_cfg: dict[str, Any]) -> nn.Module:
    """Build a network with random weights.

    Parameters
    ----------
    model_cfg : dict
        An open_clip model configuration.

    Returns
    -------
    network : `~torch.nn.Module`
        The network, on the CPU.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If open_clip or timm cannot build what the configuration asks for.
    """
    cfg = deepcopy(model_cfg)
    custom = cfg.pop("custom_text", False) or "hf_model_name" in cfg.get("text_cfg", {})
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    try:
        with _quiet_open_clip():
            return kind(**cfg)
    except (TypeError, KeyError, RuntimeError, ValueError, AssertionError) as err:
        raise CheckpointError(
            f"foreign architecture: open_clip {open_clip.__version__} cannot build it ({err})"
        ) from err


def tokenizer_of(model_cfg: dict[str, Any], folder: Path | None = None) -> Tokenizer:
    """Tokenizer that belongs to a configuration.

    Parameters
    ----------
    model_cfg : dict
        An open_clip model configuration.
    folder : path-like, optional
        Folder with the tokenizer's files where the configuration names one of Hugging Face.

    Returns
    -------
    tokenizer : callable
        Maps a list of strings to a (M, L) tensor of token ids.
    """
    text = model_cfg["text_cfg"]
    if text.get("hf_tokenizer_name"):
        source = f"local-dir:{folder}" if folder else f"{HUB}{text['hf_tokenizer_name']}"
        return open_clip.get_tokenizer(source, context_length=text.get("context_length"))
    return SimpleTokenizer(
        context_length=text.get("context_length", 77), **(text.get("tokenizer_kwargs") or {})
    )


def encode_text(network: nn.Module, tokens: Tensor) -> Tensor:
    """Run the text tower on as many positions as the longest text has.

    A causal text tower that reads its answer at the end-of-text token (open_clip's default)
    gives the same vectors without the padding behind that token; short captions then cost a
    fraction of the full context. Other towers run as open_clip runs them.

    Parameters
    ----------
    network : `~torch.nn.Module`
        An open_clip network.
    tokens : `~torch.Tensor`, shape (M, L)
        Token ids, padded with zeros.

    Returns
    -------
    features : `~torch.Tensor`, shape (M, D)
        Text features, not normalised.
    """
    mask = getattr(network, "attn_mask", None)
    plain = isinstance(network, open_clip.CLIP) and network.text_pool_type == "argmax"
    if not plain or mask is None:
        return network.encode_text(tokens)
    length = int(tokens.argmax(dim=-1).max()) + 1
    tokens = tokens[:, :length]
    dtype = network.transformer.get_cast_dtype()
    x = network.token_embedding(tokens).to(dtype)
    x = x + network.positional_embedding[:length].to(dtype)
    with _attention_of_any_length(tokens.device):
        x = network.transformer(x, attn_mask=mask[:length, :length])
    x = network.ln_final(x)
    x = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=-1)]
    projection = network.text_projection
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection


def _attention_of_any_length(device: torch.device) -> AbstractContextManager:
    """Leave out cuDNN's attention, which plans anew for each number and length of texts."""
    if device.type != "cuda":
        return nullcontext()
    others = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    return sdpa_kernel(others)


def token_embedding(network: nn.Module) -> nn.Embedding | None:
    """Table of the text tower with one vector a token.

    Parameters
    ----------
    network : `~torch.nn.Module`
        An open_clip network.

    Returns
    -------
    table : `~torch.nn.Embedding` or None
        The table; None in a text tower of Hugging Face, which keeps it elsewhere.
    """
    text = getattr(network, "text", network)
    return getattr(text, "token_embedding", None)


def text_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters of the text tower.

    Parameters
    ----------
    network : `~torch.nn.Module`
        An open_clip network.

    Returns
    -------
    parameters : list of `~torch.nn.Parameter`
        All but those of the image tower and of the logits' scale and bias.
    """
    others = ("visual.", "logit_")
    return [p for name, p in network.named_parameters() if not name.startswith(others)]


def set_image_size(network: nn.Module, size: int) -> None:
    """Let the image tower take images of another size, with the weights that it has.

    Parameters
    ----------
    network : `~torch.nn.Module`
        An open_clip network.
    size : int
        Pixels on a side.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If it cannot: a transformer's positions are those of one size.
    """
    visual, training = network.visual, network.visual.training
    image = torch.zeros(1, 3, size, size, device=network.logit_scale.device)
    try:
        with torch.inference_mode():
            visual.eval()(image)
    except (AssertionError, RuntimeError, ValueError) as err:
        raise InputError(
            f"size={size}: the image tower takes {visual.image_size} px only ({err}); a "
            "convolutional tower takes any size"
        ) from err
    finally:
        visual.train(training)
    visual.image_size = (size, size)


def with_image_tower(
    network: nn.Module, model_cfg: dict[str, Any], name: str, size: int
) -> tuple[nn.Module, dict[str, Any]]:
    """Build a network with the text tower of another and an image tower of random weights.

    Parameters
    ----------
    network : `~torch.nn.Module`
        An open_clip network; stays as it is.
    model_cfg : dict
        Its open_clip configuration.
    name : str
        Architecture of timm.
    size : int
        Pixels on a side of its images.

    Returns
    -------
    network : `~torch.nn.Module`
        The network, on the CPU.
    model_cfg : dict
        Its open_clip configuration.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If timm cannot build it.
    """
    vision = {
        "timm_model_name": name,
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": size,
    }
    model_cfg = {**model_cfg, "vision_cfg": vision}
    built = build_network(model_cfg)
    words = {k: v for k, v in network.state_dict().items() if not k.startswith("visual.")}
    built.load_state_dict(words, strict=False)
    return built, model_cfg


def network_from_folder(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a folder in open_clip's own layout through open_clip.

    Parameters
    ----------
    folder : path-like
        Holds ``open_clip_config.json`` and weights.

    Returns
    -------
    network : `~torch.nn.Module`
        The network with its weights.
    preprocess_cfg : dict
        open_clip's preprocessing of it (``size``, ``mean``, ``std``).

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If open_clip cannot load it; the message says why.
    """
    return _create(f"local-dir:{folder}", None)


def network_from_hub(name: str) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """Load a model of the Hugging Face hub through open_clip.

    Parameters
    ----------
    name : str
        ``"hf-hub:organisation/repository"``.

    Returns
    -------
    network, model_cfg, preprocess_cfg
        As `network_from_tag`.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If it cannot be had; the message says what to do without network.
    """
    try:
        config = open_clip.factory._get_hf_config(name.removeprefix(HUB))
        network, preprocess_cfg = _create(name, None)
    except (CheckpointError, OSError, RuntimeError, ValueError, KeyError) as err:
        raise CheckpointError(
            f"{name} could not be downloaded ({err}). Without network: download the repository "
            f"elsewhere, and pass weights=FOLDER with its {CONFIG_FILE} and safetensors file in it"
        ) from err
    return network, config["model_cfg"], preprocess_cfg


def network_from_tag(
    architecture: str, weights: str
) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """Build an open_clip architecture with weights by tag or from a file.

    Parameters
    ----------
    architecture : str
        One of `list_architectures`.
    weights : str
        An open_clip tag (``"openai"``), or the path of a weights file.

    Returns
    -------
    network : `~torch.nn.Module`
        The network with its weights.
    model_cfg : dict
        Its open_clip configuration.
    preprocess_cfg : dict
        open_clip's preprocessing of it.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If the weights cannot be had or do not fit; the message says what to do.
    """
    name = architecture.replace("/", "-")
    tag = get_pretrained_cfg(name, weights)
    if not tag and not Path(weights).is_file():
        raise InputError(
            f"weights={weights!r} is neither a file nor a tag of {name}; its tags are "
            f"{list_pretrained_tags_by_model(name)}"
        )
    try:
        network, preprocess_cfg = _create(name, weights)
    except CheckpointError as err:
        if not tag:
            raise
        where = tag.get("url") or f"https://huggingface.co/{str(tag.get('hf_hub')).rstrip('/')}"
        variant = f"{name}-quickgelu"  # a file does not say that it wants OpenAI's activation
        quick = tag.get("quick_gelu") and variant in list_architectures()
        raise CheckpointError(
            f"weights {weights!r} of {name} could not be had ({err}). Without network: download "
            f"{where} elsewhere, and pass weights=PATH of that file"
            + (f" with model={variant!r}" if quick else "")
        ) from err
    model_cfg = get_model_config(name)
    if tag and tag.get("quick_gelu"):
        model_cfg["quick_gelu"] = True
    return network, model_cfg, preprocess_cfg


def _create(name: str, weights: str | None) -> tuple[nn.Module, dict[str, Any]]:
    """Call open_clip's factory; turn its many kinds of failure into one of ours."""
    tag = get_pretrained_cfg(name, weights) if weights else {}
    try:
        with _quiet_open_clip():
            network = open_clip.create_model(
                name,
                pretrained=weights,
                force_quick_gelu=bool(tag.get("quick_gelu")),
                require_pretrained=True,
                weights_only=True,
            )
    except Exception as err:  # open_clip, timm, torch and huggingface_hub each raise their own
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise CheckpointError(reason[0][:300]) from err
    return network, dict(open_clip.get_model_preprocess_cfg(network))

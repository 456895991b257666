"""Image towers of timm with a linear head: the supervised models that ours are compared with."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gmc_astro.exceptions import CheckpointError, InputError
from gmc_astro.models.contract import ImageContract
from gmc_astro.models.encoder import Encoder
from gmc_astro.models.network import HUB, build_network

__all__ = ["random_tower", "timm_tower", "tower_contract"]

RANDOM, IMAGENET = "random", "imagenet"
_WRAPPERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "model.", "encoder.", "_orig_mod.")


def timm_tower(
    name: str,
    *,
    classes: int,
    weights: str | os.PathLike = RANDOM,
    size: int | None = None,
) -> nn.Module:
    """Build a timm model that classifies.

    Parameters
    ----------
    name : str
        Architecture of timm (``"convnext_base"``, ``"resnet18.a1_in1k"``), or a repository of
        the Hugging Face hub in timm's layout, such as Zoobot's
        ``"hf-hub:mwalmsley/zoobot-encoder-convnext_nano"``.
    classes : int
        Number of classes K.
    weights : str or path-like, optional
        ``"random"``; ``"imagenet"``: what timm downloads for the name; a safetensors or
        PyTorch file; or a folder in the hub's layout (``config.json`` and weights), which then
        says the architecture too. The head is always random.
    size : int, optional
        Side of the images in pixels, for architectures that must know it.

    Returns
    -------
    network : `~torch.nn.Module`
        Maps (N, 3, S, S) to logits (N, K).

    Raises
    ------
    gmc_astro.exceptions.InputError
        If timm knows no such architecture, ``weights`` is no file, or ``size`` is too small
        for the architecture.
    gmc_astro.exceptions.CheckpointError
        If the weights cannot be had or do not fit; the message says what to do.

    Examples
    --------
    >>> from gmc_astro.models import timm_tower
    >>> network = timm_tower("test_resnet", classes=3)
    >>> network.num_classes
    3
    """
    weights = os.fspath(weights)
    if not name.startswith(HUB) and not timm.is_model(name):
        close = timm.list_models(f"{name[:6]}*")[:4]
        raise InputError(
            f"timm {timm.__version__} has no model {name!r}"
            + (f"; it has {', '.join(close)}" if close else "")
        )
    network = _network(name, weights, classes, size)
    if size is not None:
        _check_size(network, name, size)
    return network


def _network(name: str, weights: str, classes: int, size: int | None) -> nn.Module:
    """A network with its weights, wherever they are from."""
    if Path(weights).is_dir():
        return _fetch(f"local-dir:{weights}", classes, size, f"weights={weights}")
    if weights == IMAGENET:
        return _fetch(name, classes, size, name)
    if name.startswith(HUB):
        raise InputError(
            f"weights={weights!r} need the name of an architecture such as 'convnext_nano', "
            f"not {name!r}, which stands for weights too"
        )
    if weights == RANDOM:
        return _create(name, classes, size, pretrained=False, **_options_of_random(name))
    network = _create(name, classes, size, pretrained=False)
    _fill(network, Path(weights))
    return network


def _check_size(network: nn.Module, name: str, size: int) -> None:
    """Refuse images of which a network's layers leave nothing."""
    mode = network.training
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError) as err:
        reason = str(err).strip().splitlines()[0]
        raise InputError(f"{name} cannot take images of {size} px: {reason}") from err
    network.train(mode)


def random_tower(encoder: Encoder, *, classes: int) -> nn.Module:
    """Build the image tower of an encoder anew, with random weights and a linear head.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        Says the architecture; its weights are not used.
    classes : int
        Number of classes K.

    Returns
    -------
    network : `~torch.nn.Module`
        Maps (N, 3, S, S) to logits (N, K).

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.models import load_encoder, random_tower
    >>> network = random_tower(load_encoder("compact", device="cpu"), classes=3)
    >>> with torch.inference_mode():
    ...     logits = network.eval()(torch.zeros(2, 3, 64, 64))
    >>> tuple(logits.shape)
    (2, 3)
    """
    visual = build_network(encoder.model_cfg).visual
    return nn.Sequential(visual, nn.Linear(encoder.dim, classes))


def tower_contract(network: nn.Module, size: int) -> ImageContract:
    """What images a timm model takes.

    Parameters
    ----------
    network : `~torch.nn.Module`
        A model of `timm_tower`.
    size : int
        Side of the images in pixels.

    Returns
    -------
    contract : `ImageContract`
        Size, and the normalisation that the weights were trained with.

    Examples
    --------
    >>> from gmc_astro.models import timm_tower, tower_contract
    >>> contract = tower_contract(timm_tower("test_resnet", classes=3), 64)
    >>> contract.size, contract.mean
    (64, (0.5, 0.5, 0.5))
    """
    cfg = getattr(network, "pretrained_cfg", {})
    known = {key: tuple(cfg[key]) for key in ("mean", "std") if cfg.get(key) is not None}
    return replace(ImageContract(size=size), **known)


def _options_of_random(name: str) -> dict[str, Any]:
    """A ConvNeXt's layer scales start at 1e-6 for very long trainings; for short ones at 1."""
    return {"ls_init_value": 1.0} if name.startswith("convnext") else {}


def _create(name: str, classes: int, size: int | None, **options: Any) -> nn.Module:
    """Call timm; architectures that need the size of the images are told."""
    options["num_classes"] = classes
    if size is None:
        return timm.create_model(name, **options)
    try:
        return timm.create_model(name, img_size=size, **options)
    except TypeError as err:
        if "img_size" not in str(err):
            raise
        return timm.create_model(name, **options)


def _fetch(name: str, classes: int, size: int | None, what: str) -> nn.Module:
    """A model with weights from the hub or a folder."""
    try:
        with _quiet_hub():
            return _create(name, classes, size, pretrained=True)
    except Exception as err:  # timm, torch and huggingface_hub each raise their own
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0][:200]
        if name.startswith("local-dir:"):
            raise CheckpointError(
                f"{what} could not be loaded: {reason}. The folder needs timm's config.json and "
                "model.safetensors"
            ) from err
        raise CheckpointError(
            f"weights of {what} could not be downloaded ({reason}). Without network: download "
            "its config.json and model.safetensors from huggingface.co elsewhere, and pass that "
            "folder or file as the weights"
        ) from err


def _fill(network: nn.Module, path: Path) -> None:
    """Load a file into all of a network but its head."""
    if not path.is_file():
        raise InputError(
            f'weights={str(path)!r} is neither a file nor a folder, nor "{RANDOM}" or "{IMAGENET}"'
        )
    own = network.state_dict()
    head = tuple(f"{part}." for part in _head_names(network))
    body = {key for key in own if not key.startswith(head)}
    given = _read(path)
    for _ in range(len(_PREFIXES) + 1):
        found = {key: given[key] for key in body & given.keys()}
        if len(found) == len(body):
            break
        given = {_without_prefix(key): value for key, value in given.items()}
    missing = sorted(body - found.keys())
    missing += [k for k in found if found[k].shape != own[k].shape]
    if missing:
        raise CheckpointError(
            f"{path} does not fit this architecture: {len(missing)} of its {len(body)} arrays "
            f"are missing or of another shape, {missing[0]} for one; name the architecture that "
            "the file was made with"
        )
    network.load_state_dict(found, strict=False)


def _head_names(network: nn.Module) -> tuple[str, ...]:
    names = network.pretrained_cfg.get("classifier") or "head.fc"
    return (names,) if isinstance(names, str) else tuple(names)


def _without_prefix(key: str) -> str:
    prefix = next((p for p in _PREFIXES if key.startswith(p)), "")
    return key.removeprefix(prefix)


def _read(path: Path) -> Mapping[str, Tensor]:
    """Arrays of a file, which cannot run code."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        arrays = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as err:
        raise CheckpointError(f"{path} is no safetensors or PyTorch weights file: {err}") from err
    except Exception as err:  # pickle's errors, of whatever the file asks for
        raise CheckpointError(
            f"{path} holds more than arrays, and is not loaded for safety: convert it to "
            "safetensors"
        ) from err
    inner = next((arrays[key] for key in _WRAPPERS if isinstance(arrays.get(key), dict)), arrays)
    return {key: value for key, value in inner.items() if isinstance(value, Tensor)}


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub's client from telling of each retry what our error says once."""
    names = ("huggingface_hub", "timm")
    levels = [logging.getLogger(name).level for name in names]
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in zip(names, levels, strict=True):
            logging.getLogger(name).setLevel(level)

"""Models by name: the bundled one, a folder, or anything that open_clip knows."""

from __future__ import annotations

import difflib
import importlib.resources
import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from gmc_astro.exceptions import InputError
from gmc_astro.models.checkpoint import METADATA_FILE, Checkpoint, read_checkpoint
from gmc_astro.models.contract import ImageContract
from gmc_astro.models.device import seeded
from gmc_astro.models.encoder import Encoder
from gmc_astro.models.network import (
    COMPACT,
    CONFIG_FILE,
    HUB,
    build_network,
    get_model_config,
    list_architectures,
    network_from_folder,
    network_from_hub,
    network_from_tag,
    tokenizer_of,
)

__all__ = ["RANDOM", "bundled_folder", "load_encoder", "open_model"]

RANDOM = "random"
#: What tells one architecture from another, in a configuration of open_clip.
_MARKS = {
    "vision_cfg": ("timm_model_name", "layers", "width", "patch_size"),
    "text_cfg": ("hf_model_name", "layers", "width"),
}


def bundled_folder() -> Path:
    """Folder of the model that comes with the package.

    Returns
    -------
    folder : `~pathlib.Path`
        A checkpoint folder.

    Examples
    --------
    >>> from gmc_astro.models import bundled_folder
    >>> (bundled_folder() / "gmc_astro.json").is_file()
    True
    """
    return Path(str(importlib.resources.files("gmc_astro") / "data" / "compact"))


def load_encoder(
    model: str | os.PathLike = "compact",
    *,
    weights: str | os.PathLike | None = None,
    device: str = "auto",
    precision: str = "auto",
    random_state: int | None = None,
) -> Encoder:
    """Load an encoder by name.

    Parameters
    ----------
    model : str or path-like, optional
        ``"compact"`` (bundled), a checkpoint folder, an ``hf-hub:`` name, or an open_clip
        architecture such as ``"ViT-B-16"``.
    weights : str or path-like, optional
        For an architecture: an open_clip tag, a file, a folder in open_clip's layout, an
        ``hf-hub:`` name, or ``"random"`` to start from nothing.
    device, precision : str, optional
        As for `Encoder`.
    random_state : int, optional
        Seed of random weights. Default draws them from torch's generator.

    Returns
    -------
    encoder : `Encoder`
        The encoder, ready to use.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the name or the weights are unknown.
    gmc_astro.exceptions.CheckpointError
        If the weights cannot be had or are not what they say.

    Examples
    --------
    >>> from gmc_astro.models import load_encoder
    >>> load_encoder("compact", device="cpu").encode_texts(["a spiral galaxy"]).shape
    (1, 256)
    """
    options = {"device": device, "precision": precision, "random_state": random_state}
    return open_model(model, weights=weights, **options).encoder


def open_model(
    model: str | os.PathLike = "compact",
    *,
    weights: str | os.PathLike | None = None,
    device: str = "auto",
    precision: str = "auto",
    random_state: int | None = None,
) -> Checkpoint:
    """Load a model with everything that was saved with it; see `load_encoder`.

    Parameters
    ----------
    model, weights, device, precision, random_state
        As for `load_encoder`.

    Returns
    -------
    checkpoint : `Checkpoint`
        Encoder, metadata and head; metadata and head are empty for plain open_clip models.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the name or the weights are unknown.
    gmc_astro.exceptions.CheckpointError
        If the weights cannot be had or are not what they say.

    Examples
    --------
    >>> from gmc_astro.models import open_model
    >>> open_model("compact", device="cpu", precision="fp32").encoder
    <Encoder compact: 160 px, 256-D, cpu, fp32>
    >>> open_model("compact", weights="random", device="cpu").head
    {}
    """
    options = {"device": device, "precision": precision}
    name = os.fspath(model)
    if name == "compact" and weights is None:
        return read_checkpoint(bundled_folder(), **options)
    if Path(name).is_dir() and weights is None:
        return read_checkpoint(name, **options)
    if name.startswith(HUB):
        network, cfg, preprocess_cfg = network_from_hub(name)
    else:
        _check_architecture(name)
        if weights is not None and (Path(weights) / METADATA_FILE).is_file():
            return Checkpoint(read_checkpoint(weights, **options).encoder)
        network, cfg, preprocess_cfg = _with_weights(name, weights, random_state)
        if not _is_architecture(name, cfg):  # a folder says what it is
            name = Path(weights).name
    contract = _plain_contract(network, cfg, preprocess_cfg)
    return Checkpoint(
        Encoder(network, tokenizer_of(cfg), contract=contract, model_cfg=cfg, name=name, **options)
    )


def _check_architecture(name: str) -> None:
    known = ["compact", *list_architectures()]
    if name.replace("/", "-") in known:
        return
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise InputError(
        f"model={name!r} is not a checkpoint folder, not 'compact', and not an architecture of "
        f"open_clip{hint}"
    )


def _is_architecture(name: str, cfg: dict[str, Any]) -> bool:
    """Whether a configuration is that of an architecture, whatever its size of images."""
    known = COMPACT if name == "compact" else get_model_config(name.replace("/", "-"))
    return all(
        known.get(part, {}).get(key) == cfg.get(part, {}).get(key)
        for part, keys in _MARKS.items()
        for key in keys
    )


def _with_weights(
    name: str, weights: str | os.PathLike | None, random_state: int | None
) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """Build the architecture ``name`` and fill it from wherever ``weights`` points."""
    if weights is None:
        raise InputError(
            f'model={name!r} needs weights=: an open_clip tag such as "openai", a file, a folder, '
            f'an "{HUB}" name, or "{RANDOM}" to pretrain from nothing'
        )
    weights = os.fspath(weights)
    if weights == RANDOM:
        cfg = COMPACT if name == "compact" else get_model_config(name.replace("/", "-"))
        with seeded(random_state):
            return build_network(cfg), cfg, {}
    if weights.startswith(HUB):
        return network_from_hub(weights)
    if Path(weights).is_dir():
        return _from_open_clip_folder(Path(weights))
    return network_from_tag(name, weights)


def _from_open_clip_folder(folder: Path) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """Load a folder of open_clip's layout that is not a checkpoint of ours."""
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"weights={folder}: the folder has no {CONFIG_FILE}")
    network, preprocess_cfg = network_from_folder(folder)
    model_cfg = json.loads((folder / CONFIG_FILE).read_text())["model_cfg"]
    return network, model_cfg, preprocess_cfg


def _plain_contract(
    network: nn.Module, cfg: dict[str, Any], preprocess_cfg: dict[str, Any]
) -> ImageContract:
    """Contract of a model that says nothing of galaxies: its input size and normalisation."""
    size = getattr(network.visual, "image_size", cfg["vision_cfg"].get("image_size", 224))
    size = size[0] if isinstance(size, tuple | list) else size
    known = {key: tuple(preprocess_cfg[key]) for key in ("mean", "std") if key in preprocess_cfg}
    return ImageContract(size=int(size), **known)

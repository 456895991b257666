"""Checkpoints: a folder that open_clip itself can load, with what our classifier adds beside it.

Every file is safetensors, JSON or Markdown: nothing in a checkpoint can run code. The hash of
each file is written in ``gmc_astro.json`` and verified before anything is built.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_tensors

from gmc_astro._files import read_json, sha256_of, writing
from gmc_astro.exceptions import CheckpointError, InputError
from gmc_astro.models.contract import ImageContract
from gmc_astro.models.encoder import Encoder
from gmc_astro.models.network import CONFIG_FILE, network_from_folder, tokenizer_of

__all__ = [
    "Checkpoint",
    "check_folder",
    "read_checkpoint",
    "verify_checkpoint",
    "write_checkpoint",
]

FORMAT = 1
METADATA_FILE = "gmc_astro.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
HEAD_FILE = "head.safetensors"
VOTES_FILE = "votes.safetensors"
CARD_FILE = "README.md"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_PICKLE_MAGIC = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


@dataclass(frozen=True)
class Checkpoint:
    """An encoder with what was learnt on top of it.

    Parameters
    ----------
    encoder : `Encoder`
        The network.
    metadata : mapping
        What ``gmc_astro.json`` says: ``classes``, ``training``, ``versions`` and so on.
    head : mapping of str to `~numpy.ndarray`
        Arrays of the fitted head; empty where there is none.
    sha256 : str
        Hash of the weights file; empty where the weights are not from a checkpoint.
    votes : mapping of str to `~numpy.ndarray`
        Arrays of the head that predicts votes, whose answers are in the metadata; empty where
        there is none.

    Examples
    --------
    >>> from gmc_astro.models import open_model
    >>> checkpoint = open_model("compact", device="cpu")
    >>> checkpoint.encoder.dim, len(checkpoint.sha256), "contract" in checkpoint.metadata
    (256, 64, True)
    """

    encoder: Encoder
    metadata: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, np.ndarray] = field(default_factory=dict)
    sha256: str = ""
    votes: Mapping[str, np.ndarray] = field(default_factory=dict)


def check_folder(folder: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Refuse the folder of a checkpoint before any work is done for it.

    Parameters
    ----------
    folder : path-like
        Folder to write; those above it are made.
    overwrite : bool, optional
        Allow that it is there: empty, or a checkpoint with nothing else in it.

    Returns
    -------
    folder : `~pathlib.Path`
        The folder.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If the folder exists and ``overwrite`` is False.
    gmc_astro.exceptions.InputError
        If it is the working directory, a file, or holds what is not of a checkpoint.
    gmc_astro.exceptions.OutputError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from gmc_astro.models import check_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(check_folder(Path(folder) / "my_model").name)
    my_model
    """
    folder = Path(folder)
    if folder.exists():
        if not overwrite:
            raise CheckpointError(
                f"{folder} exists; give another folder or overwrite=True (--overwrite)"
            )
        _may_be_replaced(folder)
    place = folder.resolve().parent
    with writing(folder):
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=place).cleanup()
    return folder


def _may_be_replaced(folder: Path) -> None:
    """Refuse to delete anything that we did not write."""
    if folder.resolve() == Path.cwd():
        raise InputError(f"{folder} is the working directory; give a folder of its own")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder")
    ours: set[str] = set()
    if isinstance(metadata := read_json(folder / METADATA_FILE), dict):
        ours = {METADATA_FILE, CARD_FILE, *metadata.get("files", ())}
    if strange := sorted({path.name for path in folder.iterdir()} - ours):
        raise InputError(
            f"{folder} is not overwritten, for it holds {strange[0]!r}, which is not of a "
            "checkpoint; give another folder, or move that away"
        )


def write_checkpoint(
    folder: str | os.PathLike,
    encoder: Encoder,
    *,
    metadata: Mapping[str, Any] | None = None,
    head: Mapping[str, np.ndarray] | None = None,
    votes: Mapping[str, np.ndarray] | None = None,
    card: str | None = None,
    dtype: str = "float32",
    overwrite: bool = False,
) -> Path:
    """Write a checkpoint folder; it appears whole or not at all.

    Parameters
    ----------
    folder : path-like
        Where to write.
    encoder : `Encoder`
        The network and its image contract.
    metadata : mapping, optional
        More entries for ``gmc_astro.json``, as JSON values.
    head : mapping of str to `~numpy.ndarray`, optional
        Arrays of a fitted head.
    votes : mapping of str to `~numpy.ndarray`, optional
        Arrays of a head that predicts votes.
    card : str, optional
        Model card in Markdown. Default names the model and its contract.
    dtype : {"float32", "float16"}, optional
        Number format of the weights on disk.
    overwrite : bool, optional
        Replace a checkpoint that is there already.

    Returns
    -------
    folder : `~pathlib.Path`
        The folder written.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If the folder exists and ``overwrite`` is False.
    gmc_astro.exceptions.InputError
        If it is the working directory, a file, or holds what is not of a checkpoint; or if
        ``dtype`` is neither.
    gmc_astro.exceptions.OutputError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from gmc_astro.models import load_encoder, read_checkpoint, write_checkpoint
    >>> encoder = load_encoder("compact", weights="random", device="cpu")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write_checkpoint(Path(folder) / "untrained", encoder)
    ...     files = sorted(path.name for path in written.iterdir())
    ...     checkpoint = read_checkpoint(written, device="cpu")
    >>> files
    ['README.md', 'gmc_astro.json', 'open_clip_config.json', 'open_clip_model.safetensors']
    >>> checkpoint.encoder.dim
    256
    """
    if dtype not in ("float32", "float16"):
        raise InputError(f"dtype={dtype!r} is not one of ('float32', 'float16')")
    folder = check_folder(folder, overwrite=overwrite)
    place = folder.resolve()  # where a link leads
    with writing(folder):
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=place.parent))
        try:
            heads = {HEAD_FILE: head or {}, VOTES_FILE: votes or {}}
            _write_files(temporary, encoder, metadata or {}, heads, card, getattr(torch, dtype))
            temporary.chmod(0o755)  # temporary folders and safetensors files are private at first
            for path in temporary.iterdir():
                path.chmod(0o644)
            old = temporary.with_name(f"{temporary.name}-old")
            if place.exists():
                place.replace(old)
            try:
                temporary.replace(place)
            except BaseException:
                if old.exists():
                    old.replace(place)
                raise
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write_files(
    folder: Path,
    encoder: Encoder,
    metadata: Mapping[str, Any],
    heads: Mapping[str, Mapping[str, np.ndarray]],
    card: str | None,
    dtype: torch.dtype,
) -> None:
    """Write each file of a checkpoint, the metadata last because it holds the others' hashes."""
    contract = encoder.contract
    config = {
        "model_cfg": encoder.model_cfg,
        "preprocess_cfg": {"mean": list(contract.mean), "std": list(contract.std)},
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    weights = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu().clone()
        for name, value in encoder.network.state_dict().items()
    }
    try:
        save_tensors(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        for name, arrays in heads.items():
            if arrays:
                save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / name)
    except SafetensorError as err:  # its own word for a full disk
        raise OSError(str(err)) from err
    (folder / CARD_FILE).write_text(card or _default_card(encoder))
    hashed = [path for path in sorted(folder.iterdir()) if path.name != CARD_FILE]
    document = {
        "format": FORMAT,
        "name": encoder.name,
        "contract": contract.to_dict(),
        **metadata,
        "files": {path.name: sha256_of(path) for path in hashed},
    }
    (folder / METADATA_FILE).write_text(json.dumps(document, indent=2) + "\n")


def _default_card(encoder: Encoder) -> str:
    """Say the little that is known of a model whose maker wrote no card."""
    rows = "\n".join(f"- {key}: {value}" for key, value in encoder.contract.to_dict().items())
    return f"# {encoder.name}\n\nA gmc_astro checkpoint. Its images were:\n\n{rows}\n"


def read_checkpoint(
    folder: str | os.PathLike, *, device: str = "auto", precision: str = "auto"
) -> Checkpoint:
    """Verify and load a checkpoint folder.

    Parameters
    ----------
    folder : path-like
        A folder that `write_checkpoint` wrote.
    device, precision : str, optional
        As for `Encoder`.

    Returns
    -------
    checkpoint : `Checkpoint`
        The encoder and what was saved with it.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        If the folder is not a checkpoint, a file is missing, is a pickle or has another
        hash than was written, or the architecture cannot be built. The message says which.

    Examples
    --------
    >>> from gmc_astro.models import bundled_folder, read_checkpoint
    >>> read_checkpoint(bundled_folder(), device="cpu").encoder.contract.size
    160
    """
    folder = Path(folder)
    metadata = verify_checkpoint(folder)
    try:
        network, _ = network_from_folder(folder)
    except CheckpointError as err:
        raise CheckpointError(
            f"{folder}: foreign architecture: open_clip cannot build it ({err}); "
            "was it made by a newer open_clip or timm?"
        ) from err
    model_cfg = _read_json(folder / CONFIG_FILE)["model_cfg"]
    encoder = Encoder(
        network,
        tokenizer_of(model_cfg, folder),
        contract=ImageContract.from_dict(metadata["contract"]),
        model_cfg=model_cfg,
        name=metadata["name"],
        device=device,
        precision=precision,
    )
    head, votes = (
        load_file(folder / name) if name in metadata["files"] else {}
        for name in (HEAD_FILE, VOTES_FILE)
    )
    return Checkpoint(encoder, metadata, head, metadata["files"][WEIGHTS_FILE], votes)


def verify_checkpoint(folder: str | os.PathLike) -> dict[str, Any]:
    """Check that a folder is what it says it is, without building anything.

    Parameters
    ----------
    folder : path-like
        A checkpoint folder.

    Returns
    -------
    metadata : dict
        What ``gmc_astro.json`` says.

    Raises
    ------
    gmc_astro.exceptions.CheckpointError
        With a sentence that names the first thing that is wrong.

    Examples
    --------
    >>> from gmc_astro.models import bundled_folder, verify_checkpoint
    >>> verify_checkpoint(bundled_folder())["name"]
    'compact'
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder; a checkpoint is a folder")
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLES or (path.is_file() and _starts_as_pickle(path)):
            raise CheckpointError(
                f"{path} is a pickle, which can run code when it is read; "
                "checkpoints hold safetensors files only"
            )
    for name in (METADATA_FILE, CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} is not a checkpoint of gmc_astro: {name} is missing")
    metadata = _read_json(folder / METADATA_FILE)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / METADATA_FILE} has format {metadata.get('format')!r}, this version of "
            f"gmc_astro reads {FORMAT}: update the package or save the model again"
        )
    missing = sorted({"name", "contract", "files"} - set(metadata))
    if missing or WEIGHTS_FILE not in metadata.get("files", {}):
        raise CheckpointError(f"{folder / METADATA_FILE} lacks {missing or WEIGHTS_FILE}")
    for name, expected in metadata["files"].items():
        _verify_file(folder / name, expected)
    return metadata


def _verify_file(path: Path, expected: str) -> None:
    """Compare a file with its written hash, and its head with what safetensors allows."""
    if not path.is_file():
        raise CheckpointError(f"{path.parent}: {path.name} is missing")
    found = sha256_of(path)
    if found != expected:
        raise CheckpointError(
            f"{path} has SHA-256 {found[:12]}..., but {METADATA_FILE} says {expected[:12]}...: "
            "the file was changed or did not arrive whole; copy the checkpoint again"
        )
    if path.suffix == ".safetensors":
        try:
            load_file(path)
        except SafetensorError as err:
            raise CheckpointError(f"{path} is not a safetensors file: {err}") from err


def _starts_as_pickle(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4).startswith(_PICKLE_MAGIC)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise CheckpointError(f"{path} is not JSON: {err}") from err
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} holds {type(document).__name__}, not an object")
    return document

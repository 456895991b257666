"""What a run is: the input, the model and the settings that its shards have in common."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmc_astro._files import read_json, writing
from gmc_astro.exceptions import InputError

if TYPE_CHECKING:
    from gmc_astro.classifier import GalaxyMorphologyClassifier
    from gmc_astro.imaging import ImageSource

__all__ = [
    "MANIFEST_FILE",
    "OtherRunError",
    "describe_run",
    "keep_manifest",
    "read_manifest",
    "weights_hash",
]

MANIFEST_FILE = "manifest.json"
FORMAT = 1
_SHOWN = 4  # differences that a sentence names


class OtherRunError(InputError):
    """A folder holds a run of another input, model or other settings."""


def describe_run(
    classifier: GalaxyMorphologyClassifier,
    source: ImageSource,
    *,
    meta: Mapping[str, Any],
    cuts: np.ndarray,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a run so that two of them can be told apart.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        What `~gmc_astro.classifier.GalaxyMorphologyClassifier.ready` gave.
    source : `~gmc_astro.imaging.ImageSource`
        The images.
    meta : mapping
        What the tables say of the images.
    cuts : `~numpy.ndarray` of int
        Where shards begin and end.
    settings : mapping
        Device, precision, rows at a time and in a shard, embeddings that are kept.

    Returns
    -------
    manifest : dict
        Plain values for JSON.
    """
    encoder = classifier.encoder
    table = classifier.predict_embeddings(np.zeros((0, encoder.dim), np.float32), meta=meta)
    learnt = {k: v for k, v in vars(classifier).items() if _is_learnt(k)}
    if table.meta["head"] == "zero-shot":  # weights and prompts say it all, without rounding
        del learnt["head_"]
    manifest = {
        "format": FORMAT,
        "input": source.identity(),
        "model": dict(table.meta),
        "weights_sha256": weights_hash(classifier),
        "head_sha256": _hash(learnt),
        "settings": dict(settings),
        "shards": {"number": len(cuts) - 1, "sha256": _hash(cuts)},
    }
    return json.loads(json.dumps(manifest))


def weights_hash(classifier: GalaxyMorphologyClassifier) -> str:
    """Hash of the weights that a classifier embeds with.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        Any; its model is loaded.

    Returns
    -------
    sha256 : str
        The checkpoint's; where its weights were changed, or there is none, that of all values.
    """
    return classifier.checkpoint_sha256 or classifier.encoder.weights_sha256


def _is_learnt(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_") and name != "training_log_"


def _hash(value: Any) -> str:
    """Hash of arrays, records and plain values, whatever the order of keys."""
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        parts = [f"{key}={_hash(value[key])}" for key in sorted(value)]
    elif isinstance(value, np.ndarray) and value.dtype.kind in "uifb":
        parts = [value.dtype.str, str(value.shape), np.ascontiguousarray(value).tobytes().hex()]
    elif isinstance(value, list | tuple | np.ndarray):
        parts = [_hash(part) for part in value]
    else:
        parts = [repr(value)]
    return hashlib.sha256("\n".join([type(value).__name__, *parts]).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read the manifest of a run.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the run.

    Returns
    -------
    manifest : dict or None
        None where there is none.
    """
    return read_json(folder / MANIFEST_FILE)


def keep_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a new run, or make sure that an old one is the same.

    Of processes that start together, one writes; the others compare.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the run.
    manifest : dict
        What `describe_run` gave.

    Raises
    ------
    OtherRunError
        If the folder holds another run; the message names what differs.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        _create(path, manifest)
    found = read_manifest(folder)
    if found is None:
        raise InputError(f"{path} is no JSON any more; give another folder, or overwrite it")
    if found != manifest:
        raise OtherRunError(_difference(folder, _flat(found), _flat(manifest)))


def _create(path: Path, manifest: Mapping[str, Any]) -> None:
    """Create a file whole, unless another process was faster."""
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    with writing(path):
        try:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n")
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError as err:
            if err.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            os.replace(temporary, path)  # a disk without hard links
        finally:
            temporary.unlink(missing_ok=True)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in document.items():
        inner = isinstance(value, Mapping)
        flat.update(_flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value})
    return flat


def _difference(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Sentence that names what differs between two runs."""
    names = [k for k in dict.fromkeys([*there, *here]) if there.get(k) != here.get(k)]
    named = [f"{k} was {there.get(k)!r:.80}, is {here.get(k)!r:.80}" for k in names[:_SHOWN]]
    if len(names) > _SHOWN:
        named.append(f"and {len(names) - _SHOWN} more")
    if all(name.startswith(("input.", "shards.")) for name in names):
        what = f"cannot go on, because the input has changed: {'; '.join(named)}. Bring it back"
    else:
        what = f"holds a run with other settings: {'; '.join(named)}. Go on with the same"
    return f"{folder} {what}, give another output, or overwrite it to start anew"

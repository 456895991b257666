"""Embeddings of a whole catalogue in one memory-mapped file, filled range by range."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy

from gmc_astro._files import read_json, writing
from gmc_astro.catalogs.manifest import weights_hash
from gmc_astro.exceptions import InputError

if TYPE_CHECKING:
    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = ["EMBEDDINGS_FILE", "EmbeddingsFile", "open_embeddings"]

EMBEDDINGS_FILE = "embeddings.npy"
HEADER = 4096  # bytes: a page, so that ranges of many rows begin where pages of the disk begin


class EmbeddingsFile:
    """Writes rows into their places in a ``.npy`` file of known size.

    Several processes may fill it at once, each its own rows.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    rows, dim : int
        Its shape.
    dtype : {"float16", "float32"}
        Its number format.
    """

    def __init__(self, path: Path, rows: int, dim: int, dtype: str) -> None:
        self.path = path
        self.shape = (rows, dim)
        self.dtype = np.dtype(dtype).newbyteorder("<")

    def make(self) -> None:
        """Make the file, or what is missing of it; rows that are there stay."""
        size = HEADER + self.shape[0] * self.shape[1] * self.dtype.itemsize
        with writing(self.path):
            self.path.open("ab").close()
            with self.path.open("r+b") as handle:
                handle.write(self._header())
                if self.path.stat().st_size < size:
                    handle.truncate(size)

    def _header(self) -> bytes:
        """Magic bytes and description, padded with blanks as the format allows."""
        fields = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        text = repr(fields).encode()
        length = HEADER - npy.MAGIC_LEN - 2
        return npy.magic(1, 0) + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"

    def write(self, start: int, embeddings: np.ndarray) -> str:
        """Write rows.

        Parameters
        ----------
        start : int
            First row.
        embeddings : `~numpy.ndarray`, shape (B, D)
            The rows.

        Returns
        -------
        digest : str
            SHA-256 of what was written.
        """
        content = np.ascontiguousarray(embeddings, self.dtype).tobytes()
        with writing(self.path), self.path.open("r+b") as handle:
            handle.seek(self._place(start))
            handle.write(content)
        return hashlib.sha256(content).hexdigest()

    def digest(self, start: int, stop: int) -> str:
        """SHA-256 of the rows in the file; empty where there is no file."""
        if not self.path.is_file():
            return ""
        with self.path.open("rb") as handle:
            handle.seek(self._place(start))
            return hashlib.sha256(handle.read(self._place(stop) - self._place(start))).hexdigest()

    def _place(self, row: int) -> int:
        return HEADER + row * self.shape[1] * self.dtype.itemsize


def open_embeddings(
    output: str | os.PathLike, classifier: GalaxyMorphologyClassifier | None = None
) -> np.memmap:
    """Open the embeddings that `classify_catalog` kept, without reading them.

    Parameters
    ----------
    output : path-like
        Folder of the run.
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`, optional
        What will use them: it must have the model that made them.

    Returns
    -------
    embeddings : `~numpy.memmap`, shape (N, D), dtype float16 or float32
        Unit vectors, a row for each of the catalogue; NaN where there was no image.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the run kept none or is not complete, or the classifier has another model.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
    >>> from gmc_astro.catalogs import open_embeddings
    >>> images = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = classify_catalog(classifier, images, Path(folder) / "run", embeddings=True)
    ...     embeddings = np.array(open_embeddings(run, classifier))
    >>> embeddings.shape, embeddings.dtype.name
    ((4, 256), 'float16')
    """
    folder = Path(output)
    manifest, report = read_json(folder / "manifest.json"), read_json(folder / "report.json")
    if manifest is None or not (folder / EMBEDDINGS_FILE).is_file():
        raise InputError(
            f"{folder} holds no embeddings: run classify_catalog(..., embeddings='float16')"
        )
    if not (report or {}).get("complete"):
        raise InputError(f"{folder} is not complete: run classify_catalog again, it goes on")
    if classifier is not None:
        made, uses = manifest["weights_sha256"], weights_hash(classifier)
        if made != uses:
            raise InputError(
                f"the embeddings in {folder} are of model {made[:12]}..., the classifier's is "
                f"{uses[:12]}...: use the same"
            )
    return np.load(folder / EMBEDDINGS_FILE, mmap_mode="r")

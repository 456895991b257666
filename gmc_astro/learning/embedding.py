"""From rows to vectors: sources and class schemes through the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gmc_astro.imaging import ImageBatch, ImageSource, is_ok
from gmc_astro.imaging.source import join_columns
from gmc_astro.learning.shuffling import read_ahead
from gmc_astro.models import Encoder
from gmc_astro.morphology import ClassScheme, prompts_for

__all__ = [
    "Embedded",
    "EmbeddingCache",
    "class_starts",
    "embed_source",
    "text_embeddings",
]


@dataclass(frozen=True)
class Embedded:
    """Embeddings of the rows of a source.

    Parameters
    ----------
    embeddings : `~numpy.ndarray`, shape (N, D), dtype float32
        Unit vectors; NaN where an image could not be had.
    status : `~numpy.ndarray` of str, shape (N,)
        Status of each row.
    columns : mapping of str to array or Quantity
        What the source measured of each row.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import Embedded
    >>> vectors = np.array([[0.6, 0.8], [np.nan, np.nan]], np.float32)
    >>> Embedded(vectors, np.array(["ok", "timed out after 5 tries"]), {}).ok
    array([ True, False])
    """

    embeddings: np.ndarray
    status: np.ndarray
    columns: Mapping[str, Any]

    @property
    def ok(self) -> np.ndarray:
        """True for the rows that have an image, shape (N,)."""
        return is_ok(self.status)


class EmbeddingCache:
    """Embeddings of images by their content, of one encoder whose weights stay as they are.

    Parameters
    ----------
    rows : int, optional
        Most embeddings to keep; the oldest go first.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import EmbeddingCache
    >>> cache, images = EmbeddingCache(), np.zeros((2, 4, 4, 3), np.uint8)
    >>> cache.embed(images, 1, lambda new: np.ones((len(new), 3))).shape
    (2, 3)
    >>> len(cache)  # both images are the same
    1
    """

    def __init__(self, rows: int = 65_536) -> None:
        self.rows = rows
        self._known: dict[bytes, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._known)

    def embed(
        self, images: np.ndarray, views: int, encode: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Embed the images that are new, and remember them.

        Parameters
        ----------
        images : `~numpy.ndarray`, shape (N, H, W, 3), dtype uint8
            Images.
        views : int
            Orientations that ``encode`` averages over.
        encode : callable
            Gives the embeddings (n, D) of images (n, H, W, 3).

        Returns
        -------
        embeddings : `~numpy.ndarray`, shape (N, D)
            A row an image.
        """
        about = f"{views} {images.shape[1:]}".encode()
        keys = [blake2b(image.tobytes(), key=about, digest_size=16).digest() for image in images]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            rows = list(new.values())
            found = encode(images if len(rows) == len(images) else images[rows])
            self._known.update(zip(new, found, strict=True))
        embeddings = np.stack([self._known[key] for key in keys])
        while len(self._known) > self.rows:
            del self._known[next(iter(self._known))]
        return embeddings


def embed_source(
    encoder: Encoder,
    source: ImageSource,
    *,
    views: int = 8,
    batch_size: int | None = None,
    progress: bool = False,
    cache: EmbeddingCache | None = None,
) -> Embedded:
    """Embed every row of a source, in order.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        The encoder.
    source : `~gmc_astro.imaging.ImageSource`
        Images.
    views : {1, 2, 4, 8}, optional
        Orientations to average over.
    batch_size : int, optional
        Images at a time. Default suits the device.
    progress : bool, optional
        Show a progress bar.
    cache : `EmbeddingCache`, optional
        Images that it knows are not embedded again.

    Returns
    -------
    embedded : `Embedded`
        A row for each row of the source.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import open_images
    >>> from gmc_astro.learning import embed_source
    >>> from gmc_astro.models import load_encoder
    >>> source = open_images(np.zeros((3, 96, 96, 3), np.uint8))
    >>> embedded = embed_source(load_encoder("compact", device="cpu"), source, views=1)
    >>> embedded.embeddings.shape, embedded.ok
    ((3, 256), array([ True,  True,  True]))
    """
    step = batch_size or encoder.default_batch_size
    embeddings = np.full((len(source), encoder.dim), np.nan, np.float32)
    batches = []
    with tqdm(total=len(source), desc="classify", unit="image", disable=not progress) as bar:
        for batch in read_ahead(source.iter_batches(step)):
            ok = batch.ok
            if ok.any():
                rows = batch.start + np.flatnonzero(ok)
                images = batch.images if ok.all() else batch.images[ok]

                def encode(part: np.ndarray) -> np.ndarray:
                    return encoder.encode_images(part, views=views, batch_size=step)

                embeddings[rows] = (
                    encode(images) if cache is None else cache.embed(images, views, encode)
                )
            batches.append(ImageBatch(batch.images[:0], batch.status, batch.start, batch.columns))
            bar.update(len(batch))
    status = np.concatenate([b.status for b in batches]) if batches else np.zeros(0, "U2")
    return Embedded(embeddings, status, join_columns(batches))


def text_embeddings(encoder: Encoder, scheme: ClassScheme) -> np.ndarray:
    """Embed classes by the mean of their prompts.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        The encoder.
    scheme : `~gmc_astro.morphology.ClassScheme`
        Classes with one or more prompts each.

    Returns
    -------
    embeddings : `~numpy.ndarray`, shape (K, D), dtype float32
        One unit vector a class.

    References
    ----------
    Radford et al. 2021, arXiv:2103.00020, section 3.1.4 (prompt ensembles).

    Examples
    --------
    >>> from gmc_astro.learning import text_embeddings
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.morphology import GZ2_FIVE_CLASS
    >>> text_embeddings(load_encoder("compact", device="cpu"), GZ2_FIVE_CLASS).shape
    (5, 256)
    """
    return _mean_prompts(encoder, list(scheme.classes.values()))


def _mean_prompts(encoder: Encoder, prompts: Sequence[Sequence[str]]) -> np.ndarray:
    """One unit vector for each group of prompts."""
    vectors = encoder.encode_texts([prompt for group in prompts for prompt in group])
    parts = np.split(vectors, np.cumsum([len(group) for group in prompts])[:-1])
    means = np.stack([part.mean(axis=0) for part in parts])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def class_starts(encoder: Encoder, scheme: ClassScheme) -> np.ndarray:
    """Where a probe starts: the classes' words, where their names say something.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        The encoder.
    scheme : `~gmc_astro.morphology.ClassScheme`
        The classes. A name that is only a number says nothing, unless it has prompts.

    Returns
    -------
    starts : `~numpy.ndarray`, shape (K, D)
        One vector a class, of unit length; NaN for a number, which `fit_probe` replaces by the
        mean image of the labels that it fits on.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import class_starts
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.morphology import ClassScheme
    >>> scheme = ClassScheme.from_any(["0", "a spiral galaxy"])
    >>> starts = class_starts(load_encoder("compact", device="cpu"), scheme)
    >>> np.isnan(starts).all(axis=1)
    array([ True, False])
    """
    starts = np.full((len(scheme.names), encoder.dim), np.nan, np.float32)
    spoken = [
        k
        for k, (name, prompts) in enumerate(scheme.classes.items())
        if not name.isdigit() or tuple(prompts) != prompts_for(name)
    ]
    if spoken:
        starts[spoken] = _mean_prompts(encoder, [scheme.classes[scheme.names[k]] for k in spoken])
    return starts

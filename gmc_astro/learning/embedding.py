"""From rows to vectors: sources and class schemes through the encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from tqdm.auto import tqdm

from gmc_astro.imaging import ImageBatch, ImageSource, is_ok
from gmc_astro.learning.shuffling import read_ahead
from gmc_astro.models import Encoder
from gmc_astro.morphology import ClassScheme

__all__ = ["Embedded", "class_starts", "embed_source", "join_columns", "text_embeddings"]


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
    """

    embeddings: np.ndarray
    status: np.ndarray
    columns: Mapping[str, Any]

    @property
    def ok(self) -> np.ndarray:
        """True for the rows that have an image, shape (N,)."""
        return is_ok(self.status)


def embed_source(
    encoder: Encoder,
    source: ImageSource,
    *,
    views: int = 8,
    batch_size: int | None = None,
    progress: bool = False,
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

    Returns
    -------
    embedded : `Embedded`
        A row for each row of the source.
    """
    step = batch_size or encoder.default_batch_size
    embeddings = np.full((len(source), encoder.dim), np.nan, np.float32)
    batches = []
    with tqdm(total=len(source), desc="classify", unit="image", disable=not progress) as bar:
        for batch in read_ahead(source.iter_batches(step)):
            ok = batch.ok
            if ok.any():
                rows = batch.start + np.flatnonzero(ok)
                embeddings[rows] = encoder.encode_images(
                    batch.images if ok.all() else batch.images[ok], views=views, batch_size=step
                )
            batches.append(ImageBatch(batch.images[:0], batch.status, batch.start, batch.columns))
            bar.update(len(batch))
    status = np.concatenate([b.status for b in batches]) if batches else np.zeros(0, "U2")
    return Embedded(embeddings, status, join_columns(batches, len(source)))


def join_columns(batches: Sequence[ImageBatch], n: int) -> dict[str, Any]:
    """Measured columns of all batches; NaN for batches that measured nothing.

    Parameters
    ----------
    batches : sequence of `~gmc_astro.imaging.ImageBatch`
        Batches, which may have lost their images.
    n : int
        Rows of all.

    Returns
    -------
    columns : dict of str to array or Quantity
        One value a row.
    """
    joined: dict[str, Any] = {}
    for batch, rows in ((b, slice(b.start, b.start + len(b.status))) for b in batches):
        for name, values in batch.columns.items():
            if name not in joined:
                joined[name] = np.full(n, np.nan) * (getattr(values, "unit", None) or 1)
            joined[name][rows] = values
    return {k: u.Quantity(v) if hasattr(v, "unit") else v for k, v in joined.items()}


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
    """
    return _mean_prompts(encoder, list(scheme.classes.values()))


def _mean_prompts(encoder: Encoder, prompts: Sequence[Sequence[str]]) -> np.ndarray:
    """One unit vector for each group of prompts."""
    vectors = encoder.encode_texts([prompt for group in prompts for prompt in group])
    parts = np.split(vectors, np.cumsum([len(group) for group in prompts])[:-1])
    means = np.stack([part.mean(axis=0) for part in parts])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def class_starts(
    encoder: Encoder, scheme: ClassScheme, embeddings: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Where a probe starts: the classes' words, or their mean image where a name says nothing.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        The encoder.
    scheme : `~gmc_astro.morphology.ClassScheme`
        The classes. A name that is only a number says nothing.
    embeddings : `~numpy.ndarray`, shape (N, D)
        Unit vectors of the labelled images.
    targets : `~numpy.ndarray` of int, shape (N,)
        Class of each.

    Returns
    -------
    starts : `~numpy.ndarray`, shape (K, D)
        One vector a class, of unit length; zero for a number that labels no image.
    """
    starts = np.zeros((len(scheme.names), encoder.dim), np.float32)
    spoken = [k for k, name in enumerate(scheme.names) if not name.isdigit()]
    if spoken:
        starts[spoken] = _mean_prompts(encoder, [scheme.classes[scheme.names[k]] for k in spoken])
    for k in set(range(len(scheme.names))) - set(spoken):
        if (targets == k).any():
            mean = embeddings[targets == k].mean(axis=0)
            starts[k] = mean / np.linalg.norm(mean)
    return starts

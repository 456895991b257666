"""The work: ranges of rows read ahead, embedded, classified and kept, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmc_astro.catalogs.claims import Claims
from gmc_astro.catalogs.embeddings import EMBEDDINGS_FILE, EmbeddingsFile
from gmc_astro.catalogs.shards import RowRange, Shards
from gmc_astro.imaging import ImageBatch, ImageSource
from gmc_astro.imaging.source import join_columns
from gmc_astro.learning import read_ahead

if TYPE_CHECKING:
    from astropy.table import QTable

    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = ["Job", "embed_batch", "one_thread", "table_of", "work"]

Report = Callable[[int], Any]
SHAPE = 16  # images that a batch is a multiple of, where it may be


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to take part in a run; it can be pickled.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the run, on a disk that all processes share.
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        What `~gmc_astro.classifier.GalaxyMorphologyClassifier.ready` gave.
    source : `~gmc_astro.imaging.ImageSource`
        The images.
    ranges : sequence of RowRange
        All ranges.
    batch_size : int
        Images at a time.
    embeddings : {"float16", "float32"} or None
        Number format of the embeddings that are kept.
    dim : int
        Length of an embedding.
    meta : mapping
        What the tables say of the images.
    token : str
        Hash of the manifest.
    """

    folder: Path
    classifier: GalaxyMorphologyClassifier
    source: ImageSource
    ranges: Sequence[RowRange]
    batch_size: int
    embeddings: str | None
    dim: int
    meta: Mapping[str, Any]
    token: str

    def shards(self) -> Shards:
        """The shards of the run, as this process sees them."""
        kept = None
        if self.embeddings:
            path = self.folder / EMBEDDINGS_FILE
            kept = EmbeddingsFile(path, len(self.source), self.dim, self.embeddings)
        return Shards(self.folder / "shards", kept)

    def claims(self) -> Claims:
        """The claims of the run, to be entered."""
        return Claims(self.folder / "claims")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, where little is to be done and must not depend on their number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def work(
    job: Job,
    shards: Shards,
    claims: Claims,
    ranges: Sequence[RowRange],
    *,
    done: Report = lambda n: None,
) -> int:
    """Classify those of some ranges that are not finished and that nobody else works on.

    Parameters
    ----------
    job : Job
        The run.
    shards : Shards
        Its shards.
    claims : Claims
        This process's claims.
    ranges : sequence of RowRange
        Ranges to see to, in this order.
    done : callable, optional
        Told the number of rows after each batch.

    Returns
    -------
    rows : int
        Rows that were classified here.
    """
    total, waiting = 0, []
    for rows, batch in read_ahead(_batches(job, shards, claims, ranges)):
        vectors = embed_batch(job.classifier, batch, job.batch_size)
        without = batch.images[:0].copy()  # a view would keep the images in memory
        waiting.append((vectors, ImageBatch(without, batch.status, batch.start, batch.columns)))
        done(len(batch))
        if batch.start + len(batch) == rows.stop:
            table, vectors = table_of(job.classifier, job.source, rows, waiting, job.meta)
            shards.write(rows, table, vectors)
            claims.release(rows.name)
            total, waiting = total + len(rows), []
    return total


def _batches(
    job: Job, shards: Shards, claims: Claims, ranges: Sequence[RowRange]
) -> Iterator[tuple[RowRange, ImageBatch]]:
    """Batches of the ranges that are to be done; a range is claimed when it is reached."""
    for rows in ranges:
        if shards.is_finished(rows) or not claims.take(rows.name):
            continue
        if shards.is_finished(rows):  # between the two looks, by another process
            claims.release(rows.name)
            continue
        for batch in job.source.iter_batches(job.batch_size, start=rows.start, stop=rows.stop):
            yield rows, batch


def embed_batch(
    classifier: GalaxyMorphologyClassifier, batch: ImageBatch, batch_size: int
) -> np.ndarray:
    """Embed a batch; NaN where there is no image.

    The network sees rows without an image as black ones, and a last short batch is filled up:
    how it splits its sums depends on the shape, and with little work also on the threads.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        What ``ready`` gave.
    batch : ImageBatch
        The images.
    batch_size : int
        Rows of a full batch.

    Returns
    -------
    vectors : `~numpy.ndarray`, shape (B, D), dtype float32
        Unit vectors.
    """
    images, encoder = batch.images, classifier.encoder
    vectors = np.full((len(batch), encoder.dim), np.nan, np.float32)
    if batch.ok.any():
        lacking = min(-len(images) % SHAPE, max(batch_size - len(images), 0))
        if lacking:
            images = np.concatenate([images, np.zeros((lacking, *images.shape[1:]), np.uint8)])
        seen = encoder.encode_images(images, views=classifier.views, batch_size=batch_size)
        vectors[batch.ok] = seen[: len(batch)][batch.ok]
    return vectors


def table_of(
    classifier: GalaxyMorphologyClassifier,
    source: ImageSource,
    rows: RowRange,
    parts: Sequence[tuple[np.ndarray, ImageBatch]],
    meta: Mapping[str, Any],
) -> tuple[QTable, np.ndarray]:
    """Classify a range whose batches are embedded.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        What ``ready`` gave.
    source : ImageSource
        Where the batches are from.
    rows : RowRange
        The range.
    parts : sequence of (array, ImageBatch)
        Embeddings and batches, which may have lost their images.
    meta : mapping
        Added to the table's.

    Returns
    -------
    table : `~astropy.table.QTable`
        Predictions.
    vectors : `~numpy.ndarray`, shape (B, D)
        Embeddings.
    """
    vectors = np.concatenate([vectors for vectors, _ in parts])
    batches = [batch for _, batch in parts]
    ids, coords = source.names(*rows)
    table = classifier.predict_embeddings(
        vectors,
        status=np.concatenate([batch.status for batch in batches]),
        ids=ids,
        coords=coords,
        columns=join_columns(batches),
        meta=meta,
    )
    return table, vectors

"""Random batches from any source: in memory where it fits, else in shuffled blocks of rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from gmc_astro.imaging import ImageSource

__all__ = ["MEMORY_LIMIT", "Shuffler", "read_ahead"]

MEMORY_LIMIT = 4 * 2**30  # bytes of uint8 images that a source may take to be held whole
BLOCK = 256  # rows read together: long enough for disks, short enough to mix
MIXED = 16  # blocks shuffled together where the source is not held

Rows = tuple[np.ndarray | Tensor, np.ndarray]
T = TypeVar("T")


class Shuffler:
    """Reads a source in random order, the same for the same seed and epoch.

    A source that fits into ``memory_limit`` is read once and held. From a larger one, blocks
    of consecutive rows are drawn at random and mixed sixteen at a time, so that a file on
    disk is read in long stretches. Rows without an image are left out.

    Parameters
    ----------
    source : `~gmc_astro.imaging.ImageSource`
        Images.
    memory_limit : int, optional
        Bytes that the source may take to be held.
    excluded : `~numpy.ndarray` of bool, shape (N,), optional
        Rows to leave out.
    device : `~torch.device`, optional
        Where images that are held lie: on a GPU, of which they may take a quarter of the free
        memory, batches are cut out there and no image travels twice. Default is the host's
        memory.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        memory_limit: int = MEMORY_LIMIT,
        excluded: np.ndarray | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.source = source
        self.memory_limit = memory_limit
        self.excluded = np.zeros(len(source), bool) if excluded is None else excluded
        self.device = device

    def batches(self, batch_size: int, *, seed: int, epoch: int, skip: int = 0) -> Iterator[Rows]:
        """Go through the source once.

        Parameters
        ----------
        batch_size : int
            Rows in each batch; a last one that is not full is left out unless it is the only one.
        seed, epoch : int
            What the order depends on.
        skip : int, optional
            Batches to leave out at the start, because they were used before an interruption.

        Yields
        ------
        images : `~numpy.ndarray` or `~torch.Tensor`, shape (B, H, W, 3), dtype uint8
            Images; a tensor where they are held on a device.
        rows : `~numpy.ndarray` of int, shape (B,)
            Their rows in the source.
        """
        rng = np.random.default_rng((seed, epoch))
        pools = self._blocks(rng) if self._held is None else [self._held]
        yield from read_ahead(islice(_cut(pools, batch_size, rng), skip, None))

    @cached_property
    def _held(self) -> Rows | None:
        """All usable rows in memory, or None where that would be too much."""
        first = next(self.source.iter_batches(1, stop=1), None)
        if first is None or first.images.nbytes * len(self.source) > self.memory_limit:
            return None
        batch = self.source.read()
        rows = np.flatnonzero(batch.ok & ~self.excluded)
        images = batch.images if len(rows) == len(batch) else batch.images[rows]
        return self._placed(images), rows

    @property
    def usable(self) -> int:
        """Rows of an epoch; of more than memory holds, those without an image are counted too."""
        return int((~self.excluded).sum()) if self._held is None else len(self._held[1])

    def _placed(self, images: np.ndarray) -> np.ndarray | Tensor:
        """Put images where batches are to be cut out of them."""
        if self.device is None:
            return images
        if (
            self.device.type == "cuda"
            and 4 * images.nbytes > torch.cuda.mem_get_info(self.device)[0]
        ):
            return images
        return torch.from_numpy(images).to(self.device)

    def _blocks(self, rng: np.random.Generator) -> Iterator[Rows]:
        """Blocks of rows in random order, some at a time."""
        starts = rng.permutation(np.arange(0, len(self.source), BLOCK))
        for group in np.array_split(starts, max(len(starts) // MIXED, 1)):
            parts = [self._block(int(start)) for start in group]
            yield tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def _block(self, start: int) -> Rows:
        stop = min(start + BLOCK, len(self.source))
        batch = next(self.source.iter_batches(BLOCK, start=start, stop=stop))
        usable = batch.ok & ~self.excluded[start:stop]
        return batch.images[usable], start + np.flatnonzero(usable)


def read_ahead(things: Iterator[T], depth: int = 2) -> Iterator[T]:
    """Make the next things in a thread while the present one is used.

    Parameters
    ----------
    things : iterator
        Batches, for example; never None.
    depth : int, optional
        Things that may wait.

    Yields
    ------
    thing
        The same things in the same order.

    Examples
    --------
    >>> from gmc_astro.learning import read_ahead
    >>> list(read_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read ahead") as thread:
        waiting = deque(thread.submit(next, things, None) for _ in range(depth))
        try:
            while (thing := waiting.popleft().result()) is not None:
                waiting.append(thread.submit(next, things, None))
                yield thing
        finally:
            thread.shutdown(wait=True, cancel_futures=True)


def _cut(pools: Iterable[Rows], batch_size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Shuffle each pool and cut it into batches; what is left over joins the next pool."""
    rest: Rows | None = None
    full_batches = 0
    for images, rows in pools:
        order = rng.permutation(len(rows))
        while rest is not None and len(rest[1]) + len(order) >= batch_size and len(rest[1]):
            need, order = np.split(order, [batch_size - len(rest[1])])
            full_batches += 1
            yield np.concatenate([rest[0], images[need]]), np.concatenate([rest[1], rows[need]])
            rest = None
        full = len(order) // batch_size * batch_size
        for start in range(0, full, batch_size):
            chosen = order[start : start + batch_size]
            full_batches += 1
            yield images[chosen], rows[chosen]
        left = images[order[full:]], rows[order[full:]]
        rest = left if rest is None else tuple(map(np.concatenate, zip(rest, left, strict=True)))
    if rest is not None and len(rest[1]) and not full_batches:
        yield rest

"""The classifier that a Dask worker's process keeps in memory from task to task."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gmc_astro.catalogs.job import one_thread

if TYPE_CHECKING:
    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = ["loads", "resident"]

_lock = threading.Lock()
_held: dict[str, GalaxyMorphologyClassifier] = {}
_loads = 0


@contextmanager
def resident(
    classifier: GalaxyMorphologyClassifier, token: str
) -> Iterator[GalaxyMorphologyClassifier]:
    """Lend the classifier with its model loaded; one task at a time, as the model uses all cores.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        As it came with the task, which leaves the network out.
    token : str
        The same for tasks that want the same predictions.

    Yields
    ------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        What ``ready`` gave, loaded by the first task with this token.
    """
    global _loads
    with _lock:
        if token not in _held:
            _held.clear()
            with one_thread():
                _held[token] = classifier.ready()
            _loads += 1
        yield _held[token]


def loads() -> int:
    """How often a Dask task in this process had to load a model.

    Returns
    -------
    loads : int
        1 in a worker that has worked with one classifier.
    """
    return _loads

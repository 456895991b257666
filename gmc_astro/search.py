"""Search: the galaxies that words describe, or that look like others, among embeddings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import QTable
from numpy.typing import ArrayLike

from gmc_astro.exceptions import InputError
from gmc_astro.learning import text_embeddings
from gmc_astro.morphology import SCHEMES, ClassScheme

if TYPE_CHECKING:
    from gmc_astro.classifier import GalaxyMorphologyClassifier
    from gmc_astro.models import Encoder

__all__ = ["search_embeddings"]

_PIECE = 65536  # rows compared at a time
_SAMPLE = 16384  # rows that the average galaxy is the mean of
_WORD = re.compile(r"\w+")
_SAME = 1e-3  # shortest difference that has a direction, in what float16 can tell


def search_embeddings(
    classifier: GalaxyMorphologyClassifier,
    embeddings: np.ndarray,
    words: str | Sequence[str] | None = None,
    *,
    like: ArrayLike | None = None,
    unlike: str | Sequence[str] | None = None,
    n: int = 20,
) -> QTable:
    """Find the galaxies that words describe, or that look like others.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        Has the model that made the embeddings.
    embeddings : `~numpy.ndarray`, shape (N, D)
        From ``classifier.embed``, or memory-mapped by `~gmc_astro.catalogs.open_embeddings`;
        rows of NaN are never found.
    words : str or sequence of str, optional
        What to look for; several phrasings of it are averaged.
    like : array_like of int, shape (M,), or of float, shape (M, D), optional
        Examples to look for: numbers of rows, which are not found themselves, or embeddings of
        other images. With ``words`` too, both count the same.
    unlike : str or sequence of str, optional
        What galaxies are not to look like.
    n : int, optional
        How many to find.

    Returns
    -------
    hits : `~astropy.table.QTable`
        ``row`` and ``score``, the best first, of ``n`` rows or as many as there are. The score
        is a cosine, -1 to 1: it orders the rows of one search, and is no probability.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is nothing to look for, ``n`` is not positive, a row of ``like`` is not there or
        has no embedding, shapes do not fit the model, or words, examples and ``unlike`` cancel out.

    Warns
    -----
    gmc_astro.exceptions.UnknownWordsWarning
        If there are words that no caption had when the model was trained.

    Notes
    -----
    Images and sentences of a contrastive model lie in two narrow cones, and some galaxies are
    near to any sentence. So differences are compared: of a galaxy from the average one, and of
    the words from the average class of all schemes. The average galaxy is the mean of 16,384
    rows, evenly spaced. Every row is compared, some at a time: there is no index to build, and
    memory does not grow with the catalogue.

    References
    ----------
    Liang et al. 2022, arXiv:2203.02053 (the two cones of images and words).

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.search import search_embeddings
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> shapes = (0.9, 0.8, 0.2, 0.7)
    >>> drawn = [render_galaxy(SimulatedGalaxy(axis_ratio=q), pixels=96) for q in shapes]
    >>> images = np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn])
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> embeddings = classifier.embed(images)
    >>> int(search_embeddings(classifier, embeddings, "an edge-on galaxy")["row"][0])
    2
    >>> sorted(search_embeddings(classifier, embeddings, like=[0], n=2)["row"].tolist())
    [1, 3]
    """
    encoder = classifier.encoder
    embeddings = _checked(embeddings, encoder.dim, "embeddings")
    if n < 1:
        raise InputError(f"n={n}: ask for one galaxy or more")
    if not words and like is None:
        raise InputError("nothing to look for: give words, or examples with like=")
    middle = _average(embeddings)
    examples, left_out = (None, np.zeros(0, int)) if like is None else _examples(like, embeddings)
    towards = [] if examples is None else [_unit(examples.mean(axis=0) - middle)]
    if words or unlike:
        average = _average_class(encoder)
        towards += [_unit(_mean_of_words(encoder, words) - average)] if words else []
        towards += [-_unit(_mean_of_words(encoder, unlike) - average)] if unlike else []
    wanted = np.sum(towards, axis=0)
    if np.linalg.norm(wanted) < _SAME:
        raise InputError(
            "nothing is left to look for: the examples are like the average galaxy, or words, "
            "examples and unlike= cancel out"
        )
    rows, scores = _best(embeddings, _unit(wanted), middle, n, left_out)
    meta = {
        "words": _joined(words),
        "unlike": _joined(unlike),
        "examples": 0 if examples is None else len(examples),
        "model": encoder.name,
        "checkpoint_sha256": classifier.checkpoint_sha256,
    }
    return QTable({"row": rows, "score": scores}, meta=meta)


def _joined(words: str | Sequence[str] | None) -> str:
    return words if isinstance(words, str) else "; ".join(words or ())


def _checked(vectors: np.ndarray, dim: int, name: str) -> np.ndarray:
    if np.ndim(vectors) != 2 or np.shape(vectors)[1] != dim:
        raise InputError(f"{name} have shape {np.shape(vectors)}; this model's are (N, {dim})")
    return vectors


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), _SAME)


def _average_class(encoder: Encoder) -> np.ndarray:
    """Mean of all classes of all schemes in words that the model knows, shape (D,)."""
    classes = [prompts for scheme in SCHEMES.values() for prompts in scheme.classes.values()]
    unknown = set(encoder.unknown_words([prompt for prompts in classes for prompt in prompts]))
    known = [
        [p for p in prompts if not unknown & set(_WORD.findall(p.lower()))] for prompts in classes
    ]
    said = {str(i): prompts for i, prompts in enumerate(known) if prompts}
    if len(said) < 2:
        return np.zeros(encoder.dim, np.float32)
    return text_embeddings(encoder, ClassScheme("every class", said)).mean(axis=0)


def _mean_of_words(encoder: Encoder, words: str | Sequence[str]) -> np.ndarray:
    """Mean of the phrasings, a unit vector of shape (D,)."""
    phrasings = [words] if isinstance(words, str) else list(words)
    return _unit(encoder.encode_texts(phrasings).mean(axis=0))


def _average(embeddings: np.ndarray) -> np.ndarray:
    """The average galaxy, shape (D,)."""
    rows = np.unique(np.linspace(0, len(embeddings) - 1, min(len(embeddings), _SAMPLE)).astype(int))
    part = np.asarray(embeddings[rows], np.float32)
    part = part[np.isfinite(part).all(axis=1)]
    return part.mean(axis=0) if len(part) else np.zeros(embeddings.shape[1], np.float32)


def _examples(like: ArrayLike, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (M, D) of the examples, and the rows that they are of the searched ones."""
    given = np.asarray(like)
    if not given.size:
        raise InputError("like= has no example")
    if given.ndim == 2:
        found, rows = _checked(given, embeddings.shape[1], "embeddings in like="), np.zeros(0, int)
    elif given.ndim != 1 or given.dtype.kind not in "iu":
        raise InputError(f"like={like!r:.60}: give numbers of rows (M,), or embeddings (M, D)")
    elif given.min() < 0 or given.max() >= len(embeddings):
        raise InputError(
            f"like= names rows {given.min()} to {given.max()}; there are 0 to {len(embeddings) - 1}"
        )
    else:
        found, rows = embeddings[given], given
    found = np.asarray(found, np.float32)
    missing = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(missing):
        name = f"row {rows[missing[0]]}" if len(rows) else f"number {missing[0]}"
        raise InputError(f"an example has no embedding, as its image could not be had: {name}")
    return found, rows


def _best(
    embeddings: np.ndarray, wanted: np.ndarray, middle: np.ndarray, n: int, left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores of the n best, the best first; of equal ones that which comes first."""
    rows, scores = np.zeros(0, int), np.zeros(0, np.float32)
    directions = np.stack([wanted, middle], axis=1)
    for start in range(0, len(embeddings), _PIECE):
        part = np.asarray(embeddings[start : start + _PIECE], np.float32)
        along, near = (part @ directions).T
        squares = np.einsum("ij,ij->i", part, part) - 2 * near + middle @ middle
        found = (along - middle @ wanted) / np.sqrt(np.maximum(squares, _SAME**2))
        found = np.clip(found, -1, 1)
        known = np.flatnonzero(np.isfinite(found))
        known = known[~np.isin(known + start, left_out)]
        rows, scores = np.r_[rows, known + start], np.r_[scores, found[known]]
        first = np.lexsort([rows, -scores])[:n]
        rows, scores = rows[first], scores[first]
    return rows, scores

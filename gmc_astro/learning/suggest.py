"""Which images to label next: those that the classifier is unsure of, and unlike each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors

from gmc_astro.exceptions import InputError

__all__ = ["suggest_rows"]


def suggest_rows(
    probabilities: ArrayLike,
    embeddings: ArrayLike,
    n: int,
    *,
    labelled_embeddings: ArrayLike | None = None,
    random_state: int = 0,
) -> np.ndarray:
    """Choose unlabelled rows whose labels would teach a linear head most.

    A row is placed where the gradient of a head would point if the most probable class were
    its label: long where the head is unsure, and in another direction where the image or the
    class is another one. Rows are drawn one after the other with probability proportional to the
    squared distance to those already chosen and to no gradient at all (k-means++), the first
    where the gradient is longest.

    Parameters
    ----------
    probabilities : array_like, shape (N, K)
        Class probabilities of the unlabelled rows; NaN rows are never chosen.
    embeddings : array_like, shape (N, D)
        Their unit embeddings.
    n : int
        Rows to choose.
    labelled_embeddings : array_like, shape (M, D), optional
        Unit embeddings of images that are labelled already: a row counts the less, the nearer it
        is to one of them, and not at all where it is the same image.
    random_state : int, optional
        Seed of the draw.

    Returns
    -------
    rows : `~numpy.ndarray` of int, shape (n,)
        Numbers of the rows, the first to be labelled first; no row twice.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If shapes do not fit, ``n`` is negative, or fewer than ``n`` rows have probabilities and
        embeddings.

    Notes
    -----
    It finds images of rare classes sooner than a random choice, and so learns faster where nothing
    but labels tells the classes apart. Where words do, as with the bundled model on Galaxy Zoo
    classes, ten to sixty labels chosen so were as good as random ones within the error.
    Rows chosen so are not a fair sample: do not measure accuracy or class frequencies on them.

    References
    ----------
    Ash et al. 2020, arXiv:1906.03671 (BADGE)

    Examples
    --------
    >>> from gmc_astro.learning import suggest_rows
    >>> probabilities = [[0.99, 0.01], [0.55, 0.45], [0.98, 0.02], [0.4, 0.6]]
    >>> embeddings = [[1.0, 0.0], [0.6, 0.8], [1.0, 0.0], [0.0, 1.0]]
    >>> suggest_rows(probabilities, embeddings, 2)
    array([1, 3])
    """
    probabilities, embeddings = np.asarray(probabilities, float), np.asarray(embeddings, float)
    if probabilities.ndim != 2 or embeddings.ndim != 2 or len(probabilities) != len(embeddings):
        raise InputError(
            f"probabilities of shape {probabilities.shape} and embeddings of shape "
            f"{embeddings.shape}; give (N, K) and (N, D)"
        )
    known = np.isfinite(probabilities).all(axis=1) & np.isfinite(embeddings).all(axis=1)
    rows = np.flatnonzero(known)
    if not 0 <= n <= len(rows):
        raise InputError(
            f"n={n} rows of {len(rows)} that have an image, and no label yet; "
            f"ask for 0 to {len(rows)}"
        )
    errors = probabilities[rows]
    errors[np.arange(len(rows)), errors.argmax(axis=1)] -= 1
    if labelled_embeddings is not None:
        errors *= nearest_distances(embeddings[rows], labelled_embeddings)[:, None]
    rng = np.random.default_rng(random_state)
    return rows[_spread_out(errors, embeddings[rows], n, rng)]


def nearest_distances(embeddings: np.ndarray, labelled: ArrayLike) -> np.ndarray:
    """Distance of each row to the nearest labelled one.

    Parameters
    ----------
    embeddings : `~numpy.ndarray`, shape (N, D)
        Unit vectors.
    labelled : array_like, shape (M, D)
        Unit vectors; rows of NaN are passed over.

    Returns
    -------
    distances : `~numpy.ndarray`, shape (N,)
        0 to 2; ones if nothing is labelled.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the vectors are not of one length.
    """
    labelled = np.asarray(labelled, float)
    if labelled.ndim != 2 or labelled.shape[1] != embeddings.shape[1]:
        raise InputError(
            f"labelled_embeddings of shape {labelled.shape}; give (M, {embeddings.shape[1]})"
        )
    labelled = labelled[np.isfinite(labelled).all(axis=1)]
    if not (len(labelled) and len(embeddings)):
        return np.ones(len(embeddings))
    nearest = NearestNeighbors(n_neighbors=1).fit(labelled)
    return nearest.kneighbors(np.asarray(embeddings, float))[0][:, 0]


def _spread_out(
    errors: np.ndarray, embeddings: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """k-means++ seeds among the gradients errors x embeddings, which are never written out."""
    norms = (errors**2).sum(axis=1) * (embeddings**2).sum(axis=1)
    left, nearest, chosen = np.ones(len(norms), bool), norms, []
    while len(chosen) < n:
        share = np.where(left, nearest, 0.0)
        if share.sum() <= 0:  # only copies of what is chosen are left: any will do
            share = left.astype(float)
        row = rng.choice(len(share), p=share / share.sum()) if chosen else int(share.argmax())
        chosen.append(row)
        left[row] = False
        product = (errors @ errors[row]) * (embeddings @ embeddings[row])
        apart = np.maximum(norms + norms[row] - 2 * product, 0.0)
        nearest = np.minimum(nearest, apart)
    return np.array(chosen, dtype=int)

"""How unlike the training images an image is: no class of a classifier means much for those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.covariance import LedoitWolf

from gmc_astro.exceptions import InputError

__all__ = ["NoveltyDetector", "fit_novelty"]

FEWEST = 10  # rows: with fewer, a threshold that 99 % are below says nothing
FOLDS = 5
_FLOOR = 1e-8  # variance that every direction has at least, so that equal rows are no error


@dataclass(frozen=True)
class NoveltyDetector:
    """Mahalanobis distance of embeddings to those of the training images.

    It keeps a mean and a covariance, no images and no reference vectors.

    Parameters
    ----------
    mean : `~numpy.ndarray`, shape (D,)
        Mean training embedding.
    whitening : `~numpy.ndarray`, shape (D, D)
        Matrix that makes the training embeddings of unit variance in every direction.
    threshold : float
        Distance above which an image is novel.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import NoveltyDetector
    >>> detector = NoveltyDetector(np.zeros(2), np.eye(2), threshold=3.0)
    >>> detector.score([[3.0, 4.0]]), detector.is_novel([[3.0, 4.0]])
    (array([5.]), array([ True]))
    """

    mean: np.ndarray
    whitening: np.ndarray
    threshold: float

    def score(self, embeddings: ArrayLike) -> np.ndarray:
        """Distance to the training embeddings.

        Parameters
        ----------
        embeddings : array_like, shape (N, D)
            Unit vectors.

        Returns
        -------
        score : `~numpy.ndarray`, shape (N,), dtype float64
            0 or more; larger is less like the training images. NaN for NaN rows.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the embeddings are of another length than the training embeddings.
        """
        embeddings = np.asarray(embeddings, float)
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.mean):
            raise InputError(
                f"embeddings of shape {embeddings.shape}; give (N, {len(self.mean)}), "
                "from the encoder that the detector was fitted with"
            )
        return np.linalg.norm((embeddings - self.mean) @ np.asarray(self.whitening, float), axis=1)

    def is_novel(self, embeddings: ArrayLike) -> np.ndarray:
        """Tell which images are unlike the training images.

        Parameters
        ----------
        embeddings : array_like, shape (N, D)
            Unit vectors.

        Returns
        -------
        novel : `~numpy.ndarray` of bool, shape (N,)
            True where `score` is above the threshold; False for NaN rows, which are no images.

        Raises
        ------
        gmc_astro.exceptions.InputError
            As for `score`.
        """
        return self.score(embeddings) > self.threshold

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the detector as named float32 and float64 arrays, as a checkpoint keeps them.

        Returns
        -------
        arrays : dict of str to `~numpy.ndarray`
            `from_arrays` reads them back.
        """
        return {
            "mean": np.asarray(self.mean, np.float32),
            "whitening": np.asarray(self.whitening, np.float32),
            "threshold": np.array([self.threshold]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NoveltyDetector:
        """Read what `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to `~numpy.ndarray`
            Named arrays.

        Returns
        -------
        detector : `NoveltyDetector`
            The same one.
        """
        return cls(arrays["mean"], arrays["whitening"], float(arrays["threshold"][0]))


def fit_novelty(embeddings: ArrayLike, *, share: float = 0.99) -> NoveltyDetector:
    """Learn what the embeddings of known images look like.

    The covariance is shrunk (Ledoit & Wolf), so it can be had from fewer images than the
    embedding has dimensions. The threshold is the distance that ``share`` of the training images
    are below, each measured by a detector that was fitted on the other four fifths: distances of
    the very images that a covariance was fitted on are too small.

    Parameters
    ----------
    embeddings : array_like, shape (N, D)
        Unit vectors of the training images, at least 10; NaN rows are left out.
    share : float, optional
        Share of the training images that are not novel, between 0 and 1.

    Returns
    -------
    detector : `NoveltyDetector`
        The detector.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If fewer than 10 rows have an image, or ``share`` is not between 0 and 1.

    Notes
    -----
    With fewer than about 100 images the threshold is no more than the largest distance seen.
    Chosen over the distance to the k-th nearest training embedding (Sun et al. 2022), which
    told real galaxies from artifacts less well on the bundled model for every k tried.

    References
    ----------
    Lee et al. 2018, arXiv:1807.03888 (Mahalanobis distance); Ledoit & Wolf 2004, Journal of
    Multivariate Analysis 88, 365; Sun et al. 2022, arXiv:2204.06507.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import fit_novelty
    >>> known = np.random.default_rng(0).normal(size=(500, 2))
    >>> detector = fit_novelty(known)
    >>> detector.is_novel([[0.1, 0.2], [9.0, 0.0], [np.nan, np.nan]])
    array([False,  True, False])
    """
    embeddings = np.asarray(embeddings, float)
    if not 0 < share < 1:
        raise InputError(f"share={share} must lie between 0 and 1, such as 0.99")
    if embeddings.ndim != 2:
        raise InputError(f"embeddings of shape {embeddings.shape}; give (N, D)")
    embeddings = embeddings[np.isfinite(embeddings).all(axis=1)]
    if len(embeddings) < FEWEST:
        raise InputError(
            f"{len(embeddings)} training images; novelty needs at least {FEWEST}: label more"
        )
    threshold = max(_threshold(embeddings, share), np.finfo(float).tiny)  # of copies of one image
    return NoveltyDetector(*_gaussian(embeddings), threshold)


def _gaussian(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and whitening matrix."""
    mean = embeddings.mean(axis=0)
    covariance = LedoitWolf(store_precision=False).fit(embeddings).covariance_
    values, vectors = np.linalg.eigh(covariance)
    return mean, vectors / np.sqrt(np.maximum(values, _FLOOR))


def _threshold(embeddings: np.ndarray, share: float) -> float:
    """Quantile of held-out distances; the folds are shuffled, and always the same."""
    fold = np.random.default_rng(0).permutation(len(embeddings)) % FOLDS
    distances = np.empty(len(embeddings))
    for k in range(FOLDS):
        rest = NoveltyDetector(*_gaussian(embeddings[fold != k]), np.inf)
        distances[fold == k] = rest.score(embeddings[fold == k])
    return float(np.quantile(distances, share, method="higher"))

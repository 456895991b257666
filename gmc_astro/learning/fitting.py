"""What every way of fitting is given and gives back, and the ways by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ImageSource
from gmc_astro.learning.embedding import class_starts
from gmc_astro.learning.probe import LinearHead
from gmc_astro.models import Encoder
from gmc_astro.morphology import ClassScheme

__all__ = ["FIT_METHODS", "Fitted", "Labelled", "Pixels", "find_method", "register_fit_method"]


@dataclass(frozen=True)
class Pixels:
    """Rows of a source, to be read by methods that need more than embeddings.

    Parameters
    ----------
    source : `~gmc_astro.imaging.ImageSource`
        Images.
    rows : `~numpy.ndarray` of int, shape (n,)
        Rows that have an image and a label, in rising order.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import open_images
    >>> from gmc_astro.learning import Pixels
    >>> source = open_images(np.zeros((5, 64, 64, 3), np.uint8))
    >>> pixels = Pixels(source, np.array([0, 3]))
    >>> len(pixels.rows)
    2
    """

    source: ImageSource
    rows: np.ndarray


@dataclass(frozen=True)
class Labelled:
    """Labelled galaxies, as a method of fitting sees them.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        The pretrained encoder; a method must not change it, but may change a copy.
    scheme : `~gmc_astro.morphology.ClassScheme`
        The classes.
    embeddings : `~numpy.ndarray`, shape (n, D)
        Unit vectors.
    shares : `~numpy.ndarray`, shape (n, K)
        Share of each class, rows of sum 1.
    weights : `~numpy.ndarray`, shape (n,)
        Weight of each row, 0 or more.
    pixels : `Pixels`, optional
        Where the images are.
    validation : `Labelled`, optional
        Other galaxies, to choose settings and to calibrate on.
    unlabelled : `~numpy.ndarray`, shape (m, D), optional
        Embeddings of the rows without a label; given only for transductive fits.
    views : int, optional
        Orientations that embeddings are averages over.
    random_state : int, optional
        Seed of everything random.
    progress : bool, optional
        Show progress bars.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import Labelled
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.morphology import ClassScheme
    >>> scheme = ClassScheme.from_any(["a round galaxy", "an edge-on galaxy"])
    >>> encoder = load_encoder("compact", device="cpu")
    >>> labelled = Labelled(encoder, scheme, np.eye(4, 256), np.eye(2)[[0, 1, 1, 0]], np.ones(4))
    >>> len(labelled), labelled.targets
    (4, array([0, 1, 1, 0]))
    """

    encoder: Encoder
    scheme: ClassScheme
    embeddings: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    pixels: Pixels | None = None
    validation: Labelled | None = None
    unlabelled: np.ndarray | None = None
    views: int = 8
    random_state: int = 0
    progress: bool = False

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def targets(self) -> np.ndarray:
        """Class with the largest share, shape (n,)."""
        return self.shares.argmax(axis=1)

    @property
    def starts(self) -> np.ndarray:
        """Where a head starts, shape (K, D): see `~gmc_astro.learning.class_starts`."""
        return class_starts(self.encoder, self.scheme)


@dataclass(frozen=True)
class Fitted:
    """What a method of fitting gives back.

    Parameters
    ----------
    head : `~gmc_astro.learning.LinearHead`
        Head on embeddings.
    held_out : `~numpy.ndarray`, shape (n, K)
        Logits of labelled rows by models that did not learn from them; NaN for the others. If
        there was a validation part, logits of its rows.
    encoder : `~gmc_astro.models.Encoder`, optional
        The tuned encoder. Default is the one that was given.
    log : dict, optional
        What was chosen, for people to read.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import Fitted, LinearHead
    >>> head = LinearHead.zero_shot(np.eye(3), 10.0)
    >>> fitted = Fitted(head, held_out=np.full((5, 3), np.nan), log={"strength": "zero-shot"})
    >>> fitted.encoder is None
    True
    """

    head: LinearHead
    held_out: np.ndarray
    encoder: Encoder | None = None
    log: dict[str, Any] = field(default_factory=dict)


FitMethod = Callable[[Labelled], Fitted]

#: Ways of fitting by name.
FIT_METHODS: dict[str, FitMethod] = {}


def register_fit_method(name: str) -> Callable[[FitMethod], FitMethod]:
    """Give a method of fitting a name that ``fit(method=...)`` knows.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    decorator : callable
        For a function from `Labelled` to `Fitted`.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import FIT_METHODS, Fitted, LinearHead, register_fit_method
    >>> @register_fit_method("centroids")
    ... def fit_centroids(labelled):
    ...     means = labelled.shares.T @ labelled.embeddings
    ...     means /= np.linalg.norm(means, axis=1, keepdims=True)
    ...     head = LinearHead(means, np.zeros(len(means)), labelled.encoder.logit_scale, 0.0)
    ...     nothing_held_out = np.full_like(labelled.shares, np.nan)  # so it is not calibrated
    ...     return Fitted(head, nothing_held_out)
    >>> del FIT_METHODS["centroids"]
    """

    def decorator(method: FitMethod) -> FitMethod:
        if FIT_METHODS.setdefault(name, method) is not method:
            raise InputError(f"there is a fit method {name!r} already; choose another name")
        return method

    return decorator


def find_method(name: str) -> FitMethod:
    """Return a method of fitting by name.

    Parameters
    ----------
    name : str
        ``"probe"``, ``"finetune"``, ``"reference"``, or one that was registered.

    Returns
    -------
    method : callable
        From `Labelled` to `Fitted`.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is none of that name.

    Examples
    --------
    >>> from gmc_astro.learning import find_method
    >>> find_method("probe").__name__
    'fit_head'
    """
    if name not in FIT_METHODS:
        raise InputError(f"method={name!r} is not one of {', '.join(map(repr, FIT_METHODS))}")
    return FIT_METHODS[name]

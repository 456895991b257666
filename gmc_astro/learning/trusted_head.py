"""A head whose probabilities can be trusted: calibrated, with sets and a sense of novelty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro.exceptions import InputError
from gmc_astro.learning.calibration import (
    CalibrationReport,
    Calibrator,
    cross_calibrated,
    fit_calibrator,
    report_of,
)
from gmc_astro.learning.conformal import ConformalSets, fit_conformal
from gmc_astro.learning.fitting import Fitted, Labelled
from gmc_astro.learning.novelty import NoveltyDetector, fit_novelty
from gmc_astro.learning.probe import LinearHead

__all__ = ["TrustedHead", "trust"]

_FEWEST = 10  # rows, to calibrate on or to tell what is new
_PARTS: dict[str, Any] = {
    "calibrator": Calibrator,
    "conformal": ConformalSets,
    "novelty": NoveltyDetector,
}


@dataclass(frozen=True)
class TrustedHead:
    """A linear head with what was learnt about its errors.

    Parameters
    ----------
    linear : `~gmc_astro.learning.LinearHead`
        The head.
    calibrator : `~gmc_astro.learning.Calibrator`, optional
        Turns its logits into probabilities. Default leaves them as they are.
    conformal : `~gmc_astro.learning.ConformalSets`, optional
        For sets with stated coverage.
    novelty : `~gmc_astro.learning.NoveltyDetector`, optional
        Tells embeddings that are unlike those of the labelled images.
    prior : `~numpy.ndarray`, shape (K,), optional
        Share of each class among the labels.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import LinearHead, TrustedHead
    >>> head = TrustedHead(LinearHead.zero_shot(np.eye(2), 10.0))
    >>> head.is_fitted, head.predict_proba([[0.8, 0.6]]).round(2)
    (False, array([[0.88, 0.12]]))
    """

    linear: LinearHead
    calibrator: Calibrator = field(default_factory=Calibrator)
    conformal: ConformalSets | None = None
    novelty: NoveltyDetector | None = None
    prior: np.ndarray | None = None

    @property
    def strength(self) -> float:
        """Pull towards the words; NaN for a zero-shot head."""
        return self.linear.strength

    @property
    def is_fitted(self) -> bool:
        """Whether labels made it; of any way of fitting, also one without a strength."""
        return self.prior is not None or not np.isnan(self.linear.strength)

    def predict_proba(self, embeddings: ArrayLike) -> np.ndarray:
        """Calibrated class probabilities.

        Parameters
        ----------
        embeddings : array_like, shape (N, D)
            Unit vectors; NaN rows give NaN.

        Returns
        -------
        probabilities : `~numpy.ndarray`, shape (N, K), dtype float64
            Rows sum to 1.
        """
        return self.calibrator.apply(self.linear.logits(embeddings))

    def predict_sets(self, embeddings: ArrayLike, *, coverage: float = 0.9) -> np.ndarray:
        """Sets of classes that hold the true one with a stated probability.

        Parameters
        ----------
        embeddings : array_like, shape (N, D)
            Unit vectors.
        coverage : float, optional
            The probability, on average over galaxies like the labelled ones.

        Returns
        -------
        sets : `~numpy.ndarray` of bool, shape (N, K)
            True for the classes in a row's set.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the head was not fitted on labels.
        """
        if self.conformal is None:
            raise InputError(
                "prediction sets need held-out labels: fit() first, on more than a few"
            )
        return self.conformal.predict_sets(self.predict_proba(embeddings), coverage=coverage)

    def novelty_of(self, embeddings: ArrayLike) -> np.ndarray | None:
        """How unlike the labelled images others are.

        Parameters
        ----------
        embeddings : array_like, shape (N, D)
            Unit vectors.

        Returns
        -------
        novelty : `~numpy.ndarray`, shape (N,), or None
            Distance in units of the threshold, so that 99 % of the labelled images are below
            1. None where it was not learnt.
        """
        if self.novelty is None:
            return None
        return self.novelty.score(embeddings) / self.novelty.threshold

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the head as named arrays, as a checkpoint keeps them.

        Returns
        -------
        arrays : dict of str to `~numpy.ndarray`
            `from_arrays` reads them back.
        """
        arrays = dict(self.linear.to_arrays())
        for name in _PARTS:
            part = getattr(self, name)
            if part is not None:
                arrays |= {f"{name}.{key}": value for key, value in part.to_arrays().items()}
        if self.prior is not None:
            arrays["prior"] = np.asarray(self.prior, float)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TrustedHead:
        """Read what `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to `~numpy.ndarray`
            Named arrays.

        Returns
        -------
        head : `TrustedHead`
            The same one.
        """
        parts = {}
        for name, kind in _PARTS.items():
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in arrays.items()
                if key.startswith(f"{name}.")
            }
            if own:
                parts[name] = kind.from_arrays(own)
        return cls(LinearHead.from_arrays(arrays), prior=arrays.get("prior"), **parts)


def trust(
    labelled: Labelled, fitted: Fitted, embeddings: np.ndarray
) -> tuple[TrustedHead, CalibrationReport | None]:
    """Calibrate a fitted head on the labels that it was not fitted on.

    Parameters
    ----------
    labelled : `Labelled`
        What the head was fitted on.
    fitted : `Fitted`
        The head, with logits of rows held out.
    embeddings : `~numpy.ndarray`, shape (m, D)
        Embeddings of labelled images by the encoder that the head belongs to.

    Returns
    -------
    head : `TrustedHead`
        The calibrated head.
    report : `~gmc_astro.learning.CalibrationReport` or None
        What calibration changed. None where fewer than 10 rows were held out: nothing is
        calibrated then.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme, open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import Labelled, embed_source, fit_head, trust
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> galaxies = 6 * [SimulatedGalaxy(axis_ratio=0.9), SimulatedGalaxy(axis_ratio=0.2)]
    >>> drawn = [render_galaxy(g, pixels=96, seed=i) for i, g in enumerate(galaxies)]
    >>> source = open_images(np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn]))
    >>> encoder = load_encoder("compact", device="cpu")
    >>> embeddings = embed_source(encoder, source, views=1).embeddings
    >>> scheme = ClassScheme.from_any(["a round galaxy", "an edge-on galaxy"])
    >>> shares = np.tile(np.eye(2), (6, 1))
    >>> labelled = Labelled(encoder, scheme, embeddings, shares, np.ones(12))
    >>> head, report = trust(labelled, fit_head(labelled), embeddings)
    >>> head.is_fitted, report.rows
    (True, 12)
    """
    judged = labelled.validation or labelled
    known = np.isfinite(fitted.held_out).all(axis=1)
    prior = labelled.weights @ labelled.shares / labelled.weights.sum()
    novelty = fit_novelty(embeddings) if len(embeddings) >= _FEWEST else None
    if known.sum() < _FEWEST:
        return TrustedHead(fitted.head, novelty=novelty, prior=prior), None
    logits, targets = fitted.held_out[known], judged.targets[known]
    weights, seed = judged.weights[known], labelled.random_state
    calibrator = fit_calibrator(logits, targets, weights=weights, random_state=seed)
    others = cross_calibrated(logits, targets, calibrator.kind, weights=weights, random_state=seed)
    conformal = fit_conformal(others, targets)
    report = report_of(logits, targets, calibrator, others)
    return TrustedHead(fitted.head, calibrator, conformal, novelty, prior), report

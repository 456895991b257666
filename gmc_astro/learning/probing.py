"""The probe as a method of fitting: words first, then labels, towers left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gmc_astro.learning.fitting import Fitted, Labelled, register_fit_method
from gmc_astro.learning.folds import out_of_fold_logits
from gmc_astro.learning.probe import LinearHead, fit_probe

__all__ = ["fit_head"]

_ROUNDS = 10  # of a transductive fit
_TO_JUDGE = 1e-6  # tolerance of a fit that only gives the logits of rows held out


@register_fit_method("probe")
def fit_head(labelled: Labelled) -> Fitted:
    """Fit a head on embeddings, and leave the towers alone.

    Parameters
    ----------
    labelled : `Labelled`
        Labelled galaxies. Where it has ``unlabelled`` embeddings, they join with the classes
        that the head sees in them, at half of the labelled rows' weight together.

    Returns
    -------
    fitted : `Fitted`
        The head, with logits of each row by a head that did not learn from it.

    References
    ----------
    See `~gmc_astro.learning.fit_probe`; Zanella et al. 2024, arXiv:2406.01837 (transductive
    classification with CLIP).

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme, open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import Labelled, embed_source, fit_head
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
    >>> fitted = fit_head(labelled)
    >>> fitted.head.predict_proba(embeddings).argmax(axis=1)[:4]
    array([0, 1, 0, 1])
    """
    starts = labelled.starts
    everything = np.arange(len(labelled))
    head = _fit(labelled, starts, everything, {})
    if labelled.validation is not None:
        return Fitted(head, head.logits(labelled.validation.embeddings), log=_log(head))

    def fit(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        part = _fit(labelled, starts, rows, {**head.pull, "tolerance": _TO_JUDGE})
        return lambda others: part.logits(labelled.embeddings[others])

    held_out = out_of_fold_logits(fit, labelled.targets, random_state=labelled.random_state)
    return Fitted(head, held_out, log=_log(head))


def _log(head: LinearHead) -> dict[str, float]:
    return {f"probe_{name}": value for name, value in head.pull.items()}


def _fit(
    labelled: Labelled, starts: np.ndarray, rows: np.ndarray, how: dict[str, float]
) -> LinearHead:
    """Fit on some of the labelled rows, and on unlabelled ones where there are any."""
    options = {"scale": labelled.encoder.logit_scale, "random_state": labelled.random_state}
    embeddings, shares = labelled.embeddings[rows], labelled.shares[rows]
    weights = labelled.weights[rows]
    head = fit_probe(embeddings, shares, starts, weights=weights, **how, **options)
    if labelled.unlabelled is None or not len(labelled.unlabelled):
        return head
    share = 0.5 * weights.sum() / len(labelled.unlabelled)
    both = np.concatenate([embeddings, labelled.unlabelled])
    own = np.concatenate([weights, np.full(len(labelled.unlabelled), share)])
    for _ in range(_ROUNDS):
        guessed = head.predict_proba(labelled.unlabelled)
        head = fit_probe(
            both,
            np.concatenate([shares, guessed]),
            starts,
            weights=own,
            **{**how, **head.pull},
            **options,
        )
    return head

"""Progress of a pretraining on galaxies held out: questions answered zero-shot, retrieval."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from gmc_astro.imaging import ImageSource
from gmc_astro.learning.captions import VoteCaptions
from gmc_astro.learning.embedding import Embedded, embed_source, text_embeddings
from gmc_astro.models import Encoder
from gmc_astro.morphology import PHRASES, ClassScheme, VoteTable
from gmc_astro.morphology.phrases import as_sentences

__all__ = ["validate", "validate_questions", "validate_retrieval"]

_FEWEST = 5  # held-out galaxies with an answer for it to count


def validate(encoder: Encoder, source: ImageSource, votes: VoteTable) -> dict[str, float]:
    """Measure `validate_questions` and `validate_retrieval` on the same embeddings.

    Parameters
    ----------
    encoder, source, votes
        As for `validate_questions`.

    Returns
    -------
    measured : dict of str to float
        What both give.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from gmc_astro import open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import validate
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.morphology import VoteTable
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> smooth = SimulatedGalaxy(bulge_share=1.0, bulge_radius=4.0)
    >>> flat = SimulatedGalaxy(bulge_share=0.1, axis_ratio=0.15)
    >>> drawn = [render_galaxy(g, pixels=96, seed=i) for i in range(5) for g in (smooth, flat)]
    >>> source = open_images(np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn]))
    >>> ids = np.arange(10).astype(str)
    >>> votes = VoteTable.read(Table({"id": ids, "label": ["elliptical", "edge_on"] * 5}))
    >>> encoder = load_encoder("compact", device="cpu")
    >>> sorted(validate(encoder, source, votes))
    ['image_to_text', 'smooth_or_features', 'text_to_image']
    """
    embedded = embed_source(encoder, source, views=4)
    return _questions(encoder, embedded, votes) | _retrieval(encoder, embedded, votes)


def validate_retrieval(encoder: Encoder, source: ImageSource, votes: VoteTable) -> dict[str, float]:
    """Look for the caption of an image among those of all, and for the image of a caption.

    A caption that somebody else's votes support as well is right: a galaxy is not to be told
    apart from those that look the same.

    Parameters
    ----------
    encoder, source, votes
        As for `validate_questions`.

    Returns
    -------
    measured : dict of str to float
        ``image_to_text``: share of images whose nearest caption is true of them, and
        ``text_to_image``: share of captions whose nearest image they are true of; over those
        of which it is known.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from gmc_astro import open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import validate_retrieval
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.morphology import VoteTable
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> smooth = SimulatedGalaxy(bulge_share=1.0, bulge_radius=4.0)
    >>> flat = SimulatedGalaxy(bulge_share=0.1, axis_ratio=0.15)
    >>> drawn = [render_galaxy(g, pixels=96, seed=i) for i in range(5) for g in (smooth, flat)]
    >>> source = open_images(np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn]))
    >>> ids = np.arange(10).astype(str)
    >>> votes = VoteTable.read(Table({"id": ids, "label": ["elliptical", "edge_on"] * 5}))
    >>> encoder = load_encoder("compact", device="cpu")
    >>> list(validate_retrieval(encoder, source, votes))
    ['image_to_text', 'text_to_image']
    """
    return _retrieval(encoder, embed_source(encoder, source, views=4), votes)


def _retrieval(encoder: Encoder, embedded: Embedded, votes: VoteTable) -> dict[str, float]:
    captions, rows = VoteCaptions(votes), np.flatnonzero(embedded.ok)
    as_they_are = np.zeros(len(rows), bool)
    if not len(rows):
        return {}
    texts = sorted(set(captions.write(rows, epoch=0, seed=0, flipped=as_they_are)))
    relation = captions.relation(rows, texts, flipped=as_they_are)
    similarity = embedded.embeddings[rows] @ encoder.encode_texts(texts).T
    measured = {}
    for name, values, truth in (
        ("image_to_text", similarity, relation),
        ("text_to_image", similarity.T, relation.T),
    ):
        found = np.take_along_axis(truth, values.argmax(axis=1)[:, None], axis=1)
        if np.any(found):
            measured[name] = round(float((found > 0).sum() / (found != 0).sum()), 4)
    return measured


def validate_questions(encoder: Encoder, source: ImageSource, votes: VoteTable) -> dict[str, float]:
    """Answer the tree's questions from the images alone, in the words of captions.

    Parameters
    ----------
    encoder : `~gmc_astro.models.Encoder`
        The encoder.
    source : `~gmc_astro.imaging.ImageSource`
        Images that were held out.
    votes : `~gmc_astro.morphology.VoteTable`
        What is known of them.

    Returns
    -------
    accuracy : dict of str to float
        Balanced accuracy (mean over the answers of the share that is found) of each question
        for which two answers or more occur at least five times, among the galaxies of which it
        was really asked (`~gmc_astro.morphology.VoteTable.asked`).

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from gmc_astro import open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import validate_questions
    >>> from gmc_astro.models import load_encoder
    >>> from gmc_astro.morphology import VoteTable
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> smooth = SimulatedGalaxy(bulge_share=1.0, bulge_radius=4.0)
    >>> flat = SimulatedGalaxy(bulge_share=0.1, axis_ratio=0.15)
    >>> drawn = [render_galaxy(g, pixels=96, seed=i) for i in range(5) for g in (smooth, flat)]
    >>> source = open_images(np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn]))
    >>> ids = np.arange(10).astype(str)
    >>> votes = VoteTable.read(Table({"id": ids, "label": ["elliptical", "edge_on"] * 5}))
    >>> encoder = load_encoder("compact", device="cpu")
    >>> list(validate_questions(encoder, source, votes))
    ['smooth_or_features']
    """
    return _questions(encoder, embed_source(encoder, source, views=4), votes)


def _questions(encoder: Encoder, embedded: Embedded, votes: VoteTable) -> dict[str, float]:
    accuracy, asked = {}, votes.asked()
    for i, question in enumerate(votes.tree.questions):
        columns = votes.tree.columns(question.name)
        values = np.nan_to_num(votes.fractions[:, columns])
        truth = np.where(values.max(axis=1) >= 0.5, values.argmax(axis=1), -1)
        truth[~(embedded.ok & asked[:, i])] = -1
        answers = [k for k in range(values.shape[1]) if (truth == k).sum() >= _FEWEST]
        if len(answers) < 2:
            continue
        names = [question.answers[k].name for k in answers]
        ways = {name: as_sentences(PHRASES[question.name, name]) for name in names}
        prompts = ClassScheme(question.name, ways)
        rows = np.isin(truth, answers)
        similarity = embedded.embeddings[rows] @ text_embeddings(encoder, prompts).T
        found = np.array(answers)[similarity.argmax(axis=1)]
        accuracy[question.name] = round(float(balanced_accuracy_score(truth[rows], found)), 4)
    return accuracy

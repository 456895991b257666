"""Progress of a pretraining on galaxies held out: each question answered zero-shot."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from gmc_astro.imaging import ImageSource
from gmc_astro.learning.embedding import embed_source, text_embeddings
from gmc_astro.models import Encoder
from gmc_astro.morphology import PHRASES, ClassScheme, VoteTable
from gmc_astro.morphology.phrases import subject_for

__all__ = ["validate_questions"]

_FEWEST = 5  # held-out galaxies with an answer for it to count


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
        for which two answers or more occur at least five times.
    """
    embedded = embed_source(encoder, source, views=4)
    accuracy = {}
    for question in votes.tree.questions:
        columns = votes.tree.columns(question.name)
        values = np.nan_to_num(votes.fractions[:, columns])
        truth = np.where(values.max(axis=1) >= 0.5, values.argmax(axis=1), -1)
        truth[~embedded.ok] = -1
        answers = [k for k in range(values.shape[1]) if (truth == k).sum() >= _FEWEST]
        if len(answers) < 2:
            continue
        names = [question.answers[k].name for k in answers]
        prompts = ClassScheme(question.name, {n: _prompts(question.name, n) for n in names})
        rows = np.isin(truth, answers)
        similarity = embedded.embeddings[rows] @ text_embeddings(encoder, prompts).T
        found = np.array(answers)[similarity.argmax(axis=1)]
        accuracy[question.name] = round(float(balanced_accuracy_score(truth[rows], found)), 4)
    return accuracy


def _prompts(question: str, answer: str) -> tuple[str, ...]:
    return tuple(subject_for(phrase) + phrase for phrase in PHRASES[question, answer])

"""Questions that a training asks of images: sentences to choose from, and which of them are right.

Captions say a part of what is known. Asked for an answer instead, an image is compared with a
sentence for each answer, as it will be when somebody classifies it in words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Generator, randint

from gmc_astro.exceptions import InputError
from gmc_astro.learning.predictions import document_hash
from gmc_astro.morphology import PHRASES, ClassScheme, VoteTable
from gmc_astro.morphology.phrases import ABSENCES, as_sentences

if TYPE_CHECKING:
    from gmc_astro.learning.captions import Captions

__all__ = ["Questions", "questions_of"]

#: Weight of a class scheme beside each question of the tree: more than all that are known together.
_OF_CLASSES = 8.0


@dataclass(frozen=True)
class Questions:
    """Questions with M answers in all, about N galaxies.

    Parameters
    ----------
    sentences : tuple of tuple of str, length M
        Ways to say each answer.
    numbers : `~numpy.ndarray` of int, shape (M,)
        Number of the question of each answer, from 0.
    shares : `~numpy.ndarray`, shape (N, M), dtype float32
        Share of each answer in its question, of sum 1; NaN in questions of which nothing is known.
    weights : `~numpy.ndarray`, shape (Q,), dtype float32
        Weight of each question.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from gmc_astro.learning import Questions
    >>> from gmc_astro.morphology import VoteTable
    >>> votes = VoteTable.read(Table({"id": ["7", "8"], "label": ["edge_on", "elliptical"]}))
    >>> questions = Questions.of_votes(votes)
    >>> first = questions.numbers == 0
    >>> questions.shares[:, first].tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """

    sentences: tuple[tuple[str, ...], ...]
    numbers: np.ndarray
    shares: np.ndarray
    weights: np.ndarray

    @classmethod
    def of_votes(cls, votes: VoteTable, *, measured: bool = False) -> Questions:
        """Ask what volunteers were asked, and for what they said that there is none of.

        A question that was not really asked of a galaxy (`~gmc_astro.morphology.VoteTable.asked`)
        is not known of it. Answers without votes share what the others leave. Questions to which
        all galaxies have the same answer are left out, and those about the sense in which something
        turns: training mirrors images.

        Parameters
        ----------
        votes : `~gmc_astro.morphology.VoteTable`
            Votes or labels of N galaxies.
        measured : bool, optional
            Ask for what was measured as well, such as the outline.

        Returns
        -------
        questions : `Questions`
            Those of the tree, and one for each feature that can be denied: with it or without.
        """
        tree, asked, parts = votes.tree, votes.asked(), []
        for column, question in enumerate(tree.questions):
            if question.measured and not measured:
                continue
            if any(answer.mirror for answer in question.answers):
                continue
            pairs = [(question.name, answer.name) for answer in question.answers]
            given = votes.fractions[:, tree.columns(question.name)]
            shares = np.where(asked[:, [column]], _completed(given), np.nan)
            parts.append(([as_sentences(PHRASES[pair]) for pair in pairs], shares))
            for pair in pairs:
                if pair in ABSENCES:
                    share = np.where(asked[:, column], votes.fraction(*pair), np.nan)
                    ways = [as_sentences(PHRASES[pair]), as_sentences(ABSENCES[pair])]
                    parts.append((ways, np.stack([share, 1 - share], axis=1)))
        parts = [(ways, shares) for ways, shares in parts if _differ(shares)]
        return cls._joined(parts, np.ones(len(parts)), len(votes))

    @classmethod
    def of_classes(cls, scheme: ClassScheme, shares: np.ndarray) -> Questions:
        """Ask for one of several classes, each in its prompts.

        Parameters
        ----------
        scheme : `~gmc_astro.morphology.ClassScheme`
            K classes.
        shares : `~numpy.ndarray`, shape (N, K)
            As `class_shares` gives them: rows of sum 1, NaN where not labelled.

        Returns
        -------
        questions : `Questions`
            One question, which weighs as eight of the tree.
        """
        parts = [(list(scheme.classes.values()), shares)]
        return cls._joined(parts, np.array([_OF_CLASSES]), len(shares))

    @classmethod
    def _joined(
        cls, parts: Sequence[tuple[list, np.ndarray]], weights: np.ndarray, rows: int
    ) -> Questions:
        columns = [np.empty((rows, 0)), *(shares for _, shares in parts)]
        return cls(
            tuple(tuple(ways) for sentences, _ in parts for ways in sentences),
            np.repeat(np.arange(len(parts)), [len(sentences) for sentences, _ in parts]),
            np.concatenate(columns, axis=1).astype(np.float32),
            weights.astype(np.float32),
        )

    def __add__(self, other: Questions) -> Questions:
        return Questions(
            self.sentences + other.sentences,
            np.concatenate([self.numbers, other.numbers + len(self.weights)]),
            np.concatenate([self.shares, other.shares], axis=1),
            np.concatenate([self.weights, other.weights]),
        )

    def digest(self) -> str:
        """SHA-256 of the answers and of the ways to say them.

        Returns
        -------
        digest : str
            64 hexadecimal digits.
        """
        said = {"sentences": self.sentences, "numbers": self.numbers.tolist()}
        said["shares"] = hashlib.sha256(np.ascontiguousarray(self.shares)).hexdigest()
        return document_hash(said)

    def draw(self, generator: Generator) -> list[str]:
        """Draw a sentence for each answer.

        Parameters
        ----------
        generator : `~torch.Generator`
            Source of randomness.

        Returns
        -------
        sentences : list of str, length M
            One an answer.
        """
        return [ways[int(randint(len(ways), (1,), generator=generator))] for ways in self.sentences]


def questions_of(captions: Captions, *, flip: float) -> Questions:
    """Take what captions have to be asked, where a training can ask for it.

    Parameters
    ----------
    captions : `~gmc_astro.learning.Captions`
        What is said of the images.
    flip : float
        Share of images that the training mirrors.

    Returns
    -------
    questions : `Questions`
        Those of the captions.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are none, or if classes tell in which sense a galaxy turns and images are mirrored.
    """
    if captions.questions is None or not captions.questions.sentences:
        raise InputError(
            'loss="answers" needs votes or labels, and a question to which they differ; captions '
            "have no answers"
        )
    classes = getattr(captions, "classes", None)
    if flip and classes is not None and classes[0].mentions_handedness:
        raise InputError(
            "the classes tell in which sense a galaxy turns, which mirrored images do not keep: "
            "train with an augmentation of flip=0"
        )
    return captions.questions


def _differ(shares: np.ndarray) -> bool:
    """Whether two answers or more were given, here or there."""
    return int((np.nan_to_num(shares) > 0).any(axis=0).sum()) > 1


def _completed(fractions: np.ndarray) -> np.ndarray:
    """Fractions (N, A) of sum 1: answers not known share the rest; NaN where none was given."""
    known = np.isfinite(fractions)
    given = np.nan_to_num(fractions)
    total = given.sum(axis=1, keepdims=True)
    open_to = (~known).sum(axis=1, keepdims=True)
    given = given + np.where(known, 0, np.clip(1 - total, 0, None) / np.maximum(open_to, 1))
    return np.where(total > 0, given / np.maximum(given.sum(axis=1, keepdims=True), 1e-9), np.nan)

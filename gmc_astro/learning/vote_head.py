"""Votes predicted from an embedding: every answer's fraction, and how far it may be off.

Volunteers' counts scatter more than the roll of a die of fixed probabilities: the
Dirichlet-multinomial distribution says by how much, and learns it from the counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from astropy.table import QTable
from scipy.special import expit
from torch import Tensor

from gmc_astro.exceptions import CheckpointError, InputError
from gmc_astro.imaging import is_ok

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from gmc_astro.models import Checkpoint
    from gmc_astro.morphology import VoteTable

__all__ = ["VoteHead", "counted_answers", "dirichlet_multinomial_loss", "votes_table"]

LARGEST = 100.0  # concentrations lie between 1 and 1 + this, as in Walmsley et al. 2022

Answers = tuple[tuple[str, str], ...]


def dirichlet_multinomial_loss(
    concentration: Tensor, counts: Tensor, question_of: Tensor
) -> Tensor:
    """Negative log-likelihood of vote counts.

    Parameters
    ----------
    concentration : `~torch.Tensor`, shape (B, A)
        Parameters of the Dirichlet distribution of each question's fractions, above 0.
    counts : `~torch.Tensor`, shape (B, A)
        Votes for each answer. A question with a NaN, or without votes, is left out.
    question_of : `~torch.Tensor` of int, shape (A,)
        Number of the question that each answer belongs to.

    Returns
    -------
    loss : `~torch.Tensor`, scalar
        Sum over an image's questions in nats, averaged over images that have votes; 0 where
        there are none.

    References
    ----------
    Walmsley et al. 2022, MNRAS 509, 3966, arXiv:2102.08414.

    Examples
    --------
    >>> import torch
    >>> from gmc_astro.learning import dirichlet_multinomial_loss
    >>> counts = torch.tensor([[1.0, 0.0]])
    >>> loss = dirichlet_multinomial_loss(torch.ones(1, 2), counts, torch.tensor([0, 0]))
    >>> round(loss.item(), 4)  # one vote, two answers equally likely: ln 2
    0.6931
    """
    votes = torch.nan_to_num(counts).to(concentration.dtype)
    shape = (len(counts), int(question_of.max()) + 1)

    def by_question(values: Tensor) -> Tensor:
        return values.new_zeros(shape).index_add(1, question_of, values)

    total, strength = by_question(votes), by_question(concentration)
    answers = (votes + concentration).lgamma() - concentration.lgamma() - (votes + 1).lgamma()
    question = (total + 1).lgamma() + strength.lgamma() - (total + strength).lgamma()
    unknown = by_question(torch.isnan(counts).to(votes.dtype))
    asked = (total > 0) & (unknown == 0)
    likelihood = torch.where(asked, question + by_question(answers), 0).sum(dim=1)
    return -likelihood.sum() / asked.any(dim=1).sum().clamp(min=1)


def counted_answers(votes: VoteTable) -> Answers:
    """Answers of the questions of which a table has counts.

    Parameters
    ----------
    votes : `~gmc_astro.morphology.VoteTable`
        Votes.

    Returns
    -------
    answers : tuple of (question, answer)
        In the tree's order; empty where the table has no counts at all.
    """
    if votes.counts is None:
        return ()
    known = [
        question.name
        for question in votes.tree.questions
        if (votes.counts[:, votes.tree.columns(question.name)].sum(axis=1) > 0).any()
    ]
    return tuple(pair for pair in votes.tree.flat if pair[0] in known)


@dataclass(frozen=True)
class VoteHead:
    """Predicts how volunteers would answer.

    Parameters
    ----------
    weights : `~numpy.ndarray`, shape (A, D)
        One vector an answer.
    bias : `~numpy.ndarray`, shape (A,)
        One offset an answer.
    answers : tuple of (question, answer)
        What each row is; the answers of a question stand together.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import VoteHead
    >>> answers = (("edgeon", "yes"), ("edgeon", "no"))
    >>> head = VoteHead(np.array([[4.0, 0.0], [0.0, 4.0]]), np.zeros(2), answers)
    >>> fraction, deviation = head.predict(np.array([[1.0, 0.0]]))
    >>> fraction.round(2)
    array([[0.66, 0.34]])
    """

    weights: np.ndarray
    bias: np.ndarray
    answers: Answers

    @property
    def mentions_handedness(self) -> bool:
        """True where an answer is the direction in which something turns."""
        return any("clockwise" in answer for _, answer in self.answers)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> VoteHead:
        """Take the head of a model.

        Parameters
        ----------
        checkpoint : `~gmc_astro.models.Checkpoint`
            The model.

        Returns
        -------
        head : `VoteHead`
            Its head.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If it has none.
        """
        if not checkpoint.votes:
            raise InputError(
                f"model {checkpoint.encoder.name!r} predicts no votes: it was not pretrained on "
                "vote counts; pretrain() it with a VoteTable that has counts"
            )
        return cls.from_arrays(checkpoint.votes, checkpoint.metadata["votes"])

    def concentration(self, embeddings: np.ndarray) -> np.ndarray:
        """Dirichlet parameters of each question.

        Parameters
        ----------
        embeddings : `~numpy.ndarray`, shape (N, D)
            Unit vectors; NaN rows give NaN.

        Returns
        -------
        concentration : `~numpy.ndarray`, shape (N, A)
            1 to 101.
        """
        embeddings = np.asarray(embeddings, np.float64)
        # unit vectors of D numbers are scaled so that one number is about 1
        scaled = embeddings * np.sqrt(embeddings.shape[1])
        return 1 + LARGEST * expit(scaled @ np.asarray(self.weights, float).T + self.bias)

    def predict(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vote fractions and their uncertainty.

        Parameters
        ----------
        embeddings : `~numpy.ndarray`, shape (N, D)
            Unit vectors; NaN rows give NaN.

        Returns
        -------
        fraction : `~numpy.ndarray`, shape (N, A)
            Expected share of its question's votes for each answer, 0 to 1.
        deviation : `~numpy.ndarray`, shape (N, A)
            Standard deviation of that share over galaxies that look so.
        """
        alpha = self.concentration(embeddings)
        same = question_numbers(self.answers)[:, None] == question_numbers(self.answers)
        total = alpha @ same
        fraction = alpha / total
        return fraction, np.sqrt(fraction * (1 - fraction) / (total + 1))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the head as arrays for a safetensors file.

        Returns
        -------
        arrays : dict of str to `~numpy.ndarray`
            ``weights`` and ``bias``, float32; `from_arrays` reads them back.
        """
        return {
            "weights": np.asarray(self.weights, np.float32),
            "bias": np.asarray(self.bias, np.float32),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], answers: Sequence[Sequence[str]]
    ) -> VoteHead:
        """Read a head back.

        Parameters
        ----------
        arrays : mapping of str to `~numpy.ndarray`
            What `to_arrays` gave.
        answers : sequence of (question, answer)
            What the rows mean.

        Returns
        -------
        head : `VoteHead`
            The head.

        Raises
        ------
        gmc_astro.exceptions.CheckpointError
            If the arrays do not fit the answers.
        """
        if set(arrays) != {"weights", "bias"} or len(arrays["weights"]) != len(answers):
            raise CheckpointError(
                f"the vote head holds {sorted(arrays)} for {len(answers)} answers; "
                "it needs weights and bias with a row for each: save the model again"
            )
        pairs = tuple((question, answer) for question, answer in answers)
        return cls(arrays["weights"], arrays["bias"], pairs)


def question_numbers(answers: Answers) -> np.ndarray:
    """Number of the question of each answer, in order of appearance, shape (A,)."""
    names = list(dict.fromkeys(question for question, _ in answers))
    return np.array([names.index(question) for question, _ in answers])


def votes_table(
    head: VoteHead,
    embeddings: np.ndarray,
    status: Sequence[str],
    *,
    ids: np.ndarray | None = None,
    coords: SkyCoord | None = None,
    meta: Mapping[str, Any] | None = None,
) -> QTable:
    """Build the table of predicted votes.

    Parameters
    ----------
    head : `VoteHead`
        What predicts.
    embeddings : `~numpy.ndarray`, shape (N, D)
        Unit vectors.
    status : sequence of str, shape (N,)
        Status of each row.
    ids, coords, meta
        As for `~gmc_astro.learning.predictions_table`.

    Returns
    -------
    table : `~astropy.table.QTable`
        Columns ``coord`` and/or ``id``; for each answer ``question_answer_fraction`` (expected
        share of its question's votes) and ``question_answer_fraction_std``; ``status``. NaN
        where there was no image.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import VoteHead, votes_table
    >>> answers = (("edgeon", "yes"), ("edgeon", "no"))
    >>> head = VoteHead(np.array([[4.0, 0.0], [0.0, 4.0]]), np.zeros(2), answers)
    >>> table = votes_table(head, np.array([[1.0, 0.0]]), ["ok"], ids=np.array(["7"]))
    >>> table.colnames[:3]
    ['id', 'edgeon_yes_fraction', 'edgeon_yes_fraction_std']
    """
    fraction, deviation = head.predict(embeddings)
    bad = ~is_ok(status)
    fraction[bad], deviation[bad] = np.nan, np.nan
    table = QTable(meta=dict(meta or {}))
    if coords is not None:
        table["coord"] = coords
    if ids is not None:
        table["id"] = np.asarray(ids, dtype=str)
    for column, (question, answer) in enumerate(head.answers):
        table[f"{question}_{answer}_fraction"] = fraction[:, column]
        table[f"{question}_{answer}_fraction_std"] = deviation[:, column]
    table["status"] = np.asarray(status, dtype=str)
    return table


class VoteLayer(torch.nn.Module):
    """The head while it is trained: a linear layer and the loss of its counts.

    Parameters
    ----------
    dim : int
        Length of an embedding.
    answers : tuple of (question, answer)
        What the rows mean.
    """

    def __init__(self, dim: int, answers: Answers) -> None:
        super().__init__()
        self.answers = answers
        self.weights = torch.nn.Parameter(torch.zeros(len(answers), dim))
        self.bias = torch.nn.Parameter(torch.full((len(answers),), -2.0))  # a few votes' worth
        numbers = torch.from_numpy(question_numbers(answers))
        self.register_buffer("question_of", numbers, persistent=False)

    def forward(self, features: Tensor, counts: Tensor) -> Tensor:
        """Loss of the counts of B images."""
        scaled = features * features.shape[1] ** 0.5
        concentration = 1 + LARGEST * torch.sigmoid(scaled @ self.weights.T + self.bias)
        return dirichlet_multinomial_loss(concentration, counts, self.question_of)

    def head(self) -> VoteHead:
        """The head as it stands."""
        arrays = (p.detach().cpu().float().numpy().copy() for p in (self.weights, self.bias))
        return VoteHead(*arrays, self.answers)

"""What a decision tree is: questions, their answers, and what each answer leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gmc_astro.exceptions import InputError

__all__ = ["Answer", "DecisionTree", "Question"]


@dataclass(frozen=True)
class Answer:
    """One answer to a question.

    Parameters
    ----------
    name : str
        Short name, unique within its question.
    leads_to : str or None
        Name of the question that follows, or None where the tree ends.
    column : str
        Stem of the answer's columns in the published catalogue; empty where there is none.
    mirror : str or None
        Answer that the mirror image would get, where that is another one.

    Examples
    --------
    >>> from gmc_astro.morphology import GZ2_TREE
    >>> answers = GZ2_TREE.question("bar").answers
    >>> [(answer.name, answer.negative) for answer in answers]
    [('bar', False), ('no_bar', True)]
    """

    name: str
    leads_to: str | None = None
    column: str = ""
    mirror: str | None = None

    @property
    def negative(self) -> bool:
        """True where the answer says that something is not there."""
        return self.name == "no" or self.name.startswith("no_")


@dataclass(frozen=True)
class Question:
    """One question of a tree.

    Parameters
    ----------
    name : str
        Short name, unique within its tree.
    text : str
        What volunteers were asked; for a measured question, what was measured.
    answers : tuple of Answer
        In the order of the published table.
    measured : bool, optional
        True where a program answered and no volunteer was asked.
    needs : tuple of (question, answer), optional
        Answer that this question depends on although it is not asked right after it.
    threshold : tuple of float, optional
        Share of the votes that the answer right before needs for this question to count as
        asked, where it shall have 10 votes, and where it shall have 20. A half where none is
        published: more volunteers than not were asked.

    Examples
    --------
    >>> from gmc_astro.morphology import Answer, Question
    >>> question = Question("ring", "Is there a ring?", (Answer("yes"), Answer("no")))
    >>> [answer.name for answer in question.answers]
    ['yes', 'no']
    >>> question.threshold
    (0.5, 0.5)
    """

    name: str
    text: str
    answers: tuple[Answer, ...]
    measured: bool = False
    needs: tuple[str, str] | None = None
    threshold: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class DecisionTree:
    """Questions in the order of the published table, the first one asked of every galaxy.

    Parameters
    ----------
    name : str
        Name of the tree.
    questions : tuple of Question
        All questions.
    reference : str
        Where it was published.

    Examples
    --------
    >>> from gmc_astro.morphology import GZ2_TREE
    >>> len(GZ2_TREE.questions), len(GZ2_TREE)
    (11, 37)
    >>> GZ2_TREE.path("bar")
    (('smooth_or_features', 'features_or_disk'), ('edgeon', 'no'))
    """

    name: str
    questions: tuple[Question, ...]
    reference: str = ""

    def __len__(self) -> int:
        return len(self.flat)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.flat)

    @cached_property
    def flat(self) -> tuple[tuple[str, str], ...]:
        """All (question, answer) pairs, in order; a vote vector has one entry for each."""
        return tuple((q.name, a.name) for q in self.questions for a in q.answers)

    @cached_property
    def _index(self) -> dict[tuple[str, str], int]:
        return {pair: i for i, pair in enumerate(self.flat)}

    def index(self, question: str, answer: str) -> int:
        """Place of an answer in a vote vector.

        Parameters
        ----------
        question, answer : str
            Short names.

        Returns
        -------
        index : int
            Place in `flat`.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the tree has no such answer.
        """
        try:
            return self._index[question, answer]
        except KeyError:
            raise InputError(f"tree {self.name} has no answer {answer!r} to {question!r}") from None

    def columns(self, question: str) -> slice:
        """Places of a question's answers in a vote vector.

        Parameters
        ----------
        question : str
            Short name.

        Returns
        -------
        columns : slice
            Range of `flat`.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the tree has no such question.
        """
        start = 0
        for q in self.questions:
            if q.name == question:
                return slice(start, start + len(q.answers))
            start += len(q.answers)
        raise InputError(f"tree {self.name} has no question {question!r}")

    def path(self, question: str) -> tuple[tuple[str, str], ...]:
        """Answers that must have been given before a question was asked.

        Parameters
        ----------
        question : str
            Short name.

        Returns
        -------
        path : tuple of (question, answer)
            From the first question on. Where several ways lead to a question (every galaxy
            reaches the question for oddities), only what all of them share.
        """
        return self._paths[self.question(question).name]

    @cached_property
    def _paths(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """The path of every question: captions ask for them batch by batch."""
        return {question.name: self._path(question) for question in self.questions}

    def _path(self, question: Question) -> tuple[tuple[str, str], ...]:
        """What all ways to a question share."""
        if question.needs is not None:
            return (*self._path(self.question(question.needs[0])), question.needs)
        ways = self._ways(question.name)
        first = ways[0] if ways else ()
        return tuple(pair for pair in first if all(pair in way for way in ways))

    def question(self, name: str) -> Question:
        """Find a question by its name.

        Parameters
        ----------
        name : str
            Short name.

        Returns
        -------
        question : Question
            The question.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the tree has no such question.
        """
        for question in self.questions:
            if question.name == name:
                return question
        raise InputError(f"tree {self.name} has no question {name!r}")

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names of all questions, each after every question that leads to it."""
        after: list[str] = []
        self._visit(self.questions[0].name, after)
        reached = tuple(reversed(after))
        return reached + tuple(q.name for q in self.questions if q.name not in reached)

    def _visit(self, name: str, after: list[str]) -> None:
        """Put a question before those that it leads to, which ``after`` lists last first."""
        if name in after:
            return
        follows = [a.leads_to for a in self.question(name).answers if a.leads_to]
        follows += [q.name for q in self.questions if q.needs and q.needs[0] == name]
        for follower in reversed(follows):
            self._visit(follower, after)
        after.append(name)

    def _ways(self, question: str) -> list[tuple[tuple[str, str], ...]]:
        """Every way from the first question to this one."""
        if question == self.questions[0].name:
            return [()]
        return [
            (*way, (q.name, a.name))
            for q in self.questions
            for a in q.answers
            if a.leads_to == question
            for way in self._ways(q.name)
        ]

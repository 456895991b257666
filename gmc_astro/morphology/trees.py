"""Galaxy Zoo decision trees as data: what was asked, what could be answered, what came next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from gmc_astro.exceptions import InputError

__all__ = ["GZ2_TREE", "LABEL_TREE", "Answer", "DecisionTree", "Question"]


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
    """

    name: str
    leads_to: str | None = None
    column: str = ""

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
    """

    name: str
    text: str
    answers: tuple[Answer, ...]
    measured: bool = False
    needs: tuple[str, str] | None = None


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
        needs = next((q.needs for q in self.questions if q.name == question), None)
        if needs is not None:
            return (*self.path(needs[0]), needs)
        ways = self._ways(question)
        first = ways[0] if ways else ()
        return tuple(pair for pair in first if all(pair in way for way in ways))

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


def _answers(task: str, rows: str, prefix: str) -> tuple[Answer, ...]:
    """Read ``number name next`` triples; the catalogue's stem follows from the first two."""
    answers = []
    for row in rows.split(";"):
        number, name, leads_to = row.split()
        column = f"{prefix}_{task}_a{number}_{name}"
        answers.append(Answer(name, None if leads_to == "end" else leads_to, column))
    return tuple(answers)


def _gz2(number: int, task: str, text: str, rows: str) -> Question:
    return Question(task, text, _answers(task, rows, f"t{number:02d}"))


_GZ2_QUESTIONS = (
    _gz2(
        1,
        "smooth_or_features",
        "Is the galaxy simply smooth and rounded, with no sign of a disk?",
        "01 smooth rounded; 02 features_or_disk edgeon; 03 star_or_artifact end",
    ),
    _gz2(2, "edgeon", "Could this be a disk viewed edge-on?", "04 yes bulge_shape; 05 no bar"),
    _gz2(
        3,
        "bar",
        "Is there a sign of a bar feature through the centre of the galaxy?",
        "06 bar spiral; 07 no_bar spiral",
    ),
    _gz2(
        4,
        "spiral",
        "Is there any sign of a spiral arm pattern?",
        "08 spiral arms_winding; 09 no_spiral bulge_prominence",
    ),
    _gz2(
        5,
        "bulge_prominence",
        "How prominent is the central bulge, compared with the rest of the galaxy?",
        "10 no_bulge odd; 11 just_noticeable odd; 12 obvious odd; 13 dominant odd",
    ),
    _gz2(6, "odd", "Is there anything odd?", "14 yes odd_feature; 15 no end"),
    _gz2(
        7,
        "rounded",
        "How rounded is it?",
        "16 completely_round odd; 17 in_between odd; 18 cigar_shaped odd",
    ),
    _gz2(
        8,
        "odd_feature",
        "Is the odd feature a ring, or is the galaxy disturbed or irregular?",
        "19 ring end; 20 lens_or_arc end; 21 disturbed end; 22 irregular end; 23 other end; "
        "24 merger end; 38 dust_lane end",
    ),
    _gz2(
        9,
        "bulge_shape",
        "Does the galaxy have a bulge at its centre? If so, what shape?",
        "25 rounded odd; 26 boxy odd; 27 no_bulge odd",
    ),
    _gz2(
        10,
        "arms_winding",
        "How tightly wound do the spiral arms appear?",
        "28 tight arms_number; 29 medium arms_number; 30 loose arms_number",
    ),
    _gz2(
        11,
        "arms_number",
        "How many spiral arms are there?",
        "31 1 bulge_prominence; 32 2 bulge_prominence; 33 3 bulge_prominence; "
        "34 4 bulge_prominence; 36 more_than_4 bulge_prominence; 37 cant_tell bulge_prominence",
    ),
)

#: The tree of Galaxy Zoo 2: 11 questions, 37 answers (there is no a35; a38 was added late).
GZ2_TREE = DecisionTree(
    "GZ2", _GZ2_QUESTIONS, "Willett et al. 2013, MNRAS 435, 2835, arXiv:1308.3496"
)

#: Galaxy Zoo 2's questions, the way spiral arms turn (asked by Galaxy Zoo 1), and the outline
#: as measured by photutils. Labels of several sources can be held in votes on this tree.
LABEL_TREE = DecisionTree(
    "labels",
    (
        *_GZ2_QUESTIONS,
        Question(
            "handedness",
            "Which way do the spiral arms turn?",
            (Answer("clockwise", None, "P_CW"), Answer("anticlockwise", None, "P_ACW")),
            needs=("spiral", "spiral"),
        ),
        Question(
            "outline",
            "Axis ratio of the outline, measured on the image",
            (Answer("round"), Answer("in_between"), Answer("elongated")),
            measured=True,
        ),
    ),
    "Willett et al. 2013, arXiv:1308.3496; Lintott et al. 2008, arXiv:0804.4483",
)

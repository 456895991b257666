"""Trees of users."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from gmc_astro.exceptions import InputError, VoteTableError
from gmc_astro.learning.captions import VoteCaptions
from gmc_astro.morphology import (
    TREES,
    Answer,
    CaptionWriter,
    DecisionTree,
    Question,
    VoteTable,
    register_tree,
)
from gmc_astro.morphology.expert import type_codes

SENSE = Question(
    "sense",
    "Like which letter do the arms turn?",
    (
        Answer("like_z", column="sense_z", mirror="like_s"),
        Answer("like_s", column="sense_s", mirror="like_z"),
    ),
)
BAR = Question(
    "bar",
    "Is there a bar?",
    (Answer("bar", "sense", "barred_yes"), Answer("no_bar", "sense", "barred_no")),
)
TREE = DecisionTree("SENSES", (BAR, SENSE))
PHRASES = {
    ("sense", "like_z"): ("with arms like a Z", "turning like a Z"),
    ("sense", "like_s"): ("with arms like an S",),
}
TERMS = {("sense", "like_z"): ("Z arms",), ("sense", "like_s"): ("S arms",)}
DISPUTES = {"sense": ("volunteers disagree which way it turns",)}
TABLE = Table({"barred_yes": [30, 5], "barred_no": [2, 30], "sense_z": [31, 2], "sense_s": [1, 33]})


@pytest.fixture
def registered(own_trees):
    return register_tree(TREE, PHRASES, terms=TERMS, disputes=DISPUTES)


def test_its_table_is_read(registered):
    votes = VoteTable.read(TABLE)
    assert votes.tree is TREES["SENSES"] is TREE
    np.testing.assert_array_equal(votes.counts[0], [30, 2, 31, 1])
    np.testing.assert_allclose(votes.fraction("sense", "like_s"), [1 / 32, 33 / 35])
    fractions = Table({f"{name}_fraction": TABLE[name] / 50 for name in TABLE.colnames})
    assert VoteTable.read(fractions).fraction("bar", "bar").tolist() == pytest.approx([0.6, 0.1])


@pytest.mark.parametrize("style", ["plain", "expert", "prompt", "varied"])
def test_every_style_speaks_of_it(registered, simulate, style):
    votes, writer = simulate(TREE, 400), CaptionWriter(TREE, style)
    captions = writer(votes, handedness=True)
    assert {pair for text in captions for pair in writer.claims(text)} == set(TREE.flat)
    said = {statement.answer for text in captions for statement in writer.statements(text)}
    assert (None in said) == (style != "prompt")


def chain(*asked):
    """A tree of questions that all follow each other, with the answers of Galaxy Zoo 2."""
    answers = {
        "smooth_or_features": ("features_or_disk", "smooth"),
        "edgeon": ("no", "yes"),
        "bar": ("bar", "no_bar"),
        "spiral": ("spiral", "no_spiral"),
        "bulge_prominence": ("no_bulge", "obvious"),
    }
    following = dict(zip(asked, [*asked[1:], None], strict=True))
    questions = []
    for name, after in following.items():
        first, second = answers[name]
        always = name not in ("smooth_or_features", "edgeon")
        last = Answer(second, after if always else None)
        questions.append(Question(name, f"{name}?", (Answer(first, after), last)))
    return DecisionTree("CHAIN", tuple(questions))


@pytest.mark.parametrize(
    ("also", "codes"),
    [
        ({"bar", "bulge_prominence"}, {"S0", "SA0", "SB0", "SAb", "SBd"}),
        ({"bar"}, {"S", "S0", "SA", "SA0", "SB", "SB0"}),
        ({"bulge_prominence"}, {"S", "S0", "Sb", "Sd"}),
        (set(), {"S", "S0"}),
    ],
    ids=["both", "no bulge", "no bar", "neither"],
)
def test_type_codes_of_trees_that_ask_less(simulate, also, codes):
    always = {"smooth_or_features", "edgeon", "spiral"}
    order = ("smooth_or_features", "edgeon", "bar", "spiral", "bulge_prominence")
    tree = chain(*(name for name in order if name in always | also))
    writer = CaptionWriter(tree, "expert")
    captions = writer(simulate(tree, 400))
    found = {word for text in captions for word in re.findall(r"\bS[AB]*[a-d0]?\b", text)}
    assert found >= codes
    assert found <= set(type_codes(tree))
    for text in captions:
        writer.claims(text)  # every caption can be read again


def test_without_terms_experts_are_silent(own_trees):
    register_tree(TREE, PHRASES)
    with pytest.raises(InputError, match="style expert has no words for"):
        CaptionWriter(TREE, "expert")


def test_mirrors_need_no_word_for_clockwise(registered):
    captions = VoteCaptions(VoteTable.read(TABLE))
    rows, flipped = np.array([0, 0]), np.array([False, True])
    texts = [t for e in range(9) for t in captions.write(rows, epoch=e, seed=0, flipped=flipped)]
    assert any("like a Z" in text for text in texts[::2])
    assert any("like an S" in text for text in texts[1::2])
    assert not any("like an S" in text for text in texts[::2])
    assert not any("like a Z" in text for text in texts[1::2])


def test_taken_out_it_is_read_no_more(registered):
    del TREES["SENSES"]
    with pytest.raises(VoteTableError, match="no layout that is known"):
        VoteTable.read(TABLE)


def test_it_can_be_replaced_but_no_shipped_tree(registered):
    with pytest.raises(InputError, match="a tree 'SENSES' already"):
        register_tree(TREE, PHRASES)
    only = register_tree(replace(TREE, questions=(SENSE,)), PHRASES, overwrite=True)
    assert VoteTable.read(TABLE).tree is only
    with pytest.raises(InputError, match="a tree 'GZ2' already"):
        register_tree(replace(TREE, name="GZ2"), PHRASES, overwrite=True)


@pytest.mark.parametrize(
    ("phrases", "options", "says"),
    [
        ({}, {}, "phrases has no words for .*'sense', 'like_z'"),
        (PHRASES, {"terms": {("sense", "like_z"): ("Z",)}}, "terms has no words for"),
        (PHRASES | {("bar", "bar"): ("barred",)}, {}, "phrases has words for .*'bar', 'bar'"),
        (PHRASES, {"disputes": {"bar": ("who knows",)}}, r"disputes has words for \['bar'\]"),
        (PHRASES | {("sense", "like_s"): ("with a bar",)}, {}, "'with a bar' would mean two"),
        (PHRASES | {("sense", "like_s"): ("turning like a Z",)}, {}, "would mean two things"),
        (PHRASES | {("sense", "like_s"): ("no ring",)}, {}, "'no ring' would mean two things"),
        (PHRASES | {("sense", "like_s"): ("arms, like an S",)}, {}, "'arms, like an S' holds"),
        (PHRASES | {("sense", "like_s"): ("clearly an S",)}, {}, "begins with what captions put"),
        (PHRASES | {("sense", "like_s"): ("this is an S",)}, {}, "begins with what captions put"),
    ],
)
def test_words_that_cannot_be(own_trees, phrases, options, says):
    with pytest.raises(InputError, match=says):
        register_tree(TREE, phrases, **options)
    assert "SENSES" not in TREES


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (replace(SENSE, answers=SENSE.answers[:1]), "question sense needs two answers"),
        (replace(SENSE, answers=(Answer("a", "b"), Answer("c"))), "a leads to 'b'"),
    ],
)
def test_a_tree_that_cannot_be(own_trees, question, says):
    with pytest.raises(InputError, match=says):
        register_tree(replace(TREE, questions=(BAR, question)), PHRASES)


def test_a_tree_that_goes_round(own_trees):
    round_about = replace(SENSE, answers=(Answer("a", BAR.name), Answer("b", SENSE.name)))
    with pytest.raises(InputError, match="tree SENSES goes round: bar to sense to bar"):
        register_tree(replace(TREE, questions=(BAR, round_about)), PHRASES)
    twice = replace(SENSE, answers=(Answer("a"), Answer("a")))
    with pytest.raises(InputError, match="sense has two answers of one name"):
        register_tree(replace(TREE, questions=(BAR, twice)), PHRASES)
    turned = replace(SENSE, answers=(Answer("a", mirror="z"), Answer("b")))
    with pytest.raises(InputError, match="the mirror 'z' is no answer of sense"):
        register_tree(replace(TREE, questions=(BAR, turned)), PHRASES)
    with pytest.raises(InputError, match="tree SENSES has no questions"):
        register_tree(replace(TREE, questions=()), PHRASES)

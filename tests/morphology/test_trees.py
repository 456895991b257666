import pytest

from gmc_astro.exceptions import InputError
from gmc_astro.morphology import (
    GZ1_TREE,
    GZ2_TREE,
    GZ_DECALS_DR5_TREE,
    GZ_DECALS_DR8_TREE,
    GZ_DECALS_DR12_TREE,
    LABEL_TREE,
    TREES,
)


def test_galaxy_zoo_2_has_11_questions_and_37_answers():
    assert len(GZ2_TREE.questions) == 11
    assert len(GZ2_TREE) == 37
    columns = [answer.column for q in GZ2_TREE.questions for answer in q.answers]
    assert columns[0] == "t01_smooth_or_features_a01_smooth"
    assert "t08_odd_feature_a38_dust_lane" in columns
    assert not any("a35" in column for column in columns)


def test_every_answer_leads_to_a_question_of_the_tree():
    names = {question.name for question in GZ2_TREE.questions}
    leads = {answer.leads_to for q in GZ2_TREE.questions for answer in q.answers}
    assert leads - {None} <= names


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("smooth_or_features", ()),
        ("rounded", (("smooth_or_features", "smooth"),)),
        (
            "arms_number",
            (
                ("smooth_or_features", "features_or_disk"),
                ("edgeon", "no"),
                ("spiral", "spiral"),
            ),
        ),
        ("odd", ()),
        ("odd_feature", (("odd", "yes"),)),
    ],
)
def test_path_is_what_all_ways_share(question, path):
    found = GZ2_TREE.path(question)
    if question == "arms_number":
        assert set(path) <= set(found)
    else:
        assert found == path


def test_handedness_needs_arms():
    assert LABEL_TREE.path("handedness")[-1] == ("spiral", "spiral")


def test_columns_are_the_places_of_a_question():
    columns = GZ2_TREE.columns("edgeon")
    assert GZ2_TREE.flat[columns] == (("edgeon", "yes"), ("edgeon", "no"))


def test_unknown_names():
    with pytest.raises(InputError, match="no answer 'maybe' to 'bar'"):
        GZ2_TREE.index("bar", "maybe")
    with pytest.raises(InputError, match="no question 'colour'"):
        GZ2_TREE.columns("colour")


@pytest.mark.parametrize(
    ("tree", "questions", "answers"),
    [
        (GZ_DECALS_DR12_TREE, 10, 30),
        (GZ_DECALS_DR5_TREE, 10, 34),
        (GZ_DECALS_DR8_TREE, 10, 34),
        (GZ1_TREE, 1, 6),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_other_trees(tree, questions, answers):
    assert len(tree.questions) == questions
    assert len(tree) == answers
    assert all(answer.column for question in tree.questions for answer in question.answers)


def test_columns_of_galaxy_zoo_decals():
    columns = [a.column for q in GZ_DECALS_DR5_TREE.questions for a in q.answers]
    assert "smooth-or-featured-dr5_featured-or-disk" in columns
    assert "spiral-arm-count-dr5_cant-tell" in columns
    assert "how-rounded-dr5_round" in columns
    dr12 = [a.column for q in GZ_DECALS_DR12_TREE.questions for a in q.answers]
    assert {"how-rounded-dr12_completely", "merging-dr12_both", "bar-dr12_yes"} <= set(dr12)
    assert "spiral-arm-count-dr12_cant-tell" not in dr12


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_every_tree_is_whole(tree):
    names = {question.name for question in tree.questions}
    assert len(tree.flat) == len(set(tree.flat))
    assert set(tree.order) == names
    for question in tree.questions:
        for answer in question.answers:
            assert answer.leads_to is None or tree.order.index(answer.leads_to) > tree.order.index(
                question.name
            )
            assert answer.mirror in {None, *(other.name for other in question.answers)}
        assert tree.path(question.name) is not None


def test_thresholds_are_those_of_willett():
    assert GZ2_TREE.question("spiral").threshold == (0.519, 0.715)
    assert GZ2_TREE.question("arms_number").threshold == (0.402, 0.619)
    assert GZ2_TREE.question("odd").threshold == (0.5, 0.5)

import pytest

from gmc_astro.exceptions import InputError
from gmc_astro.morphology import GZ2_TREE, LABEL_TREE


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

from itertools import product

import numpy as np
import pytest
from astropy.table import Table

from gmc_astro.exceptions import InputError, VoteTableError
from gmc_astro.morphology import GZ1_TREE, GZ2_TREE, VoteTable, parse_gz2_class, write_gz2_class


def every_code():
    """All codes that there are."""
    arms = ["", *map("".join, product("1234+?", "tml"))]
    disks = [f"S{bar}{bulge}{a}" for bar, bulge, a in product(["", "B"], "dcba", arms)]
    shapes = ["Er", "Ei", "Ec", "Ser", "Seb", "Sen", *disks]
    return ["A", *(f"{s}{odd}" for s in shapes for odd in ["", *(f"({o})" for o in "rldiomu")])]


def test_every_code_comes_back():
    codes = every_code()
    assert len(set(codes)) == 1 + (6 + 2 * 4 * 19) * 8
    votes = VoteTable.read(Table({"gz2_class": codes}))
    assert write_gz2_class(votes).tolist() == codes
    assert write_gz2_class(votes.on(GZ2_TREE)).tolist() == codes


def test_what_a_code_says():
    assert dict(parse_gz2_class("SBb2m(r)")) == {
        "smooth_or_features": "features_or_disk",
        "edgeon": "no",
        "bar": "bar",
        "spiral": "spiral",
        "arms_winding": "medium",
        "arms_number": "2",
        "bulge_prominence": "obvious",
        "odd": "yes",
        "odd_feature": "ring",
    }
    assert dict(parse_gz2_class("Sd"))["spiral"] == "no_spiral"


def test_every_answer_of_a_code_was_asked():
    for code in every_code():
        pairs = parse_gz2_class(code)
        for question, answer in pairs:
            assert (question, answer) in GZ2_TREE.flat
            assert set(GZ2_TREE.path(question)) <= set(pairs), code


def test_codes_of_real_votes_say_the_most_common_answers(stripe82):
    codes = write_gz2_class(stripe82)
    assert len(set(codes.tolist())) > 100
    assert not (codes == "").any()
    said = VoteTable.read(Table({"gz2_class": codes}))
    for question in GZ2_TREE.questions:
        columns = said.tree.columns(question.name)
        rows = np.isfinite(said.fractions[:, columns]).any(axis=1)
        leading = np.nan_to_num(stripe82.fractions[rows, columns]).argmax(axis=1)
        assert (np.nan_to_num(said.fractions[rows, columns]).argmax(axis=1) == leading).all()


def test_unknown_where_an_answer_on_the_way_is():
    votes = VoteTable.read(Table({"label": ["elliptical", "smooth_cigar", "star_or_artifact"]}))
    assert write_gz2_class(votes).tolist() == ["", "", "A"]


def test_empty_cells():
    votes = VoteTable.read(Table({"gz2_class": ["Ei", ""]}))
    assert write_gz2_class(votes).tolist() == ["Ei", ""]


@pytest.mark.parametrize("code", ["E", "Sx", "SBb2", "Ei(z)", "ei", "A(r)", "Se2m"])
def test_no_such_code(code):
    with pytest.raises(VoteTableError, match="is not a gz2_class"):
        parse_gz2_class(code)


def test_a_tree_without_the_questions(simulate):
    with pytest.raises(InputError, match="tree GZ1 has no answer"):
        write_gz2_class(simulate(GZ1_TREE, 3))

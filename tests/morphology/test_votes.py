import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology import GZ2_TREE, GZ_DECALS_DR5_TREE, LABEL_TREE, VoteTable

CLAIMS = {
    "smooth": ("smooth_or_features", "smooth"),
    "spiral": ("spiral", "spiral"),
    "no_spiral": ("spiral", "no_spiral"),
    "edge_on": ("edgeon", "yes"),
    "bar": ("bar", "bar"),
    "no_bar": ("bar", "no_bar"),
    "clockwise": ("handedness", "clockwise"),
    "round": ("outline", "round"),
    "merger": ("odd_feature", "merger"),
}


def relation(votes, *names):
    """Relation of the first row to one caption that claims all of ``names``."""
    claims = np.zeros((1, len(LABEL_TREE)), bool)
    for name in names:
        claims[0, LABEL_TREE.index(*CLAIMS[name])] = True
    return int(votes.supports(claims)[0, 0])


def test_a_frame_is_read_as_the_table_of_it():
    frame = pd.DataFrame({"id": ["1", "2"], "label": ["spiral", None]})
    votes, wanted = (VoteTable.read(t) for t in (frame, Table.from_pandas(frame)))
    assert votes.ids.tolist() == ["1", "2"]
    np.testing.assert_array_equal(votes.fractions, wanted.fractions)


def labelled(label):
    return VoteTable.read(Table({"id": ["1"], "label": [label]}))


@pytest.mark.parametrize(
    ("label", "claim", "expected"),
    [
        ("elliptical", "smooth", 1),
        ("elliptical", "spiral", -1),
        ("elliptical", "edge_on", -1),
        ("elliptical", "bar", -1),
        ("elliptical", "no_bar", 0),
        ("elliptical", "merger", 0),
        ("edge_on", "smooth", -1),
        ("edge_on", "bar", -1),
        ("spiral", "spiral", 1),
        ("spiral", "no_spiral", -1),
        ("spiral", "bar", 0),
        ("spiral", "clockwise", 0),
        ("star_or_artifact", "smooth", -1),
        ("star_or_artifact", "spiral", -1),
        ("dont_know", "smooth", 0),
    ],
)
def test_what_a_label_supports_and_rules_out(label, claim, expected):
    assert relation(labelled(label), claim) == expected


def test_bars_and_rings_that_were_marked():
    """A mark says that the galaxy shows its disk; what is not marked is not known."""
    marks = {"file": ["1", "2", "3"], "bar": [1, 0, None], "ring": [None, 0, 1]}
    votes = VoteTable.read(Table.from_pandas(pd.DataFrame(marks)))
    barred, plain, ringed = votes[:1], votes[1:2], votes[2:]
    found = [[relation(v, claim) for claim in ("bar", "no_bar")] for v in (barred, plain, ringed)]
    assert found == [[1, -1], [-1, 1], [0, 0]]
    assert relation(barred, "edge_on") == relation(plain, "smooth") == -1
    rings = votes.fraction("odd_feature", "ring")
    np.testing.assert_array_equal(rings, np.float32([np.nan, 0, 1]))
    questions = [q.name for q in votes.tree.questions]
    asked = votes.asked()[:, [questions.index("bar"), questions.index("odd_feature")]]
    assert asked.tolist() == [[True, False], [True, True], [False, True]]


def test_one_false_claim_makes_a_caption_false():
    votes = labelled("spiral").with_outline([0.9])
    assert relation(votes, "spiral", "round") == 1
    assert relation(votes, "smooth", "round") == -1
    assert relation(votes, "spiral", "bar") == 0
    assert relation(votes) == 0


def test_handedness():
    votes = labelled("spiral_anticlockwise")
    assert relation(votes, "clockwise") == -1


@pytest.mark.parametrize(
    ("ratio", "name"), [(0.9, "round"), (0.6, "in_between"), (0.3, "elongated")]
)
def test_outline(ratio, name):
    assert labelled("elliptical").with_outline([ratio]).fraction("outline", name).item() == 1


def test_no_outline_for_what_is_no_galaxy_or_was_not_measured():
    assert np.isnan(labelled("star_or_artifact").with_outline([0.9]).fraction("outline", "round"))
    assert np.isnan(labelled("elliptical").with_outline([np.nan]).fraction("outline", "round"))


@pytest.mark.parametrize(
    ("contrast", "name"),
    [(0.5, "no_bulge"), (2.0, "just_noticeable"), (2.3, "obvious"), (9.0, "dominant")],
)
def test_bulges_of_spirals_as_measured(contrast, name):
    votes = labelled("spiral").with_bulges([contrast])
    answers = ("no_bulge", "just_noticeable", "obvious", "dominant")
    shares = {a: votes.fraction("bulge_prominence", a).item() for a in answers}
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=shares.get) == name
    assert votes.asked()[0, [q.name for q in votes.tree.questions].index("bulge_prominence")]


def test_no_measured_bulge_of_what_is_no_spiral_lies_flat_or_has_votes():
    def of(votes, contrast):
        return votes.with_bulges([contrast]).fraction("bulge_prominence", "dominant")

    spiral = labelled("spiral")
    assert of(spiral, 9.0) == pytest.approx(0.792, abs=1e-3)
    assert np.isnan(of(labelled("elliptical"), 9.0))
    assert np.isnan(of(spiral.with_outline([0.2]), 9.0))
    assert np.isnan(of(spiral, np.nan))
    assert np.isnan(of(spiral, -1.0))
    voted = spiral.with_bulges([1.0])
    np.testing.assert_array_equal(voted.with_bulges([9.0]).fractions, voted.fractions)


def test_empty_cells_are_unknown_not_no():
    table = Table({"object_id": ["1", "2", "3"], "spiral": ["1", "0", ""], "gz1_class": [""] * 3})
    spiral = VoteTable.read(table).fraction("spiral", "spiral")
    assert spiral[0] == 1
    assert np.isnan(spiral[2])
    assert relation(VoteTable.read(table)[2], "spiral") == 0


def test_counts_without_votes_are_unknown():
    stem = "t01_smooth_or_features_a0"
    names = ["1_smooth", "2_features_or_disk", "3_star_or_artifact"]
    values = {f"{stem}{n}_fraction": [0.2, 0.0] for n in names}
    values |= {f"{stem}{n}_count": [3, 0] for n in names}
    votes = VoteTable.read(Table({"objid": ["5", "6"], **values}))
    assert votes.fraction("smooth_or_features", "smooth")[0] == pytest.approx(0.2)
    assert np.isnan(votes.fraction("smooth_or_features", "smooth")[1])


def test_ids_of_19_digits_survive(stripe82):
    assert len(stripe82) == 19761
    assert stripe82.ids[0] == "8647474690312307154"


@pytest.mark.parametrize(
    ("folder", "rows"),
    [
        ("sdss_pool", 10406),
        ("gz2_five_class", 2630),
        ("decals_rings", 248),
        ("sdss_artifacts", 545),
        ("tree_examples", 417),
    ],
)
def test_real_labels(data_folder, folder, rows):
    votes = VoteTable.read(data_folder / folder)
    assert len(votes) == rows
    known = votes.fractions[np.isfinite(votes.fractions)]
    assert known.min() >= 0
    assert known.max() <= 1
    assert np.isfinite(votes.fractions).any(axis=1).mean() > 0.6


def test_rows_and_concatenation():
    table = VoteTable.concatenate([labelled("spiral"), labelled("edge_on")])
    assert len(table) == 2
    assert len(table[1]) == 1
    assert relation(table[np.array([False, True])], "edge_on") == 1
    with pytest.raises(VoteTableError, match="one or more"):
        VoteTable.concatenate([])


def test_counts_go_with_their_rows(simulate):
    votes = simulate(LABEL_TREE, 6)
    np.testing.assert_array_equal(votes[2:4].counts, votes.counts[2:4])
    assert labelled("spiral")[0].counts is None
    joined = VoteTable.concatenate([labelled("spiral"), votes])
    assert np.isnan(joined.counts[0]).all()
    np.testing.assert_array_equal(joined.counts[1:], votes.counts)
    assert VoteTable.concatenate([labelled("spiral"), labelled("edge_on")]).counts is None
    np.testing.assert_array_equal(votes.with_outline(np.full(6, 0.9)).counts, votes.counts)


def test_counts_of_real_votes(stripe82, stripe82_table):
    column = "t04_spiral_a08_spiral_count"
    counts = stripe82.counts[:, LABEL_TREE.index("spiral", "spiral")]
    np.testing.assert_array_equal(counts, stripe82_table[column])
    assert counts.dtype == np.float32
    assert np.isnan(stripe82.counts[:, LABEL_TREE.columns("outline")]).all()


def test_on_another_tree(simulate):
    votes = simulate(GZ2_TREE, 5)
    wider = votes.on(LABEL_TREE)
    assert wider.tree == LABEL_TREE
    assert np.isnan(wider.fraction("outline", "round")).all()
    again = wider.on(GZ2_TREE)
    np.testing.assert_array_equal(again.fractions, votes.fractions)
    np.testing.assert_array_equal(again.counts, votes.counts)
    assert votes.on(GZ2_TREE) is votes
    assert simulate(GZ_DECALS_DR5_TREE, 5).on(LABEL_TREE).counts.shape == (5, len(LABEL_TREE))


def test_trees_must_agree_to_be_joined(simulate):
    with pytest.raises(VoteTableError, match=r"same tree; see VoteTable\.on"):
        VoteTable.concatenate([simulate(GZ2_TREE, 2), labelled("spiral")])


def test_unknown_layout_names_its_columns():
    with pytest.raises(VoteTableError, match=r"columns \['a'\] are of no layout"):
        VoteTable.read(Table({"a": [1]}))


def test_unknown_label():
    with pytest.raises(VoteTableError, match=r"labels \['banana'\] are not known"):
        labelled("banana")


def test_missing_file(tmp_path):
    with pytest.raises(VoteTableError, match="is not a file"):
        VoteTable.read(tmp_path / "votes.csv")


def test_shapes_must_agree():
    with pytest.raises(VoteTableError, match="need \\(2, "):
        VoteTable(np.array(["a", "b"]), np.zeros((2, 3), np.float32))
    with pytest.raises(VoteTableError, match="counts have shape"):
        VoteTable(np.array(["a"]), np.zeros((1, 37)), GZ2_TREE, np.zeros((1, 36)))

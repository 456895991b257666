import numpy as np
import pytest
from astropy.table import Table

from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology import LABEL_TREE, VoteTable

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


def test_ids_of_19_digits_survive(data_folder):
    votes = VoteTable.read(data_folder / "votes" / "gz2_stripe82_coadd_votes.csv.gz")
    assert len(votes) == 19761
    assert votes.ids[0] == "8647474690312307154"


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

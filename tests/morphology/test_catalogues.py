"""Tables as they were published, made here from simulated votes and read back."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from gmc_astro.exceptions import VoteTableError
from gmc_astro.morphology import (
    GZ1_TREE,
    GZ2_TREE,
    GZ_DECALS_DR5_TREE,
    GZ_DECALS_DR8_TREE,
    GZ_DECALS_DR12_TREE,
    LABEL_TREE,
    VoteTable,
)

DECALS = {
    "-dr12": GZ_DECALS_DR12_TREE,
    "-dr5": GZ_DECALS_DR5_TREE,
    "-dr8": GZ_DECALS_DR8_TREE,
}
#: Kaggle: what the values of a class are multiplied with, as (question, answer) on the way.
KAGGLE_PARENTS = {
    1: None,
    2: (1, 2),
    3: (2, 2),
    4: (2, 2),
    5: (2, 2),
    6: None,
    7: (1, 1),
    8: (6, 1),
    9: (2, 1),
    10: (4, 1),
    11: (4, 1),
}


def stems(tree):
    return [answer.column for question in tree.questions for answer in question.answers]


def columns_of(votes, count="", fraction=None, drop=""):
    """Columns of a published table, by its naming."""
    values = {}
    for i, stem in enumerate(stems(votes.tree)):
        stem = stem.replace(drop, "")
        if count is not None:
            values[stem + count] = votes.counts[:, i].astype(int)
        if fraction is not None:
            values[stem + fraction] = np.nan_to_num(votes.fractions[:, i])
    return values


def assert_same(votes, expected):
    assert votes.tree == expected.tree
    np.testing.assert_allclose(votes.fractions, expected.fractions, atol=1e-6)
    np.testing.assert_array_equal(votes.counts, expected.counts)


@pytest.mark.parametrize("written", ["with campaign", "without"])
@pytest.mark.parametrize("campaign", DECALS)
def test_decals_counts_and_fractions(simulate, campaign, written):
    expected = simulate(DECALS[campaign])
    drop = "" if written == "with campaign" else campaign
    table = Table({"iauname": expected.ids, **columns_of(expected, "", "_fraction", drop)})
    # DR8 asked what DR5 asked: without the campaign in the names they cannot be told apart
    votes = VoteTable.read(table, tree=DECALS[campaign] if campaign == "-dr8" else None)
    assert_same(votes, expected)
    assert votes.ids.tolist() == expected.ids.tolist()


def test_decals_counts_alone(simulate):
    expected = simulate(GZ_DECALS_DR5_TREE)
    assert_same(VoteTable.read(Table(columns_of(expected))), expected)


def test_decals_fractions_with_total_votes(simulate):
    expected = simulate(GZ_DECALS_DR5_TREE)
    values = columns_of(expected, None, "_fraction", "-dr5")
    for question in expected.tree.questions:
        columns = expected.tree.columns(question.name)
        name = question.answers[0].column.replace("-dr5", "").rsplit("_", 1)[0]
        values[f"{name}_total-votes"] = expected.counts[:, columns].sum(axis=1)
    assert_same(VoteTable.read(Table(values)), expected)


def test_a_table_of_several_campaigns_is_read_onto_the_one_that_is_asked_for(simulate):
    both = {tree.name: simulate(tree, 20) for tree in DECALS.values()}
    values = {k: v for votes in both.values() for k, v in columns_of(votes).items()}
    for tree in DECALS.values():
        assert_same(VoteTable.read(Table(values), tree=tree), both[tree.name])


def test_debiased_or_raw(simulate):
    expected = simulate(GZ2_TREE, 50)
    values = columns_of(expected, "_count", "_fraction")
    for stem in stems(GZ2_TREE):
        values[f"{stem}_weighted_fraction"] = values[f"{stem}_fraction"] * 0.5
        values[f"{stem}_debiased"] = values[f"{stem}_fraction"] * 0.9
    table = Table({"dr7objid": expected.ids, **values})
    raw = VoteTable.read(table, debiased=False, tree=GZ2_TREE)
    assert_same(raw, expected)
    debiased = VoteTable.read(table, tree=GZ2_TREE)
    np.testing.assert_allclose(debiased.fractions, 0.9 * expected.fractions, rtol=1e-5)
    assert VoteTable.read(table).tree == LABEL_TREE


@pytest.mark.parametrize("suffix", [".csv", ".ecsv", ".fits", ".parquet"])
def test_files(simulate, tmp_path, suffix):
    expected = simulate(GZ2_TREE, 10)
    ids = [f"58773174151266{i:04d}" for i in range(10)]
    table = Table({"dr7objid": ids, **columns_of(expected, "_count", "_fraction")})
    path = tmp_path / f"gz2_hart16{suffix}"
    table.write(path)
    votes = VoteTable.read(path, tree=GZ2_TREE)
    assert_same(votes, expected)
    assert votes.ids.tolist() == ids


def test_masked_cells_are_unknown(simulate):
    expected = simulate(GZ_DECALS_DR5_TREE, 3)
    table = Table(columns_of(expected))
    for stem in stems(expected.tree)[:3]:
        table[stem] = MaskedColumn(table[stem], mask=[True, False, False])
    votes = VoteTable.read(table)
    assert np.isnan(votes.fractions[0, :3]).all()
    assert np.isnan(votes.counts[0, :3]).all()
    assert np.isfinite(votes.fractions[1:, :3]).all()


def gz1_table(rows):
    names = ["P_EL", "P_CW", "P_ACW", "P_EDGE", "P_DK", "P_MG"]
    table = Table(rows=rows, names=names)
    table["OBJID"] = [str(587727178986356823 + i) for i in range(len(rows))]
    table["NVOTE"] = 50
    return table


def test_gz1():
    table = gz1_table([(0.1, 0.6, 0.1, 0.1, 0.06, 0.04)])
    votes = VoteTable.read(table)
    assert votes.tree == GZ1_TREE
    assert votes.counts.tolist() == [[5, 30, 5, 5, 3, 2]]
    table["P_EL_DEBIASED"], table["P_CS_DEBIASED"] = [0.05], [0.88]
    debiased = VoteTable.read(table).fractions[0]
    np.testing.assert_allclose(debiased, [0.05, 0.66, 0.11, 0.11, 0.06, 0.04], atol=1e-6)
    np.testing.assert_allclose(VoteTable.read(table, debiased=False).fractions, votes.fractions)


def test_gz1_on_the_tree_of_labels():
    table = gz1_table([(0.1, 0.6, 0.2, 0.1, 0, 0), (0.2, 0, 0, 0, 0.1, 0.7), (0, 0, 0, 0, 1, 0)])
    votes = VoteTable.read(table, tree=LABEL_TREE)
    assert votes.fraction("smooth_or_features", "smooth")[0] == pytest.approx(0.1)
    assert votes.fraction("edgeon", "yes")[0] == pytest.approx(1 / 9)
    assert votes.fraction("handedness", "clockwise")[0] == pytest.approx(0.75)
    assert np.isnan(votes.fraction("odd_feature", "merger")[0])
    assert votes.fraction("odd_feature", "merger")[1] == pytest.approx(0.7)
    assert np.isnan(votes.fractions[2]).all()


def kaggle_table(shares, ids):
    """Kaggle's columns by its published products; ``shares`` are on `GZ2_TREE`, 0 if unknown."""
    table = Table({"GalaxyID": ids})
    for number, question in enumerate(GZ2_TREE.questions, 1):
        parent = KAGGLE_PARENTS[number]
        weight = 1 if parent is None else table["Class{}.{}".format(*parent)]
        columns = range(*GZ2_TREE.columns(question.name).indices(37))
        for k, column in enumerate(columns, 1):
            table[f"Class{number}.{k}"] = shares[:, column] * weight
    return table


def test_kaggle_products_of_real_votes_are_undone(stripe82_table):
    counts = VoteTable.read(stripe82_table, tree=GZ2_TREE).counts.astype(float)
    shares = np.full(counts.shape, np.nan)
    for question in GZ2_TREE.questions:
        columns = GZ2_TREE.columns(question.name)
        total = counts[:, columns].sum(axis=1, keepdims=True)
        shares[:, columns] = counts[:, columns] / np.where(total > 0, total, np.nan)
    table = kaggle_table(np.nan_to_num(shares), stripe82_table["objid"])
    assert len(table.colnames) == 38
    read = VoteTable.read(table, tree=GZ2_TREE)
    difference = np.abs(read.fractions - shares)
    assert np.nanmax(difference) < 1e-6
    # known wherever it was, but for questions that were asked though no vote led there
    reached = np.isfinite(read.fractions)
    assert reached[:, :3].all()
    assert (reached <= np.isfinite(shares)).all()
    assert reached.sum() > 0.9 * np.isfinite(shares).sum()
    assert read.ids.tolist() == list(stripe82_table["objid"])
    assert read.counts is None


def test_kaggle_with_a_missing_column_is_not_kaggle():
    table = kaggle_table(np.full((2, 37), 0.5), ["1", "2"])
    del table["Class8.7"]
    with pytest.raises(VoteTableError, match="of no layout that is known"):
        VoteTable.read(table)


def test_a_tree_about_which_the_table_says_nothing():
    with pytest.raises(VoteTableError, match="on tree labels say nothing on GZ1"):
        VoteTable.read(Table({"label": ["spiral"]}), tree=GZ1_TREE)


def test_a_column_of_words(simulate):
    table = Table(columns_of(simulate(GZ_DECALS_DR5_TREE, 1)))
    table["bar-dr5_weak"] = ["many"]
    with pytest.raises(VoteTableError, match="column bar-dr5_weak does not hold numbers"):
        VoteTable.read(table)


def test_a_file_that_is_no_table(tmp_path):
    path = tmp_path / "votes.fits"
    path.write_bytes(b"this is no FITS file")
    with pytest.raises(VoteTableError, match="cannot be read as a table"):
        VoteTable.read(path)


@pytest.mark.parametrize("value", [1.4, -0.2])
@pytest.mark.parametrize(
    ("names", "spoilt"),
    [
        ([f"{stem}_fraction" for stem in stems(GZ_DECALS_DR5_TREE)], 1),
        ([f"{stem}_weighted_fraction" for stem in stems(GZ2_TREE)], 2),
        (
            [
                f"Class{i}.{k + 1}"
                for i, q in enumerate(GZ2_TREE.questions, 1)
                for k in range(len(q.answers))
            ],
            0,
        ),
        (["P_EL", "P_CW", "P_ACW", "P_EDGE", "P_DK", "P_MG"], 3),
    ],
    ids=["DECaLS", "GZ2", "Kaggle", "GZ1"],
)
def test_what_is_no_fraction_is_named(names, spoilt, value):
    table = Table({"id": ["7", "8"], **{name: [0.1, 1.001] for name in names}})
    assert np.nanmax(VoteTable.read(table).fractions) <= 1
    table[names[spoilt]][1] = value
    with pytest.raises(VoteTableError, match=f"column {names[spoilt]} has {value} in row 1, which"):
        VoteTable.read(table)


def test_debiased_fractions_outside_of_0_to_1_are_cut():
    table = Table({"id": ["7"], **{f"{stem}_debiased": [1.04] for stem in stems(GZ2_TREE)}})
    assert np.nanmax(VoteTable.read(table).fractions) == 1

"""Which questions were asked, clean samples, and disagreement."""

import numpy as np
import pytest
from astropy.table import Table

from gmc_astro.exceptions import InputError, VoteTableError
from gmc_astro.morphology import GZ1_TREE, GZ2_TREE, GZ_DECALS_DR5_TREE, TREES, VoteTable


def votes_on(tree, votes_for):
    """One galaxy: {(question, answer): votes}."""
    counts = np.full((1, len(tree)), np.nan, np.float32)
    for question in {question for question, _ in votes_for}:
        counts[0, tree.columns(question)] = 0
    for pair, number in votes_for.items():
        counts[0, tree.index(*pair)] = number
    fractions = counts.copy()
    for question in tree.questions:
        columns = tree.columns(question.name)
        fractions[0, columns] = counts[0, columns] / counts[0, columns].sum()
    return VoteTable(np.array(["1"]), fractions, tree, counts)


def spiral(featured=30, face_on=25, arms=20, tree=GZ2_TREE):
    return votes_on(
        tree,
        {
            ("smooth_or_features", "smooth"): 40 - featured,
            ("smooth_or_features", "features_or_disk"): featured,
            ("edgeon", "yes"): featured - face_on,
            ("edgeon", "no"): face_on,
            ("spiral", "spiral"): arms,
            ("spiral", "no_spiral"): face_on - arms,
            ("arms_number", "2"): arms,
        },
    )


def asked(votes, **options):
    row = votes.asked(**options)[0]
    return {q.name for q, yes in zip(votes.tree.questions, row, strict=True) if yes}


def test_thresholds_of_willett():
    assert asked(spiral()) == {"smooth_or_features", "edgeon", "spiral", "arms_number"}
    # not edge-on has 12 of 24: less than 0.519
    assert asked(spiral(24, 12, 10)) == {"smooth_or_features", "edgeon"}
    # spiral has 8 of 20: less than 0.402
    assert "arms_number" not in asked(spiral(24, 20, 8), min_votes=5)


def test_thresholds_are_stricter_for_20_votes():
    votes = spiral(30, 21, 21)  # 0.7 of the votes: above 0.519, below 0.715
    assert "spiral" in asked(votes, min_votes=10)
    assert "spiral" not in asked(votes, min_votes=20)


def test_thresholds_are_cumulative():
    votes = spiral(8, 8, 8)  # all of the 8 who say it has features say it has arms; but 8 of 40
    assert asked(votes, min_votes=5) == {"smooth_or_features"}


def test_a_half_where_no_threshold_is_published():
    assert "edgeon" in asked(spiral(20, 20, 20, GZ_DECALS_DR5_TREE))
    assert "edgeon" not in asked(spiral(19, 19, 19, GZ_DECALS_DR5_TREE))


def test_few_votes():
    assert "arms_number" in asked(spiral(12, 11, 10))
    assert "arms_number" not in asked(spiral(12, 11, 9))


def test_nothing_is_asked_of_a_star():
    votes = votes_on(
        GZ2_TREE,
        {
            ("smooth_or_features", "star_or_artifact"): 25,
            ("smooth_or_features", "smooth"): 15,
            ("odd", "no"): 15,
        },
    )
    assert asked(votes) == {"smooth_or_features"}


def test_debiasing_does_not_change_who_was_asked():
    votes = spiral()
    debiased = VoteTable(votes.ids, votes.fractions * 0.2, votes.tree, votes.counts)
    assert asked(debiased) == asked(votes)
    assert "edgeon" not in asked(VoteTable(votes.ids, votes.fractions * 0.2, votes.tree))


def test_what_is_not_known_does_not_deny():
    labels = Table({"object_id": ["1"], "spiral": ["0"], "gz1_class": [""]})
    assert asked(VoteTable.read(labels)) == {"spiral"}


def test_asked_never_without_an_answer(simulate):
    for tree in TREES.values():
        votes = simulate(tree, 100)
        rows, questions = np.nonzero(votes.asked(min_votes=0))
        for row, question in zip(rows, questions, strict=True):
            columns = tree.columns(tree.questions[question].name)
            assert np.isfinite(votes.fractions[row, columns]).all()


def test_clean():
    votes = spiral(40, 40, 33)
    assert votes.clean("spiral", "spiral").tolist() == [True]
    assert votes.clean("spiral", "spiral", fraction=0.9).tolist() == [False]
    assert votes.clean("spiral", "spiral", min_votes=41).tolist() == [False]
    assert votes.clean("spiral", "no_spiral").tolist() == [False]
    assert not spiral(24, 12, 12).clean("spiral", "spiral", min_votes=10).any()
    with pytest.raises(InputError, match="no answer 'maybe'"):
        votes.clean("spiral", "maybe")


def test_clean_needs_counts():
    votes = VoteTable.read(Table({"label": ["spiral", "elliptical"]}))
    with pytest.raises(VoteTableError, match="min_votes=20, but the table has no counts"):
        votes.clean("spiral", "spiral")
    assert votes.clean("spiral", "spiral", min_votes=0).tolist() == [True, False]


@pytest.mark.parametrize(
    ("question", "answers"),
    [("smooth_or_features", ["smooth", "features_or_disk"]), ("odd", ["no"])],
)
def test_clean_samples_are_those_of_the_catalogue(stripe82_table, stripe82, question, answers):
    """The catalogue's own flags, of questions whose rule depends on no other question."""
    for answer in answers:
        column = GZ2_TREE.flat.index((question, answer))
        stem = [a.column for q in GZ2_TREE.questions for a in q.answers][column]
        flag = np.asarray(stripe82_table[f"{stem}_flag"]) == 1
        clean = stripe82.clean(question, answer, min_votes=10)
        assert flag.sum() > 100
        assert np.mean(clean[flag]) > 0.99
        assert np.mean(flag[clean]) > 0.99


def test_entropy_of_one_question():
    votes = spiral(20, 20, 10)
    assert votes.entropy("smooth_or_features")[0] == pytest.approx(np.log(2))
    assert votes.entropy("edgeon")[0] == 0
    assert np.isnan(votes.entropy("bar")[0])
    with pytest.raises(InputError, match="no question 'colour'"):
        votes.entropy("colour")


def test_expected_entropy_is_that_of_a_whole_walk():
    # half say smooth; of the others all say not edge-on, and half of them see arms
    votes = spiral(20, 20, 10)
    assert votes.expected_entropy()[0] == pytest.approx(np.log(2) + 0.5 * np.log(2))


def test_expected_entropy_of_a_tree_with_one_question():
    votes = votes_on(GZ1_TREE, {("galaxy_type", "elliptical"): 10, ("galaxy_type", "merger"): 10})
    assert votes.expected_entropy()[0] == pytest.approx(np.log(2))


def test_expected_entropy_counts_every_way_through_the_tree(simulate):
    """Against the entropy of all ways, enumerated."""
    votes = simulate(GZ2_TREE, 20)

    def ways(row, question):
        total = np.nansum(votes.fractions[row, GZ2_TREE.columns(question)])
        if not total:
            return [1.0]
        found = []
        for answer in GZ2_TREE.question(question).answers:
            share = float(votes.fractions[row, GZ2_TREE.index(question, answer.name)] / total)
            rest = ways(row, answer.leads_to) if answer.leads_to and share else [1.0]
            found += [share * p for p in rest if share * p > 0]
        return found

    for row, expected in enumerate(votes.expected_entropy()):
        p = np.array(ways(row, "smooth_or_features"))
        assert p.sum() == pytest.approx(1, abs=1e-5)
        assert expected == pytest.approx(-np.sum(p * np.log(p)), abs=1e-4)


def test_entropy_of_nothing_is_not_known():
    assert np.isnan(VoteTable.read(Table({"label": ["dont_know"]})).expected_entropy()[0])

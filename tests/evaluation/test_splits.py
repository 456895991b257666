"""Splits are stratified, nested, frozen, and refuse another catalogue."""

import json
from itertools import pairwise

import numpy as np
import pytest

from gmc_astro.evaluation import frozen_splits, make_split
from gmc_astro.exceptions import InputError

NAMES = ("spiral", "smooth", "rare")
TARGETS = np.repeat([0, 1, 2], [100, 50, 3])
IDS = np.array([f"g{i}" for i in range(153)])


def test_a_split_keeps_the_class_balance():
    split = make_split(IDS, TARGETS, NAMES, seed=0)
    classes = dict(zip(IDS.tolist(), TARGETS.tolist(), strict=True))
    counts = np.bincount([classes[name] for name in split.test])
    assert counts.tolist() == [20, 10, 1]
    assert {name: len(members) for name, members in split.train.items()} == {
        "spiral": 80,
        "smooth": 40,
        "rare": 2,
    }
    everyone = {*split.test, *split.labelled(1.0)}
    assert everyone == set(IDS.tolist())


def test_fractions_are_nested_and_have_every_class():
    split = make_split(IDS, TARGETS, NAMES, seed=3)
    sets = [set(split.labelled(f)) for f in (0.01, 0.05, 0.1, 0.5, 1.0)]
    assert all(a <= b for a, b in pairwise(sets))
    assert [len(s) for s in sets] == [1 + 1 + 1, 4 + 2 + 1, 8 + 4 + 1, 40 + 20 + 1, 122]
    with pytest.raises(InputError, match="fraction 5 is not above 0"):
        split.labelled(5)


def test_the_order_of_the_catalogue_does_not_matter():
    order = np.random.default_rng(0).permutation(153)
    a = make_split(IDS, TARGETS, NAMES, seed=1)
    assert make_split(IDS[order], TARGETS[order], NAMES, seed=1) == a
    assert make_split(IDS, TARGETS, NAMES, seed=2) != a


def test_an_official_test_part_is_kept():
    split = make_split(IDS, TARGETS, NAMES, seed=0, test_ids=IDS[::5])
    assert set(split.test) == set(IDS[::5].tolist())
    assert not set(split.test) & set(split.labelled(1.0))


def test_splits_are_frozen_in_a_file(tmp_path):
    path = tmp_path / "splits.json"
    first = frozen_splits(path, IDS, TARGETS, NAMES, seeds=[0, 1])
    document = json.loads(path.read_text())
    document["splits"][0]["test"] = document["splits"][0]["test"][1:]  # as if drawn otherwise
    path.write_text(json.dumps(document))
    again = frozen_splits(path, IDS, TARGETS, NAMES, seeds=[0, 1, 2])
    assert again[0].test == first[0].test[1:]
    assert again[1] == first[1]
    assert frozen_splits(path, IDS, TARGETS, NAMES, seeds=[2]) == again[2:]


def test_another_catalogue_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    frozen_splits(path, IDS, TARGETS, NAMES, seeds=[0])
    changed = TARGETS.copy()
    changed[0] = 1
    with pytest.raises(InputError, match="made for another catalogue or other options"):
        frozen_splits(path, IDS, changed, NAMES, seeds=[0])
    with pytest.raises(InputError, match=r"its test_share is 0\.2"):
        frozen_splits(path, IDS, TARGETS, NAMES, seeds=[0], test_share=0.3)
    official = tmp_path / "official.json"
    frozen_splits(official, IDS, TARGETS, NAMES, seeds=[0], test_ids=IDS[::5])
    frozen_splits(official, IDS, TARGETS, NAMES, seeds=[0], test_ids=[*IDS[::5], "elsewhere"])
    with pytest.raises(InputError, match="made for another test part"):
        frozen_splits(official, IDS, TARGETS, NAMES, seeds=[0], test_ids=IDS[::7])
    path.write_text("{}")
    with pytest.raises(InputError, match="holds no splits"):
        frozen_splits(path, IDS, TARGETS, NAMES, seeds=[0])


def test_what_makes_no_split_is_refused():
    with pytest.raises(InputError, match="'g1' occurs twice"):
        make_split(["g1", "g1"], [0, 1], NAMES, seed=0)
    with pytest.raises(InputError, match="make no split: 1 classes"):
        make_split(["g1", "g2"], [0, 0], NAMES, seed=0)

"""Some rows of a run."""

import shutil

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gmc_astro import classify_catalog
from gmc_astro.catalogs import find_rows, merge_catalog, read_rows
from gmc_astro.exceptions import InputError, OutputError
from gmc_astro.learning import read_table


@pytest.fixture(scope="module")
def everything(undisturbed, tmp_path_factory):
    """All rows of the undisturbed run."""
    return read_table(merge_catalog(undisturbed, tmp_path_factory.mktemp("all") / "all.parquet"))


def test_rows_are_those_of_the_whole_table(undisturbed, everything):
    rows = [300, 3, 17, 16, 3]  # in any order, of several shards, one twice
    found = read_rows(undisturbed, rows)
    assert found.colnames == everything.colnames
    assert found.meta["class_names"] == everything.meta["class_names"]
    for name in ("id", "label", "probabilities"):
        assert_array_equal(found[name], everything[name][rows])
    assert found["coord"].separation(everything["coord"][rows]).max().arcsec < 1e-9


def test_every_row_is_found_by_its_name(undisturbed, everything):
    assert_array_equal(find_rows(undisturbed, everything["id"].tolist()), np.arange(320))


def test_a_name_that_is_not_there(undisturbed):
    with pytest.raises(InputError, match="no row named 'NGC 4303'"):
        find_rows(undisturbed, ["NGC 4303"])


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([320], "rows 320 to 320 of a run with rows 0 to 319"),
        ([-1, 2], "rows -1 to 2"),
        ([], "one row or more"),
        ([0.5], "one row or more"),
        (["587722984439545906"], "one row or more"),
    ],
)
def test_rows_that_are_not_there(undisturbed, rows, sentence):
    with pytest.raises(InputError, match=sentence):
        read_rows(undisturbed, rows)


@pytest.mark.parametrize("read", [read_rows, find_rows])
def test_no_run_and_half_a_run(undisturbed, tmp_path, read):
    with pytest.raises(InputError, match="holds no run"):
        read(tmp_path, [0])
    half = tmp_path / "half"
    shutil.copytree(undisturbed, half)
    next((half / "shards").glob("*.json")).unlink()
    with pytest.raises(InputError, match="is not complete"):
        read(half, [0])


def test_only_the_shards_that_are_asked_for_are_read(undisturbed, tmp_path):
    hurt = tmp_path / "hurt"
    shutil.copytree(undisturbed, hurt)
    last = max((hurt / "shards").glob("*.parquet"))
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 255
    last.write_bytes(content)
    assert len(read_rows(hurt, [0])) == 1
    for _ in range(2):  # to read changes nothing
        with pytest.raises(OutputError, match="was damaged"):
            read_rows(hurt, [319])
    assert len(read_rows(hurt, [0])) == 1
    with pytest.raises(OutputError, match="was damaged"):
        find_rows(hurt, ["NGC 4303"])
    assert find_rows(hurt, [read_rows(hurt, [0])["id"][0]]).tolist() == [0]


def test_rows_of_several_files_have_the_same_columns(classifier, stack, pictures, tmp_path):
    """One with positions, one without, in a run and in its table."""
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["images"] = pictures
    run = classify_catalog(
        classifier, [stack, tmp_path / "bare.h5"], tmp_path / "run", rows_per_shard=40
    )
    whole = read_table(merge_catalog(run, tmp_path / "all.parquet"))
    for rows in ([0, 359], [359]):
        found = read_rows(run, rows)
        assert found.colnames == whole.colnames
        assert_array_equal(found["coord"].ra, whole["coord"][rows].ra)
    assert np.isnan(whole["coord"].ra[320:]).all()


def test_one_name_is_no_list_of_names(undisturbed):
    with pytest.raises(InputError, match="give a list of names"):
        find_rows(undisturbed, "123")
    assert find_rows(undisturbed, []).tolist() == []

"""Labels as users have them."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Column, MaskedColumn

from gmc_astro.exceptions import InputError
from gmc_astro.learning import class_shares, encode_labels

NAMES = ("smooth", "spiral")


@pytest.mark.parametrize(
    "labels",
    [
        ["spiral", "smooth", "spiral"],
        np.array(["spiral", "smooth", "spiral"]),
        np.array(["spiral", "smooth", "spiral"], dtype=object),
        np.array([b"spiral", b"smooth", b"spiral"]),
        Column(["spiral", "smooth", "spiral"]),
        [1, 0, 1],
        np.array([1, 0, 1], np.uint8),
        MaskedColumn([1, 0, 1]),
        [True, False, True],
        np.array([True, False, True], dtype=object),
    ],
    ids=[
        *("list", "str", "object", "bytes", "Column", "int", "uint8", "MaskedColumn"),
        *("bool", "object_bool"),
    ],
)
def test_kinds(labels):
    targets, names = encode_labels(labels, NAMES)
    assert targets.tolist() == [1, 0, 1]
    assert names == NAMES


def test_names_default_to_what_occurs():
    assert encode_labels([True, False])[1] == ("0", "1")
    assert class_shares([[True, False], [False, True]])[0].tolist() == [[1, 0], [0, 1]]
    assert encode_labels(["b", "a", "b"])[1] == ("a", "b")
    assert encode_labels([20, 0])[1] == ("0", "20")


def test_numbers_mean_classes_that_are_named_so():
    targets, names = encode_labels([20, 3, 20])
    assert (targets.tolist(), names) == ([1, 0, 1], ("3", "20"))
    assert encode_labels([3, 20], names)[0].tolist() == [0, 1]
    with pytest.raises(InputError, match=r"labels \['0'\] are not among the classes \['3', '20'\]"):
        encode_labels([0, 3], names)


def test_object_numbers_do_not_fill_the_memory():
    ids = np.array([1237648720693755918, 1237648720693755918, 1237648720693756001])
    assert encode_labels(ids)[0].tolist() == [0, 0, 1]


def test_a_series_is_no_mapping_and_a_frame_is_one():
    shares, names = class_shares(pd.Series(["spiral", "smooth"], index=[7, 9]))
    assert (shares.tolist(), names) == ([[0, 1], [1, 0]], ("smooth", "spiral"))
    frame = pd.DataFrame({"smooth": [0.5, 2.0], "spiral": [0.5, 0.0]})
    assert class_shares(frame)[0].tolist() == [[0.5, 0.5], [1, 0]]


@pytest.mark.parametrize(
    "labels",
    [
        ["smooth", "", "spiral"],
        ["smooth", None, "spiral"],
        MaskedColumn(["smooth", "spiral", "spiral"], mask=[False, True, False]),
        MaskedColumn([0, 5, 1], mask=[False, True, False]),
        ["smooth", np.nan, "spiral"],
        np.array(["smooth", np.nan, "spiral"], dtype=object),
        [0, np.nan, 1],
        [0, None, 1],
        pd.Series(["smooth", None, "spiral"]),
        pd.Series(["smooth", None, "spiral"], dtype="string"),
        pd.Series([0, None, 1]),
        pd.Series([0, None, 1], dtype="Int64"),
    ],
    ids=[
        *("empty", "None", "masked str", "masked int", "NaN in list", "NaN in object", "float"),
        *("None among int", "Series", "Series of string", "Series of float", "Series of Int64"),
    ],
)
def test_rows_without_label(labels):
    assert encode_labels(labels, NAMES)[0].tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["smooth", "bar"], r"labels \['bar'\] are not among the classes"),
        ([0, 2], "label 2 of row 1 is not between 0 and 1"),
        ([0, -1], "label -1 of row 1"),
        ([0.5, 1.0], "label 0.5 of row 0 is not whole; give integers, class names"),
        ([[0, 1]], r"shape \(1, 2\)"),
    ],
)
def test_bad_labels_are_named(labels, says):
    with pytest.raises(InputError, match=says):
        encode_labels(labels, NAMES)


def test_a_negative_number_is_no_class():
    with pytest.raises(InputError, match="label -1 of row 1 is negative; mask rows without"):
        encode_labels([0, -1])


@pytest.mark.parametrize("empty", [[], np.array([], object), np.array([], str)])
def test_no_labels(empty):
    assert encode_labels(empty)[1] == ()
    with pytest.raises(InputError, match="all of 0 labels are empty or masked"):
        class_shares(empty)

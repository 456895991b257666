import json

import numpy as np
import pytest

from gmc_astro.exceptions import InputError
from gmc_astro.morphology import (
    GALAXY10_DECALS,
    GALAXY_MNIST,
    GZ2_FIVE_CLASS,
    ClassScheme,
    prompts_for,
)


def test_shipped_schemes_have_their_classes_in_order():
    assert len(GALAXY10_DECALS.names) == 10
    assert GALAXY10_DECALS.names[3] == "in_between_round_smooth"
    assert GALAXY_MNIST.names == ("smooth_round", "smooth_cigar", "edge_on_disk", "unbarred_spiral")
    assert len(GZ2_FIVE_CLASS.names) == 5


def test_from_names_prompts_scheme_or_its_name():
    assert ClassScheme.from_any(["a", "b"]).names == ("a", "b")
    assert ClassScheme.from_any({"a": "one", "b": ["two", "three"]}).classes["a"] == ("one",)
    assert ClassScheme.from_any(GALAXY_MNIST) is GALAXY_MNIST
    assert ClassScheme.from_any([b"ring galaxy", "b"]).names == ("ring galaxy", "b")
    assert ClassScheme.from_any({b"a": "one", "b": "two"}).names == ("a", "b")
    assert ClassScheme.from_any("galaxy_mnist") is GALAXY_MNIST


def test_survives_json():
    again = ClassScheme.from_dict(json.loads(json.dumps(GALAXY_MNIST.to_dict())))
    assert again.classes == GALAXY_MNIST.classes


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["one"], "fewer than two"),
        (["a", "a"], "name a class twice"),
        (["", "spiral"], r"classes \['', 'spiral'\] have an empty name"),
        ({"  ": "x", "b": "y"}, "have an empty name"),
        ([b"a", "a"], "name a class twice"),
        ({"a": [], "b": ["x"]}, "class 'a' needs one or more prompts"),
        ("nonsense", "is not one of GZ2_FIVE_CLASS"),
        (5, "give names"),
    ],
)
def test_bad_classes(classes, message):
    with pytest.raises(InputError, match=message):
        ClassScheme.from_any(classes)


def test_prompts_may_be_any_sequence():
    given = {"a": np.array(["one", "two"]), "b": {"three"}}
    assert ClassScheme.from_any(given).classes["a"] == ("one", "two")
    with pytest.raises(InputError, match="class 'no' has prompts 3: give a sentence"):
        ClassScheme.from_any({"yes": "a", "no": 3})


def test_handedness_is_noticed():
    assert ClassScheme.from_any(["clockwise spiral", "anticlockwise spiral"]).mentions_handedness
    assert not GALAXY10_DECALS.mentions_handedness


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("ring", "a ring galaxy"),
        ("edge_on_disk", "an edge on disk galaxy"),
        ("merger", "a merger"),
        ("a barred galaxy", "a barred galaxy"),
        ("unbarred_spiral", "an unbarred spiral galaxy"),
        ("Ultra-diffuse", "an Ultra-diffuse galaxy"),
        ("uniform disk", "a uniform disk galaxy"),
        ("one-armed spiral", "a one-armed spiral galaxy"),
        ("S0", "an S0 galaxy"),
        ("SBc", "an SBc galaxy"),
        ("LSB", "an LSB galaxy"),
        ("Sersic", "a Sersic galaxy"),
        ("RING", "a RING galaxy"),
        ("unidentified", "an unidentified galaxy"),
        ("starburst", "a starburst galaxy"),
        ("foreground star", "a foreground star"),
    ],
)
def test_prompts_for_bare_names(name, prompt):
    assert prompts_for(name)[0] == prompt

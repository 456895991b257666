"""The three pages on adding things are followed, block by block, and what they made is used."""

from pathlib import Path

import numpy as np
import pytest

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import OK
from gmc_astro.learning import FIT_METHODS
from gmc_astro.morphology import PHRASES, TREES, Answer, DecisionTree, Question, register_tree
from gmc_astro.morphology.catalogues import CATALOGUES
from gmc_astro.morphology.varied import VARIED_PHRASES
from gmc_astro.surveys import SURVEYS
from gmc_astro.testing import serve_surveys

PAGES = Path(__file__).parents[2] / "docs" / "contributing"


@pytest.fixture(autouse=True)
def _forgotten_afterwards():
    """What a page registers is gone after its test."""
    tables = (FIT_METHODS, TREES, SURVEYS, PHRASES, VARIED_PHRASES)
    kept, catalogues = [dict(table) for table in tables], list(CATALOGUES)
    yield
    for table, before in zip(tables, kept, strict=True):
        table.clear()
        table.update(before)
    CATALOGUES[:] = catalogues


@pytest.fixture
def follow(code_blocks):
    def run(page, **names):
        for block in code_blocks(PAGES / page):
            exec(block, names)
        return names

    return run


def test_add_a_survey(follow, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "astropy").mkdir()
    with serve_surveys():
        names = follow("add_a_survey.rst")
    assert names["batch"].status.tolist() == [OK]
    assert SURVEYS["southern"] is names["survey"]
    assert "ok" in capsys.readouterr().out


def test_add_a_tree(follow):
    names = follow("add_a_tree.rst")
    votes, (clumpy, smooth) = names["votes"], names["captions"]
    assert votes.tree is names["tree"]
    np.testing.assert_allclose(votes.fraction("clumps", "many"), [35 / 38, 0.5])
    claims = names["CaptionWriter"](votes.tree).claims(clumpy)
    assert ("clumps", "many") in claims
    assert "clump" not in smooth
    assert TREES["CLUMPS"] is names["tree"]


def test_add_a_fit_method(follow, tiny_folder, pictures, labels, monkeypatch, capsys):
    def tiny(**options):
        return GalaxyMorphologyClassifier(tiny_folder, device="cpu", **options)

    monkeypatch.setattr("gmc_astro.GalaxyMorphologyClassifier", tiny)
    classifier = follow("add_a_fit_method.rst", images=pictures, labels=labels)["classifier"]
    assert "centroids" in FIT_METHODS
    assert classifier.score(pictures, labels) > 0.9
    assert "40 labelled rows" in capsys.readouterr().out


def bars(name="BARS", answer="bar"):
    answers = (Answer(answer, None, "bar_yes"), Answer("no_bar", None, "bar_no"))
    return DecisionTree(name, (Question("bar", "Is there a bar?", answers),))


@pytest.mark.parametrize(
    ("tree", "phrases", "message"),
    [
        (bars("GZ2"), None, "a tree 'GZ2' already"),
        (bars(answer="two_bars"), None, r"no words for \[\('bar', 'two_bars'\)\]"),
        (bars(answer="two_bars"), {("bar", "two_bars"): ("with a bar",)}, "means .* already"),
        (bars(answer="two_bars"), {("bar", "two_bars"): ("two, bars",)}, "has a comma"),
    ],
)
def test_a_tree_that_cannot_be_registered(tree, phrases, message):
    before = dict(PHRASES)
    with pytest.raises(InputError, match=message):
        register_tree(tree, phrases)
    assert before == PHRASES

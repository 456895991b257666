"""Tutorials run while the documentation is built; here: their pictures have words and places."""

import re
import runpy
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs gmc_astro[plots]")
DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = sorted((DOCS / "tutorials").glob("*.py"))


@pytest.fixture
def pictures():
    """What the build does with figures; with no figure drawn yet."""
    return runpy.run_path(str(DOCS / "tutorial_pictures.py"))


@pytest.fixture
def figure():
    from matplotlib.figure import Figure

    return Figure(figsize=(2, 1))


def test_every_tutorial_has_a_card_and_a_place():
    text = (DOCS / "tutorials" / "index.rst").read_text()
    names = [path.stem for path in SCRIPTS]
    assert sorted(re.findall(r":link: \.\./tutorial_pages/(\w+)$", text, flags=re.M)) == names
    assert sorted(re.findall(r"^   \.\./tutorial_pages/(\w+)$", text, flags=re.M)) == names
    assert sorted(re.findall(r"sphx_glr_(\w+)_thumb\.png\n +:img-alt: \w", text)) == names


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_figure_of_a_tutorial_gets_words(path):
    blocks = path.read_text().split("\n# %%\n")
    drawn = [block for block in blocks if re.search(r"^figure = ", block, flags=re.M)]
    assert len(drawn) > 2
    for block in drawn:
        assert "\nfigure.set_label(" in block
        assert block.rstrip().endswith("\nfigure")  # so that notebooks show it


def test_a_figure_is_drawn_once_and_with_its_words(pictures, figure, tmp_path):
    pytest.importorskip("sphinx_gallery", reason="needs gmc_astro[docs]")
    figure.set_label("A round\ngalaxy")
    variables = {
        "example_globals": {"figure": figure, "same": figure, "n": 3},
        "image_path_iterator": iter([tmp_path / "first.png", tmp_path / "second.png"]),
    }
    text = pictures["scrape"](None, variables, {"src_dir": str(tmp_path)})
    assert text.count("image-sg:: /first.png") == 1
    assert ":alt: A round galaxy\n" in text
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    assert pictures["scrape"](None, variables, {"src_dir": str(tmp_path)}) == ""
    assert not (tmp_path / "second.png").exists()


def test_a_figure_without_words_stops_the_build(pictures, figure, tmp_path):
    pytest.importorskip("sphinx_gallery", reason="needs gmc_astro[docs]")
    variables = {
        "example_globals": {"figure": figure},
        "image_path_iterator": iter([tmp_path / "first.png"]),
    }
    with pytest.raises(ValueError, match="has no words"):
        pictures["scrape"](None, variables, {"src_dir": str(tmp_path)})

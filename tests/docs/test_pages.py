"""The reference reaches every public name, and each picture says in words what it shows."""

import importlib
import re
import runpy
from pathlib import Path

import pytest

import gmc_astro

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PACKAGES = [
    name
    for name in runpy.run_path(str(DOCS / "check_docstrings.py"))["PACKAGES"]
    if name != "gmc_astro"
]


def automodapi(text):
    """Packages whose names a page documents, with those that it leaves out."""
    found = re.findall(r"^\.\. automodapi:: (\S+)\n((?:   :.*\n)*)", text, flags=re.M)
    return {name: set(re.findall(r":skip: (\S+)", options)) for name, options in found}


@pytest.fixture(scope="module")
def pages():
    """Text of each page of the reference that its table of contents leads to."""
    listed = re.findall(r"^   (\w+)$", (REFERENCE / "index.rst").read_text(), flags=re.M)
    return {name: (REFERENCE / f"{name}.rst").read_text() for name in listed}


def test_every_page_of_the_reference_is_listed(pages):
    assert set(pages) | {"index"} == {path.stem for path in REFERENCE.glob("*.rst")}


def test_every_package_has_a_page(pages):
    documented = [name for text in pages.values() for name in automodapi(text)]
    assert sorted(documented) == sorted(PACKAGES)
    for text in pages.values():  # without these, data and names made in modules are left out
        if automodapi(text):
            assert ":include-all-objects:" in text
            assert ":allowed-package-names: gmc_astro" in text


def test_every_name_is_reached(pages):
    """A name that one page leaves out is documented by another."""
    skipped = {name: out for text in pages.values() for name, out in automodapi(text).items()}
    shown = {
        id(getattr(importlib.import_module(package), name))
        for package in PACKAGES
        for name in importlib.import_module(package).__all__
        if name not in skipped[package]
    }
    for package, names in skipped.items():
        for name in names:
            assert id(getattr(importlib.import_module(package), name)) in shown


def test_every_name_of_the_package_itself_is_reached(pages):
    own = {name for name in gmc_astro.__all__ if name.startswith("__")}
    assert own == set(re.findall(r"^\.\. py:data:: (\w+)", pages["package"], flags=re.M))
    packages = {name.removeprefix("gmc_astro.") for name in PACKAGES} | {"cli"}
    short = set(gmc_astro.__all__) - own - packages
    assert short == set(re.findall(r"^   \* - `~gmc_astro\.\w+\.(\w+)`$", pages["package"], re.M))
    assert ".. autoclass:: GalaxyMorphologyClassifier" in pages["classifier"]


def pictures_without_words(text):
    """Names of pictures whose directive has no ``:alt:``."""
    pattern = r"\.\. (?:\|.*\| )?(?:image|figure):: *(\S+) *\n((?: +:\w.*\n?(?: +[^:\s].*\n?)*)*)"
    return [name for name, options in re.findall(pattern, text) if ":alt: " not in options]


def test_every_picture_has_words():
    found = [*ROOT.glob("*.rst"), *DOCS.rglob("*.rst"), *ROOT.glob("benchmarks/**/*.rst")]
    made = {"_build", "tutorial_pages"}  # by Sphinx; tutorials have a test of their own
    texts = {path: path.read_text() for path in found if not made & set(path.parts)}
    assert sum(text.count("image::") + text.count("figure::") for text in texts.values()) > 3
    silent = {
        path.relative_to(ROOT).as_posix(): pictures_without_words(texts[path]) for path in texts
    }
    assert {path: names for path, names in silent.items() if names} == {}


def test_a_picture_without_words_is_found():
    text = """
.. image:: told.png
   :width: 100%
   :alt: Two galaxies

.. figure:: silent.png
   :width: 100%

   A caption is no description: it says what the picture is for.

* .. image:: alone.png

.. |badge| image:: badge.svg
   :target: https://example.org

.. image:: long.png
   :alt: One galaxy, and below it
      another
   :width: 50%
"""
    assert pictures_without_words(text) == ["silent.png", "alone.png", "badge.svg"]


def test_fields_of_a_record_have_the_words_of_its_parameters(monkeypatch):
    for needed in ("numpydoc", "sphinx"):
        pytest.importorskip(needed, reason="needs gmc_astro[docs]")
    monkeypatch.syspath_prepend(DOCS)
    words_of = runpy.run_path(str(DOCS / "fields.py"))["words_of"]
    assert words_of("gmc_astro.surveys.Survey.credit") == [
        "Acknowledgement that the survey asks for."
    ]
    settings = "gmc_astro.learning.PretrainSettings"
    assert words_of(f"{settings}.betas")[0].startswith("Of AdamW")  # shared by three
    assert "[1]_" not in " ".join(words_of(f"{settings}.micro_batch"))
    assert words_of("gmc_astro.surveys.Survey.nothing") == []
    assert words_of("gmc_astro.surveys.SURVEYS") == []

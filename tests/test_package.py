"""The package as a whole: import, citation, metadata, links between its files."""

import configparser
import json
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from types import FunctionType

import pytest

import gmc_astro

ROOT = Path(__file__).parents[1]
HEAVY = ["torch", "open_clip", "timm", "photutils", "astroquery", "sklearn", "h5py", "matplotlib"]


def loaded_after(code):
    """Names of heavy packages that a fresh Python has loaded after ``code``."""
    report = f"import sys, json; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_import_loads_nothing_heavy():
    assert loaded_after("import gmc_astro") == []


def test_help_loads_nothing_heavy():
    code = "from click.testing import CliRunner; from gmc_astro.cli import main\n"
    code += "assert CliRunner().invoke(main, ['--help']).exit_code == 0"
    assert loaded_after(code) == []


def test_every_public_name_is_there():
    assert {"GalaxyMorphologyClassifier", "ClassScheme", "open_images"} <= set(gmc_astro.__all__)
    for name in gmc_astro.__all__:
        assert getattr(gmc_astro, name) is not None


@pytest.mark.parametrize(
    "package",
    [
        *("morphology", "imaging", "models", "sources", "learning", "plots", "evaluation"),
        *("catalogs", "search"),
    ],
)
def test_all_lists_are_true(package):
    import importlib

    module = importlib.import_module(f"gmc_astro.{package}")
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        public = getattr(module, name)
        if isinstance(public, type | FunctionType):
            assert public.__doc__, f"{package}.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError):
        gmc_astro.galaxy_classifier_9000  # noqa: B018


def test_citation_is_a_bibtex_entry():
    assert gmc_astro.__citation__ == gmc_astro.__bibtex__
    assert gmc_astro.__bibtex__.lstrip().startswith("@")


def test_citation_file_is_valid(monkeypatch):
    from cffconvert import Citation

    text = (ROOT / "CITATION.cff").read_text()
    citation = Citation(text)
    citation.validate()
    titles = [reference["title"] for reference in citation.cffobj["references"]]
    assert any("Galaxy Zoo 2" in title for title in titles)
    assert any("Sloan" in title for title in titles)
    assert any("Legacy Survey" in title or "DECaLS" in title for title in titles)
    assert citation.cffobj["version"] == gmc_astro.__version__.removesuffix(".dev0")


def test_what_bibtex_names_the_citation_file_names_too():
    """By its DOI, or by its title where it has none."""
    text = " ".join((ROOT / "CITATION.cff").read_text().split())
    entries = gmc_astro.__bibtex__.strip().split("\n@")
    assert len(entries) == 2
    for entry in entries:
        doi = re.search(r"doi = \{(.+?)\}", entry)
        named = doi or re.search(r" title = \{(.+?)\},\n", entry, flags=re.S)
        assert " ".join(named[1].split()) in text


def test_setup_cfg_has_the_metadata():
    """A [project] table would silently switch setup.cfg's requirements off."""
    assert "project" not in tomllib.loads((ROOT / "pyproject.toml").read_text())
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["license"] == "BSD-3-Clause"
    assert "gmc-astro = gmc_astro.cli:main" in setup["options.entry_points"]["console_scripts"]


def test_every_dependency_has_its_reason():
    """Each requirement stands below a comment that says what it is for."""
    lines = (ROOT / "setup.cfg").read_text().splitlines()
    start = lines.index("install_requires =")
    block = lines[start + 1 : lines.index("", start)]
    requirements = [line for line in block if not line.lstrip().startswith("#")]
    assert len(requirements) > 10
    explained = [line for above, line in pairwise(block) if "#" in above]
    unexplained = set(requirements) - set(explained) - {"    numpy"}
    assert not unexplained


def test_versions_agree():
    changes = (ROOT / "CHANGES.rst").read_text()
    assert gmc_astro.__version__.removesuffix(".dev0") in changes

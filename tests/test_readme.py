"""README's Python examples run as they are written, beside files like the ones that they name."""

import re
from pathlib import Path

import pytest
from astropy.table import Table

from gmc_astro.testing import serve_surveys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.rst").read_text()


@pytest.fixture(scope="module")
def blocks(code_blocks):
    return code_blocks(ROOT / "README.rst")


def test_examples_run(blocks, workplace, capsys):
    script, _, few_labels, _ = blocks
    exec(script, {})
    assert "11.fits" in capsys.readouterr().out
    assert len(Table.read("predictions.ecsv")) == 12
    exec(few_labels, {})
    assert 0 <= float(capsys.readouterr().out) <= 1
    assert (workplace / "bars" / "head.safetensors").is_file()
    assert (workplace / "galaxy10" / "gmc_astro.json").is_file()


def test_positions_example_runs(blocks, workplace, capsys, monkeypatch):
    """From a survey server on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace))
    (workplace / "astropy").mkdir()
    with serve_surveys():
        exec(blocks[1], {})
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(" ok") for line in lines) == 2


def test_pretraining_example_runs(blocks, workplace):
    """With a model that needs no download, for one epoch."""
    code = blocks[3]
    assert '"ViT-B-16", weights="openai"' in code
    code = code.replace('"ViT-B-16", weights="openai"', '"compact", weights="random"')
    exec(code.replace("epochs=30", "epochs=1"), {})
    assert (workplace / "my_clip_gmc" / "README.md").is_file()
    assert (workplace / "run" / "training_log.jsonl").is_file()


def test_what_the_readme_links_to_is_there():
    targets = re.findall(r"<((?!http)[\w./]+\.\w+)>", README)
    targets += re.findall(r"\.\. image:: (\S+)", README)
    assert len(targets) > 4
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_two_commands_stand_between_their_marks():
    """`.ci/run` takes them from there."""
    for mark, word in (("demo", "gmc-astro demo"), ("test", "pytest -n logical")):
        part = README.split(f".. ci-{mark}-start")[1].split(f".. ci-{mark}-end")[0]
        (command,) = [line.strip() for line in part.splitlines() if line.startswith("   ")]
        assert command.startswith("pip install ")
        assert command.endswith(word)

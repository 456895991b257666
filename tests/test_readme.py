"""README's Python examples run as they are written, beside files like the ones that they name."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gmc_astro.testing import serve_surveys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.rst").read_text()


def blocks(language):
    pattern = rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)"
    return [re.sub("^   ", "", text, flags=re.M) for text in re.findall(pattern, README)]


@pytest.fixture
def workplace(tmp_path, monkeypatch, make_galaxy):
    """A folder with the inputs that README names."""
    rng = np.random.default_rng(0)
    (tmp_path / "cutouts").mkdir()
    (tmp_path / "gz2").mkdir()
    files, stack = [], []
    for i in range(12):
        plane = make_galaxy(96, 5, ellip=0.7 * (i % 2), theta=rng.uniform(0, 3), noise=0.01, seed=i)
        cube = np.stack([0.3 * plane, 0.6 * plane, plane]).astype(">f4")
        header = fits.Header({"BANDS": "grz"})
        fits.PrimaryHDU(cube, header).writeto(tmp_path / "cutouts" / f"{i:02d}.fits")
        files.append(f"cutouts/{i:02d}.fits")
        stack.append(np.clip(60 * np.arcsinh(4 * plane), 0, 255))
    labels = np.array(["barred spiral", "unbarred spiral"] * 6)
    table = Table({"file": files, "label": labels})
    table.write(tmp_path / "labels.csv")
    table.write(tmp_path / "held_out.csv")
    images = np.repeat(np.array(stack, np.uint8)[..., None], 3, axis=-1)
    with h5py.File(tmp_path / "Galaxy10_DECals.h5", "w") as file:
        file["images"] = images
        file["ans"] = np.arange(12) % 2
    votes = Table({"id": np.arange(12).astype(str), "label": ["elliptical", "edge_on"] * 6})
    votes["file"] = [f"../{name}" for name in files]
    votes.write(tmp_path / "gz2" / "votes.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_examples_run(workplace, capsys):
    script, _, few_labels, _ = blocks("python")
    exec(script, {})
    assert "11.fits" in capsys.readouterr().out
    assert len(Table.read("predictions.ecsv")) == 12
    exec(few_labels, {})
    assert 0 <= float(capsys.readouterr().out) <= 1
    assert (workplace / "bars" / "head.safetensors").is_file()
    assert (workplace / "galaxy10" / "gmc_astro.json").is_file()


def test_positions_example_runs(workplace, capsys, monkeypatch):
    """From a survey server on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace))
    (workplace / "astropy").mkdir()
    with serve_surveys():
        exec(blocks("python")[1], {})
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(" ok") for line in lines) == 2


def test_pretraining_example_runs(workplace):
    """With a model that needs no download, for one epoch."""
    code = blocks("python")[3]
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
    for mark, word in (("demo", "gmc-astro demo"), ("test", "pytest")):
        part = README.split(f".. ci-{mark}-start")[1].split(f".. ci-{mark}-end")[0]
        (command,) = [line.strip() for line in part.splitlines() if line.startswith("   ")]
        assert command.startswith("pip install ")
        assert command.endswith(word)

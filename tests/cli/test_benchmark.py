"""``gmc-astro benchmark`` as a user runs it."""

import json

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from gmc_astro.cli import main
from gmc_astro.cli.benchmark import METHODS_HELP, _spelt_out

SMALL = ("--seeds", 2, "--views", 1, "--steps", 2, "--epochs", 1, "--device", "cpu")


def run(*args, code=0):
    result = CliRunner().invoke(main, ["benchmark", *map(str, args)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def galaxies(pictures, labels, tmp_path):
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        (tmp_path / "galaxies" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "galaxies" / label / f"{i:02d}.png")
    return tmp_path / "galaxies"


def test_a_folder_from_end_to_end(galaxies, tiny_folder, tmp_path):
    out = tmp_path / "out"
    command = ["folder", galaxies, "--fractions", 0.1, 1.0, "--methods", "zero-shot", "probe"]
    command += ["convnext+40px", "--convnext", "test_convnext@random", "--model", tiny_folder]
    command += ["--training-images", galaxies / "round", "-o", out, *SMALL]
    result = run(*command)
    assert "40 images of 43 px; none left out" in result.stderr
    assert "20 images look like training images" in result.stderr
    assert "convnext:test_convnext@random+40px" in result.stdout
    names = {p.name for p in out.iterdir()}
    assert names == {
        *("cells", "splits.json", "report.json", "report.rst"),
        *("learning_curve.png", "confusion.png", "reliability.png"),
    }
    report = json.loads((out / "report.json").read_text())
    assert report["protocol"]["fractions"] == [0.1, 1.0]
    before = (out / "report.rst").read_text()
    assert "figure:: confusion.png" in before
    run(*command, "--figure-prefix", "../out/")
    assert (out / "report.rst").read_text() == before.replace("figure:: ", "figure:: ../out/")


def stack(path, numbers, key, pictures):
    with h5py.File(path, "w") as file:
        file["images"] = pictures[np.arange(len(numbers)) % 40]
        file[key] = np.asarray(numbers, np.uint8)


def test_layouts_of_the_public_sets(pictures, tiny_folder, tmp_path):
    ordered = np.repeat(np.arange(10), 3)
    stack(tmp_path / "Galaxy10_DECals.h5", ordered, "ans", pictures)
    stack(tmp_path / "Galaxy10.h5", ordered, "ans", pictures)
    stack(tmp_path / "train_dataset.hdf5", np.repeat(np.arange(4), 2), "labels", pictures)
    stack(tmp_path / "test_dataset.hdf5", np.repeat(np.arange(4), 3), "labels", pictures)
    common = ("--methods", "probe", "--fractions", 1.0, "--model", tiny_folder, *SMALL)
    for name, tests in (("galaxy10-decals", 10), ("galaxy10-sdss", 10), ("galaxy-mnist", 12)):
        result = run(name, tmp_path, "-o", tmp_path / name, *common)
        report = json.loads((tmp_path / name / "report.json").read_text())
        assert report["protocol"]["test_images"] == tests
        rows = [c["rows"] for c in report["results"][0]["cells"][0]["metrics"]["classes"].values()]
        assert set(rows) == {tests // len(rows)}  # stratified although ordered by class
        if name == "galaxy10-decals":
            assert "is not the published file" in result.stderr
    assert report["protocol"]["split"] == "official"


def test_bad_usage_is_a_sentence(galaxies, tiny_folder, tmp_path, pictures):
    out = ("-o", tmp_path / "out", "--model", tiny_folder)
    text = run("folder", galaxies, "--methods", "probing", *out, code=2).output
    assert "'probing' is not one of" in text
    assert "with --download" in run("galaxy10-sdss", tmp_path, *out, code=2).output
    assert "Invalid value" in run("folder", galaxies, "--fractions", 5, *out, code=2).output
    stack(tmp_path / "Galaxy10.h5", [0, 1, 99], "ans", pictures)
    assert "label 99 of row 2" in run("galaxy10-sdss", tmp_path, *out, code=2).output


def test_stopping_says_how_to_go_on(galaxies, tiny_folder, tmp_path, monkeypatch):
    from gmc_astro.evaluation import Cell

    def stop(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Cell, "write", stop)
    result = run(
        *("folder", galaxies, "--methods", "probe", "--fractions", 1.0),
        *("--model", tiny_folder, "-o", tmp_path / "out", *SMALL),
        code=130,
    )
    assert "the same command goes on" in result.output


@pytest.mark.parametrize(
    ("given", "spelt"),
    [
        ("--f 1 2 --g 3", "--f 1 --f 2 --g 3"),
        ("x --f 1 --f 2 y -o z", "x --f 1 --f 2 --f y -o z"),
        ("--f=1 2 -o z w", "--f=1 --f 2 -o z w"),
        ("--g 3 4", "--g 3 4"),
    ],
)
def test_options_with_several_values(given, spelt):
    assert _spelt_out(given.split(), {"--f"}) == spelt.split()


def test_help_names_every_method():
    from gmc_astro.evaluation import METHODS

    assert list(METHODS_HELP) == list(METHODS)
    text = run("--help").output
    assert all(f"{name:<10} " in text for name in METHODS)

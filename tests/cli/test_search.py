"""``gmc-astro search``: a run, images that were never classified, and what cannot be searched."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from gmc_astro.cli import main
from gmc_astro.imaging import make_rgb
from gmc_astro.learning import read_table
from gmc_astro.testing import SimulatedGalaxy, render_galaxy

EDGE_ON = [1, 4, 8]


def run(*args, code=0):
    result = CliRunner().invoke(main, ["search", *map(str, args)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve galaxies as files and as a stack, and a run of the stack."""
    folder = tmp_path_factory.mktemp("search")
    drawn = [
        render_galaxy(SimulatedGalaxy(axis_ratio=0.15 if i in EDGE_ON else 0.9), pixels=96)
        for i in range(12)
    ]
    images = np.stack([make_rgb(p, recipe="SDSS_LUPTON") for p in drawn])
    (folder / "cutouts").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / "cutouts" / f"galaxy{i:02d}.png")
    with h5py.File(folder / "stack.h5", "w") as file:
        file["images"], file["object_id"] = images, np.arange(12) + 587722984439545900
    for name, options in (("run", ["--embeddings", "float16"]), ("bare", [])):
        given = [folder / "stack.h5", "-o", folder / name, "--views", 2, "--device", "cpu"]
        result = CliRunner().invoke(main, ["classify", *map(str, given), *options])
        assert result.exit_code == 0, result.output
    return folder


def test_words_in_a_run(folder, tmp_path):
    out = tmp_path / "found.ecsv"
    result = run(folder / "run", "an edge-on galaxy", "-n", 3, "-o", out)
    table = read_table(out)
    assert sorted(table["row"]) == EDGE_ON
    assert table["id"].tolist() == [f"58772298443954590{row}" for row in table["row"]]
    assert table["label"].tolist() == ["edge_on"] * 3
    assert table.meta["words"] == "an edge-on galaxy"
    assert all(name in result.stdout for name in table["id"])
    assert "12 of 12 images searched." in result.stderr


def test_examples_of_a_run_by_their_ids(folder):
    lines = run(folder / "run", "--like", "587722984439545901", "-n", 2).stdout.splitlines()
    assert sorted(int(line.split()[0]) for line in lines[2:]) == [4, 8]


def test_examples_as_files_among_images(folder, tmp_path):
    picture = tmp_path / "found.png"
    given = [folder / "cutouts", "--like", folder / "cutouts" / "galaxy04.png", "-n", 3]
    result = run(*given, "--views", 1, "--picture", picture)
    assert {f"galaxy{row:02d}.png" in result.stdout for row in EDGE_ON} == {True}
    with Image.open(picture) as sheet:
        assert sheet.format == "PNG"
    assert "exists" in run(*given, "--picture", picture, code=2).stderr
    run(*given, "--picture", picture, "--overwrite")


def test_the_picture_of_a_run_shows_its_images(folder, tmp_path):
    given = [folder / "run", "an edge-on galaxy", "-n", 6, "--picture", tmp_path / "found.png"]
    assert "--pictures-from" in run(*given, code=2).stderr
    coloured = tmp_path / "coloured.h5"  # an own colour for each row, so that it is known again
    colours = np.array([(10 + 20 * row, 0, 120) for row in range(12)], np.uint8)
    with h5py.File(folder / "stack.h5") as old, h5py.File(coloured, "w") as new:
        new["images"] = np.broadcast_to(colours[:, None, None], (12, 96, 96, 3))
        new["object_id"] = old["object_id"][:]
    said = run(*given, "--pictures-from", coloured)
    assert "same galaxies" not in said.stderr
    with Image.open(tmp_path / "found.png") as sheet:
        seen = {tuple(colour) for colour in np.asarray(sheet.convert("RGB")).reshape(-1, 3)}
    found = [int(line.split()[0]) for line in said.stdout.splitlines()[2:8]]
    assert [row for row in range(12) if tuple(colours[row]) in seen] == sorted(found)
    turned = tmp_path / "turned.h5"
    with h5py.File(folder / "stack.h5") as old, h5py.File(turned, "w") as new:
        for name in ("images", "object_id"):
            new[name] = old[name][:][::-1]
    assert "same galaxies, in the same order" in run(
        *given, "--pictures-from", turned, "--overwrite"
    ).stderr.replace("\n", " ")
    broken = tmp_path / "broken"
    broken.mkdir()
    for row in range(12):
        whole = folder / "cutouts" / f"galaxy{row:02d}.png"
        (broken / whole.name).write_bytes(whole.read_bytes() if row in EDGE_ON else b"no picture")
    said = run(*given, "--pictures-from", broken, "--overwrite").stderr
    for row in found:
        assert (f"Not in the picture: row {row}, " in said) == (row not in EDGE_ON)
    other = folder / "cutouts" / "*0?.png"
    again = [*given, "--pictures-from", other, "--overwrite"]
    assert "has 10 images, the run 12 rows" in run(*again, code=2).stderr


def test_an_image_that_cannot_be_read(folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "good.png").write_bytes((folder / "cutouts" / "galaxy01.png").read_bytes())
    result = run(tmp_path, "an edge-on galaxy", code=1)
    assert "1 of 2 images searched." in result.stderr
    assert "broken.png" not in result.stdout
    (tmp_path / "good.png").unlink()
    assert "none of the images" in run(tmp_path, "an edge-on galaxy", code=2).stderr


@pytest.mark.parametrize(
    ("where", "options", "sentence"),
    [
        ("run", [], "give WORDS, or examples"),
        ("run", ["--unlike", "a merger"], "give WORDS, or examples"),
        ("run", ["a merger", "-n", 0], "0 is not in the range"),
        ("run", ["--like", "NGC 4303"], "no row named 'NGC 4303'"),
        ("cutouts", ["--like", "NGC 4303"], "no such file, and the images searched have no row"),
        ("run", ["--like", Path(__file__).parent], "is not the file of an image"),
        ("run", ["a merger", "--pictures-from", "x.h5"], "for the --picture of a run"),
        ("cutouts", ["a merger", "--pictures-from", "x.h5"], "for the --picture of a run"),
        ("run", ["--like", __file__, "--like", "1"], "give files alone, or ids alone"),
        ("run", ["a merger", "-o", "found.docx"], "suffix '.docx'"),
        ("cutouts", ["a merger", "--picture", "found.docx"], "suffix '.docx'"),
        ("bare", ["a merger"], "holds no embeddings"),
        ("nowhere", ["a merger"], "is not a file, a folder"),
    ],
)
def test_what_cannot_be_searched(folder, where, options, sentence):
    result = run(folder / where, *options, "--views", 1, code=2)
    assert sentence in " ".join(result.stderr.split())


def test_a_run_of_another_model(folder, tiny_folder):
    result = run(folder / "run", "a merger", "--model", tiny_folder, code=2)
    assert "embeddings in" in result.stderr


def test_a_model_without_classes_finds_its_own(folder, tiny_folder, tmp_path):
    """Its runs need classes; to search them needs none."""
    given = ["classify", folder / "stack.h5", "-o", tmp_path / "run", "--embeddings", "float32"]
    given += ["--model", tiny_folder, "--classes", "round,elongated"]
    result = CliRunner().invoke(main, list(map(str, given)))
    assert result.exit_code == 0, result.output
    found = run(tmp_path / "run", "--like", "587722984439545901", "-n", 1, "--model", tiny_folder)
    assert found.stdout.splitlines()[2].split()[0] in {"4", "8"}


def test_examples_are_looked_at_before_the_images_are_embedded(folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for like, sentence in (
        (tmp_path / "broken.png", "cannot be read"),
        (folder / "stack.h5", "hold 12 images: give one a file"),
        ("typo.png", "no such file"),
    ):
        result = run(folder / "cutouts", "--like", like, "--views", 1, code=2)
        assert sentence in " ".join(result.stderr.split())
        assert "12/12" not in result.stderr  # the progress bar of embedding them


def test_a_picture_has_an_end(folder, tmp_path, monkeypatch):
    from gmc_astro.cli import search

    monkeypatch.setattr(search, "MOST", 2)
    given = [folder / "cutouts", "a ring galaxy", "--views", 1, "--picture", tmp_path / "a.png"]
    assert "shows the first 2" in run(*given).stdout

"""``gmc-astro cutouts`` and ``classify --survey``, against a survey server on this machine."""

import os
import signal
import subprocess
import sys
import time
import warnings

import h5py
import numpy as np
import pytest
from astropy.table import Table
from click.testing import CliRunner

from gmc_astro import open_images
from gmc_astro.cli import main
from gmc_astro.exceptions import RecipeMismatchWarning
from gmc_astro.imaging import GZ_DECALS
from gmc_astro.learning import read_table
from gmc_astro.sources.cutout_file import ROWS
from gmc_astro.sources.positions import positions_of
from gmc_astro.testing import serve_surveys


@pytest.fixture
def server():
    with serve_surveys(galaxies=4) as server:
        yield server


@pytest.fixture
def catalogue(tmp_path):
    """Six galaxies with labels, the last one off the footprint."""
    table = Table(
        {
            "objid": np.arange(101, 107),
            "ra": np.linspace(150, 151, 6),
            "dec": [2.0, 3.0, 4.0, 5.0, 6.0, 80.0],
            "ans": np.arange(6) % 3,
        }
    )
    path = tmp_path / "catalogue.ecsv"
    table.write(path)
    return path


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".fits", ".vot", ".parquet"])
def test_a_catalogue_becomes_a_file_with_the_names_of_galaxy10(server, catalogue, suffix):
    given = catalogue.with_name(f"given{suffix}")
    Table.read(catalogue).write(given, **({"format": "votable"} if suffix == ".vot" else {}))
    out = catalogue.with_name("cutouts.h5")
    result = run("cutouts", given, "--no-cache", "--size", "32", "-o", out, code=1)
    assert "5 of 6 images fetched." in result.output
    assert "1 failed: outside footprint" in result.output
    assert "Please acknowledge: The Legacy Surveys" in result.output
    with h5py.File(out) as file:
        assert file["images"].shape == (6, 32, 32, 3)
        assert file["ans"][:].tolist() == [0, 1, 2, 0, 1, 2]
        assert file["object_id"].asstr()[:].tolist() == [str(i) for i in range(101, 107)]
        assert file["status"].asstr()[-1] == "outside footprint"
        np.testing.assert_allclose(file["dec"][:], [2, 3, 4, 5, 6, 80])
        assert np.isfinite(file["petro_r90"][:]).tolist() == [True] * 5 + [False]
        assert file.attrs["recipe"] == "GZ_DECALS"
    source = open_images(out)
    assert source.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert source.coords is not None
    assert source.recipe is GZ_DECALS
    assert source.read().status.tolist() == ["ok"] * 5 + ["outside footprint"]
    assert not catalogue.with_name("cutouts.h5.parts").exists()


def test_blank_cells_are_no_values(server, tmp_path):
    catalogue, out = tmp_path / "blank.csv", tmp_path / "cutouts.h5"
    catalogue.write_text("objid,ra,dec,ans,redshift\n5,150,2,1,0.02\n6,151,3,,\n")
    run("cutouts", catalogue, "--no-cache", "--size", "32", "-o", out)
    with h5py.File(out) as file:
        assert file["ans"][:].tolist() == [1, -1]
        assert np.isnan(file["redshift"][:]).tolist() == [False, True]
    assert open_images(out).labels.mask.tolist() == [False, True]


def test_what_was_not_fetched_is_not_classified_later(server, catalogue):
    """Nor are the images taken for those of another survey, of which a warning would tell."""
    table = Table.read(catalogue)
    table["dec"][5] = 88.0  # off the survey
    table.write(catalogue, overwrite=True)
    out, written = catalogue.with_name("cutouts.h5"), catalogue.with_name("table.ecsv")
    options = ("--survey", "sdss", "--no-cache", "--size", "32")
    run("cutouts", catalogue, *options, "-o", out, code=1)
    assert "5 of 6 images" in run("classify", out, "--views", "1", "-o", written, code=1).output
    table = read_table(written)
    assert table["label"].mask.tolist() == [False] * 5 + [True]
    assert table["status"][5] == "outside footprint"


@pytest.mark.parametrize(
    "words", ["12 19 24.0 +5 47 24", "12:19:24, 5:47:24", "12h19m24s 5d47m24s", "J121924.0+054724"]
)
def test_positions_as_catalogues_print_them(words):
    (position,) = positions_of(words)
    np.testing.assert_allclose([position.ra.deg, position.dec.deg], [184.85, 5.79])


def test_an_output_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "one.h5"
    text = run("cutouts", "184.85 5.79", "--no-cache", "-o", out, code=2).output
    assert "cannot be written" in text


def test_pictures_of_the_survey_itself_have_no_recipe(server, tmp_path):
    out = tmp_path / "one.h5"
    run("cutouts", "184.85 5.79", "--jpeg", "--no-cache", "--size", "32", "-o", out)
    with warnings.catch_warnings(action="error"):
        assert open_images(out).recipe is None


def test_one_position_and_its_own_size(server, tmp_path):
    out = tmp_path / "one.h5"
    options = ("--framing", "fixed", "--field", "60", "--no-cache", "--size", "50")
    run("cutouts", "184.85 5.79", *options, "-o", out)
    with h5py.File(out) as file:
        np.testing.assert_allclose(file["pxscale"][:], 60 / 50)


def test_radii_of_the_sdss(server, catalogue, tmp_path):
    out = tmp_path / "cutouts.h5"
    options = ("--survey", "sdss", "--look-up", "--no-cache", "--size", "32")
    run("cutouts", catalogue, *options, "-o", out)  # SDSS goes as far north as the last one
    with h5py.File(out) as file:
        radii = file["petro_r90"][:]
        np.testing.assert_allclose(file["pxscale"][:], 6.4 * radii / 32, rtol=1e-6)


def test_a_file_that_is_there_is_kept(server, catalogue, tmp_path):
    out = tmp_path / "cutouts.h5"
    out.write_bytes(b"mine")
    assert "--overwrite" in run("cutouts", catalogue, "-o", out, code=2).output
    assert out.read_bytes() == b"mine"
    run("cutouts", catalogue, "--no-cache", "--size", "32", "--overwrite", "-o", out, code=1)
    assert h5py.is_hdf5(out)


SCRIPT = """
import sys
from gmc_astro.cli import main
from gmc_astro.surveys import conf

conf.viewer = sys.argv.pop(1)
main()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_stopped_and_run_again_it_goes_on(tmp_path, number):
    """Without a cache only the parts on disk can spare the second run the finished rows."""
    n = 2 * ROWS + 40
    catalogue, out = tmp_path / "many.csv", tmp_path / "cutouts.h5"
    Table({"ra": np.linspace(150, 160, n), "dec": np.full(n, 2.0)}).write(catalogue)
    options = ["--framing", "fixed", "--size", "24", "--no-cache", "-o", str(out)]
    with serve_surveys(galaxies=4) as server:
        script = [sys.executable, "-c", SCRIPT, f"{server.url}/viewer", "cutouts", str(catalogue)]
        process = subprocess.Popen(script + options, stderr=subprocess.PIPE, start_new_session=True)
        parts = tmp_path / "cutouts.h5.parts"
        while not list(parts.glob("0*.npz")):
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, number)
        _, told = process.communicate()
        if number == signal.SIGTERM:
            assert process.returncode == 130
            assert told.decode().endswith("Finished rows are safe: run the same again to go on.\n")
        assert not out.exists()
        finished = len(list(parts.glob("0*.npz"))) * ROWS
        time.sleep(0.2)
        server.forget()
        subprocess.run(script + options, check=True, capture_output=True)
        assert sum(server.answers.values()) == n - finished
    with h5py.File(out) as file:
        assert set(file["status"].asstr()[:]) == {"ok"}
        assert (file["images"][:].reshape(n, -1).std(axis=1) > 1).all()


def test_classify_a_position_and_a_catalogue(server, catalogue, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "astropy").mkdir()
    model = ("--model", tiny_folder, "--classes", "round,elongated")
    text = run("classify", "--survey", "sdss", "184.85 5.79", *model).output
    assert "184.850000 5.790000" in text
    out = tmp_path / "out.ecsv"
    with pytest.warns(RecipeMismatchWarning, match="trained on SDSS_LUPTON"):  # grz has no i
        run("classify", "--survey", "decals", catalogue, *model, "-o", out, code=1)
    table = read_table(out)
    assert table["label"].mask.tolist() == [False] * 5 + [True]
    assert table["status"][-1] == "outside footprint"


def test_an_output_that_is_no_hdf5_or_the_catalogue(catalogue, server):
    def said(output):
        given = ["cutouts", str(catalogue), "-o", str(output), "--overwrite"]
        return CliRunner().invoke(main, given).stderr

    assert "will be HDF5: give it the suffix .h5 or .hdf5" in said(catalogue.with_suffix(".fits"))
    assert "is read from: give another name" in said(catalogue)

"""Runs of any size on the command line: folders, tables, stopping and going on."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
from gmc_astro.catalogs import open_embeddings, read_report
from gmc_astro.cli import main
from gmc_astro.learning import read_table


@pytest.fixture
def command(tiny_folder, pictures, tmp_path):
    """The function that gives the arguments of a run on 400 rows."""
    noise = np.random.default_rng(0).integers(0, 9, (400, 48, 48, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["images"] = np.tile(pictures, (10, 1, 1, 1)) // 2 + noise

    def arguments(output, *more):
        chosen = ("--classes", "round,elongated", "--model", tiny_folder, "--device", "cpu")
        all_ = ("classify", tmp_path / "stack.h5", "-o", output, *chosen, "--views", "1", *more)
        return [str(value) for value in all_]

    return arguments


def run(arguments, code=0, env=None):
    result = CliRunner().invoke(main, arguments, env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_into_a_folder(command, tmp_path):
    folder = tmp_path / "run"
    more = ("--embeddings", "float16", "--merge", "fits", "--rows-per-shard", "100")
    result = run(command(folder, *more))
    assert "400 of 400 images classified." in result.stderr
    assert "images/s" in result.stderr
    assert f"Shards: {folder}/shards" in result.stdout
    assert len(list((folder / "shards").glob("*.parquet"))) == 4
    assert len(read_table(folder / "predictions.fits")) == 400
    assert open_embeddings(folder).dtype == np.float16
    assert "holds a run with other settings" in run(command(folder), 2).stderr
    run(command(folder, *more))
    assert read_report(folder)["this_call"]["rows"] == 0
    run(command(folder, "--overwrite"))
    assert not (folder / "embeddings.npy").exists()


def test_a_table_keeps_nothing_else(command, tmp_path):
    run(command(tmp_path / "out.parquet"))
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.parquet"]


def test_options_of_folders(command, tmp_path):
    text = run(command(tmp_path / "out.fits", "--merge", "ecsv"), 2).stderr
    assert "--embeddings and --merge need a folder" in text
    text = run(command(tmp_path / "run", "--workers", "2", "--scheduler", "x"), 2).stderr
    assert "give one of them" in text
    assert "1 or more" in run(command(tmp_path / "run", "--workers", "0"), 2).stderr


def test_a_run_that_cannot_begin_leaves_nothing(command, tmp_path):
    arguments = command(tmp_path / "out.fits")
    arguments[1] = str(tmp_path / "nothing.h5")
    assert "no such file" in run(arguments, 2).stderr
    assert not list(tmp_path.glob("out*"))


def test_other_options_go_on_with_nothing(command, tmp_path):
    """Parts of another run are kept, unless the table is to be overwritten."""
    parts = tmp_path / "out.fits.parts"
    other = GalaxyMorphologyClassifier("compact", device="cpu", views=1)
    classify_catalog(other, np.zeros((2, 48, 48, 3), np.uint8), parts)
    assert "holds a run with other settings" in run(command(tmp_path / "out.fits"), 2).stderr
    assert parts.exists()
    run(command(tmp_path / "out.fits", "--overwrite"))
    assert not parts.exists()
    assert len(read_table(tmp_path / "out.fits")) == 400


def test_two_processes_make_one_table(command, tmp_path):
    arguments = command(tmp_path / "out.fits", "--rows-per-shard", "4")
    pair = [start(arguments), start(arguments)]
    texts = [process.communicate(timeout=120)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], texts
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.fits"]
    assert len(read_table(tmp_path / "out.fits")) == 400


def test_a_rank_that_is_done_first_leaves_its_work_to_the_leader(command, tmp_path):
    arguments = command(tmp_path / "out.fits", "--rows-per-shard", "100")
    ranks = [{"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank} for rank in "01"]
    run(arguments, env=ranks[1])
    assert [path.name for path in tmp_path.glob("out*")] == ["out.fits.parts"]
    assert len(list((tmp_path / "out.fits.parts" / "shards").glob("*.parquet"))) == 4
    run(arguments, env=ranks[0])
    assert [path.name for path in tmp_path.glob("out*")] == ["out.fits"]
    assert len(read_table(tmp_path / "out.fits")) == 400


def start(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "gmc_astro", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=_hears_ctrl_c,
    )


def _hears_ctrl_c():
    """A shell's background jobs ignore SIGINT, and so would the processes that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_stopped_tidily(command, tmp_path, number):
    """Ctrl-C, and the sign that a batch system gives before it kills."""
    arguments = command(tmp_path / "out.fits", "--rows-per-shard", "4")
    with start(arguments) as process:
        shards = tmp_path / "out.fits.parts" / "shards"
        while process.poll() is None and len(list(shards.glob("[0-9]*.json"))) < 5:
            time.sleep(0.01)
        process.send_signal(number)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "Finished rows are safe: run the same again to go on." in text
    assert "Traceback" not in text
    parts = tmp_path / "out.fits.parts"
    assert list((parts / "claims").iterdir()) == []
    assert list(parts.rglob(".*")) == []
    finished = read_report(parts)["finished"]
    assert 0 < finished < 400

    result = run(arguments)
    assert f"{400 - finished} of them now" in result.stderr
    assert len(read_table(tmp_path / "out.fits")) == 400
    assert not parts.exists()

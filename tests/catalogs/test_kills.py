"""Real processes, killed by SIGKILL at random moments, and several that share one run."""

import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest

from gmc_astro import classify_catalog
from gmc_astro.catalogs import merge_catalog, read_report
from gmc_astro.learning import read_table

OPTIONS = {"rows_per_shard": 16, "embeddings": "float32"}
KILLS = 20
ROWS = 320


@pytest.fixture(scope="module")
def processes():
    """Processes that have everything imported when they start, and use one thread each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "open_clip", "gmc_astro.catalogs.run"])
    ready = context.Process(target=time.sleep, args=(0,))
    ready.start()
    ready.join()
    yield context
    os.environ.pop("OMP_NUM_THREADS")
    if before is not None:
        os.environ["OMP_NUM_THREADS"] = before


@pytest.fixture
def start(processes, classifier, stack):
    """The function that starts a run in a process of its own."""

    def begin(folder):
        process = processes.Process(
            target=classify_catalog, args=(classifier, stack, folder), kwargs=OPTIONS
        )
        process.start()
        return process

    return begin


def whole(folder):
    """Whether nothing but a finished run is left, with every row once."""
    table = read_table(merge_catalog(folder, folder.with_suffix(".parquet")))
    names = sorted(path.name for path in folder.iterdir())
    hidden = list(folder.rglob(".*"))
    return (
        names == ["embeddings.npy", "manifest.json", "report.json", "shards"]
        and not hidden
        and table["id"].tolist() == [str(587722984439545906 + i) for i in range(ROWS)]
    )


def test_killed_at_random_and_resumed(start, classifier, stack, undisturbed, content, tmp_path):
    """Twenty runs; whatever the moment, the resumed run has the bytes of an undisturbed one."""
    began = time.monotonic()
    first = start(tmp_path / "first")
    first.join()
    duration = time.monotonic() - began
    assert first.exitcode == 0
    wanted = content(undisturbed)
    assert content(tmp_path / "first") == wanted

    seed = random.randrange(2**32)
    rng, reached = random.Random(seed), []
    for kill in range(KILLS):
        folder = tmp_path / f"run{kill}"
        process = start(folder)
        time.sleep(rng.uniform(0, duration))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        reached.append(len(list((folder / "shards").glob("[0-9]*.json"))))
        classify_catalog(classifier, stack, folder, **OPTIONS)
        assert content(folder) == wanted, f"seed {seed}, kill {kill} after {reached[-1]} shards"
        assert whole(folder), f"seed {seed}, kill {kill}"
    assert sum(n < ROWS / 16 for n in reached) >= KILLS / 2, reached


def test_killed_again_and_again(start, undisturbed, content, tmp_path):
    """One run that is killed until there is nothing left to kill."""
    folder, deaths = tmp_path / "run", 0
    while True:
        process = start(folder)
        process.join(0.5 + 0.1 * deaths)
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        deaths += 1
    assert process.exitcode == 0
    assert content(folder) == content(undisturbed)


def test_two_processes_share_a_run(start, undisturbed, content, tmp_path):
    """Nothing is done twice: each shard is written once, and both have written some."""
    folder = tmp_path / "run"
    pair = [start(folder), start(folder)]
    claimed = {}
    while any(process.exitcode is None for process in pair):
        for path in (folder / "claims").glob("[0-9]*.*"):
            try:
                claimed.setdefault(path.name, path.read_text())
            except FileNotFoundError:
                continue
        time.sleep(0.002)
    assert [process.exitcode for process in pair] == [0, 0]
    assert content(folder) == content(undisturbed)
    assert all(name.endswith(".0") for name in claimed), "a claim was taken twice"
    assert len(set(claimed.values())) >= 2
    assert read_report(folder)["complete"]


def test_the_work_of_a_dead_process_is_taken_over(start, undisturbed, content, tmp_path):
    folder = tmp_path / "run"
    pair = [start(folder), start(folder)]
    while len(list((folder / "shards").glob("[0-9]*.json"))) < 4:
        time.sleep(0.005)
    os.kill(pair[0].pid, signal.SIGKILL)
    for process in pair:
        process.join()
    assert pair[1].exitcode == 0
    assert content(folder) == content(undisturbed)
    assert np.load(folder / "embeddings.npy").shape == (ROWS, 16)

"""Dask workers, LSDB partitions and ranks: whoever does the work, the bytes are the same."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gmc_astro import classify_catalog
from gmc_astro.catalogs import classify_partitions, merge_catalog, read_report
from gmc_astro.catalogs.engines import Rank, current_rank, local_workers
from gmc_astro.catalogs.resident import loads
from gmc_astro.catalogs.shards import RowRange
from gmc_astro.exceptions import InputError, OutputError
from gmc_astro.learning import read_table

OPTIONS = {"rows_per_shard": 16, "embeddings": "float32"}


@pytest.fixture(scope="module")
def client():
    """Two worker processes on this machine."""
    pytest.importorskip("distributed", reason="needs gmc_astro[dask]")
    with local_workers(2) as client:
        yield client


def test_dask_with_a_worker_killed_half_way(
    client, classifier, stack, undisturbed, content, tmp_path
):
    folder, killed = tmp_path / "run", []
    victim = next(iter(client.run(os.getpid).values()))

    def kill():
        while len(list((folder / "shards").glob("[0-9]*.json"))) < 8:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)
        killed.append(len(list((folder / "shards").glob("[0-9]*.json"))))

    killer = threading.Thread(target=kill)
    killer.start()
    classify_catalog(classifier, stack, folder, executor=client, **OPTIONS)
    killer.join()
    assert killed[0] < 20, "the run was over before the worker was killed"
    assert content(folder) == content(undisturbed)
    report = read_report(folder)
    assert report["complete"]
    assert report["this_call"]["engine"] == "dask"
    client.wait_for_workers(2)
    assert max(client.run(loads).values()) == 1


def test_dask_goes_on_where_a_process_stopped(client, classifier, stack, undisturbed, content):
    """A complete run costs the workers nothing."""
    before = content(undisturbed)
    classify_catalog(classifier, stack, undisturbed, executor=client, **OPTIONS)
    assert read_report(undisturbed)["this_call"]["rows"] == 0
    assert content(undisturbed) == before


def test_dask_runs_again_elsewhere_and_anew(client, classifier, stack, tmp_path, monkeypatch):
    """The workers keep the model, and look at the disk each time."""
    monkeypatch.setattr("gmc_astro.catalogs.engines.SEEN", 0.5)
    options = {"executor": client, "rows_per_shard": 160}
    first = classify_catalog(classifier, stack, tmp_path / "first", **options)
    before = client.run(loads)
    second = classify_catalog(classifier, stack, tmp_path / "second", **options)
    classify_catalog(classifier, stack, first, overwrite=True, **options)
    shard = second / "shards" / "000000000160.parquet"
    good = shard.read_bytes()
    shard.write_bytes(good[:-9] + b"nonsense!")
    classify_catalog(classifier, stack, second, **options)
    assert read_report(second)["this_call"]["rows"] == 160
    assert shard.read_bytes() == good
    for folder in (first, second):
        assert read_report(folder)["complete"]
    after = client.run(loads)
    assert sum(after.values()) - sum(before.values()) <= 1  # in a worker that had no task before


# lsdb and nested_pandas use what pandas will have no more
OF_LSDB = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def hats(stack, tmp_path_factory):
    """The stack as a HATS catalogue with a margin: PNG bytes, names and positions."""
    lsdb = pytest.importorskip("lsdb", reason="needs gmc_astro[hats]")
    with h5py.File(stack) as file:
        frame = pd.DataFrame({name: file[name][:] for name in ("object_id", "ra", "dec")})
        frame["image"] = [_png(image) for image in file["images"]]
    folder = tmp_path_factory.mktemp("hats") / "catalogue"
    catalog = lsdb.from_dataframe(
        frame, catalog_name="galaxies", partition_rows=100, margin_threshold=3600, highest_order=5
    )
    catalog.write_catalog(folder)
    return folder


def _png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@OF_LSDB
def test_lsdb_partitions(client, hats, classifier, undisturbed, tmp_path):
    """As classify_catalog on the same catalogue, to the last bit; nothing of the margin."""
    import lsdb

    run = classify_catalog(classifier, hats, tmp_path / "run", rows_per_shard=64, size=48)
    wanted = read_table(merge_catalog(run, tmp_path / "all.parquet"))
    catalog = lsdb.open_catalog(hats)
    assert catalog.margin is not None
    before = client.run(loads)
    options = {"size": 48, "recipe": "SDSS_LUPTON", "framing": "fixed"}  # as open_images has them
    lazy = classify_partitions(classifier, catalog, rows_per_shard=64, **options)
    assert client.run(loads) == before, "a model was loaded for the empty frame"
    assert lazy.margin is None
    found = lazy.compute()
    after = client.run(loads)
    assert {after[worker] - before[worker] for worker in after} <= {0, 1}
    assert lazy.npartitions > 1

    names = [str(name) for name in found["object_id"]]
    assert sorted(names) == sorted(str(587722984439545906 + i) for i in range(320))
    order = {str(name): row for row, name in enumerate(wanted["id"])}
    rows = [order[name] for name in names]
    assert found["label"].tolist() == wanted["label"][rows].tolist()
    np.testing.assert_array_equal(np.stack(found["probabilities"]), wanted["probabilities"][rows])
    assert set(found["status"]) == {"ok"}
    assert dict(lazy.dtypes) == dict(found.dtypes)
    direct = read_table(merge_catalog(undisturbed, tmp_path / "direct.parquet"))
    by_name = dict(zip(direct["id"], direct["probabilities"], strict=True))
    np.testing.assert_allclose(
        np.stack(found["probabilities"]), [by_name[name] for name in names], atol=1e-5
    )


@OF_LSDB
def test_lsdb_positions(client, classifier):
    """Without network: rows that are off the survey's footprint are never asked for."""
    lsdb = pytest.importorskip("lsdb", reason="needs gmc_astro[hats]")
    frame = pd.DataFrame({"id": [1, 2, 3], "ra": [10.0, 20.0, 30.0], "dec": [89.0, 88.0, 87.0]})
    catalog = lsdb.from_dataframe(frame, margin_threshold=None)
    found = classify_partitions(classifier, catalog, survey="decals").compute()
    assert found["status"].tolist() == ["outside footprint"] * 3
    assert found["label"].isna().all()
    assert found["probability"].isna().all()
    with pytest.raises(InputError, match="survay is no option here"):
        classify_partitions(classifier, catalog, survay="decals")
    again = lsdb.from_dataframe(frame.assign(label="mine"), margin_threshold=None)
    with pytest.raises(InputError, match=r"has columns \['label'\] already"):
        classify_partitions(classifier, again)


def test_what_is_no_lsdb_catalogue(classifier, pictures):
    with pytest.raises(InputError, match="a ndarray is no LSDB catalogue"):
        classify_partitions(classifier, pictures)


def test_two_torchrun_ranks(tiny_folder, stack, undisturbed, content, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    script = [str(Path(__file__).with_name("one_run.py")), str(tiny_folder), str(stack)]
    subprocess.run(
        [*torchrun, "--nproc-per-node", "2", *script, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert content(tmp_path / "run") == content(undisturbed)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["complete"]


@pytest.mark.parametrize(
    ("variables", "rank"),
    [
        ({}, Rank()),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, Rank(3, 8, 1)),
        (
            {
                "SLURM_PROCID": "2",
                "SLURM_STEP_NUM_TASKS": "4",
                "SLURM_LOCALID": "0",
                "SLURM_STEP_ID": "0",
            },
            Rank(2, 4, 0),
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, Rank()),
    ],
    ids=["alone", "torchrun", "srun", "a batch script of SLURM"],
)
def test_ranks_by_environment(monkeypatch, variables, rank):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert current_rank() == rank


def test_ranks_do_not_overwrite_together(monkeypatch, classifier, stack, tmp_path):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes cannot overwrite"):
        classify_catalog(classifier, stack, tmp_path / "run", overwrite=True)


def test_a_disk_that_workers_see_and_we_do_not(client, classifier, stack, tmp_path, monkeypatch):
    """The workers write; here, the folder stays empty."""
    monkeypatch.setattr("gmc_astro.catalogs.engines.SEEN", 0.5)
    monkeypatch.setattr("gmc_astro.catalogs.shards.Shards.is_finished", lambda *_: False)
    with pytest.raises(OutputError, match="a disk that this process and all workers see"):
        classify_catalog(classifier, stack, tmp_path / "run", executor=client, rows_per_shard=160)


def test_ranks_begin_in_different_places():
    ranges = [RowRange(i, i + 1) for i in range(10)]
    orders = [Rank(rank, 3).order(ranges) for rank in range(3)]
    assert [order[0].start for order in orders] == [0, 3, 6]
    assert all(sorted(order) == ranges for order in orders)

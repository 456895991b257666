"""What can go wrong with disks and files: a sentence, and no damage."""

import errno
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from gmc_astro import classify_catalog
from gmc_astro.catalogs import merge_catalog, read_report
from gmc_astro.exceptions import InputError, OutputError, UnreadableImageError
from gmc_astro.learning import read_table

OPTIONS = {"rows_per_shard": 16, "embeddings": "float32"}


@pytest.fixture
def disk(tmp_path):
    """The function that mounts a small disk of its own, where that is allowed."""
    mounted = []

    def mount(options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("needs the command mount")
        if done.returncode:
            pytest.skip(f"needs to be allowed to mount a disk: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_disk_full(disk, classifier, stack, undisturbed, content):
    """A disk of 160 kB, then room again: nothing that was finished is lost."""
    folder = disk("size=160k")
    with pytest.raises(OutputError, match=r"cannot be written: No space left.* free some space"):
        classify_catalog(classifier, stack, folder / "run", **OPTIONS)
    done = len(list((folder / "run" / "shards").glob("[0-9]*.json")))
    assert 0 < done < 20
    subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
    classify_catalog(classifier, stack, folder / "run", **OPTIONS)
    assert content(folder / "run") == content(undisturbed)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
import torch
torch.set_num_threads(1)
from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
from gmc_astro.exceptions import OutputError
model, stack, output = sys.argv[1:4]
classifier = GalaxyMorphologyClassifier(
    model, classes=["round galaxy", "elongated galaxy"], device="cpu", precision="fp32", views=2,
    batch_size=16,
)
try:
    classify_catalog(classifier, stack, output, rows_per_shard=16, embeddings="float32")
except OutputError as err:
    print(err)
"""


def test_no_file_may_grow(tiny_folder, classifier, stack, undisturbed, content, tmp_path):
    """As a disk that is full, for those who may not mount one: files end at 16 kB."""
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tiny_folder), str(stack), str(run), "16000"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert "embeddings.npy cannot be written: File too large" in done.stdout
    classify_catalog(classifier, stack, run, **OPTIONS)
    assert content(run) == content(undisturbed)


def test_read_only_disk(disk, classifier, stack):
    folder = disk("size=1m,ro")
    with pytest.raises(OutputError, match="run cannot be written: Read-only file system"):
        classify_catalog(classifier, stack, folder / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(classifier, stack, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="run cannot be written: Permission denied"):
        classify_catalog(classifier, stack, tmp_path / "run")


def test_output_below_a_file(classifier, stack, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="a part of this path is a file") as caught:
        classify_catalog(classifier, stack, tmp_path / "file" / "run")
    assert caught.value.errno == errno.ENOTDIR
    assert (tmp_path / "file").read_text() == "mine"


def test_input_changed_between_runs(classifier, own_stack, tmp_path):
    run = classify_catalog(classifier, own_stack, tmp_path / "run", **OPTIONS)
    shards = {path: path.read_bytes() for path in (run / "shards").iterdir()}
    with h5py.File(own_stack, "r+") as file:
        file["images"][5] = 0
    with pytest.raises(InputError, match=r"the input has changed: input\.modified was '.*', is '"):
        classify_catalog(classifier, own_stack, run, **OPTIONS)
    assert {path: path.read_bytes() for path in (run / "shards").iterdir()} == shards
    classify_catalog(classifier, own_stack, run, overwrite=True, **OPTIONS)
    assert (run / "shards" / "000000000000.parquet").read_bytes() != shards[
        run / "shards" / "000000000000.parquet"
    ]


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_a_corrupt_chunk_costs_its_rows(classifier, own_stack, undisturbed, tmp_path, compression):
    with h5py.File(own_stack, "r+") as file:
        images = file["images"][:]
        del file["images"]
        packed = {"chunks": (10, *images.shape[1:]), "compression": compression, "shuffle": True}
        data = file.create_dataset("images", data=images, **packed)
        chunk = data.id.get_chunk_info(3)
    content = bytearray(own_stack.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    own_stack.write_bytes(content)
    run = classify_catalog(classifier, own_stack, tmp_path / "run")
    table = read_table(merge_catalog(run, tmp_path / "all.parquet"))
    assert table["label"].mask.nonzero()[0].tolist() == list(range(30, 40))
    assert all(text.startswith("unreadable: ") for text in table["status"][30:40])
    report = read_report(run)
    assert (report["classified"], sum(report["failed"].values())) == (310, 10)
    good = read_table(merge_catalog(undisturbed, tmp_path / "good.parquet"))
    others = np.setdiff1d(np.arange(320), np.arange(30, 40))
    np.testing.assert_allclose(
        table["probabilities"][others], good["probabilities"][others], atol=1e-5
    )


def test_a_truncated_stack(classifier, own_stack, tmp_path):
    content = own_stack.read_bytes()
    own_stack.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImageError, match="not an HDF5 file, or cut off"):
        classify_catalog(classifier, own_stack, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_manifest_that_is_no_manifest(classifier, stack, tmp_path):
    run = classify_catalog(classifier, stack, tmp_path / "run", rows_per_shard=160)
    (run / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json is no JSON any more"):
        classify_catalog(classifier, stack, run)

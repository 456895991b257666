"""Checkpoint folders: what is written comes back, and what is not as written is refused."""

import errno
import json
import os
import pickle
import resource
import shutil
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from gmc_astro._files import sha256_of
from gmc_astro.exceptions import CheckpointError, InputError, OutputError
from gmc_astro.models import read_checkpoint, verify_checkpoint, write_checkpoint
from gmc_astro.models.checkpoint import METADATA_FILE, WEIGHTS_FILE
from gmc_astro.models.network import CONFIG_FILE


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the tiny checkpoint, to be spoilt."""
    return shutil.copytree(tiny_folder, tmp_path / "copy")


def edit_metadata(folder, **changes):
    path = folder / METADATA_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def renew_hash(folder, name):
    files = json.loads((folder / METADATA_FILE).read_text())["files"]
    edit_metadata(folder, files=files | {name: sha256_of(folder / name)})


def test_round_trip(tiny_encoder, tmp_path, pictures):
    head = {"weights": np.arange(6.0).reshape(2, 3)}
    path = write_checkpoint(
        tmp_path / "model", tiny_encoder, metadata={"classes": None}, head=head, card="# Tiny\n"
    )
    checkpoint = read_checkpoint(path, device="cpu", precision="fp32")
    assert checkpoint.encoder.contract == tiny_encoder.contract
    assert checkpoint.encoder.name == "tiny"
    assert checkpoint.metadata["classes"] is None
    assert checkpoint.sha256 == sha256_of(path / WEIGHTS_FILE)
    np.testing.assert_array_equal(checkpoint.head["weights"], head["weights"])
    np.testing.assert_array_equal(
        checkpoint.encoder.encode_images(pictures), tiny_encoder.encode_images(pictures)
    )
    assert (path / "README.md").read_text() == "# Tiny\n"


def test_half_precision_is_half_the_size_and_nearly_the_same(tiny_encoder, tiny_folder, tmp_path):
    path = write_checkpoint(tmp_path / "half", tiny_encoder, dtype="float16")
    sizes = [(p / WEIGHTS_FILE).stat().st_size for p in (path, tiny_folder)]
    assert sizes[0] < 0.55 * sizes[1]
    vectors = read_checkpoint(path, device="cpu", precision="fp32").encoder.encode_texts(
        ["a spiral"]
    )
    np.testing.assert_allclose(vectors, tiny_encoder.encode_texts(["a spiral"]), atol=2e-3)


def test_open_clip_loads_the_folder_by_itself(tiny_folder, tiny_encoder):
    network, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tiny_folder}")
    network.eval()
    tokens = tiny_encoder.tokenizer(["an edge-on galaxy"])
    with torch.inference_mode():
        features = network.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(
        features, tiny_encoder.encode_texts(["an edge-on galaxy"]), atol=1e-5
    )
    normalise = preprocess.transforms[-1]
    assert tuple(normalise.mean) == tiny_encoder.contract.mean


def test_an_existing_folder_is_kept(tiny_folder, tiny_encoder):
    before = sha256_of(tiny_folder / METADATA_FILE)
    with pytest.raises(CheckpointError, match="exists; give another folder or overwrite=True"):
        write_checkpoint(tiny_folder, tiny_encoder)
    assert sha256_of(tiny_folder / METADATA_FILE) == before


def test_others_may_read_it(tiny_folder):
    modes = {path.name: path.stat().st_mode & 0o777 for path in tiny_folder.iterdir()}
    assert set(modes.values()) == {0o644}
    assert tiny_folder.stat().st_mode & 0o777 == 0o755


def test_overwrite(tiny_encoder, folder):
    write_checkpoint(folder, tiny_encoder, head={"weights": np.ones((2, 3))}, overwrite=True)
    write_checkpoint(folder, tiny_encoder, overwrite=True)
    assert not (folder / "head.safetensors").exists()
    assert verify_checkpoint(folder)["name"] == "tiny"


def test_what_cannot_be_moved_leaves_the_checkpoint_of_before(tiny_encoder, folder, monkeypatch):
    before = (folder / "gmc_astro.json").read_bytes()
    move = Path.replace

    def refuse(self, target):
        if self.name.startswith(f".{folder.name}-") and not self.name.endswith("-old"):
            raise OSError(errno.EIO, "Input/output error")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="cannot be written: Input/output error"):
        write_checkpoint(folder, tiny_encoder, metadata={"views": 3}, overwrite=True)
    assert (folder / "gmc_astro.json").read_bytes() == before
    assert verify_checkpoint(folder)["name"] == "tiny"
    assert list(folder.parent.iterdir()) == [folder]


def test_an_empty_folder_and_the_end_of_a_link_can_be_overwritten(tiny_encoder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for _ in range(2):
        write_checkpoint(tmp_path / "link", tiny_encoder, overwrite=True)
    assert verify_checkpoint(tmp_path / "empty")["name"] == "tiny"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("name", ["thesis.txt", "sub/data.fits", "README.md"])
def test_a_folder_of_something_else_is_never_overwritten(tiny_encoder, tmp_path, name):
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("years of work")
    says = f"mine is not overwritten, for it holds '{name.split('/')[0]}'"
    with pytest.raises(InputError, match=says):
        write_checkpoint(tmp_path / "mine", tiny_encoder, overwrite=True)
    assert path.read_text() == "years of work"


def test_files_that_are_not_ours_keep_a_checkpoint(tiny_encoder, folder):
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"it holds 'notes\.txt', which is not of a checkpoint"):
        write_checkpoint(folder, tiny_encoder, overwrite=True)
    assert verify_checkpoint(folder)["name"] == "tiny"


def test_the_working_directory_and_a_file_are_refused(tiny_encoder, folder, monkeypatch):
    with pytest.raises(InputError, match=r"gmc_astro\.json is a file; give a folder"):
        write_checkpoint(folder / METADATA_FILE, tiny_encoder, overwrite=True)
    monkeypatch.chdir(folder)
    for name in (".", folder):
        with pytest.raises(InputError, match="is the working directory"):
            write_checkpoint(name, tiny_encoder, overwrite=True)
    assert verify_checkpoint(folder)["name"] == "tiny"


def test_below_a_file(tiny_encoder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"file/m cannot be written: .*part of this path is a"):
        write_checkpoint(tmp_path / "file" / "m", tiny_encoder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tiny_encoder, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="m cannot be written: Permission denied"):
        write_checkpoint(tmp_path / "m", tiny_encoder)


def test_a_disk_that_is_full_keeps_what_was_there(tiny_encoder, folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"copy cannot be written: .*File too large"):
            write_checkpoint(folder, tiny_encoder, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert verify_checkpoint(folder)["name"] == "tiny"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failed_write_leaves_nothing(tiny_encoder, tmp_path):
    with pytest.raises(TypeError):
        write_checkpoint(tmp_path / "model", tiny_encoder, metadata={"x": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "weights.pt", "notes.txt"])
def test_a_pickle_is_refused_by_name_or_by_content(folder, name):
    (folder / name).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match=f"{name} is a pickle"):
        read_checkpoint(folder)


def test_a_torch_file_named_safetensors_is_refused(folder):
    torch.save({"a": torch.zeros(1)}, folder / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS_FILE} is a pickle"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", [METADATA_FILE, CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        read_checkpoint(folder)


def test_a_missing_head_is_named(tiny_encoder, tmp_path):
    path = write_checkpoint(tmp_path / "m", tiny_encoder, head={"weights": np.zeros((2, 3))})
    (path / "head.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"head\.safetensors is missing"):
        read_checkpoint(path)


def test_a_changed_byte_is_noticed(folder):
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"SHA-256 .* says .*: the file was changed"):
        read_checkpoint(folder)


def test_a_foreign_architecture_is_named(folder):
    config = json.loads((folder / CONFIG_FILE).read_text())
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "galaxynet_9000"
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    renew_hash(folder, CONFIG_FILE)
    with pytest.raises(CheckpointError, match=r"foreign architecture.*galaxynet_9000"):
        read_checkpoint(folder)


def test_weights_of_another_architecture_are_refused(folder):
    config = json.loads((folder / CONFIG_FILE).read_text())
    config["model_cfg"]["embed_dim"] = 8
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    renew_hash(folder, CONFIG_FILE)
    with pytest.raises(CheckpointError, match=r"size mismatch|foreign architecture"):
        read_checkpoint(folder)


def test_what_is_not_safetensors_is_refused(folder):
    (folder / WEIGHTS_FILE).write_bytes(b"not tensors at all")
    renew_hash(folder, WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        read_checkpoint(folder)


def test_another_format_version_says_what_to_do(folder):
    edit_metadata(folder, format=99)
    with pytest.raises(CheckpointError, match=r"format 99.*update the package"):
        read_checkpoint(folder)


def test_broken_json_is_named(folder):
    (folder / METADATA_FILE).write_text("{")
    with pytest.raises(CheckpointError, match=f"{METADATA_FILE} is not JSON"):
        read_checkpoint(folder)


def test_a_file_is_not_a_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="a checkpoint is a folder"):
        read_checkpoint(tmp_path / "nothing")


def test_weights_are_kept_as_floats(tiny_encoder, tmp_path):
    with pytest.raises(InputError, match="dtype='int8' is not one of"):
        write_checkpoint(tmp_path / "model", tiny_encoder, dtype="int8")

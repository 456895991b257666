"""Models by name: bundled, folder, architecture with weights."""

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import save_file

from gmc_astro.exceptions import CheckpointError, InputError
from gmc_astro.models import load_encoder, open_model
from gmc_astro.models.checkpoint import METADATA_FILE
from gmc_astro.models.loading import bundled_folder
from gmc_astro.models.network import HUB, build_network, get_model_config

ARCHITECTURE = "ViT-S-32-alt"  # open_clip's smallest with a plain text tower


def test_bundled_model_says_what_it_is():
    checkpoint = open_model(device="cpu")
    assert checkpoint.encoder.name == "compact"
    assert checkpoint.encoder.contract.framing == "petrosian"
    assert len(checkpoint.metadata["classes"]["classes"]) == 5
    card = (bundled_folder() / "README.md").read_text()
    for credit in ("Galaxy Zoo", "SDSS", "DECaLS"):
        assert credit in card


def test_bundled_model_fits_the_wheel():
    assert sum(path.stat().st_size for path in bundled_folder().iterdir()) < 25e6


def test_bundled_model_knows_galaxies_from_words(make_galaxy):
    rows = [make_galaxy(96, 9, ellip=e, noise=0.02) for e in (0.0, 0.85)]
    grey = np.clip(45 * np.arcsinh(6 * np.stack(rows)), 0, 255).astype(np.uint8)
    images = np.repeat(grey[..., None], 3, axis=-1)
    encoder = load_encoder(device="cpu")
    texts = ["a galaxy, measured round in outline", "a galaxy, measured elongated in outline"]
    similarity = encoder.encode_images(images) @ encoder.encode_texts(texts).T
    assert similarity.argmax(axis=1).tolist() == [0, 1]


def test_folder(tiny_folder, tiny_encoder, pictures):
    encoder = load_encoder(tiny_folder, device="cpu", precision="fp32")
    np.testing.assert_array_equal(
        encoder.encode_images(pictures[:2]), tiny_encoder.encode_images(pictures[:2])
    )


def test_random_weights_differ_from_call_to_call():
    a, b = (load_encoder("compact", weights="random", device="cpu") for _ in range(2))
    assert a.dim == b.dim == 256
    assert not np.allclose(a.encode_texts(["x"]), b.encode_texts(["x"]))


def test_architecture_with_a_weights_file(tmp_path):
    network = build_network(get_model_config(ARCHITECTURE))
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    encoder = load_encoder(ARCHITECTURE, weights=path, device="cpu", precision="fp32")
    assert encoder.contract.size == 224
    assert encoder.contract.recipe is None
    own = network.eval().encode_text(encoder.tokenizer(["a galaxy"]), normalize=True)
    np.testing.assert_allclose(encoder.encode_texts(["a galaxy"]), own.detach().numpy(), atol=1e-5)


def test_architecture_with_a_plain_open_clip_folder(tiny_folder, tmp_path, tiny_encoder):
    folder = shutil.copytree(tiny_folder, tmp_path / "plain")
    (folder / METADATA_FILE).unlink()
    encoder = load_encoder("ViT-B-16", weights=folder, device="cpu", precision="fp32")
    np.testing.assert_allclose(
        encoder.encode_texts(["a ring"]), tiny_encoder.encode_texts(["a ring"]), atol=1e-6
    )
    assert encoder.contract.mean == tiny_encoder.contract.mean
    assert encoder.name == "plain"  # not that of an architecture which it is not


def test_a_weights_file_of_another_architecture_is_refused(tmp_path, tiny_encoder):
    path = tmp_path / "weights.safetensors"
    state = tiny_encoder.network.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    with pytest.raises(CheckpointError):
        load_encoder(ARCHITECTURE, weights=path, device="cpu")


def test_a_pickled_weights_file_cannot_run_code(tmp_path):
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (marker.write_text, ("code ran",))

    import torch

    path = tmp_path / "weights.pt"
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(CheckpointError):
        load_encoder(ARCHITECTURE, weights=path, device="cpu")
    assert not marker.exists()


def test_a_misspelt_name_gets_a_suggestion():
    with pytest.raises(InputError, match=r"did you mean compact"):
        load_encoder("compct")


def test_an_architecture_needs_weights():
    with pytest.raises(InputError, match='needs weights=: an open_clip tag such as "openai"'):
        load_encoder("ViT-B-16")


def test_an_unknown_tag_lists_the_known():
    with pytest.raises(InputError, match=r"neither a file nor a tag of ViT-B-16.*'openai'"):
        load_encoder("ViT-B-16", weights="opensky")


def test_a_folder_without_configuration(tmp_path):
    with pytest.raises(InputError, match=r"has no open_clip_config\.json"):
        load_encoder("ViT-B-16", weights=tmp_path)


@pytest.mark.parametrize(
    ("model", "weights", "says"),
    [
        ("ViT-B-16", "openai", "Without network: download https.*model='ViT-B-16-quickgelu'"),
        ("ViT-B-16", "laion2b_s34b_b88k", "pass weights=PATH of that file$"),
        (f"{HUB}gmc-astro/not-there", None, "Without network: download the repository"),
    ],
)
def test_without_network_the_error_says_what_to_do(model, weights, says, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=says):
        load_encoder(model, weights=weights, device="cpu")


def test_metadata_is_json_with_hashes(tiny_folder):
    document = json.loads((tiny_folder / METADATA_FILE).read_text())
    assert set(document["files"]) == {"open_clip_config.json", "open_clip_model.safetensors"}

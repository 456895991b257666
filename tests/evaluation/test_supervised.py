"""Supervised towers: they learn, they are reproducible, and weights come from where they should."""

import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from gmc_astro.evaluation import predict_tower, train_tower
from gmc_astro.exceptions import CheckpointError, InputError
from gmc_astro.learning import LabelTraining
from gmc_astro.models import random_tower, timm_tower, tower_contract


def small(seed=0, **options):
    torch.manual_seed(seed)
    return timm_tower("test_resnet", classes=2, **options)


def test_a_tower_learns_round_from_elongated(pictures, labels):
    targets = (labels == "round").astype(int)
    settings = LabelTraining(epochs=1, least_steps=60, batch_size=20, learning_rate=3e-3)
    network = small()
    contract = tower_contract(network, 32)
    network = train_tower(network, pictures[:30], targets[:30], contract, settings=settings)
    found = predict_tower(network, pictures, contract, views=4)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == targets)[30:].mean() >= 0.9


def test_the_same_seed_gives_the_same_weights(pictures, labels, two_steps):
    targets = (labels == "round").astype(int)
    contract = tower_contract(small(), 32)
    options = {"settings": two_steps, "device": "cpu", "precision": "fp32"}
    found = []
    for seed in (0, 0, 1):
        network = train_tower(small(), pictures, targets, contract, seed=seed, **options)
        found.append(predict_tower(network, pictures, contract, views=1, precision="fp32"))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_steps_and_batches_suit_the_number_of_labels():
    settings = LabelTraining(epochs=10, least_steps=100, batch_size=64)
    assert [settings.batch(n) for n in (5, 40, 1000)] == [16, 40, 64]
    assert [settings.steps(n) for n in (5, 40, 1000)] == [100, 100, 160]
    with pytest.raises(InputError, match="epochs=0"):
        LabelTraining(epochs=0)


def test_a_pretrained_body_learns_slowly_and_its_head_does_not(pictures, labels, two_steps):
    targets, network = (labels == "round").astype(int), small()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    settings = LabelTraining(epochs=1, least_steps=10, tuning_rate=1e-9, weight_decay=0)
    train_tower(
        network, pictures, targets, tower_contract(network, 32), settings=settings, pretrained=True
    )
    head = torch.abs(network.fc.weight - before["fc.weight"]).max()
    body = torch.abs(network.conv1[0].weight - before["conv1.0.weight"]).max()
    assert head > 1e-6 > 1e-8 > body


def test_images_and_targets_must_match(pictures, two_steps):
    with pytest.raises(InputError, match="3 targets for 40 images"):
        train_tower(small(), pictures, np.zeros(3, int), tower_contract(small(), 32))


def test_the_models_own_tower_is_random_again(tiny_encoder):
    torch.manual_seed(5)
    network = random_tower(tiny_encoder, classes=3)
    own = tiny_encoder.network.visual.state_dict()
    assert network[0].state_dict().keys() == own.keys()
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    name = next(k for k, v in own.items() if v.ndim == 4)
    assert not torch.equal(network[0].state_dict()[name], own[name])


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_of_a_file(tmp_path, name):
    source = small(seed=1)
    arrays = {f"encoder.{k}": v for k, v in source.state_dict().items() if "fc." not in k}
    path = tmp_path / name
    if path.suffix == ".pt":
        torch.save({"state_dict": arrays}, path)
    else:
        save_file(arrays, path)
    network = small(weights=path)
    assert torch.equal(network.conv1[0].weight, source.conv1[0].weight)
    assert not torch.equal(network.fc.weight, source.fc.weight)


def test_a_zoobot_encoder_in_a_local_folder(tmp_path):
    """The hub's layout: config.json and model.safetensors, as timm writes and reads it."""
    source = timm_tower("test_resnet", classes=7)
    config = {
        "architecture": "test_resnet",
        "num_classes": 7,
        "pretrained_cfg": {
            "mean": [0.1, 0.2, 0.3],
            "std": [1, 1, 1],
            "input_size": [3, 160, 160],
            "classifier": "fc",
            "first_conv": "conv1.0",
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    network = timm_tower("test_resnet", classes=2, weights=tmp_path)
    assert torch.equal(network.conv1[0].weight, source.conv1[0].weight)
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 2)
    assert tower_contract(network, 32).mean == (0.1, 0.2, 0.3)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json and model\.safetensors"):
        timm_tower("test_resnet", classes=2, weights=tmp_path)


def test_images_that_are_too_small_get_a_sentence():
    with pytest.raises(InputError, match="test_convnext cannot take images of 24 px: "):
        timm_tower("test_convnext", classes=2, size=24)
    assert timm_tower("test_convnext", classes=2, size=64).training


def test_layer_scales_of_a_convnext_come_with_its_weights(tmp_path):
    """From random weights they start at 1, but in a file they may be anything."""
    assert (timm_tower("convnext_atto", classes=2).stages[0].blocks[0].gamma == 1).all()
    source = timm.create_model("convnext_atto", num_classes=3)
    save_file(source.state_dict(), tmp_path / "convnext.safetensors")
    network = timm_tower("convnext_atto", classes=2, weights=tmp_path / "convnext.safetensors")
    assert torch.equal(network.stages[0].blocks[0].gamma, source.stages[0].blocks[0].gamma)


def test_a_transformer_is_told_the_size_of_the_images():
    network = timm_tower("test_vit", classes=2, size=64)
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


def test_without_network_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("hf-hub:mwalmsley/zoobot-encoder-convnext_nano", "test_resnet"):
        with pytest.raises(CheckpointError, match="Without network: download its config"):
            timm_tower(name, classes=2, weights="imagenet")


def test_wrong_names_and_files(tmp_path):
    with pytest.raises(InputError, match="has no model 'resnet18x'; it has"):
        timm_tower("resnet18x", classes=2)
    with pytest.raises(InputError, match="neither a file nor a folder"):
        timm_tower("test_resnet", classes=2, weights=tmp_path / "nothing.pt")
    with pytest.raises(InputError, match="need the name of an architecture"):
        timm_tower("hf-hub:a/b", classes=2, weights="random")
    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not fit this architecture"):
        timm_tower("test_resnet", classes=2, weights=tmp_path / "other.safetensors")
    torch.save({"code": print}, tmp_path / "code.pt")
    with pytest.raises(CheckpointError, match="holds more than arrays"):
        timm_tower("test_resnet", classes=2, weights=tmp_path / "code.pt")

"""The encoder: preprocessing on the device, orientations, words."""

import numpy as np
import pytest
import torch
from PIL import Image

from gmc_astro.exceptions import CheckpointError, InputError
from gmc_astro.models import (
    Encoder,
    ImageContract,
    load_encoder,
    read_checkpoint,
    write_checkpoint,
)
from gmc_astro.models.device import pick_device, pick_precision
from gmc_astro.models.preprocess import dihedral_views, normalise, resize, to_channels_first


def test_embeddings_are_unit_vectors_in_order(tiny_encoder, pictures):
    vectors = tiny_encoder.encode_images(pictures)
    assert vectors.shape == (40, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        tiny_encoder.encode_images(pictures[::-1], batch_size=7)[::-1], vectors, atol=1e-5
    )


def test_eight_views_do_not_see_orientation(tiny_encoder, pictures):
    vectors = tiny_encoder.encode_images(pictures)
    for turned in (np.rot90(pictures, axes=(1, 2)), pictures[:, :, ::-1], pictures[:, ::-1]):
        np.testing.assert_allclose(tiny_encoder.encode_images(turned), vectors, atol=1e-5)


def test_four_views_see_a_mirror_image(tiny_encoder):
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[0, 4:12, 4:28] = 200  # an "L", which no turn makes into its mirror image
    picture[0, 4:28, 4:8] = 200
    own, mirrored = (tiny_encoder.encode_images(p, views=4) for p in (picture, picture[:, :, ::-1]))
    turned = tiny_encoder.encode_images(np.rot90(picture, axes=(1, 2)), views=4)
    np.testing.assert_allclose(turned, own, atol=1e-5)
    assert np.abs(mirrored - own).max() > 1e-4


@pytest.mark.parametrize(("views", "distinct"), [(1, 1), (2, 2), (4, 4), (8, 8)])
def test_views_are_distinct(views, distinct):
    images = torch.arange(3 * 4 * 4.0).reshape(1, 3, 4, 4)
    found = {tuple(view.flatten().tolist()) for view in dihedral_views(images, views)}
    assert len(found) == distinct


def test_another_image_size(fresh_encoder, tmp_path, pictures):
    small = fresh_encoder.encode_images(pictures)
    fresh_encoder.set_image_size(48)
    large = fresh_encoder.encode_images(pictures)
    assert np.abs(large - small).max() > 1e-3
    folder = write_checkpoint(tmp_path / "large", fresh_encoder)
    read = read_checkpoint(folder, device="cpu", precision="fp32")
    assert read.encoder.contract.size == 48
    assert read.encoder.network.visual.image_size == (48, 48)
    np.testing.assert_allclose(read.encoder.encode_images(pictures), large, atol=1e-5)


def test_a_transformer_keeps_its_image_size():
    encoder = load_encoder("ViT-B-32", weights="random", device="cpu")
    with pytest.raises(InputError, match=r"size=160: the image tower takes \(224, 224\) px only"):
        encoder.set_image_size(160)
    assert encoder.contract.size == 224


def test_preprocessing_equals_pillow():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (96, 96, 3)).astype(np.uint8)
    ours = resize(to_channels_first(torch.from_numpy(picture[None])), 32)[0].numpy() * 255
    theirs = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(ours.transpose(1, 2, 0) - theirs).max() < 1


def test_normalise():
    images = torch.full((1, 3, 2, 2), 0.5)
    found = normalise(images, (0.5, 0.25, 0), (1, 0.5, 0.25))
    assert found[0, :, 0, 0].tolist() == [0, 0.5, 2]


def test_short_captions_cost_less_but_mean_the_same(tiny_encoder):
    tokens = tiny_encoder.tokenizer(
        ["a spiral galaxy", "a smooth galaxy, measured round in outline"]
    )
    with torch.inference_mode():
        full = tiny_encoder.network.encode_text(tokens, normalize=True)
        short = tiny_encoder.text_features(tokens)
    torch.testing.assert_close(short, full, atol=1e-5, rtol=1e-4)


def test_features_carry_gradients(fresh_encoder):
    pixels = torch.rand(2, 3, 32, 32)
    fresh_encoder.image_features(pixels).sum().backward()
    assert any(p.grad is not None for p in fresh_encoder.network.visual.parameters())


@pytest.mark.parametrize(
    "images",
    [np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3)), np.zeros((1, 3, 8, 8), np.uint8)],
)
def test_images_of_another_kind_are_refused(tiny_encoder, images):
    with pytest.raises(InputError, match=r"uint8 RGB images of shape \(N, H, W, 3\)"):
        tiny_encoder.encode_images(images)


@pytest.mark.parametrize("texts", [[], ["a", 3]])
def test_texts_of_another_kind_are_refused(tiny_encoder, texts):
    with pytest.raises(InputError, match="texts must be one or more strings"):
        tiny_encoder.encode_texts(texts)


def test_weights_that_are_no_numbers_give_no_class(fresh_encoder, pictures):
    with torch.no_grad():
        next(fresh_encoder.network.visual.parameters()).fill_(torch.nan)
        fresh_encoder.network.text_projection.fill_(torch.nan)
    for embed, given in (
        (fresh_encoder.encode_images, pictures),
        (fresh_encoder.encode_texts, ["a"]),
    ):
        with pytest.raises(
            CheckpointError, match="embeds something as NaN: its weights are damaged"
        ):
            embed(given)


def test_no_images_give_no_rows(tiny_encoder):
    assert tiny_encoder.encode_images(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 16)


def test_unknown_views(tiny_encoder, pictures):
    with pytest.raises(InputError, match="views=3"):
        tiny_encoder.encode_images(pictures, views=3)


def test_bfloat16_is_near_float32(tiny_encoder, pictures):
    other = Encoder(
        tiny_encoder.network,
        tiny_encoder.tokenizer,
        contract=tiny_encoder.contract,
        model_cfg=tiny_encoder.model_cfg,
        name="tiny",
        device="cpu",
        precision="bf16",
    )
    cosine = (other.encode_images(pictures) * tiny_encoder.encode_images(pictures)).sum(axis=1)
    assert cosine.min() > 0.99


def test_device_and_precision_are_named_when_wrong():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="'abacus' is not a torch device"):
        pick_device("abacus")
    with pytest.raises(InputError, match="precision='fp8' is not one of"):
        pick_precision("fp8", torch.device("cpu"))
    with pytest.raises(InputError, match=r'device "cuda:99" is not on this machine \(.+\); use'):
        pick_device("cuda:99")
    if not torch.backends.mps.is_available():
        with pytest.raises(InputError, match='device "mps" is not on this machine'):
            pick_device("mps")


def test_contract_round_trip():
    contract = ImageContract(recipe="SDSS_VIEWER", framing="fixed", pixel_scale=0.262, size=64)
    assert ImageContract.from_dict(contract.to_dict()) == contract
    with pytest.raises(CheckpointError, match=r"unknown entries \['flavour'\]"):
        ImageContract.from_dict({"flavour": "vanilla"})

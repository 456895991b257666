"""One step: the same gradients in pieces, the recipes, and what settings change."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gmc_astro import open_images
from gmc_astro.exceptions import InputError
from gmc_astro.learning import RECIPES, FixedCaptions, PretrainSettings, VoteCaptions, pretrain
from gmc_astro.learning.distributed import World
from gmc_astro.learning.training_step import Trainer
from gmc_astro.morphology import LABEL_TREE, VoteTable

SETTINGS = PretrainSettings(epochs=1, batch_size=16, learning_rate=1e-3, ema=0)


@pytest.fixture
def captions(labels):
    return FixedCaptions([f"a galaxy, measured {label} in outline" for label in labels])


def gradients(encoder, captions, pictures, settings, *, frozen_norm=False, teachers=()):
    """Gradients of a first step, by name."""
    trainer = Trainer(encoder, captions, settings, 2, None, World(), teachers)
    rows = np.arange(16)
    trainer.towers.train()
    if frozen_norm:  # batch normalisation alone depends on what is in the network together
        for module in encoder.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
    with torch.random.fork_rng():
        loss = trainer._gradients(0, 0, pictures[:16], rows)
    named = trainer.towers.named_parameters()
    return loss, {name: p.grad for name, p in named if p.grad is not None}


@pytest.mark.parametrize("loss", ["relation", "soft", "infonce", "sigmoid", "answers"])
def test_pieces_give_the_gradients_of_the_whole(make_tiny_encoder, captions, votes, pictures, loss):
    settings = replace(SETTINGS, loss=loss)
    captions = VoteCaptions(votes) if loss == "answers" else captions
    whole, expected = gradients(make_tiny_encoder(), captions, pictures, settings, frozen_norm=True)
    for piece in (1, 5, 16):
        part, found = gradients(
            make_tiny_encoder(),
            captions,
            pictures,
            replace(settings, micro_batch=piece),
            frozen_norm=True,
        )
        assert part == pytest.approx(whole, rel=1e-5)
        assert set(found) == set(expected)
        for name, gradient in expected.items():
            off = (found[name] - gradient).norm() / gradient.norm().clamp(min=1e-4)
            assert off < 1e-3, name


@pytest.mark.parametrize("piece", [None, 8])
@pytest.mark.parametrize("locked", ["images", "texts"])
def test_a_locked_tower_stays_as_it_is(make_tiny_encoder, captions, pictures, locked, piece):
    encoder = make_tiny_encoder()
    before = {k: v.clone() for k, v in encoder.network.state_dict().items()}
    settings = replace(SETTINGS, **{f"locked_{locked}": True}, micro_batch=piece, ema=0.9)
    pretrain(encoder, open_images(pictures), captions, settings=settings, progress=False)
    changed = {k for k, v in encoder.network.state_dict().items() if not v.equal(before[k])}
    towers = {name.startswith("visual.") for name in changed - {"logit_scale"}}
    assert towers == {locked == "texts"}
    assert all(p.requires_grad for p in encoder.network.parameters())


def test_two_locked_towers_are_refused():
    with pytest.raises(InputError, match="nothing to train"):
        PretrainSettings(locked_images=True, locked_texts=True)


def test_words_of_a_locked_tower_are_not_pruned():
    with pytest.raises(InputError, match="prune_words needs a text tower that learns"):
        PretrainSettings(locked_texts=True, prune_words=True)


def test_each_tower_has_its_learning_rate(make_tiny_encoder, captions, pictures):
    """Adam's first step changes a weight that does not decay by the learning rate itself."""
    moved = {}
    for own in (None, 4e-3):
        encoder = make_tiny_encoder()
        before = {name: p.detach().clone() for name, p in encoder.network.named_parameters()}
        settings = replace(SETTINGS, image_learning_rate=own, warmup=0)
        Trainer(encoder, captions, settings, 2, None, World()).step(
            0, 0, pictures[:16], np.arange(16)
        )
        for name, p in encoder.network.named_parameters():
            if p.ndim == 1:
                step = float((p.detach() - before[name]).abs().max())
                moved.setdefault(name.startswith("visual."), {}).setdefault(own, []).append(step)
    assert np.max(moved[False][None]) == pytest.approx(1e-3, rel=0.01)
    assert np.max(moved[False][4e-3]) == pytest.approx(1e-3, rel=0.01)
    assert np.max(moved[True][None]) == pytest.approx(1e-3, rel=0.01)
    assert np.max(moved[True][4e-3]) == pytest.approx(4e-3, rel=0.01)


@pytest.mark.parametrize("locked", ["images", "texts"])
def test_a_locked_tower_leaves_the_other_its_gradients(
    make_tiny_encoder, captions, pictures, locked
):
    """What a tower is taught does not depend on whether the other learns as well."""
    options = {"frozen_norm": True}
    loss, free = gradients(make_tiny_encoder(), captions, pictures, SETTINGS, **options)
    settings = replace(SETTINGS, **{f"locked_{locked}": True})
    same, found = gradients(make_tiny_encoder(), captions, pictures, settings, **options)
    assert same == pytest.approx(loss)
    of_images = {name for name in free if ".visual." in name}
    scale = {"network.logit_scale"}
    assert set(found) == (set(free) - of_images if locked == "images" else of_images | scale)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, free[name])


def test_running_statistics_count_each_piece_once(make_tiny_encoder, captions, pictures):
    encoder = make_tiny_encoder()
    settings = replace(SETTINGS, micro_batch=8)
    before = {k: v.clone() for k, v in encoder.network.state_dict().items()}
    seen = []

    def count(module, inputs):
        seen.append(module.momentum)

    first = next(m for m in encoder.network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    first.register_forward_pre_hook(count)
    trainer = Trainer(encoder, captions, settings, 2, None, World())
    trainer.step(0, 0, pictures[:16], np.arange(16))
    assert [momentum > 0 for momentum in seen] == [False, False, True, True]
    after = encoder.network.state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in after if "running_mean" in k)


def test_the_loss_is_a_named_choice():
    with pytest.raises(
        InputError, match=r"loss='clip' is not one of \['answers', 'infonce', 'relation'"
    ):
        PretrainSettings(loss="clip")
    with pytest.raises(InputError, match="micro_batch=0 must be 1 or more"):
        PretrainSettings(micro_batch=0)
    with pytest.raises(InputError, match="recipe='gmcc' is not one of"):
        PretrainSettings.named("gmcc")


def test_the_reference_recipe_is_the_papers():
    """FACTS of the paper's public code, stage 1; 64 images on each of 4 GPUs."""
    recipe = RECIPES["reference"]
    assert (recipe.loss, recipe.epochs, recipe.batch_size) == ("infonce", 30, 256)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.betas) == (2e-5, 0.05, (0.9, 0.98))
    assert (recipe.warmup, recipe.final_rate, recipe.precision) == (0.1, 0.01, "fp32")
    changes = recipe.augmentation
    assert (changes.opening, changes.crop, changes.contrast) == (3, 0.8, 0.5)
    assert not recipe.defects


@pytest.mark.parametrize("defects", [False, True])
def test_the_temperature_trains_unless_defects_are_asked_for(
    fresh_encoder, captions, pictures, defects
):
    start = fresh_encoder.logit_scale
    settings = replace(
        RECIPES["reference"], epochs=1, batch_size=8, learning_rate=1e-2, defects=defects
    )
    pretrain(fresh_encoder, open_images(pictures), captions, settings=settings, progress=False)
    assert (fresh_encoder.logit_scale == start) is defects
    assert fresh_encoder.network.logit_scale.requires_grad
    assert not torch.is_anomaly_enabled()


def test_compiled_towers_learn_the_same(make_tiny_encoder, captions, pictures):
    results = []
    for backend in (False, "eager"):
        encoder = make_tiny_encoder()
        settings = replace(SETTINGS, compile=backend)
        result = pretrain(
            encoder, open_images(pictures), captions, settings=settings, progress=False
        )
        results.append(result.log[0]["loss"])
        assert encoder.network.visual._compiled_call_impl is None
    assert results[0] == pytest.approx(results[1], abs=1e-5)


def test_bfloat16_is_a_setting(fresh_encoder, captions, pictures):
    settings = replace(SETTINGS, precision="bf16")
    result = pretrain(
        fresh_encoder, open_images(pictures), captions, settings=settings, progress=False
    )
    assert np.isfinite(result.log[0]["loss"])
    assert fresh_encoder.precision == "fp32"


def test_similarity_of_votes():
    """Alike by what both were asked; half known is half the way; nothing in common is nothing."""
    fractions = np.full((5, len(LABEL_TREE)), np.nan, np.float32)
    first, edge = LABEL_TREE.columns("smooth_or_features"), LABEL_TREE.columns("edgeon")
    fractions[0, first] = fractions[1, first] = [0.1, 0.9, 0]
    fractions[0, edge] = [1, 0]
    fractions[2, first] = [0.9, 0.1, 0]
    fractions[3, edge] = [0, 1]
    votes = VoteTable(np.arange(5).astype(str), fractions)
    found = VoteCaptions(votes).similarity(
        np.arange(5), ["a", "b", "c", "d", "d"], flipped=np.zeros(5, bool), width=0.5
    )
    np.testing.assert_allclose(np.diag(found), 1)
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(found[0, 1], np.exp(-(0 + 0.5) / 2 / 0.5), rtol=1e-5)
    np.testing.assert_allclose(found[1, 2], np.exp(-0.8 / 0.5), rtol=1e-5)
    assert found[3, 4] == 1  # the same caption
    assert found[0, 4] < 0.4


def test_tensorboard_gets_the_losses(fresh_encoder, captions, pictures, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = pretrain(
        fresh_encoder,
        open_images(pictures),
        captions,
        settings=replace(SETTINGS, epochs=2),
        folder=tmp_path,
        tensorboard=True,
        progress=False,
    )
    board = EventAccumulator(str(tmp_path)).Reload()
    shown = [point.value for point in board.Scalars("loss")]
    assert shown == pytest.approx([entry["loss"] for entry in result.log], rel=1e-5)


def test_tensorboard_that_is_not_installed(
    fresh_encoder, captions, pictures, tmp_path, monkeypatch
):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    options = {"settings": SETTINGS, "progress": False, "tensorboard": True}
    with pytest.raises(InputError, match=r"pip install 'gmc_astro\[tensorboard\]'"):
        pretrain(fresh_encoder, open_images(pictures), captions, folder=tmp_path, **options)
    with pytest.raises(InputError, match="tensorboard=True needs folder="):
        pretrain(fresh_encoder, open_images(pictures), captions, **options)


def test_the_log_has_steps(fresh_encoder, captions, pictures, tmp_path):
    import json

    settings = replace(SETTINGS, batch_size=4, epochs=2)
    pretrain(
        fresh_encoder,
        open_images(pictures),
        captions,
        settings=settings,
        folder=tmp_path,
        save_every=4,
        progress=False,
    )
    lines = [json.loads(t) for t in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    assert [line.get("step", line.get("epoch")) for line in lines[1:]] == [4, 8, 1, 14, 18, 2]

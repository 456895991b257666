"""Larger encoders of the same words teach the image tower; a result may stay near its start."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gmc_astro import open_images
from gmc_astro.exceptions import InputError
from gmc_astro.learning import Augmentation, PretrainSettings, pretrain
from gmc_astro.learning.augment import draw
from gmc_astro.learning.captions import FixedCaptions
from gmc_astro.learning.distributed import World
from gmc_astro.learning.teaching import Teachers
from gmc_astro.learning.training_step import Trainer
from gmc_astro.models import ImageContract

SETTINGS = PretrainSettings(
    epochs=6, batch_size=16, learning_rate=1e-3, ema=0, locked_texts=True, teacher_weight=50.0
)


@pytest.fixture
def captions(labels):
    return FixedCaptions([f"a galaxy, measured {label} in outline" for label in labels])


@pytest.fixture
def teacher(make_tiny_encoder):
    """Another tower over the tiny encoder's words."""
    torch.manual_seed(5)
    return make_tiny_encoder().with_image_tower("test_convnext")


def test_another_tower_speaks_the_same_words(make_tiny_encoder, teacher):
    encoder, words = make_tiny_encoder(), ["a spiral galaxy", "a smooth galaxy"]
    np.testing.assert_array_equal(teacher.encode_texts(words), encoder.encode_texts(words))
    assert teacher.logit_scale == encoder.logit_scale
    assert teacher.contract == encoder.contract
    names = {name for name, _ in teacher.network.visual.named_parameters()}
    assert names != {name for name, _ in encoder.network.visual.named_parameters()}


def test_what_is_taught_is_learnt(make_tiny_encoder, teacher, captions, pictures):
    """With a teacher, embeddings come nearer to the teacher's than by the captions alone."""
    source, cosines = open_images(pictures), []
    wanted = teacher.encode_images(pictures)
    for teachers in ((), (teacher,)):
        encoder = make_tiny_encoder()
        pretrain(encoder, source, captions, settings=SETTINGS, teachers=teachers, progress=False)
        cosines.append(float((encoder.encode_images(pictures) * wanted).sum(axis=1).mean()))
    assert cosines[1] > max(cosines[0], 0) + 0.2


def test_a_teacher_stays_as_it_is(make_tiny_encoder, teacher, captions, pictures):
    before = teacher.weights_sha256
    settings = replace(SETTINGS, epochs=1)
    source = open_images(pictures)
    pretrain(
        make_tiny_encoder(), source, captions, settings=settings, teachers=[teacher], progress=False
    )
    assert teacher.weights_sha256 == before


def test_a_tower_follows_from_its_seed(make_tiny_encoder):
    encoder = make_tiny_encoder()
    one, same, other = (
        encoder.with_image_tower("test_resnet", random_state=seed).weights_sha256
        for seed in (3, 3, 4)
    )
    assert one == same != other


def test_several_teachers_give_their_mean_direction(make_tiny_encoder, teacher, pictures):
    torch.manual_seed(6)
    others = [teacher, make_tiny_encoder().with_image_tower("test_resnet")]
    pixels = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        each = [other.image_features(pixels) for other in others]
    found = Teachers(others, make_tiny_encoder()).image_features(pixels)
    torch.testing.assert_close(found, torch.nn.functional.normalize(each[0] + each[1], dim=-1))


@pytest.mark.parametrize("piece", [1, 5])
def test_pieces_are_taught_as_the_whole(make_tiny_encoder, teacher, captions, pictures, piece):
    losses, rows = [], np.arange(16)
    for settings in (SETTINGS, replace(SETTINGS, micro_batch=piece)):
        trainer = Trainer(make_tiny_encoder(), captions, settings, 2, None, World(), [teacher])
        trainer.towers.eval()  # batch normalisation alone depends on what is in it together
        losses.append(trainer._gradients(0, 0, pictures[:16], rows))
        gradient = trainer.encoder.network.visual.head.proj.weight.grad
        losses.append(float(gradient.norm()))
    assert losses[2:] == pytest.approx(losses[:2], rel=1e-3)


def test_a_teacher_sees_galaxies_in_the_middle(make_tiny_encoder, teacher, captions, pictures):
    settings = replace(SETTINGS, augmentation=Augmentation(shift=0.3, noise=0.0))
    trainer = Trainer(make_tiny_encoder(), captions, settings, 2, None, World(), [teacher])
    draws = draw(16, settings.augmentation, torch.Generator().manual_seed(0))
    taught = trainer._taught(pictures[:16], draws)
    with torch.no_grad():
        middle, off = (
            teacher.image_features(trainer._pixels(pictures[:16], part))
            for part in (draws.in_the_middle(), draws)
        )
    torch.testing.assert_close(taught, middle)
    assert (taught - off).abs().max() > 1e-3


def test_a_teacher_of_other_words_or_images_is_refused(make_tiny_encoder, teacher):
    encoder = make_tiny_encoder()
    with torch.no_grad():
        teacher.network.text_projection.add_(0.1)
    with pytest.raises(InputError, match="another text tower than tiny; train one from"):
        Teachers([teacher], encoder)
    teacher.contract = ImageContract(size=64)
    with pytest.raises(InputError, match=r"takes images of 64 px .* tiny those of 32 px"):
        Teachers([teacher], encoder)


@pytest.mark.parametrize("ema", [0, 0.9])
def test_a_share_of_the_start_stays(make_tiny_encoder, captions, pictures, ema):
    results = []
    for share in (0.0, 0.25):
        encoder = make_tiny_encoder()
        settings = replace(SETTINGS, epochs=1, ema=ema, start_share=share)
        pretrain(encoder, open_images(pictures), captions, settings=settings, progress=False)
        results.append(encoder.network.state_dict())
    start = make_tiny_encoder().network.state_dict()
    moved = 0
    for name, end in results[0].items():
        if end.is_floating_point():
            torch.testing.assert_close(results[1][name], torch.lerp(end, start[name], 0.25))
            moved += not end.equal(start[name])
    assert moved > 10


def test_a_run_that_was_interrupted_knows_its_start(
    make_tiny_encoder, captions, pictures, tmp_path
):
    """Whatever weights the encoder has when the run goes on."""
    settings = replace(SETTINGS, epochs=2, start_share=0.5)
    source = open_images(pictures)
    whole = make_tiny_encoder()
    pretrain(whole, source, captions, settings=settings, progress=False)

    class Stop(Exception):
        pass

    def stop(encoder):
        raise Stop

    options = {"settings": settings, "folder": tmp_path, "progress": False, "save_every": 1}
    with pytest.raises(Stop):
        pretrain(make_tiny_encoder(), source, captions, validation=stop, **options)
    other = make_tiny_encoder()
    with torch.no_grad():
        other.network.visual.head.proj.weight.add_(1)
    pretrain(other, source, captions, **options)
    torch.testing.assert_close(other.network.state_dict(), whole.network.state_dict())


def test_a_share_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"start_share=1\.0 must be 0 or more, and less than 1"):
        PretrainSettings(start_share=1.0)

"""What trains does so on each device that this machine has, to a result that can be saved."""

import numpy as np
import pytest
import torch

from gmc_astro import GalaxyMorphologyClassifier, open_images
from gmc_astro.learning import FixedCaptions, PretrainSettings, pretrain

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here"),
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["probe", "finetune", "reference"])
def test_every_way_of_fitting(tiny_folder, pictures, labels, tmp_path, device, method):
    classifier = GalaxyMorphologyClassifier(tiny_folder, device=device)
    classifier.fit(pictures, labels, method=method, validation=(pictures, labels))
    assert classifier.encoder.device.type == device
    expected = classifier.predict_proba(pictures)
    classifier.save(tmp_path / "fitted")
    loaded = GalaxyMorphologyClassifier(tmp_path / "fitted", device=device)
    np.testing.assert_allclose(loaded.predict_proba(pictures), expected, atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_pretraining_with_a_teacher(tiny_folder, pictures, labels, device):
    encoder = GalaxyMorphologyClassifier(tiny_folder, device=device).encoder
    teacher = encoder.with_image_tower("test_convnext")
    settings = PretrainSettings(epochs=2, batch_size=16, locked_texts=True, start_share=0.5)
    captions, source = (
        FixedCaptions([f"a {label} galaxy" for label in labels]),
        open_images(pictures),
    )
    before = encoder.encode_images(pictures)
    result = pretrain(
        encoder, source, captions, settings=settings, teachers=[teacher], progress=False
    )
    assert np.isfinite([entry["loss"] for entry in result.log]).all()
    assert encoder.network.logit_scale.device.type == device
    assert not np.allclose(encoder.encode_images(pictures), before)

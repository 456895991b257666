"""Fixtures: simulated galaxies, a tiny random model, and the folder of real galaxies."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Sersic2D
from astropy.wcs import WCS

TINY = {
    "embed_dim": 16,
    "vision_cfg": {
        "timm_model_name": "test_resnet",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": 32,
    },
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def data_folder():
    """Folder of real galaxies; tests that need it are skipped where there is none."""
    folder = os.environ.get("GMC_ASTRO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real galaxies: set GMC_ASTRO_DATA to their folder")
    return Path(folder)


def galaxy(size=64, r_eff=6.0, n=1.0, ellip=0.0, theta=0.0, shift=(0, 0), noise=0.0, seed=0):
    """One simulated galaxy: a Sersic profile of total brightness about 1 at r_eff."""
    middle = (size - 1) / 2
    model = Sersic2D(
        amplitude=1,
        r_eff=r_eff,
        n=n,
        x_0=middle + shift[0],
        y_0=middle + shift[1],
        ellip=ellip,
        theta=theta,
    )
    y, x = np.mgrid[:size, :size]
    rng = np.random.default_rng(seed)
    return (model(x, y) + noise * rng.normal(size=(size, size))).astype(np.float32)


@pytest.fixture(scope="session")
def make_galaxy():
    """The function that simulates a galaxy."""
    return galaxy


@pytest.fixture(scope="session")
def pictures():
    """Forty 48-px pictures: round galaxies in the even rows, elongated ones in the odd rows."""
    rng = np.random.default_rng(1)
    planes = [
        galaxy(48, 5, ellip=0.75 * (i % 2), theta=rng.uniform(0, np.pi), noise=0.05, seed=i)
        for i in range(40)
    ]
    grey = np.clip(40 * np.arcsinh(5 * np.stack(planes)), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


@pytest.fixture(scope="session")
def labels():
    """Labels of `pictures`."""
    return np.array(["round", "elongated"] * 20)


@pytest.fixture
def cube(tmp_path):
    """A grz FITS cube with coordinates, as the Legacy Surveys give it (big-endian, south up)."""
    planes = np.stack(
        [galaxy(80, 5, noise=0.01, seed=i) * f for i, f in enumerate((0.2, 0.4, 0.7))]
    )
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cdelt = [-0.262 / 3600, 0.262 / 3600]
    wcs.wcs.crpix = [40.5, 40.5]
    wcs.wcs.crval = [184.85, 5.79]
    header = wcs.to_header()
    header["BANDS"] = "grz"
    path = tmp_path / "cube.fits"
    fits.PrimaryHDU(planes.astype(">f4"), header).writeto(path)
    return path


@pytest.fixture(scope="session")
def make_tiny_encoder():
    """The function that builds the tiny model, the same each time."""
    return build_tiny_encoder


@pytest.fixture(scope="session")
def tiny_encoder():
    """A random model small enough to train in a test; do not change its weights."""
    return build_tiny_encoder()


@pytest.fixture
def fresh_encoder():
    """The tiny model, to be trained."""
    return build_tiny_encoder()


def build_tiny_encoder():
    """Build the tiny model, the same each time."""
    import torch

    from gmc_astro.models import Encoder, ImageContract
    from gmc_astro.models.network import build_network, tokenizer_of

    torch.manual_seed(0)
    return Encoder(
        build_network(TINY),
        tokenizer_of(TINY),
        contract=ImageContract(recipe="SDSS_LUPTON", framing="petrosian", span=6.4, size=32),
        model_cfg=TINY,
        name="tiny",
        device="cpu",
        precision="fp32",
    )


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, tiny_encoder):
    """The tiny model as a checkpoint folder."""
    from gmc_astro.models import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("models") / "tiny", tiny_encoder)

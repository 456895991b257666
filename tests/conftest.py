"""Fixtures: simulated galaxies, a tiny random model, and the folder of real galaxies."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # they share the processors
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // int(workers), 1)))

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Sersic2D
from astropy.table import Table
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
def own_trees():
    """Trees and words that a test registers are forgotten after it."""
    from gmc_astro.morphology import catalogues, expert, phrases, trees, varied

    known = [trees.TREES, phrases.PHRASES, phrases.DISPUTES]
    known += [expert.EXPERT_TERMS, varied.VARIED_PHRASES]
    before, tables = [dict(each) for each in known], list(catalogues.CATALOGUES)
    yield
    for each, kept in zip(known, before, strict=True):
        each.clear()
        each.update(kept)
    catalogues.CATALOGUES[:] = tables


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


def blocks_of(page, language="python"):
    """Code blocks of a page in reStructuredText, in order."""
    pattern = rf"^( *)\.\. code-block:: {language}\n(?: +:.*\n)*\n((?:\1   .*\n|\n)+)"
    found = re.findall(pattern, Path(page).read_text(), flags=re.M)
    return [textwrap.dedent(text) for _, text in found]


@pytest.fixture(scope="session")
def code_blocks():
    """The function that reads the code blocks of a page."""
    return blocks_of


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the inputs that README and the documentation name."""
    rng = np.random.default_rng(0)
    (tmp_path / "cutouts").mkdir()
    (tmp_path / "gz2").mkdir()
    files, stack = [], []
    for i in range(12):
        plane = galaxy(96, 5, ellip=0.7 * (i % 2), theta=rng.uniform(0, 3), noise=0.01, seed=i)
        planes = np.stack([0.3 * plane, 0.6 * plane, plane]).astype(">f4")
        header = fits.Header({"BANDS": "grz"})
        fits.PrimaryHDU(planes, header).writeto(tmp_path / "cutouts" / f"{i:02d}.fits")
        files.append(f"cutouts/{i:02d}.fits")
        stack.append(np.clip(60 * np.arcsinh(4 * plane), 0, 255))
    table = Table({"file": files, "label": ["barred spiral", "unbarred spiral"] * 6})
    table.write(tmp_path / "labels.csv")
    table.write(tmp_path / "held_out.csv")
    images = np.repeat(np.array(stack, np.uint8)[..., None], 3, axis=-1)
    with h5py.File(tmp_path / "Galaxy10_DECals.h5", "w") as file:
        file["images"] = images
        file["ans"] = np.arange(12) % 2
    votes = Table({"id": np.arange(12).astype(str), "label": ["elliptical", "edge_on"] * 6})
    votes["file"] = [f"../{name}" for name in files]
    votes.write(tmp_path / "gz2" / "votes.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path

"""A small stack in a file, a classifier, and what an undisturbed run makes of them."""

import h5py
import numpy as np
import pytest

from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
from gmc_astro.catalogs import merge_catalog

CLASSES = ["round galaxy", "elongated galaxy"]
ROWS = 320
OPTIONS = {"rows_per_shard": 16, "embeddings": "float32"}


def write_stack(path, pictures):
    """320 pictures, all different, with names and positions."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 12, (ROWS, *pictures.shape[1:]), dtype=np.uint8)
    images = np.tile(pictures, (ROWS // len(pictures), 1, 1, 1)) // 2 + noise
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(8, *images.shape[1:]))
        file["object_id"] = np.arange(ROWS) + 587722984439545906
        file["ra"], file["dec"] = rng.uniform(150, 180, ROWS), rng.uniform(-9, 9, ROWS)
    return path


@pytest.fixture(scope="session")
def stack(tmp_path_factory, pictures):
    """The file; do not change it."""
    return write_stack(tmp_path_factory.mktemp("stack") / "stack.h5", pictures)


@pytest.fixture
def own_stack(tmp_path, pictures):
    """The same, to be changed."""
    return write_stack(tmp_path / "stack.h5", pictures)


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """The tiny model is done before a second thread has heard of it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def classifier(tiny_folder, one_thread):
    return GalaxyMorphologyClassifier(
        tiny_folder, classes=CLASSES, device="cpu", precision="fp32", views=2, batch_size=16
    )


@pytest.fixture(scope="package")
def undisturbed(tmp_path_factory, classifier, stack):
    """Folder of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return classify_catalog(classifier, stack, folder, **OPTIONS)


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    """The function that gives all bytes of a run: merged predictions, and embeddings."""

    def read(folder):
        path = tmp_path_factory.mktemp("merged") / "all.parquet"
        merge_catalog(folder, path)
        return path.read_bytes(), (folder / "embeddings.npy").read_bytes()

    return read

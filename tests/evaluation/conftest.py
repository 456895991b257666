"""Small data sets in the layouts of the real ones."""

import h5py
import numpy as np
import pytest
from PIL import Image

from gmc_astro.evaluation import Dataset, ModelOptions
from gmc_astro.learning import LabelTraining
from gmc_astro.morphology import ClassScheme

CLASSES = ("elongated", "round")


@pytest.fixture(scope="session")
def dataset(pictures, labels):
    """`pictures` as a data set, ordered by class as real ones may be."""
    targets = np.array([CLASSES.index(label) for label in labels])
    order = np.argsort(targets, kind="stable")
    ids = np.array([f"g{i:02d}" for i in range(40)])
    scheme = ClassScheme.from_any(CLASSES)
    about = {"data_set": "simulated galaxies"}
    return Dataset("folder", pictures[order], ids[order], targets[order], scheme, about=about)


@pytest.fixture(scope="session")
def tiny_model(tiny_folder):
    """The tiny model, as the benchmark is told of it."""
    return ModelOptions(str(tiny_folder), device="cpu", views=1)


@pytest.fixture(scope="session")
def two_steps():
    """Supervised training that ends at once."""
    return LabelTraining(epochs=1, least_steps=2, batch_size=8)


@pytest.fixture
def galaxy_folder(pictures, labels, tmp_path):
    """Pictures with a table of labels."""
    folder = tmp_path / "galaxies"
    folder.mkdir()
    lines = ["file,label"]
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        Image.fromarray(picture).save(folder / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{label}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def write_stack(pictures):
    """The function that writes an HDF5 file of n images a class, in order of class."""

    def write(path, classes, n, *, labels="ans", side=24, numbers=None, **columns):
        numbers = np.repeat(np.arange(classes), n) if numbers is None else numbers
        rows = np.arange(len(numbers)) % len(pictures)
        with h5py.File(path, "w") as file:
            file["images"] = pictures[rows][:, :side, :side]
            file[labels] = numbers.astype(np.uint8)
            for name, value in columns.items():
                file[name] = np.full(len(numbers), value)
        return path

    return write

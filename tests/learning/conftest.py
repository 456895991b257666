"""Real galaxies through the bundled model, once for all tests that need them."""

import numpy as np
import pytest
from astropy.table import Table

from gmc_astro.learning import embed_source, encode_labels, text_embeddings
from gmc_astro.models import open_model
from gmc_astro.morphology import GZ2_FIVE_CLASS, VoteTable
from gmc_astro.sources import open_images


@pytest.fixture(scope="session")
def compact():
    """The bundled encoder."""
    return open_model("compact", device="cpu").encoder


@pytest.fixture(scope="session")
def embed(compact):
    """The function that embeds images of any kind by the bundled model, one view each."""
    return lambda images: embed_source(compact, open_images(images), views=1).embeddings


@pytest.fixture(scope="session")
def real_galaxies(data_folder, compact, embed):
    """Embeddings and classes of 1,330 galaxies, and the words' embeddings.

    The other 1,300 are the development half, on which the strategies were compared.
    """
    folder = data_folder / "gz2_five_class"
    table = Table.read(folder / "labels.csv")
    table = table[np.random.default_rng(0).permutation(len(table))[1300:]]
    targets, _ = encode_labels(np.asarray(table["label"]), GZ2_FIVE_CLASS.names)
    vectors = embed([folder / file for file in table["file"]])
    return vectors, targets, text_embeddings(compact, GZ2_FIVE_CLASS)


@pytest.fixture
def votes(labels):
    """What is known of `pictures`."""
    table = Table({"id": np.arange(40).astype(str), "label": ["elliptical", "edge_on"] * 20})
    ratio = np.where(labels == "round", 0.95, 0.25)
    return VoteTable.read(table).with_outline(ratio)

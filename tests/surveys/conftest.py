"""Quick settings, a sky of positions, and a server on this machine."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gmc_astro.surveys import conf
from gmc_astro.testing import serve_surveys


@pytest.fixture(autouse=True)
def _impatient():
    """Short pauses, few tries."""
    with (
        conf.set_temp("tries", 3),
        conf.set_temp("pause", 0.01),
        conf.set_temp("timeout", 10.0),
    ):
        yield


@pytest.fixture(scope="session")
def sky():
    """The function that draws positions in the north."""

    def draw(n, seed=0):
        rng = np.random.default_rng(seed)
        return SkyCoord(rng.uniform(120, 240, n), rng.uniform(1, 30, n), unit="deg")

    return draw


@pytest.fixture
def server():
    """A survey server that works."""
    with serve_surveys() as server:
        yield server

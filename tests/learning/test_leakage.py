"""The guard against leakage: on the sky, and by perceptual hash."""

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gmc_astro import open_images
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ImageSource
from gmc_astro.learning import (
    SAME_GALAXY,
    PretrainSettings,
    find_leaks,
    hash_images,
    nearest_bits,
    pretrain,
)
from gmc_astro.learning.captions import FixedCaptions
from gmc_astro.models.preprocess import resize, to_channels_first


class Placed(ImageSource):
    """Pictures at positions."""

    def __init__(self, images, coords):
        self._inner = open_images(images)
        self._coords = coords

    def __len__(self):
        return len(self._inner)

    @property
    def ids(self):
        return self._inner.ids

    @property
    def coords(self):
        return self._coords

    def iter_batches(self, batch_size=64, *, start=0, stop=None):
        return self._inner.iter_batches(batch_size, start=start, stop=stop)


@pytest.fixture
def placed(pictures):
    return Placed(pictures[:4], SkyCoord([10, 20, 30, np.nan], [0, 5, -5, np.nan], unit="deg"))


def test_positions_within_two_arcseconds(placed):
    near = SkyCoord([20, 30, np.nan] * u.deg, [5 * 3600 + 1.9, -5 * 3600 + 2.1, 0] * u.arcsec)
    assert find_leaks(placed, near).tolist() == [False, True, False, False]
    assert find_leaks(placed, near[0]).tolist() == [False, True, False, False]
    assert find_leaks(placed, near, radius=3 * u.arcsec).tolist() == [False, True, True, False]
    table = Table({"ra": [10.0], "dec": [0.0]})
    assert find_leaks(placed, table).tolist() == [True, False, False, False]


def test_a_catalogue_needs_positions_to_compare_with(pictures):
    with pytest.raises(InputError, match=r"have no positions.*give the images"):
        find_leaks(open_images(pictures), SkyCoord(1 * u.deg, 2 * u.deg))


def test_a_picture_is_known_after_resampling_and_noise(pictures):
    import torch

    pixels = resize(to_channels_first(torch.from_numpy(pictures[5:7])), 37)
    changed = (pixels.permute(0, 2, 3, 1) * 250).numpy()
    changed = (changed + np.random.default_rng(0).normal(0, 1, changed.shape)).clip(0, 255)
    leaks = find_leaks(open_images(pictures), changed.astype(np.uint8))
    assert leaks[5:7].all()


def test_hashes_of_different_pictures_differ():
    rng = np.random.default_rng(0)
    hashes = hash_images(rng.integers(0, 255, (20, 48, 48, 3), dtype=np.uint8))
    bits = nearest_bits(hashes[:10], hashes[10:])
    assert 80 < bits.min() <= bits.max() < 176
    assert nearest_bits(hashes, hashes).tolist() == [0] * 20


def test_many_hashes_are_compared_in_parts(monkeypatch):
    monkeypatch.setattr("gmc_astro.learning.leakage._AT_ONCE", 7)
    rng = np.random.default_rng(0)
    hashes, others = rng.random((20, 256)) < 0.5, rng.random((33, 256)) < 0.5
    plain = (hashes[:, None] != others).sum(axis=2).min(axis=1)
    assert nearest_bits(hashes, others).tolist() == plain.tolist()
    with pytest.raises(InputError, match="no hashes to compare with"):
        nearest_bits(hashes, others[:0])


def test_nothing_readable_to_exclude(pictures, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(InputError, match="no image that can be read"):
        find_leaks(open_images(pictures), str(tmp_path))


def test_pretraining_leaves_them_out_and_says_so(fresh_encoder, tmp_path, capsys):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (12, 48, 48, 3), dtype=np.uint8)
    rows = []

    class Watched(FixedCaptions):
        def write(self, chosen, **options):
            rows.extend(chosen.tolist())
            return super().write(chosen, **options)

    result = pretrain(
        fresh_encoder,
        open_images(noise),
        Watched(["a galaxy"] * 12),
        settings=PretrainSettings(epochs=2, batch_size=5),
        exclude=noise[[3, 7]],
        folder=tmp_path,
    )
    assert set(rows) == set(range(12)) - {3, 7}
    assert result.excluded.tolist() == open_images(noise).ids[[3, 7]].tolist()
    header = json.loads((tmp_path / "training_log.jsonl").read_text().splitlines()[0])
    assert header["excluded"] == result.excluded.tolist()
    assert "2 of 12 rows excluded" in capsys.readouterr().out


def test_the_real_duplicates_are_found(data_folder):
    """What configs/without_rings.toml leaves out, and nothing else, is in the test set."""
    import tomllib
    from pathlib import Path

    from gmc_astro.learning import TrainingSet

    config = tomllib.loads(
        (Path(__file__).parents[2] / "configs" / "without_rings.toml").read_text()
    )
    pool = TrainingSet.read([data_folder / name for name in config["images"]["tables"]])
    known = np.isin(pool.votes.ids, config["images"]["exclude"])
    some = np.union1d(np.flatnonzero(known), np.arange(0, len(pool), 40))
    source = TrainingSet(tuple(np.array(pool.paths)[some]), pool.votes[some]).images(224)
    leaks = find_leaks(source, str(data_folder / "gz2_five_class" / "images"))
    assert SAME_GALAXY == 24
    assert leaks.tolist() == known[some].tolist()

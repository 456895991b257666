"""Simulated galaxies with labels: what the codes say is what is drawn."""

import numpy as np
import pytest
from PIL import Image

from gmc_astro.exceptions import InputError
from gmc_astro.learning import TrainingSet, measure_outlines
from gmc_astro.morphology import parse_gz2_class
from gmc_astro.testing import draw_labelled_galaxy, write_training_galaxies


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "galaxies"
    write_training_galaxies(folder, 20)
    return folder


def test_codes_say_what_is_drawn():
    seen = set()
    for seed in range(300):
        galaxy, code = draw_labelled_galaxy(np.random.default_rng(seed))
        answers = dict(parse_gz2_class(code))
        seen |= set(answers.items())
        if answers["smooth_or_features"] == "smooth":
            least = {"completely_round": 0.88, "in_between": 0.5, "cigar_shaped": 0.2}
            assert galaxy.axis_ratio >= least[answers["rounded"]]
            assert galaxy.bulge_share == 1
        elif answers["edgeon"] == "yes":
            assert galaxy.axis_ratio < 0.2
            assert (galaxy.bulge_share > 0) == (answers["bulge_shape"] == "rounded")
        else:
            assert (galaxy.bar > 0) == (answers["bar"] == "bar")
            assert str(galaxy.arms) == answers.get("arms_number", "0")
            pitch = np.degrees(abs(galaxy.winding))
            if galaxy.arms:
                ends = {"tight": (8, 13), "medium": (17, 24), "loose": (30, 40)}
                low, high = ends[answers["arms_winding"]]
                assert low <= pitch <= high
    for question, n in (("bar", 2), ("bulge_prominence", 4), ("arms_number", 4), ("rounded", 3)):
        assert len({answer for asked, answer in seen if asked == question}) == n


def test_a_folder_to_train_on(folder):
    found = TrainingSet.read([folder])
    assert len(found) == 20
    assert np.isfinite(found.votes.fraction("smooth_or_features", "smooth")).any()
    batch = found.images(128).read()
    assert batch.ok.all()
    assert batch.images.shape == (20, 128, 128, 3)
    assert "simulated" in (folder / "labels.csv").read_text().splitlines()[1]


def test_pictures_show_what_the_table_says(folder):
    """Measured on the JPEGs, edge-on disks and cigars are the flattest."""
    found = TrainingSet.read([folder])
    ratio = measure_outlines(found.images(224))  # as pretraining does
    assert np.isfinite(ratio).mean() > 0.8
    flat = np.maximum(
        np.nan_to_num(found.votes.fraction("edgeon", "yes")),
        np.nan_to_num(found.votes.fraction("rounded", "cigar_shaped")),
    )
    assert 0 < flat.sum() < 20
    assert np.nanmax(ratio[flat == 1]) < 0.45
    assert np.nanmedian(ratio[flat != 1]) > 0.55


def test_the_same_whatever_the_number(folder, tmp_path):
    write_training_galaxies(tmp_path / "few", 2)
    for name in ("000000.jpg", "000001.jpg"):
        one, other = (
            np.asarray(Image.open(f / "images" / name)) for f in (folder, tmp_path / "few")
        )
        np.testing.assert_array_equal(one, other)


def test_what_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="exists; give another folder"):
        write_training_galaxies(folder, 1)
    with pytest.raises(InputError, match=r"recipe='HSC' is not one of SDSS_LUPTON"):
        write_training_galaxies(tmp_path / "new", 1, recipe="HSC")

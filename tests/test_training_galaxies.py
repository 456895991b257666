"""Simulated galaxies with labels: what the codes say is what is drawn."""

import numpy as np
import pytest
from PIL import Image

from gmc_astro.exceptions import InputError
from gmc_astro.learning import TrainingSet, measure_shapes
from gmc_astro.morphology import parse_gz2_class
from gmc_astro.testing import (
    SimulatedGalaxy,
    draw_labelled_galaxy,
    render_galaxy,
    write_training_galaxies,
)


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
            assert answers["odd"] == "no"
            assert (galaxy.bulge_share > 0) == (answers["bulge_shape"] == "rounded")
        else:
            assert (galaxy.bar > 0) == (answers["bar"] == "bar")
            assert str(galaxy.arms) == answers.get("arms_number", "0")
            pitch = np.degrees(abs(galaxy.winding))
            if galaxy.arms:
                ends = {"tight": (8, 13), "medium": (17, 24), "loose": (30, 40)}
                low, high = ends[answers["arms_winding"]]
                assert low <= pitch <= high
            drawn = {
                "ring": galaxy.ring > 0,
                "irregular": len(galaxy.clumps) > 0,
                "disturbed": galaxy.tail > 0 and galaxy.companion is None,
                "merger": galaxy.companion is not None,
            }
            odd = [name for name, there in drawn.items() if there]
            assert odd == [answers[q] for q in ("odd_feature",) if answers["odd"] == "yes"]
    numbers = {"bar": 2, "bulge_prominence": 4, "arms_number": 4, "rounded": 3, "odd_feature": 4}
    for question, n in numbers.items():
        assert len({answer for asked, answer in seen if asked == question}) == n


@pytest.mark.parametrize(
    ("feature", "place"),
    [
        ({"ring": 0.5, "ring_radius": 2.0}, (8.0, 0.0)),
        ({"clumps": ((0.0, 1.5, 0.2),)}, (0.0, 6.0)),
        ({"companion": SimulatedGalaxy(disk_radius=1.0), "offset": (7.0, -5.0)}, (7.0, -5.0)),
    ],
)
def test_a_feature_is_where_it_was_asked_for(feature, place):
    """Against the same galaxy without it, light is added there and only taken elsewhere."""
    plain, with_it = (
        render_galaxy(SimulatedGalaxy(axis_ratio=1.0, **own), ("r",), pixels=101, noise=0)[0]
        for own in ({}, feature)
    )
    more = with_it - plain
    x, y = (50 + round(v / 0.262) for v in place)
    assert more[y, x] > 0.9 * more.max() > 0
    if "companion" not in feature:
        np.testing.assert_allclose(with_it.sum(), plain.sum(), rtol=0.05)  # the flux is shared


def test_a_tail_is_on_one_side():
    galaxy = SimulatedGalaxy(axis_ratio=1.0, tail=0.4)
    plane = render_galaxy(galaxy, ("r",), pixels=128, noise=0)[0]
    whole = SimulatedGalaxy(axis_ratio=1.0)
    round_one = render_galaxy(whole, ("r",), pixels=128, noise=0)[0]
    asymmetry = [np.abs(p - p[::-1, ::-1]).sum() / p.sum() for p in (plane, round_one)]
    assert asymmetry[0] > 0.3 > 0.01 > asymmetry[1]


def test_a_red_disk_has_the_colour_of_its_bulge():
    g, z = render_galaxy(SimulatedGalaxy(redness=1.0), ("g", "z"), pixels=64, noise=0)
    np.testing.assert_allclose(g * 3.4, z, rtol=1e-4)  # 0.5 and 1.7 times r
    g, z = render_galaxy(SimulatedGalaxy(bulge_share=0.0), ("g", "z"), pixels=64, noise=0)
    np.testing.assert_allclose(g * 1.5, z, rtol=1e-4)


def test_a_folder_to_train_on(folder):
    found = TrainingSet.read([folder])
    assert len(found) == 20
    assert (found.votes.fraction("smooth_or_features", "features_or_disk") == 1).any()
    batch = found.images(128).read()
    assert batch.ok.all()
    assert batch.images.shape == (20, 128, 128, 3)
    assert "simulated" in (folder / "labels.csv").read_text().splitlines()[1]


def test_pictures_show_what_the_table_says(folder):
    """Measured on the JPEGs, edge-on disks and cigars are the flattest."""
    found = TrainingSet.read([folder])
    ratio = measure_shapes(found.images(224))["axis_ratio"]  # as pretraining does
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


FEATURES = (
    {"arms": 2},
    {"ring": 0.4},
    {"tail": 0.4},
    {"clumps": ((0.5, 0.2, 0.3),)},
    {"bar": 0.3, "arms": 3},
)


@pytest.mark.parametrize("features", FEATURES)
def test_a_galaxy_is_the_same_in_fields_of_any_size(features):
    """What lies outside of the image is not put into it, and all of the light is there."""
    galaxy = SimulatedGalaxy(disk_radius=4.0, flux=400.0, **features)
    small, large = (
        render_galaxy(galaxy, ("r",), pixels=pixels, noise=0)[0] for pixels in (64, 400)
    )
    middle = slice(200 - 16, 200 + 16)
    np.testing.assert_allclose(small[16:48, 16:48], large[middle, middle], rtol=1e-3, atol=1e-3)
    assert large.sum() == pytest.approx(400.0, rel=0.01)


def test_the_arms_of_spirals_can_be_seen():
    for seed in range(300):
        galaxy, _ = draw_labelled_galaxy(np.random.default_rng(seed))
        if galaxy.arms:
            assert galaxy.bar + galaxy.ring <= 0.75


def test_shares_and_bands_that_cannot_be():
    with pytest.raises(InputError, match=r"hold 1\.30 of the disk's flux"):
        SimulatedGalaxy(bar=0.7, ring=0.6)
    with pytest.raises(InputError, match=r"bands \['K'\] are not among u, g"):
        render_galaxy(SimulatedGalaxy(), ("K",))
    assert render_galaxy(SimulatedGalaxy(), "VIS", pixels=16).shape == (1, 16, 16)
    assert render_galaxy(SimulatedGalaxy(), "grz", pixels=16).shape == (3, 16, 16)


def test_a_drawing_that_was_stopped_can_be_run_again(tmp_path, monkeypatch):
    from gmc_astro.testing import training_galaxies

    def stop(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_galaxies, "make_rgb", stop)
        with pytest.raises(KeyboardInterrupt):
            write_training_galaxies(tmp_path / "drawn", 2, pixels=16)
    assert not (tmp_path / "drawn").exists()
    assert write_training_galaxies(tmp_path / "drawn", 2, pixels=16).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["drawn"]
    with pytest.raises(InputError, match="n=0 is less than 1"):
        write_training_galaxies(tmp_path / "none", 0)

"""Training sets out of tables of labelled files."""

import numpy as np
import pytest
from PIL import Image

from gmc_astro import open_images
from gmc_astro.exceptions import InputError
from gmc_astro.learning import TrainingSet, measure_shapes, split_tables


@pytest.fixture
def folder(tmp_path, pictures):
    lines = ["id,file,label"]
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
        lines.append(f"{i},{i}.png,{'elliptical' if i % 2 == 0 else 'edge_on'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_read_a_folder(folder, pictures):
    found = TrainingSet.read([folder])
    assert len(found) == 40
    np.testing.assert_array_equal(found.images(48).read().images, pictures)
    assert found.votes.fraction("edgeon", "yes")[1] == 1


def test_split_is_by_id_and_loses_nothing(folder):
    whole = TrainingSet.read([folder])
    training, held_out = whole.split(0.3)
    assert 0 < len(held_out) < len(training)
    assert sorted([*training.votes.ids, *held_out.votes.ids]) == sorted(whole.votes.ids)
    assert held_out.votes.ids.tolist() == whole.split(0.3)[1].votes.ids.tolist()
    assert len(whole.split(0)[1]) == 0


def test_galaxies_can_be_left_out(folder):
    found = TrainingSet.read([folder]).without(["3", "5"])
    assert len(found) == len(found.paths) == 38
    assert not {"3", "5"} & set(found.votes.ids.tolist())
    with pytest.raises(InputError, match=r"ids \['77'\] to be left out are not"):
        found.without(["77"])


def test_a_share_outside_its_range(folder):
    with pytest.raises(InputError, match=r"holdout=1\.5"):
        TrainingSet.read([folder]).split(1.5)


def test_tables_have_shares_and_weights_of_their_own(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "labels.csv").write_text("id,file,label\nx,../1.png,spiral\ny,../2.png,edge_on\n")
    options = {"holdout": 0.3, "holdouts": {"other": 0}, "exclude": ["3", "x"]}
    training, held_out = split_tables([folder, other], **options)
    alone = TrainingSet.read([folder]).without(["3"]).split(0.3)
    assert training.votes.ids.tolist() == [*alone[0].votes.ids, "y"]
    assert held_out.votes.ids.tolist() == alone[1].votes.ids.tolist()
    twice, _ = split_tables([folder, other], repeats={"other": 2}, **options)
    assert twice.votes.ids.tolist() == [*training.votes.ids, "y"]
    assert len(twice) == len(twice.paths)


def test_two_tables_of_one_name_are_both_read(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "labels.csv").write_text("id,file,label\nx,../1.png,spiral\n")
    training, _ = split_tables([folder / "labels.csv", other / "labels.csv"], holdout=0)
    assert len(training) == 41


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"holdouts": {"nowhere": 0.5}}, r"name \['nowhere'\]; the tables are"),
        ({"repeats": {"nowhere": 2}}, r"name \['nowhere'\]; the tables are"),
        ({"exclude": ["77"]}, r"ids \['77'\] to be left out are in none"),
    ],
)
def test_a_split_of_what_is_not_there(folder, options, message):
    with pytest.raises(InputError, match=message):
        split_tables([folder], **options)


def test_outlines(make_galaxy):
    planes = [make_galaxy(96, 5, ellip=e, theta=0.6, noise=0.01) for e in (0, 0.5, 0.8)]
    grey = np.clip(40 * np.arcsinh(5 * np.stack(planes)), 0, 255).astype(np.uint8)
    ratios = measure_shapes(open_images(np.repeat(grey[..., None], 3, axis=-1)))["axis_ratio"]
    np.testing.assert_allclose(ratios, [1, 0.5, 0.2], atol=0.1)


def test_an_empty_sky_has_no_outline():
    flat = np.zeros((2, 32, 32, 3), np.uint8)
    flat[1, 0, 0] = 1
    assert np.isnan(measure_shapes(open_images(flat))["axis_ratio"]).all()


def test_real_training_data(data_folder):
    names = ["sdss_pool", "sdss_artifacts", "decals_rings", "tree_examples"]
    found = TrainingSet.read([data_folder / name for name in names])
    assert len(found) == 11_616
    training, held_out = found.split(0.05)
    assert 0.03 < len(held_out) / len(found) < 0.07
    assert not set(training.votes.ids) & set(held_out.votes.ids)

"""A run from beginning to end: what is in its folder, and what may go on with it."""

import json

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from PIL import Image

from gmc_astro import GalaxyMorphologyClassifier, classify_catalog, open_images
from gmc_astro.catalogs import merge_catalog, open_embeddings, read_report
from gmc_astro.exceptions import InputError, OutputError
from gmc_astro.learning import read_table, write_table
from gmc_astro.learning.table_io import TABLE_FORMATS
from gmc_astro.surveys import conf
from gmc_astro.testing import Fault, Faults, serve_surveys

OPTIONS = {"rows_per_shard": 16, "embeddings": "float32"}
ROWS = 320


def same_tables(found, wanted):
    assert found.colnames == wanted.colnames
    assert found["label"].tolist() == wanted["label"].tolist()
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], atol=1e-5)
    for name in ("id", "status"):
        np.testing.assert_array_equal(np.asarray(found[name], str), np.asarray(wanted[name], str))
    assert dict(found.meta) == dict(wanted.meta)


def test_the_folder(undisturbed):
    names = sorted(path.name for path in undisturbed.iterdir())
    assert names == ["embeddings.npy", "manifest.json", "report.json", "shards"]
    assert len(list((undisturbed / "shards").iterdir())) == 2 * ROWS / 16
    assert read_report(undisturbed)["complete"]


@pytest.mark.parametrize("suffix", [s for s in TABLE_FORMATS if s != ".csv"] + [".Parquet"])
def test_merged_predictions_round_trip(undisturbed, classifier, stack, tmp_path, suffix):
    """Coordinates, probabilities and metadata, as `predict` gives them."""
    direct = classifier.predict(stack)
    table = read_table(merge_catalog(undisturbed, tmp_path / f"all{suffix}"))
    same_tables(table, direct)
    assert table["coord"].separation(direct["coord"]).max() < 1e-9 * u.deg
    assert table["coord"].frame.name == "icrs"


@pytest.mark.parametrize("suffix", TABLE_FORMATS)
def test_merging_rows_that_differ_in_what_they_have(
    classifier, pictures, cube, tmp_path, suffix, monkeypatch
):
    """Broken files, pictures and FITS in shards of their own, and many rows in one piece."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(20):
        Image.fromarray(pictures[i]).save(folder / f"b{i:02}_ä.png")
    (folder / "b03_ä.png").write_bytes(b"")
    for i in range(4):
        (folder / f"c{i}.fits").write_bytes(cube.read_bytes())
    options = {"size": 48, "rows_per_shard": 5}
    run = classify_catalog(classifier, folder, tmp_path / "run", **options)
    if suffix == ".fits":
        with pytest.raises(InputError, match=r"FITS tables hold plain ASCII, .* is '.*ä"):
            merge_catalog(run, tmp_path / "all.fits")
        assert not list(tmp_path.glob("*all*"))
        return
    monkeypatch.setattr("gmc_astro.catalogs.merging.PIECE", 7)
    path = merge_catalog(run, tmp_path / f"all{suffix}")
    if suffix == ".csv":
        table = read_table(merge_catalog(run, tmp_path / "all.parquet"))
        assert path.read_bytes() == write_table(table, tmp_path / "one_go.csv").read_bytes()
        return
    table = read_table(path)
    same_tables(table, classifier.predict(folder, size=48))
    assert table["label"].mask.nonzero()[0].tolist() == [3]
    assert np.isnan(table["axis_ratio"][:20]).all()
    assert np.isfinite(table["axis_ratio"][20:]).all()
    assert read_report(run)["failed"] == {"unreadable: the file is empty": 1}


def test_a_complete_run_is_not_done_again(classifier, stack, tmp_path):
    run = classify_catalog(classifier, stack, tmp_path / "run", rows_per_shard=64)
    before = {path: path.stat().st_mtime_ns for path in (run / "shards").iterdir()}
    assert read_report(run)["this_call"]["rows"] == ROWS
    classify_catalog(classifier, stack, run, merge="parquet")
    assert {path: path.stat().st_mtime_ns for path in (run / "shards").iterdir()} == before
    report = read_report(run)
    assert report["this_call"]["rows"] == 0
    assert report["classified"] == ROWS
    assert len(read_table(run / "predictions.parquet")) == ROWS


def test_a_damaged_shard_is_made_anew(classifier, stack, undisturbed, content, tmp_path):
    run = classify_catalog(classifier, stack, tmp_path / "run", **OPTIONS)
    shard = run / "shards" / "000000000032.parquet"
    good = shard.read_bytes()
    shard.write_bytes(good[:-9] + b"nonsense!")
    with pytest.raises(OutputError, match=r"000000000032\.parquet is missing or was damaged"):
        merge_catalog(run, tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()
    vectors = np.load(run / "embeddings.npy", mmap_mode="r+")
    vectors[100] = 0
    vectors.flush()
    classify_catalog(classifier, stack, run, **OPTIONS)
    assert shard.read_bytes() == good
    assert content(run) == content(undisturbed)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"views": 1}, "model.views was 2, is 1"),
        ({"classes": ["a bar", "no bar"]}, "class_names was .*round galaxy.*, is .*a bar"),
        ({"batch_size": 8}, "settings.batch_size was 16, is 8"),
    ],
    ids=str,
)
def test_runs_are_not_mixed(undisturbed, classifier, stack, change, says):
    params = {**classifier.get_params(), **change}
    before = (undisturbed / "report.json").read_bytes()
    with pytest.raises(InputError, match=f"holds a run with other settings: .*{says}"):
        classify_catalog(GalaxyMorphologyClassifier(**params), stack, undisturbed, **OPTIONS)
    assert (undisturbed / "report.json").read_bytes() == before


def test_other_heads_are_other_runs(classifier, stack, pictures, tmp_path):
    """Two heads that were fitted to different labels have nothing else to be told apart by."""
    labels = np.array(["round galaxy", "elongated galaxy"] * 2)
    fitted = GalaxyMorphologyClassifier(**classifier.get_params()).fit(pictures[:4], labels)
    run = classify_catalog(fitted, stack, tmp_path / "run", rows_per_shard=160)
    table = read_table(merge_catalog(run, tmp_path / "all.parquet"))
    assert table.meta["head"] == "fitted"
    fitted.fit(pictures[:4], labels[::-1])
    with pytest.raises(InputError, match="head_sha256 was"):
        classify_catalog(fitted, stack, run)


def test_rows_per_shard_is_remembered(undisturbed, classifier, stack):
    classify_catalog(classifier, stack, undisturbed, embeddings="float32")
    with pytest.raises(InputError, match=r"settings\.rows_per_shard was 16, is 32"):
        classify_catalog(classifier, stack, undisturbed, rows_per_shard=32, embeddings="float32")


def test_overwrite_and_resume(classifier, stack, tmp_path):
    run = classify_catalog(classifier, stack, tmp_path / "run", rows_per_shard=160)
    with pytest.raises(InputError, match="holds a run; give another output, resume=True"):
        classify_catalog(classifier, stack, run, resume=False)
    classify_catalog(classifier, stack, run, rows_per_shard=64, overwrite=True)
    assert json.loads((run / "manifest.json").read_text())["shards"]["number"] == 5
    assert len(list((run / "shards").iterdir())) == 10


def test_a_folder_of_something_else_is_left_alone(classifier, stack, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"something else \(it holds '.*'\); give a new one"):
        classify_catalog(classifier, stack, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_embeddings_are_used_again(undisturbed, classifier, stack):
    """New classes, and a fit, without touching an image."""
    vectors = open_embeddings(undisturbed, classifier)
    assert isinstance(vectors, np.memmap)
    assert (vectors.shape, vectors.dtype) == ((ROWS, 16), np.float32)
    np.testing.assert_allclose(vectors, classifier.embed(stack), atol=1e-6)
    again = classifier.predict_embeddings(vectors, classes=["a bar", "no bar"])
    direct = classifier.zero_shot(stack, ["a bar", "no bar"])
    np.testing.assert_allclose(again["probabilities"], direct["probabilities"], atol=1e-5)
    assert again.meta["class_names"] == ["a bar", "no bar"]


def test_half_precision_embeddings(classifier, stack, tmp_path):
    run = classify_catalog(classifier, stack, tmp_path / "run", embeddings=True, rows_per_shard=160)
    vectors = open_embeddings(run)
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(vectors, classifier.embed(stack), atol=1e-3)


def test_embeddings_that_are_not_there(classifier, stack, tmp_path, undisturbed):
    run = classify_catalog(classifier, stack, tmp_path / "run", rows_per_shard=160)
    with pytest.raises(InputError, match="holds no embeddings"):
        open_embeddings(run)
    other = GalaxyMorphologyClassifier(device="cpu")
    with pytest.raises(InputError, match=r"are of model .*, the classifier's is"):
        open_embeddings(undisturbed, other)


def test_embeddings_of_other_trained_weights(classifier, pictures, labels, tmp_path):
    """Weights that are in no checkpoint have only themselves to be told apart by."""
    trained, other = (GalaxyMorphologyClassifier(**classifier.get_params()) for _ in range(2))
    trained.pretrain(pictures, list(labels), epochs=1, progress=False)
    other.pretrain(pictures, list(labels), epochs=2, progress=False)
    run = classify_catalog(trained, pictures, tmp_path / "run", embeddings=True)
    np.testing.assert_allclose(open_embeddings(run, trained), trained.embed(pictures), atol=1e-3)
    with pytest.raises(InputError, match=r"are of model .*, the classifier's is"):
        open_embeddings(run, other)


@pytest.mark.parametrize("kind", [Table, pd.DataFrame])
def test_images_beside_a_catalogue(classifier, pictures, tmp_path, kind):
    table = kind({"objid": np.arange(40) + 7, "ra": np.arange(40.0), "dec": np.arange(40.0)})
    run = classify_catalog(classifier, table, tmp_path / "run", images=pictures)
    found = read_table(merge_catalog(run, tmp_path / "all.fits"))
    assert [str(name) for name in found["id"][:2]] == ["7", "8"]
    assert found["coord"][3].ra.deg == 3
    with pytest.raises(InputError, match="39 images for 40 rows of the catalogue"):
        classify_catalog(classifier, table, tmp_path / "other", images=pictures[:39])


def test_a_string_names_a_column_not_a_file(classifier, stack, tmp_path):
    table = Table({"id": np.arange(ROWS), "ra": np.zeros(ROWS), "dec": np.zeros(ROWS)})
    says = r"column or data set of the catalogue, and the table has no column .*stack\.h5"
    with pytest.raises(InputError, match=says + r".* as open_images\('.*stack\.h5'\)"):
        classify_catalog(classifier, table, tmp_path / "run", images=str(stack))
    with pytest.raises(InputError, match=r"^the table has no column picture"):
        classify_catalog(classifier, table, tmp_path / "run", images="picture")
    run = classify_catalog(classifier, table, tmp_path / "run", images=open_images(str(stack)))
    assert read_report(run)["classified"] == ROWS


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".csv", ".vot", ".parquet"])
def test_tables_of_positions(classifier, tmp_path, suffix):
    """Without network: rows that are off the survey's footprint are never asked for."""
    table = Table({"objid": ["a", "b", "c"], "ra": [10.0, 20.0, 30.0], "dec": [89.0, 88.0, 87.0]})
    options = {"format": "votable"} if suffix == ".vot" else {}
    table.write(tmp_path / f"positions{suffix}", **options)
    with pytest.warns(UserWarning, match="colours") as seen:
        run = classify_catalog(
            classifier, tmp_path / f"positions{suffix}", tmp_path / "run", survey="decals"
        )
    assert len(seen) == 1
    assert read_report(run)["failed"] == {"outside footprint": 3}
    found = read_table(merge_catalog(run, tmp_path / "all.ecsv"))
    assert found["id"].tolist() == ["a", "b", "c"]
    assert found["label"].mask.all()
    assert found["coord"].dec.deg.tolist() == [89, 88, 87]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"merge": "docx"}, "merge='docx' is not one of"),
        ({"embeddings": "float8"}, "embeddings='float8' is not True, False"),
        ({"rows_per_shard": 0}, "rows_per_shard=0 must be 1 or more"),
        ({"executor": "cluster"}, "executor of type str cannot be used"),
    ],
    ids=str,
)
def test_options_that_mean_nothing(classifier, stack, tmp_path, options, says):
    with pytest.raises(InputError, match=says):
        classify_catalog(classifier, stack, tmp_path / "run", **options)


def test_no_rows(classifier, tmp_path):
    empty = SkyCoord([], [], unit="deg")
    with pytest.raises(InputError, match="has no rows"), pytest.warns(UserWarning, match="colours"):
        classify_catalog(classifier, empty, tmp_path / "run")


def test_no_run(tmp_path):
    for ask in (read_report, open_embeddings, lambda folder: merge_catalog(folder, "x.fits")):
        with pytest.raises(InputError, match="holds no"):
            ask(tmp_path)


def test_what_a_survey_did_not_answer_is_asked_for_again(classifier, tmp_path):
    """Rows that have an answer, good or bad, are as they were; the run is the same."""
    table = Table({"ra": [150.0, 151.0, 152.0, 153.0], "dec": [2.0, 3.0, 89.0, 4.0]})
    options = {"survey": "decals", "framing": "fixed", "size": 32, "rows_per_shard": 2}
    options |= {"cache": str(tmp_path / "cache")}
    quick = (conf.set_temp("tries", 2), conf.set_temp("pause", 0.01))
    with serve_surveys(galaxies=4) as server, quick[0], quick[1]:
        server.faults = Faults((Fault("overloaded", "server error (503)"),), share=1.0)
        with pytest.warns(UserWarning, match="colours"):
            run = classify_catalog(classifier, table, tmp_path / "run", **options)
        failed = read_report(run)["failed"]
        assert failed == {"server error (503) after 2 tries": 3, "outside footprint": 1}
        server.faults = Faults(())
        with pytest.warns(UserWarning, match="colours"):
            classify_catalog(classifier, table, run, **options)
        assert read_report(run)["failed"] == {"outside footprint": 1}
        asked = sum(server.answers.values())
        with pytest.warns(UserWarning, match="colours"):
            classify_catalog(classifier, table, run, **options)
        assert sum(server.answers.values()) == asked

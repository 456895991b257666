"""Python blocks of the documentation's pages run as they are written, in order, in one namespace.

What a page names and does not make (images, labels, files) is prepared here. What cannot be had on
every machine is replaced: each replacement says by what, and must occur in the page. Blocks in
doctest's style are run by pytest itself.
"""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from gmc_astro import GalaxyMorphologyClassifier, classify_catalog, open_images
from gmc_astro.catalogs import read_report
from gmc_astro.exceptions import RecipeMismatchWarning
from gmc_astro.imaging import is_ok
from gmc_astro.learning import read_table
from gmc_astro.morphology import VoteTable
from gmc_astro.testing import serve_surveys

DOCS = Path(__file__).parents[2] / "docs"
#: Pages with Python blocks; each is run by a test below.
PAGES = {
    "faq.rst",
    "getting_started.rst",
    "index.rst",
    "user_guide/catalogues.rst",
    "user_guide/checkpoints.rst",
    "user_guide/classes.rst",
    "user_guide/few_labels.rst",
    "user_guide/images.rst",
    "user_guide/own_survey.rst",
    "user_guide/positions.rst",
    "user_guide/pretraining.rst",
    "user_guide/search.rst",
}


@pytest.fixture
def run_page(code_blocks):
    """The function that runs all Python blocks of a page and returns its names."""

    def run(page, names=None, replaced=None):
        blocks, names = code_blocks(DOCS / page), dict(names or {})
        for text in replaced or {}:
            assert any(text in block for block in blocks), f"{page} does not say {text}"
        for number, block in enumerate(blocks):
            for text, other in (replaced or {}).items():
                block = block.replace(text, other)
            exec(compile(block, f"<{page}, block {number}>", "exec"), names)
        return names

    return run


def test_every_page_with_python_blocks_is_run(code_blocks):
    pages = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.rst") if code_blocks(p)}
    # by Sphinx, which runs the tutorials itself; the how-to pages are run in test_how_to_add.py
    elsewhere = ("_build", "api", "tutorial_pages", "contributing/add_a_")
    assert {page for page in pages if not page.startswith(elsewhere)} == PAGES


def test_landing_page(run_page, workplace):
    run_page("index.rst")


def test_getting_started(run_page, workplace):
    names = run_page("getting_started.rst")
    assert is_ok(names["table"]["status"]).all()
    assert list(names["classifier"].classes_) == ["barred spiral", "unbarred spiral"]
    assert (workplace / "my_model" / "head.safetensors").is_file()


def test_faq(run_page):
    """Constructors only: nothing is loaded."""
    run_page("faq.rst")


def test_images(run_page, tmp_path, monkeypatch, cube):
    monkeypatch.chdir(tmp_path)
    cube.rename(tmp_path / "cutout.fits")
    assert fits.getheader("cutout.fits")["BANDS"] == "grz"
    picture = run_page("user_guide/images.rst")["picture"]
    assert picture.shape == (80, 80, 3)
    assert picture.dtype == np.uint8


def test_own_survey(run_page, tmp_path, monkeypatch, pictures, capsys):
    """Of fewer images than fifty, fewer are suggested."""
    monkeypatch.chdir(tmp_path)
    for name, rows in {"mine.h5": pictures, "labelled.h5": pictures[:24]}.items():
        with h5py.File(name, "w") as file:
            file["images"] = rows
            file["ans"] = np.arange(len(rows)) % 2 * 2
    names = run_page("user_guide/own_survey.rst", None, {"(source, 50)": "(source, 5)"})
    assert Path("first.png").is_file()
    said = capsys.readouterr().out
    assert "[('ok', 40)]" in said
    assert "24 labelled rows" in said
    assert names["classifier"].score(names["labelled"], names["labelled"].labels) > 0.9
    assert len(names["rows"]) == 5


def test_positions(run_page, tmp_path, monkeypatch):
    """From a survey server on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "astropy").mkdir()
    with serve_surveys():
        table = run_page("user_guide/positions.rst")["table"]
    assert is_ok(table["status"]).all()


@pytest.mark.filterwarnings("ignore::gmc_astro.exceptions.UnknownWordsWarning")
def test_classes(run_page, pictures):
    """The model that comes with the package need not know every word of the shipped schemes."""
    classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    labels = ["smooth_completely_round", "edge_on"] * 2
    given = {"classifier": classifier, "images": pictures[:4], "labels": labels}
    names = run_page("user_guide/classes.rst", given)
    assert names["classifier"].temperature_ > 0
    shares = names["table"]["probabilities"]
    np.testing.assert_allclose(names["p_smooth"], shares[:, :3].sum(axis=1))


def test_checkpoints(run_page, tmp_path, monkeypatch, pictures, labels, tiny_folder):
    """With a tiny model; that pictures have other colours is a warning, as the page says."""
    monkeypatch.chdir(tmp_path)
    Path("jpegs").mkdir()
    Image.fromarray(pictures[0]).save("jpegs/0.jpg")
    classifier = GalaxyMorphologyClassifier(tiny_folder, device="cpu").fit(pictures, labels)
    given = {"classifier": classifier, "images": pictures}
    with pytest.warns(RecipeMismatchWarning, match="colours of LEGACY_DR9"):
        again = run_page("user_guide/checkpoints.rst", given)["again"]
    probabilities = again.predict_proba(pictures)
    np.testing.assert_allclose(probabilities, classifier.predict_proba(pictures), atol=1e-6)


def test_few_labels(run_page, tmp_path, monkeypatch, pictures, labels):
    """Of fewer images than fifty, fewer are suggested."""
    monkeypatch.chdir(tmp_path)
    labels = np.where(labels == "round", "smooth", "spiral")
    given = {"images": pictures[:24], "labels": labels[:24]}
    given |= {"other_images": pictures[24:], "other_labels": labels[24:]}
    given["more_images"] = pictures
    names = run_page("user_guide/few_labels.rst", given, {"_images, 50)": "_images, 5)"})
    assert (tmp_path / "my_model" / "head.safetensors").is_file()
    assert len(names["rows"]) == 5
    assert names["table"]["novelty"].shape == (24,)


@pytest.fixture
def survey(tmp_path, monkeypatch, pictures):
    """A stack of pictures with positions, in a folder to work in."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("survey.h5", "w") as file:
        file["images"] = pictures
        file["ra"], file["dec"] = np.linspace(150, 180, 40), np.linspace(-5, 5, 40)
    return tmp_path


def test_pretraining(run_page, survey, pictures, tiny_folder):
    """With a tiny model; one galaxy stands in the catalogue, another is in the other test set."""
    table = {"id": np.arange(40).astype(str)}
    for answer, edge_on in (("yes", 1), ("no", 0)):
        table[f"disk-edge-on-dr5_{answer}"] = np.where(np.arange(40) % 2 == edge_on, 30, 2)
    table["smooth-or-featured-dr5_smooth"] = np.full(40, 2)
    table["smooth-or-featured-dr5_featured-or-disk"] = np.full(40, 38)
    Path("galaxy_mnist").mkdir()
    with h5py.File("galaxy_mnist/test_dataset.hdf5", "w") as file:
        file["images"] = pictures[7:8]
    images, votes = open_images("survey.h5"), VoteTable.read(Table(table))
    classifier = GalaxyMorphologyClassifier(tiny_folder, device="cpu")
    classifier.pretrain(images, votes, epochs=1, progress=False)
    given = {"classifier": classifier, "images": images, "votes": votes}
    given |= {"ra": images.coords.ra.deg[:1], "dec": images.coords.dec.deg[:1]}
    names = run_page("user_guide/pretraining.rst", given)
    assert names["table"]["edgeon_yes_fraction"].shape == (40,)
    assert Path("run", "training_log.jsonl").is_file()
    assert "7" in classifier.excluded_


@pytest.fixture
def hats(survey, pictures):
    """The same as a HATS catalogue with PNG bytes."""
    lsdb = pytest.importorskip("lsdb", reason="needs gmc_astro[hats]")
    with h5py.File("survey.h5") as file:
        table = Table({name: file[name][:] for name in ("ra", "dec")})
    frame = table.to_pandas()
    frame["image"] = [png(picture) for picture in pictures]
    catalog = lsdb.from_dataframe(frame, catalog_name="galaxies", margin_threshold=None)
    catalog.write_catalog(survey / "data" / "hats" / "galaxies")


def png(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def test_catalogues(run_page, survey, hats):
    """With a cluster in this process, which finds ``/data`` in a temporary folder."""
    distributed = pytest.importorskip("distributed", reason="needs gmc_astro[dask]")
    data = survey / "data"
    (data / "survey.h5").write_bytes((survey / "survey.h5").read_bytes())
    given = {"rows": np.arange(12), "labels": ["a barred galaxy", "a galaxy without a bar"] * 6}
    options = {"processes": False, "n_workers": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        replaced = {"tcp://scheduler:8786": cluster.scheduler_address, "/data/": f"{data}/"}
        names = run_page("user_guide/catalogues.rst", given, replaced)
    assert len(read_table(survey / "run" / "predictions.parquet")) == 40
    assert read_report(data / "run")["classified"] == 40
    classified = names["lsdb"].open_catalog(data / "hats" / "galaxies_classified")
    assert {"label", "probability", "status"} <= set(classified.columns)
    assert names["embeddings"].shape == (40, 256)
    assert len(names["table"]) == 40


def test_search(run_page, survey, pictures):
    """A run of a stack, and files of one's own."""
    classify_catalog(GalaxyMorphologyClassifier(device="cpu"), "survey.h5", "run", embeddings=True)
    Path("my_rings").mkdir()
    Image.fromarray(pictures[0]).save("my_rings/first.jpg")
    names = run_page("user_guide/search.rst")
    assert len(names["hits"]) == 40  # as many as there are
    assert names["table"]["id"][0] == str(names["hits"]["row"][0])
    assert names["examples"].tolist() == names["hits"]["row"][:3].tolist()
    assert len(names["more"]) == 20

"""The pages on how to add something are followed as they are written, and the result is used.

The code of each page is read out of it and run in order, in one namespace.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gmc_astro import GalaxyMorphologyClassifier, open_images
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import GZ_DECALS, is_ok
from gmc_astro.learning import FIT_METHODS
from gmc_astro.morphology import TREES, CaptionWriter, VoteTable
from gmc_astro.surveys import SURVEYS, get_survey
from gmc_astro.testing import serve_surveys

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "contributing").glob("add_a_*.rst"))


@pytest.fixture
def follow(code_blocks):
    """The function that runs a page's code and returns its names."""

    def run(page, **given):
        blocks = code_blocks(ROOT / "docs" / "contributing" / f"{page}.rst")
        assert len(blocks) > 1
        for number, block in enumerate(blocks):
            exec(compile(block, f"<{page}, block {number}>", "exec"), given)
        return given

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_that_a_page_names_are_there(page):
    named = re.findall(r"``((?:gmc_astro|tests|docs)/[\w/.]+)``", page.read_text())
    assert len(named) > 1
    assert [name for name in named if not (ROOT / name).exists()] == []
    # "``NAME`` in ``file``": the file has the name
    pairs = re.findall(r"``(_?[A-Z]+)``\s+(?:goes\s+)?in(?:to)?\s+``([\w/.]+)``", page.read_text())
    assert [pair for pair in pairs if pair[0] not in (ROOT / pair[1]).read_text()] == []


# ---- a survey -----------------------------------------------------------------------------------


@pytest.fixture
def survey(follow):
    """What the page on surveys makes."""
    before = dict(SURVEYS)
    yield follow("add_a_survey")
    SURVEYS.clear()
    SURVEYS.update(before)


def test_the_new_survey_is_fetched(survey, capsys):
    assert get_survey("DES-grz") is survey["survey"]
    assert survey["batch"].status.tolist() == ["ok", "outside footprint"]
    assert survey["source"].recipe == GZ_DECALS
    asked = [f"hips=CDS%2FP%2FDES-DR2%2F{band}" for band in "grz"]
    answers = survey["server"].answers
    assert all(any(hips in query for query in answers) for hips in asked)
    assert len(answers) == sum(any(hips in query for hips in asked) for query in answers)
    radius = survey["batch"].columns["petro_r90"]
    assert radius[0] > 1 * u.arcsec
    assert np.isnan(radius[1])


def test_the_new_survey_goes_through_the_one_door(survey):
    position = SkyCoord(53.1, -27.8, unit="deg")
    options = {"framing": "fixed", "size": 48, "cache": False, "progress": False}
    with serve_surveys():
        ours = open_images(position, survey="des-grz", **options).read()
        other = open_images(position, survey="legacy-hips", **options).read()
    assert ours.images.shape == (1, 48, 48, 3)
    assert ours.images.std() > 0
    # the server's galaxies shine alike in all surveys; DES counts in another unit
    flux = get_survey("des-grz").nanomaggies
    assert flux == pytest.approx(1e-3)
    assert ours.images.mean() < other.images.mean()


def test_a_second_time_the_name_is_taken(survey, follow):
    with pytest.raises(InputError, match="there is a survey 'des-grz' already"):
        follow("add_a_survey")


# ---- a tree -------------------------------------------------------------------------------------


@pytest.fixture
def tides(own_trees, follow):
    """What the page on trees makes."""
    return follow("add_a_tree")


def test_the_new_tree_reads_votes(tides):
    votes, tree = tides["votes"], tides["tree"]
    assert votes.tree is tree is TREES["TIDES"]
    assert votes.ids.tolist() == ["a", "b"]
    np.testing.assert_allclose(votes.fraction("tides", "torn"), [36 / 39, 3 / 38], rtol=1e-6)
    assert votes.asked().tolist() == [[True, True, True], [True, True, False]]
    fractions = Table({"tides_yes_fraction": [0.25], "tides_no_fraction": [0.75]})
    assert VoteTable.read(fractions).fraction("tides", "no_tides").tolist() == [0.75]


def volunteers(galaxies):
    """A table of 40 simulated volunteers a galaxy, who walk down the tree."""
    rng = np.random.default_rng(3)

    def answer(arrived, names):
        opinions = rng.dirichlet(np.full(len(names), 0.4), galaxies)
        return dict(zip(names, rng.multinomial(arrived, opinions).T, strict=True))

    kind = answer(40, ["type_smooth", "type_featured", "type_artifact"])
    tides = answer(40 - kind["type_artifact"], ["tides_yes", "tides_no"])
    return Table(kind | tides | answer(tides["tides_yes"], ["shape_shell", "shape_stream"]))


def test_the_new_tree_is_spoken_of_truly(tides):
    writer, tree = tides["writer"], tides["tree"]
    said = [writer.claims(caption) for caption in tides["captions"]]
    assert set().union(*said[::2]) == {
        ("smooth_or_features", "smooth"),
        ("tides", "torn"),
        ("tide_shape", "shell"),
    }
    assert set().union(*said[1::2]) == {
        ("smooth_or_features", "features_or_disk"),
        ("tides", "no_tides"),
    }
    votes = VoteTable.read(volunteers(300))
    for style in ("plain", "prompt", "varied"):
        writer = CaptionWriter(tree, style)
        captions = writer(votes)
        true = np.diagonal(votes.supports(writer.claim_matrix(captions)))
        assert (true >= 0).all()
        assert (true > 0).mean() > 0.5
        assert {pair for text in captions for pair in writer.claims(text)} == set(tree.flat)


def test_a_model_learns_the_new_tree(tides, pictures, tiny_folder):
    votes = VoteTable.read(volunteers(len(pictures)))
    classifier = GalaxyMorphologyClassifier(tiny_folder, device="cpu")
    classifier.pretrain(pictures, votes, epochs=1, progress=False)
    table = classifier.predict_votes(pictures[:3])
    shares = table["tides_torn_fraction"] + table["tides_no_tides_fraction"]
    np.testing.assert_allclose(shares, 1, rtol=1e-6)


# ---- a fit method -------------------------------------------------------------------------------


@pytest.fixture
def means(follow, tiny_folder, pictures, labels):
    """What the page on fit methods makes, with a tiny random model and simulated galaxies."""
    before = dict(FIT_METHODS)
    yield follow("add_a_fit_method", model=tiny_folder, images=pictures, labels=labels)
    FIT_METHODS.clear()
    FIT_METHODS.update(before)


def test_the_new_method_fits(means, pictures, labels):
    classifier = means["classifier"]
    assert classifier.fit_log_ == {"method": "means", "labels": 40, "words": 5.0}
    vectors = classifier.embed(pictures).astype(float)
    # by hand: the mean of a class and five times its words
    starts = classifier.encoder.encode_texts(["round"]).astype(float)
    expected = vectors[labels == "round"].sum(axis=0)
    weights = classifier.head_.linear.weights[0]
    assert weights @ weights == pytest.approx(1)
    assert weights @ expected / np.linalg.norm(expected) > 0.9
    assert weights @ starts[0] > expected @ starts[0] / np.linalg.norm(expected)
    assert (classifier.predict(pictures)["label"] == labels).mean() > 0.6


def test_all_that_follows_comes_by_itself(means, pictures, labels, tmp_path):
    classifier = means["classifier"]
    assert classifier.calibration_.rows == 40
    assert classifier.predict_sets(pictures, coverage=0.9).any(axis=1).all()
    again = GalaxyMorphologyClassifier.load(classifier.save(tmp_path / "model"))
    table = again.predict(pictures)
    assert is_ok(table["status"]).all()
    np.testing.assert_allclose(
        table["probabilities"], classifier.predict(pictures)["probabilities"], atol=1e-6
    )


def test_it_is_judged_on_galaxies_that_it_did_not_learn_from(means, pictures, labels):
    """The page's functions are watched while they fit."""
    heads, fits = [], []
    class_means, fit_means = means["class_means"], FIT_METHODS["means"]

    def watched_means(labelled, rows):
        heads.append((rows, class_means(labelled, rows)))
        return heads[-1][1]

    def watched_fit(labelled):
        fits.append((labelled, fit_means(labelled)))
        return fits[-1][1]

    means["class_means"], FIT_METHODS["means"] = watched_means, watched_fit
    classifier = means["classifier"].fit(pictures, labels, method="means")
    labelled, fitted = fits[0]
    (everything, head), *parts = heads
    assert everything.tolist() == list(range(40))
    assert head is fitted.head
    judged = np.zeros(40, int)
    for rows, part in parts:
        others = np.setdiff1d(everything, rows)
        judged[others] += 1
        expected = part.logits(labelled.embeddings[others])
        np.testing.assert_allclose(fitted.held_out[others], expected)
    assert (judged == 1).all()

    validation = pictures[30:], labels[30:]
    classifier.fit(pictures[:30], labels[:30], method="means", validation=validation)
    labelled, fitted = fits[1]
    expected = fitted.head.logits(labelled.validation.embeddings)
    np.testing.assert_allclose(fitted.held_out, expected)
    assert classifier.calibration_.rows == 10

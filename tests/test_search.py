"""Search among embeddings, by words and by examples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gmc_astro import GalaxyMorphologyClassifier, search
from gmc_astro.exceptions import InputError, UnknownWordsWarning
from gmc_astro.imaging import make_rgb
from gmc_astro.learning import TrainingSet
from gmc_astro.search import search_embeddings
from gmc_astro.testing import SimulatedGalaxy, render_galaxy


@pytest.fixture(scope="module")
def classifier():
    return GalaxyMorphologyClassifier(device="cpu", views=1)


@pytest.fixture(scope="module")
def embeddings(classifier):
    """Of thirty galaxies, every third edge-on and the others nearly round."""
    shapes = [0.15 if i % 3 == 0 else 0.8 + 0.01 * (i % 19) for i in range(30)]
    drawn = [
        render_galaxy(SimulatedGalaxy(axis_ratio=q, angle=7.0 * i), pixels=96)
        for i, q in enumerate(shapes)
    ]
    return classifier.embed(np.stack([make_rgb(p, recipe="GZ_DECALS") for p in drawn]))


@pytest.fixture
def many(classifier):
    """A thousand random unit vectors as a run keeps them, two of them missing."""
    vectors = np.random.default_rng(0).normal(size=(1000, classifier.encoder.dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[7, 500]] = np.nan
    return vectors.astype(np.float16)


EDGE_ON = set(range(0, 30, 3))


def scores(classifier, embeddings, words=None, **options):
    """Score of each row, in order of the rows."""
    hits = search_embeddings(classifier, embeddings, words, n=len(embeddings), **options)
    hits.sort("row")
    assert len(hits) == len(embeddings)
    return np.asarray(hits["score"])


def test_words_find_what_they_say(classifier, embeddings):
    hits = search_embeddings(classifier, embeddings, "an edge-on galaxy", n=10)
    assert set(hits["row"].tolist()) == EDGE_ON
    assert (np.diff(hits["score"]) <= 0).all()
    assert hits.meta["words"] == "an edge-on galaxy"
    assert hits.meta["checkpoint_sha256"] == classifier.checkpoint_sha256


def test_phrasings_are_averaged(classifier, embeddings):
    """Two phrasings, one of them twice, are not the same as each once."""
    said = ["an edge-on galaxy", "a spiral galaxy"]
    both = scores(classifier, embeddings, said)
    assert_allclose(scores(classifier, embeddings, said[::-1]), both, atol=1e-5)
    assert np.abs(scores(classifier, embeddings, [*said, said[0]]) - both).max() > 0.01
    for words in said:
        assert np.abs(scores(classifier, embeddings, words) - both).max() > 0.01


def test_unlike_turns_a_search_round(classifier, embeddings):
    hits = search_embeddings(classifier, embeddings, "a galaxy", unlike="an edge-on galaxy", n=20)
    assert not EDGE_ON & set(hits["row"].tolist())


def test_examples_find_their_like_and_not_themselves(classifier, embeddings):
    hits = search_embeddings(classifier, embeddings, like=[0, 3], n=8)
    assert set(hits["row"].tolist()) == EDGE_ON - {0, 3}


def test_examples_from_elsewhere(classifier, embeddings):
    hits = search_embeddings(classifier, embeddings, like=embeddings[[0, 3]], n=10)
    assert set(hits["row"].tolist()) == EDGE_ON


def test_words_and_examples_both_count(classifier, embeddings):
    """As much: their sum points half-way between them."""
    example = embeddings[[1]]
    words = scores(classifier, embeddings, "an edge-on galaxy")
    like = scores(classifier, embeddings, like=example)
    both = scores(classifier, embeddings, "an edge-on galaxy", like=example)
    half_way = words + like
    assert_allclose(both / np.linalg.norm(both), half_way / np.linalg.norm(half_way), atol=1e-5)


def test_the_best_are_those_of_a_search_of_everything(classifier, many, monkeypatch):
    """Piece by piece, in float16 and past rows that are missing."""
    example = many[3].astype(np.float32)
    known = np.flatnonzero(np.isfinite(many).all(axis=1))
    middle = many[known].astype(np.float32).mean(axis=0)
    apart = many.astype(np.float32) - middle
    wanted = example - middle
    cosines = apart @ wanted / np.linalg.norm(apart, axis=1) / np.linalg.norm(wanted)
    best = known[np.argsort(-cosines[known], kind="stable")][:50]
    for piece in (64, 1000):
        monkeypatch.setattr(search, "_PIECE", piece)
        hits = search_embeddings(classifier, many, like=example[None], n=50)
        assert_array_equal(hits["row"], best)
        assert_allclose(hits["score"], cosines[best], atol=2e-3)


def test_more_than_there_are(classifier, many):
    hits = search_embeddings(classifier, many, like=[0], n=5000)
    assert len(hits) == 997  # neither the example nor the two that are missing
    assert not {0, 7, 500} & set(hits["row"].tolist())


def test_a_score_is_a_cosine_also_of_galaxies_that_are_nearly_alike(classifier):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=classifier.encoder.dim) + 1e-3 * rng.normal(size=(50, 256))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    hits = search_embeddings(classifier, vectors, "a spiral galaxy", n=50)
    assert np.abs(hits["score"]).max() <= 1


def test_nothing_to_search(classifier):
    nothing = np.full((3, classifier.encoder.dim), np.nan, np.float32)
    for embeddings in (nothing, nothing[:0]):
        assert len(search_embeddings(classifier, embeddings, "a spiral galaxy")) == 0


def test_unknown_words_are_told(classifier, embeddings):
    with pytest.warns(UnknownWordsWarning, match="quasar"):
        search_embeddings(classifier, embeddings, "a quasar")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "nothing to look for"),
        ({"words": ""}, "nothing to look for"),
        ({"unlike": "a spiral galaxy"}, "nothing to look for"),
        ({"words": "a spiral galaxy", "n": 0}, "n=0"),
        ({"like": []}, "no example"),
        ({"like": [1000]}, "rows 1000 to 1000; there are 0 to 999"),
        ({"like": [-1]}, "rows -1 to -1"),
        ({"like": [0, 7]}, "could not be had: row 7"),
        ({"like": ["a.jpg"]}, r"numbers of rows \(M,\), or embeddings"),
        ({"like": 3}, r"numbers of rows \(M,\), or embeddings"),
        ({"like": np.zeros((1, 3))}, r"\(1, 3\); this model's are \(N, 256\)"),
        ({"words": "a merger", "unlike": "a merger"}, "cancel out"),
    ],
)
def test_what_cannot_be_searched(classifier, many, options, sentence):
    with pytest.raises(InputError, match=sentence):
        search_embeddings(classifier, many, **options)


def test_embeddings_of_another_model(classifier):
    with pytest.raises(InputError, match=r"\(4, 16\); this model's are \(N, 256\)"):
        search_embeddings(classifier, np.zeros((4, 16)), "a spiral galaxy")


@pytest.mark.parametrize(
    ("words", "answer"),
    [("a spiral galaxy", ("spiral", "spiral")), ("an edge-on galaxy", ("edgeon", "yes"))],
)
def test_real_galaxies(classifier, data_folder, words, answer):
    """Of 200 galaxies of the SDSS, the first ten are nearly all what was asked for."""
    table = TrainingSet.read([data_folder / "gz2_five_class"])
    rows = np.random.default_rng(0).choice(len(table), 200, replace=False)
    part = TrainingSet(tuple(table.paths[i] for i in rows), table.votes[rows])
    hits = search_embeddings(classifier, classifier.embed(part.images(160)), words, n=10)
    assert (part.votes.fraction(*answer)[hits["row"]] == 1).sum() >= 8

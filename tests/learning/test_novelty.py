"""Images unlike those that a classifier learnt from."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gmc_astro.exceptions import InputError
from gmc_astro.learning import NoveltyDetector, fit_novelty


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def known(n, seed=0, dim=40):
    """Embeddings that vary in five directions only, as those of real galaxies do."""
    rng = np.random.default_rng(seed)
    return unit(0.3 * np.eye(dim)[:5][rng.integers(5, size=n)] + 0.05 * rng.normal(size=(n, dim)))


def test_others_are_further_away():
    detector = fit_novelty(known(300))
    others = unit(np.random.default_rng(5).normal(size=(300, 40)))
    assert detector.is_novel(others).mean() > 0.8
    assert detector.is_novel(known(2000, 1)).mean() < 0.03


@pytest.mark.parametrize("share", [0.9, 0.95])
@pytest.mark.parametrize("n", [100, 1000], ids=["few", "many"])
def test_the_threshold_holds_on_fresh_images(n, share):
    """Distances of the very images it was fitted on would give a threshold that is too small."""
    novel = [
        fit_novelty(known(n, seed), share=share).is_novel(known(1000, 100 + seed)).mean()
        for seed in range(8)
    ]
    assert np.mean(novel) == pytest.approx(1 - share, abs=0.025)


def test_the_order_of_the_images_does_not_matter():
    """Labels that go round, one class after the other, are as good as any."""
    rng = np.random.default_rng(2)
    classes = np.arange(200) % 5
    vectors = unit(np.eye(40)[classes] + 0.05 * rng.normal(size=(200, 40)))
    cyclic = fit_novelty(vectors).threshold
    shuffled = fit_novelty(rng.permutation(vectors)).threshold
    assert cyclic == pytest.approx(shuffled, rel=0.15)


def test_fewer_images_than_dimensions():
    detector = fit_novelty(known(12))
    assert np.isfinite(detector.score(known(5, 1))).all()


def test_equal_images_are_no_error():
    same = np.tile(unit(np.ones((1, 8))), (20, 1))
    detector = fit_novelty(same)
    assert not detector.is_novel(same).any()
    assert detector.is_novel(np.eye(8)).all()


def test_nan_rows_no_rows_and_float32():
    rows = known(60).astype(np.float32)
    rows[4] = np.nan
    detector = fit_novelty(rows)
    score = detector.score(rows)
    assert score.dtype == np.float64
    assert np.flatnonzero(np.isnan(score)).tolist() == [4]
    assert not detector.is_novel(rows)[4]
    assert detector.score(np.zeros((0, 40))).shape == (0,)


def test_arrays_round_trip():
    detector = fit_novelty(known(100))
    arrays = detector.to_arrays()
    assert all(values.dtype.kind == "f" for values in arrays.values())
    again = NoveltyDetector.from_arrays(arrays)
    np.testing.assert_allclose(again.score(known(9, 1)), detector.score(known(9, 1)), rtol=1e-4)
    assert again.threshold == detector.threshold


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"embeddings": known(9)}, "at least 10"),
        ({"embeddings": np.ones(20)}, r"\(N, D\)"),
        ({"share": 99}, "share=99"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        fit_novelty(**{"embeddings": known(20), **arguments})


def test_embeddings_of_another_model_are_refused():
    with pytest.raises(InputError, match=r"\(N, 40\)"):
        fit_novelty(known(20)).score(np.ones((2, 8)))


def test_real_artifacts_and_pictures_of_nothing(data_folder, real_galaxies, embed):
    """The bundled model on stars, trails, broken frames, another survey, noise, plain colour."""
    galaxies = real_galaxies[0]
    detector, fresh = fit_novelty(galaxies[:400]), galaxies[400:]
    rng = np.random.default_rng(0)
    size = (20, 224, 224, 3)
    others = {
        "artifacts": sorted((data_folder / "sdss_artifacts" / "images").iterdir())[::3],
        "decals": sorted((data_folder / "decals_rings" / "images").iterdir())[::5],
        "noise": rng.integers(0, 256, size, dtype=np.uint8),
        "plain": np.broadcast_to(np.arange(0, 200, 10, np.uint8)[:, None, None, None], size),
    }
    least = {"artifacts": (0.78, 0.1), "decals": (0.98, 0.8), "noise": (0.98, 0.9)}
    least["plain"] = least["noise"]
    assert detector.is_novel(fresh).mean() < 0.03
    for name, images in others.items():
        vectors = embed(images)
        truth = np.repeat([0, 1], [len(fresh), len(vectors)])
        auc = roc_auc_score(truth, detector.score(np.vstack([fresh, vectors])))
        novel = detector.is_novel(vectors).mean()
        print(f"{name}: AUC {auc:.3f}, novel {novel:.2f}")
        assert auc > least[name][0]
        assert novel > least[name][1]

import numpy as np
import pytest
import torch
from PIL import Image

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import GZ_DECALS
from gmc_astro.sources import ArraySource, ConcatenatedSource, open_images


def test_batches_are_in_order():
    images = np.arange(7 * 12, dtype=np.uint8).reshape(7, 2, 2, 3)
    batches = list(open_images(images).iter_batches(3, start=1, stop=6))
    assert [batch.start for batch in batches] == [1, 4]
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), images[1:6])


@pytest.mark.parametrize(
    ("shape", "dtype", "remedy"),
    [
        ((8, 8, 3), np.uint8, r"images\[np.newaxis\]"),
        ((2, 3, 8, 8), np.uint8, "transpose"),
        ((2, 8, 8, 3), float, r"make_rgb"),
        ((2, 8, 8, 3), np.int32, "astype"),
        ((2, 0, 0, 3), np.uint8, "no pixel"),
        ((2, 8, 8), np.uint8, r"\(N, H, W, 3\)"),
    ],
)
def test_wrong_arrays_are_told_the_remedy(shape, dtype, remedy):
    with pytest.raises(InputError, match=remedy):
        open_images(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    "kind", [list, torch.from_numpy, lambda images: [*map(Image.fromarray, images)]]
)
def test_images_in_memory_one_by_one(kind):
    images = np.random.default_rng(0).integers(0, 255, (3, 4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(open_images(kind(images)).read().images, images)


def test_images_in_memory_of_two_shapes():
    with pytest.raises(InputError, match=r"2 shapes, \(4, 4, 3\) and \(4, 5, 3\): give images of"):
        open_images([np.zeros((4, width, 3), np.uint8) for width in (4, 4, 5)])


def test_colours_can_be_stated():
    images = np.zeros((1, 4, 4, 3), np.uint8)
    assert open_images(images).recipe is None
    assert open_images(images, recipe="GZ_DECALS").recipe is GZ_DECALS


def test_labels_must_match():
    with pytest.raises(InputError, match="3 labels for 2 images"):
        ArraySource(np.zeros((2, 4, 4, 3), np.uint8), labels=[1, 2, 3])


def test_concatenation():
    parts = [np.full((n, 2, 2, 3), n, np.uint8) for n in (3, 4)]
    source = ConcatenatedSource([ArraySource(p, labels=p[:, 0, 0, 0]) for p in parts])
    assert len(source) == 7
    assert source.labels.tolist() == [3] * 3 + [4] * 4


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 100])
def test_batches_across_sources_are_full(batch_size):
    """As those of one source: only the last one may be shorter."""
    rows = np.arange(11, dtype=np.uint8)
    images = np.broadcast_to(rows[:, None, None, None], (11, 2, 2, 3))
    parts = [ArraySource(part) for part in np.split(images, [3, 4, 9])]
    batches = list(ConcatenatedSource(parts).iter_batches(batch_size, start=2, stop=10))
    starts = list(range(2, 10, batch_size))
    assert [b.start for b in batches] == starts
    assert [len(b) for b in batches] == [min(batch_size, 10 - start) for start in starts]
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), images[2:10])
    np.testing.assert_array_equal(ConcatenatedSource(parts).read().images, images)


def test_what_only_some_sources_measured(cube, pictures):
    """The rows of the others are NaN."""
    with_shapes, without = open_images(cube, size=48), ArraySource(pictures[:2])
    batch = ConcatenatedSource([without, with_shapes]).read()
    assert len(batch) == 3
    assert np.isfinite(batch.columns["axis_ratio"]).tolist() == [False, False, True]


def test_images_of_two_sizes():
    """Batch by batch they can be read, but not held together."""
    parts = [ArraySource(np.zeros((3, size, size, 3), np.uint8)) for size in (4, 6)]
    source = ConcatenatedSource(parts)
    assert [b.images.shape[:2] for b in source.iter_batches(2)] == [(2, 4), (1, 4), (2, 6), (1, 6)]
    with pytest.raises(InputError, match="4 x 4 and 6 x 6 pixels cannot be held together"):
        source.read()


def test_an_open_source_passes_through():
    source = ArraySource(np.zeros((1, 4, 4, 3), np.uint8))
    assert open_images(source) is source


def test_integers_are_not_said_to_be_shades():
    with pytest.raises(InputError, match=r"if they are from 0 to 255, convert .* scale them"):
        ArraySource(np.zeros((2, 8, 8, 3), np.uint16))
    with pytest.raises(InputError, match="give one array of numbers, or files"):
        ArraySource(np.array([[1, 2], "a"], dtype=object))

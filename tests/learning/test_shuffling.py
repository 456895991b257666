"""Random batches: every usable row once an epoch, from memory or from disk."""

import h5py
import numpy as np
import pytest
import torch

from gmc_astro import open_images
from gmc_astro.learning.shuffling import Shuffler

N = 700


@pytest.fixture
def stack(tmp_path):
    """A HDF5 stack whose pixels say their row."""
    rows = np.arange(N)
    images = np.zeros((N, 8, 8, 3), np.uint8)
    images[..., 0] = (rows // 256)[:, None, None]
    images[..., 1] = (rows % 256)[:, None, None]
    images[..., 2] = 7
    images[0, 0, 0] = 9
    path = tmp_path / "stack.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(64, 8, 8, 3))
    return path


@pytest.mark.parametrize("memory_limit", [10**9, 1000], ids=["held", "blocks"])
def test_an_epoch_has_every_row_once(stack, memory_limit):
    shuffler = Shuffler(open_images(stack), memory_limit=memory_limit)
    seen = []
    for images, rows in shuffler.batches(50, seed=0, epoch=0):
        assert images.shape == (50, 8, 8, 3)
        high, low = images[:, 4, 4, :2].astype(int).T
        np.testing.assert_array_equal(256 * high + low, rows)
        seen += rows.tolist()
    assert len(seen) == N
    assert sorted(seen) == list(range(N))
    assert seen != sorted(seen)


@pytest.mark.parametrize("memory_limit", [10**9, 1000], ids=["held", "blocks"])
def test_several_files_are_as_one(stack, tmp_path, memory_limit):
    """Blocks of rows go on where a file ends."""
    images = open_images(stack).read().images
    paths = [tmp_path / f"{name}.h5" for name in "abc"]
    for path, part in zip(paths, np.split(images, [300, 310]), strict=True):
        with h5py.File(path, "w") as file:
            file["images"] = part
    shufflers = [Shuffler(open_images(x), memory_limit=memory_limit) for x in (stack, paths)]
    for (found, rows), (same, again) in zip(
        *(shuffler.batches(50, seed=0, epoch=0) for shuffler in shufflers), strict=True
    ):
        np.testing.assert_array_equal(rows, again)
        np.testing.assert_array_equal(found, same)


def test_images_held_on_a_device_are_the_same(stack):
    shufflers = [Shuffler(open_images(stack), device=d) for d in (None, torch.device("cpu"))]
    for (images, rows), (held, same) in zip(
        *(shuffler.batches(64, seed=3, epoch=1) for shuffler in shufflers), strict=True
    ):
        assert isinstance(held, torch.Tensor)
        np.testing.assert_array_equal(rows, same)
        np.testing.assert_array_equal(images, held.numpy())


@pytest.mark.parametrize("memory_limit", [10**9, 1000], ids=["held", "blocks"])
def test_order_depends_on_seed_and_epoch_only(stack, memory_limit):
    def order(seed, epoch):
        shuffler = Shuffler(open_images(stack), memory_limit=memory_limit)
        return [
            r for _, rows in shuffler.batches(64, seed=seed, epoch=epoch) for r in rows.tolist()
        ]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_a_batch_that_is_not_full_is_left_out_unless_it_is_the_only_one(stack):
    batches = list(Shuffler(open_images(stack)).batches(300, seed=0, epoch=0))
    assert [len(rows) for _, rows in batches] == [300, 300]
    ((_, rows),) = Shuffler(open_images(stack)).batches(10_000, seed=0, epoch=0)
    assert len(rows) == N


def test_rows_without_image_are_left_out(pictures, tmp_path):
    from PIL import Image

    for i in range(4):
        Image.fromarray(pictures[i]).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"broken")
    source = open_images(tmp_path, size=48)
    ((_, rows),) = Shuffler(source).batches(8, seed=0, epoch=0)
    assert sorted(rows.tolist()) == [0, 1, 3]

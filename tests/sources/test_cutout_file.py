import h5py
import numpy as np
import pytest
from astropy.table import MaskedColumn

from gmc_astro import open_images
from gmc_astro.imaging import ImageBatch
from gmc_astro.learning import encode_labels
from gmc_astro.sources import ArraySource, ConcatenatedSource, write_cutouts
from gmc_astro.sources.cutout_file import ROWS


def grey(rows, value, size=4, first=0):
    """Images of one grey, named by their numbers."""
    images = np.full((rows, size, size, 3), value, np.uint8)
    return ArraySource(images, ids=np.arange(first, first + rows).astype(str))


class Stopped(ArraySource):
    """A source that ends as Ctrl-C ends it, after its first batch."""

    def iter_batches(self, batch_size=64, *, start=0, stop=None):
        yield next(super().iter_batches(batch_size, start=start, stop=stop))
        raise KeyboardInterrupt


def stopped(source, path):
    with pytest.raises(KeyboardInterrupt):
        write_cutouts(Stopped(source._images, ids=source.ids), path)
    assert list(path.with_name(f"{path.name}.parts").glob("0*.npz"))


@pytest.mark.parametrize("rows", [(3, 5), (ROWS + 1, 1, 2 * ROWS)])
def test_batches_of_any_size(tmp_path, rows):
    ends = np.cumsum([0, *rows])
    parts = [grey(n, 10 * (i + 1), first=ends[i]) for i, n in enumerate(rows)]
    write_cutouts(ConcatenatedSource(parts), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        expected = np.repeat(10 * (np.arange(len(rows)) + 1), rows)
        np.testing.assert_array_equal(file["images"][:, 0, 0, 0], expected)
        assert file["object_id"].asstr()[:].tolist() == np.arange(ends[-1]).astype(str).tolist()


@pytest.mark.parametrize("other", [{"value": 200}, {"value": 50, "size": 8}])
def test_a_stopped_run_of_other_images_is_begun_anew(tmp_path, other):
    stopped(grey(ROWS + 9, 50), tmp_path / "a.h5")
    write_cutouts(grey(ROWS + 9, **other), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file["images"][:].ravel()) == {other["value"]}


def test_what_a_batch_did_not_measure_is_nan(tmp_path):
    class Measured(ArraySource):
        def iter_batches(self, batch_size=64, *, start=0, stop=None):
            for batch in super().iter_batches(batch_size, start=start, stop=stop):
                columns = {} if batch.start else {"petro_r90": np.full(len(batch), 7.0)}
                yield ImageBatch(batch.images, batch.status, batch.start, columns)

    write_cutouts(Measured(grey(ROWS + 2, 1)._images), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["petro_r90"][:ROWS].tolist() == [7.0] * ROWS
        assert np.isnan(file["petro_r90"][ROWS:]).all()


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_a_masked_label_is_none(tmp_path, dtype):
    mask = [False, True, False]
    columns = {
        "ans": MaskedColumn([0, 0, 2], mask=mask, dtype=dtype),
        "redshift": MaskedColumn([0.1, 0.2, 0.3], mask=mask),
        "label": MaskedColumn(["a", "b", "c"], mask=mask),
    }
    write_cutouts(grey(3, 1), tmp_path / "a.h5", columns=columns)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["ans"][:].tolist() == [0, -1, 2]
        assert np.isnan(file["redshift"][:]).tolist() == mask
        assert file["label"].asstr()[:].tolist() == ["a", "", "c"]
    labels = open_images(tmp_path / "a.h5").labels
    assert encode_labels(labels)[0].tolist() == [0, -1, 1]  # of classes 0 and 2
    both = ConcatenatedSource([open_images(tmp_path / "a.h5")] * 2).labels
    assert encode_labels(both)[0].tolist() == [0, -1, 1] * 2

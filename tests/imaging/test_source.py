import astropy.units as u
import numpy as np

from gmc_astro.imaging import ImageBatch, is_ok
from gmc_astro.imaging.source import join_batches
from gmc_astro.sources import ArraySource


def test_notes_are_ok_and_reasons_are_not():
    status = ["ok", "ok (fixed framing: no source at the centre)", "okay", "unreadable: empty", ""]
    assert is_ok(status).tolist() == [True, True, False, False, False]


def test_read_gives_everything_at_once():
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
    np.testing.assert_array_equal(ArraySource(images).read().images, images)


def test_an_empty_source_reads_as_nothing():
    assert len(ArraySource(np.zeros((0, 4, 4, 3), np.uint8)).read()) == 0


def test_joined_batches_keep_units():
    images, status = np.zeros((2, 4, 4, 3), np.uint8), np.array(["ok", "timed out"])
    measured = ImageBatch(images, status, 5, {"petro_r90": [3.0, 4.0] * u.arcsec})
    plain = ImageBatch(images[:1], status[:1], 7)
    for pair in ([measured, plain], [plain, measured]):
        joined = join_batches(pair)
        assert joined.start == pair[0].start
        assert joined.status.tolist() == [s for batch in pair for s in batch.status]
        assert joined.columns["petro_r90"].unit == u.arcsec
        assert np.isnan(joined.columns["petro_r90"]).sum() == 1

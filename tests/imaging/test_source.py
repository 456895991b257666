import numpy as np

from gmc_astro.imaging import is_ok
from gmc_astro.sources import ArraySource


def test_notes_are_ok_and_reasons_are_not():
    status = ["ok", "ok (fixed framing: no source at the centre)", "okay", "unreadable: empty", ""]
    assert is_ok(status).tolist() == [True, True, False, False, False]


def test_read_gives_everything_at_once():
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
    np.testing.assert_array_equal(ArraySource(images).read().images, images)


def test_an_empty_source_reads_as_nothing():
    assert len(ArraySource(np.zeros((0, 4, 4, 3), np.uint8)).read()) == 0

import errno

import pytest

from gmc_astro._files import whole, writing
from gmc_astro.exceptions import InputError, OutputError, UnreadableImageError


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "no matter"), "cannot be written: No space left.* free some space"),
        (OSError("first line\nsecond"), "cannot be written: first line. What"),
        (OSError(), "cannot be written: OSError. What"),
    ],
)
def test_a_refusal_becomes_a_sentence(tmp_path, error, says):
    with pytest.raises(OutputError, match=says), writing(tmp_path / "a"):
        raise error


@pytest.mark.parametrize("kind", [UnreadableImageError, InputError, OutputError])
def test_our_own_errors_stay_as_they_are(tmp_path, kind):
    with pytest.raises(kind, match=r"^galaxy\.jpg: cut off$"), whole(tmp_path / "a.h5"):
        raise kind("galaxy.jpg: cut off")

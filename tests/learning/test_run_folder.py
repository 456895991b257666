"""The folder of a pretraining run."""

import pytest

from gmc_astro.exceptions import OutputError
from gmc_astro.learning import PretrainSettings
from gmc_astro.learning.run_folder import RunFolder


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match=r"taken/run cannot be written.*give another folder"):
        RunFolder(tmp_path / "taken" / "run", PretrainSettings(), {})


def test_a_refused_write_keeps_what_was_there(tmp_path):
    run = RunFolder(tmp_path, PretrainSettings(), {})
    run.save({"step": 1}, [{"epoch": 1}])
    with pytest.raises(AttributeError, match="pickle"):
        run.save({"step": lambda: 2}, [{"epoch": 2}])
    assert run.restore()["step"] == 1
    assert not list(tmp_path.glob(".*"))

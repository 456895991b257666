"""The table of predictions, and its way through files."""

import os

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from gmc_astro.exceptions import InputError, OutputError
from gmc_astro.learning import abstain, predictions_table, read_table, write_table
from gmc_astro.learning.table_io import TABLE_FORMATS

P = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])


@pytest.fixture
def table():
    return predictions_table(
        P,
        ["ok", "failed: truncated", "ok (fixed frame)"],
        ["smooth", "edge_on"],
        ids=np.array(["a", "b", "587722984439545906"]),
        coords=SkyCoord([184.8, 10, 20] * u.deg, [5.8, 0, -5] * u.deg),
        columns={"petrosian_radius": [3.0, np.nan, 4.5] * u.arcsec},
        meta={"model": "compact", "views": 8, "a_rather_long_name": ["of", "lists"]},
    )


def test_columns(table):
    assert table.colnames == [
        *("coord", "id", "label", "probability", "probabilities", "entropy"),
        *("petrosian_radius", "status"),
    ]
    assert table["label"].tolist() == ["smooth", None, "edge_on"]
    np.testing.assert_allclose(table["probability"], [0.9, np.nan, 0.8])
    np.testing.assert_allclose(table["entropy"][0], -(0.9 * np.log(0.9) + 0.1 * np.log(0.1)))
    assert np.isnan(table["entropy"][1])
    assert table.meta["class_names"] == ["smooth", "edge_on"]


def test_a_failed_row_never_has_a_class():
    """Even where numbers were computed for it."""
    table = predictions_table(np.array([[1.0, 0.0]]), ["failed: gone"], ["a", "b"])
    assert table["label"].mask.all()
    assert np.isnan(table["probabilities"]).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"columns": {"label": ["x"] * 3}}, "columns= has 'label', which the table says itself"),
        ({"columns": {"z": [0.1]}}, r"columns\['z'\] has shape \(1,\) for 3 rows"),
        ({"status": ["timed out"]}, r"status has shape \(1,\) for 3 rows"),
        ({"status": "ok"}, r"status has shape \(\) for 3 rows"),
        ({"ids": ["a"]}, r"ids has shape \(1,\) for 3 rows"),
        ({"coords": SkyCoord(1 * u.deg, 2 * u.deg)}, r"coords has shape \(\) for 3 rows"),
    ],
)
def test_what_does_not_fit_the_rows_is_named(given, says):
    with pytest.raises(InputError, match=says):
        predictions_table(P, **{"status": ["ok"] * 3, **given}, class_names=["smooth", "edge_on"])


def test_no_rows():
    table = predictions_table(np.zeros((0, 2)), [], ["a", "b"])
    assert len(table) == 0
    assert table["probabilities"].shape == (0, 2)


BOTH_WAYS = [suffix for suffix in TABLE_FORMATS if suffix != ".csv"]


@pytest.mark.parametrize("suffix", [*BOTH_WAYS, ".ECSV", ".Fits", ".H5", ".PARQUET"])
def test_every_format_brings_everything_back(table, suffix, tmp_path):
    path = write_table(table, tmp_path / f"out{suffix}")
    again = read_table(path)
    assert isinstance(again, QTable)
    assert again.colnames == table.colnames
    assert again["label"].tolist() == ["smooth", None, "edge_on"]
    np.testing.assert_array_equal(again["probabilities"], table["probabilities"])
    assert [str(i) for i in again["id"]] == ["a", "b", "587722984439545906"]
    assert [str(s) for s in again["status"]] == list(table["status"])
    assert again["petrosian_radius"].unit == u.arcsec
    assert again["coord"].separation(table["coord"]).max() < 1e-9 * u.deg
    assert dict(again.meta) == dict(table.meta)


@pytest.mark.parametrize("suffix", [".csv", ".CSV"])
def test_csv_is_for_other_programs(table, tmp_path, suffix):
    path = write_table(table, tmp_path / f"out{suffix}")
    plain = Table.read(path, format="ascii.csv", converters={"id": str})
    assert plain.colnames == [
        *("ra", "dec", "id", "label", "probability", "p_smooth", "p_edge_on", "entropy"),
        *("petrosian_radius", "status"),
    ]
    assert plain["label"].tolist() == ["smooth", None, "edge_on"]
    assert plain["id"][2] == "587722984439545906"
    np.testing.assert_array_equal(plain["p_smooth"], P[:, 0])
    np.testing.assert_allclose(plain["ra"], table["coord"].ra.deg)
    np.testing.assert_array_equal(plain["petrosian_radius"], [3.0, np.nan, 4.5])
    with pytest.raises(InputError, match=r"CSV has neither units .*write them as \.ecsv, \.fits"):
        read_table(path)


def test_an_existing_file_is_kept(table, tmp_path):
    path = write_table(table, tmp_path / "out.ecsv")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"out\.ecsv exists"):
        write_table(table[:1], path)
    assert path.read_bytes() == before
    write_table(table[:1], path, overwrite=True)
    assert len(read_table(path)) == 1


@pytest.mark.parametrize("suffix", TABLE_FORMATS)
def test_an_output_that_cannot_be_written(table, tmp_path, suffix):
    """A folder stands where the file should."""
    (tmp_path / f"out{suffix}").mkdir()
    with pytest.raises(OutputError, match=f"out{suffix} cannot be written: Is a directory"):
        write_table(table, tmp_path / f"out{suffix}", overwrite=True)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("suffix", TABLE_FORMATS)
def test_a_folder_that_may_not_be_written(table, tmp_path, suffix):
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match=f"out{suffix} cannot be written: Permission denied"):
        write_table(table, tmp_path / f"out{suffix}")


@pytest.mark.parametrize(
    ("name", "says"),
    [("out.docx", r"suffix '\.docx' is not one of \.ecsv"), ("no/out.ecsv", "does not exist")],
)
def test_bad_outputs_are_named(table, tmp_path, name, says):
    with pytest.raises(InputError, match=says):
        write_table(table, tmp_path / name)


def test_reading_an_unknown_suffix(tmp_path):
    with pytest.raises(InputError, match=r"suffix '\.xlsx'"):
        read_table(tmp_path / "x.xlsx")


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".h5", ".parquet"])
def test_abstaining_from_a_table_that_was_saved(table, tmp_path, suffix):
    whole = table[[0, 2]]
    write_table(whole, tmp_path / f"table{suffix}")
    kept = abstain(read_table(tmp_path / f"table{suffix}"), 0.85)
    assert kept["label"].mask.tolist() == [False, True]
    assert kept["status"][1] == "ok (fixed frame; abstained: no class is 0.85 probable)"
    again = abstain(abstain(table, 0.85), 0.95)  # what was masked before stays so
    assert again["label"].mask.tolist() == [True, True, True]

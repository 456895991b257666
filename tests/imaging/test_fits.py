import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gmc_astro.exceptions import InputError, UnreadableImageError
from gmc_astro.imaging import read_bands
from gmc_astro.imaging.fits import expected_length


@pytest.fixture
def plane():
    return np.arange(20 * 30, dtype=np.float32).reshape(20, 30)


def test_cube(cube):
    bands = read_bands(cube)
    assert bands.data.shape == (3, 80, 80)
    assert bands.data.dtype == np.dtype("=f4")
    assert bands.names == ("g", "r", "z")
    assert bands.pixel_scale == pytest.approx(0.262)


def test_one_band_without_coordinates(tmp_path, plane):
    fits.PrimaryHDU(plane).writeto(tmp_path / "a.fits")
    bands = read_bands(tmp_path / "a.fits")
    assert bands.names == ("grey",)
    assert bands.wcs is None
    assert bands.pixel_scale is None
    np.testing.assert_array_equal(bands.data[0], plane)


def test_one_file_a_band(tmp_path, plane):
    for i, band in enumerate("gri"):
        fits.PrimaryHDU(plane + i).writeto(tmp_path / f"{band}.fits")
    bands = read_bands({band: tmp_path / f"{band}.fits" for band in "gri"})
    assert bands.names == ("g", "r", "i")
    np.testing.assert_array_equal(bands.data[2], plane + 2)


def test_files_of_different_shape(tmp_path, plane):
    fits.PrimaryHDU(plane).writeto(tmp_path / "g.fits")
    fits.PrimaryHDU(plane[:5]).writeto(tmp_path / "r.fits")
    with pytest.raises(InputError, match="differ in shape"):
        read_bands({"g": tmp_path / "g.fits", "r": tmp_path / "r.fits"})


def test_image_is_found_among_masks(tmp_path, plane):
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(np.ones((20, 30), np.int32), name="SEGMAP"),
        fits.ImageHDU(np.ones((20, 30), np.uint8), name="MASK"),
        fits.ImageHDU(plane, name="SCI"),
    ]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_bands(tmp_path / "a.fits").data[0], plane)
    assert read_bands(tmp_path / "a.fits", hdu="MASK").data.max() == 1


def test_nan_is_kept(tmp_path, plane):
    plane[3, 4] = np.nan
    fits.PrimaryHDU(plane).writeto(tmp_path / "a.fits")
    assert np.isnan(read_bands(tmp_path / "a.fits").data[0, 3, 4])


def test_names_can_be_given(tmp_path, plane):
    fits.PrimaryHDU(np.stack([plane] * 3)).writeto(tmp_path / "a.fits")
    assert read_bands(tmp_path / "a.fits", names="gri").names == ("g", "r", "i")
    with pytest.raises(InputError, match="3 planes, but names are"):
        read_bands(tmp_path / "a.fits", names="gr")


def test_truncated(cube):
    whole = cube.read_bytes()
    cube.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImageError, match=r"truncated FITS file \(\d+ of \d+ bytes\)"):
        read_bands(cube)


def test_real_truncated_file(data_folder):
    with pytest.raises(UnreadableImageError, match=r"truncated FITS file \(1389044 of 2162880"):
        read_bands(data_folder / "fits" / "decals_truncated.fits")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"<html>no such layer</html>" * 200, "not a FITS")]
)
def test_not_fits(tmp_path, content, reason):
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        read_bands(tmp_path / "a.fits")


@pytest.mark.parametrize(
    "cards",
    [
        {"CD1_1": -0.0001, "CD2_2": 0.0001},  # what is not there is mended, of which WCS warns
        {"CDELT1": -0.0001, "CDELT2": 0.0001, "RADECSYS": "FK5", "CUNIT1": "DEG", "CUNIT2": "DEG"},
        {"CD1_1": -0.0001, "CD2_2": 0.0001, "PV1_1": 1.0, "PV1_5": 0.001},  # SCAMP
    ],
)
def test_coordinates_that_have_to_be_mended(tmp_path, plane, cards):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", **cards})
    fits.PrimaryHDU(plane, header).writeto(tmp_path / "a.fits")
    assert read_bands(tmp_path / "a.fits").pixel_scale == pytest.approx(0.36)


def test_the_length_that_headers_tell(tmp_path, plane):
    table = Table({"text": ["one", "two"], "many": [[1, 2], [3, 4]]})
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(plane),
        fits.BinTableHDU(table),
        fits.CompImageHDU(plane),  # behind its table lie the packed pixels
    ]
    path = tmp_path / "a.fits"
    fits.HDUList(hdus).writeto(path)
    with path.open("rb") as file:
        assert expected_length(file) == path.stat().st_size
    data = path.read_bytes()
    assert expected_length(io.BytesIO(data[:-100])) == len(data)
    assert expected_length(io.BytesIO(data + b"tail")) == len(data)
    assert expected_length(io.BytesIO(b"no FITS")) == 0


def test_missing_file(tmp_path):
    with pytest.raises(UnreadableImageError, match="no such file"):
        read_bands(tmp_path / "a.fits")


def test_table_is_no_image(tmp_path):
    column = fits.Column("a", "J", array=np.arange(3))
    fits.BinTableHDU.from_columns([column]).writeto(tmp_path / "a.fits")
    with pytest.raises(UnreadableImageError, match="no extension holds an image"):
        read_bands(tmp_path / "a.fits")


def test_nothing_finite(tmp_path, plane):
    fits.PrimaryHDU(np.full_like(plane, np.nan)).writeto(tmp_path / "a.fits")
    with pytest.raises(UnreadableImageError, match="no finite pixel"):
        read_bands(tmp_path / "a.fits")


def test_unknown_extension(cube):
    with pytest.raises(InputError, match="no extension 'SCI'"):
        read_bands(cube, hdu="SCI")

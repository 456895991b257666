import gzip
import re
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table
from PIL import Image

from gmc_astro.exceptions import GmcAstroWarning, InputError
from gmc_astro.imaging import GZ_DECALS, LEGACY_DR9, SDSS_LUPTON
from gmc_astro.morphology.columns import ids_of, open_table
from gmc_astro.sources import FileSource, open_images, read_catalog
from gmc_astro.sources.positions import positions_in


@pytest.fixture
def folder(tmp_path, cube):
    """A folder like people have: pictures of several kinds, FITS, broken files, other files."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    picture.save(tmp_path / "a.jpg")
    (tmp_path / "deep").mkdir()
    picture.convert("L").save(tmp_path / "deep" / "b.png")
    (tmp_path / "c_empty.jpg").write_bytes(b"")
    (tmp_path / "d_cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:600])
    (tmp_path / "e_text.png").write_text("no such layer")
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def test_a_folder_has_one_row_a_file_and_says_why_a_row_failed(folder):
    source = open_images(folder, size=32)
    batch = source.read()
    names = ["a.jpg", "c_empty.jpg", "cube.fits", "d_cut.jpg", "deep/b.png", "e_text.png"]
    assert source.ids.tolist() == names
    status = dict(zip(names, batch.status, strict=True))
    assert status["a.jpg"] == status["cube.fits"] == status["deep/b.png"] == "ok"
    assert status["c_empty.jpg"] == "unreadable: the file is empty"
    assert "runcated" in status["d_cut.jpg"]
    assert status["e_text.png"] == "unreadable: not a picture"
    assert batch.images.shape == (6, 32, 32, 3)
    assert not batch.images[~batch.ok].any()
    assert batch.images[batch.ok].any(axis=(1, 2, 3)).all()
    assert np.isfinite(batch.columns["petro_r90"]).tolist() == [n == "cube.fits" for n in names]


def test_real_files(data_folder):
    source = open_images(data_folder / "fits")
    batch = source.read()
    failed = source.ids[~batch.ok].tolist()
    assert failed == ["decals_truncated.fits"]
    assert "truncated" in batch.status[~batch.ok][0]


def test_threads_leave_the_filters_of_warnings_alone(folder, monkeypatch):
    monkeypatch.setattr("gmc_astro.sources.files.THREADS", 8)
    paths = [folder / "a.jpg", folder / "cube.fits"] * 40
    open_images(paths[:2], size=32).read()  # imports, some of which add filters of their own
    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        open_images(paths, size=32).read()
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before


@pytest.mark.parametrize("most", [1000, 3000])  # pillow raises above twice as many, and warns
def test_a_picture_of_too_many_pixels_is_one_row(folder, monkeypatch, most):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    paths = [folder / "a.jpg", folder / "cube.fits"]
    bad, good = open_images(paths, size=32).read().status
    assert bad.startswith("unreadable: ")
    assert good == "ok"


def test_too_many_pixels_where_warnings_are_no_errors(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with pytest.warns(Image.DecompressionBombWarning):
        (status,) = open_images(folder / "a.jpg", size=32).read().status
    assert status == "unreadable: 80 x 60 pixels are too many"


def _cut_gzip(folder, cube):
    packed = gzip.compress(cube.read_bytes(), 1)
    (folder / "bad.fits.gz").write_bytes(packed[: len(packed) // 2])


def _damaged_gzip(folder, cube):
    packed = bytearray(gzip.compress(cube.read_bytes(), 1))
    packed[len(packed) // 2] ^= 255
    (folder / "bad.fits.gz").write_bytes(packed)


def _damaged_tiles(folder, cube):
    path = folder / "bad.fits.fz"
    fits.CompImageHDU(fits.getdata(cube)).writeto(path)
    content = bytearray(path.read_bytes())
    content[-4000:-2900] = bytes(1100)
    path.write_bytes(content)


def _cut_exif(folder, cube):
    image = Image.open(folder / "a.jpg")
    image.save(folder / "bad.png", exif=b"Exif\0\0II*\0")


@pytest.mark.parametrize("spoil", [_cut_gzip, _damaged_gzip, _damaged_tiles, _cut_exif])
def test_a_damaged_file_is_one_row(folder, cube, spoil):
    """Decoders have errors of their own: EOFError, zlib.error, CfitsioException, struct.error."""
    spoil(folder, cube)
    batch = open_images([*folder.glob("bad.*"), folder / "a.jpg"], size=32).read()
    assert batch.ok.tolist() == [False, True]
    assert re.fullmatch("unreadable: .+", batch.status[0])


def test_a_glob_of_tables(folder):
    for name in ("one", "two"):
        Table({"file": ["a.jpg"], "id": [name]}).write(folder / f"{name}.csv")
    source = open_images(str(folder / "*.csv"), size=32)
    assert source.ids.tolist() == ["one", "two"]
    assert source.read().ok.all()


def test_paths_globs_and_lists(folder):
    assert len(open_images(str(folder / "a.jpg"))) == 1
    assert len(open_images(str(folder / "*.jpg"))) == 3
    assert len(open_images([folder / "a.jpg", folder / "deep"])) == 2


@pytest.mark.parametrize("pattern", ["?.jpg", "[ab].jpg", "*.jpg"])
def test_every_kind_of_glob(folder, pattern):
    assert open_images(str(folder / pattern)).ids.tolist()[0] == "a.jpg"
    assert open_images([str(folder / pattern), str(folder / "deep" / "b.png")]).ids[0] == "a.jpg"


def test_a_file_whose_name_looks_like_a_glob(folder):
    (folder / "a.jpg").rename(folder / "a[1].jpg")
    assert open_images(folder / "a[1].jpg").ids.tolist() == ["a[1].jpg"]
    assert open_images([folder / "a[1].jpg"]).read().ok.all()


def test_relative_and_absolute_paths(folder, monkeypatch):
    monkeypatch.chdir(folder)
    source = open_images(["deep/b.png", folder / "a.jpg"], size=32)
    assert source.ids.tolist() == ["deep/b.png", str(folder / "a.jpg")]
    assert source.read().ok.all()


def test_missing_files_of_a_list_keep_their_place(folder):
    batch = open_images([folder / "none.jpg", folder / "a.jpg"], size=16).read()
    assert batch.status.tolist() == ["unreadable: no such file", "ok"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("kind", [list, pd.Series])
def test_a_list_with_a_file_that_is_not_given(folder, kind, missing):
    batch = open_images(kind([str(folder / "a.jpg"), missing]), size=16).read()
    assert batch.status.tolist() == ["ok", "no file given"]


def test_table_with_a_masked_file(folder):
    names = MaskedColumn(["a.jpg", "x", "deep/b.png"], mask=[False, True, False])
    batch = open_images(Table({"file": names}), base=folder, size=16).read()
    assert batch.status.tolist() == ["ok", "no file given", "ok"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_frame_is_the_table_of_it(folder, missing):
    frame = pd.DataFrame({"file": ["a.jpg", missing, "deep/b.png"], "label": [0, 1, 0]})
    batch = open_images(frame, base=folder, size=16).read()
    assert batch.status.tolist() == ["ok", "no file given", "ok"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_in_bytes(folder, encoding):
    (folder / "a.jpg").rename(folder / "Gal é.jpg")
    names = np.array(["Gal é.jpg".encode(encoding), b"deep/b.png"])
    source = open_images(Table({"file": names}), base=folder, size=16)
    lost = encoding == "latin-1"  # U+FFFD, which no file has
    assert source.read().status.tolist() == ["unreadable: no such file" if lost else "ok", "ok"]


@pytest.mark.parametrize("kind", [list, np.array])
def test_a_list_of_bytes(folder, kind):
    paths = kind([bytes(folder / "a.jpg"), bytes(folder / "deep" / "b.png")])
    assert open_images(paths, size=16).read().ok.all()
    with pytest.raises(InputError, match="as bytes, are opened with gmc_astro"):
        open_images(kind([(folder / "a.jpg").read_bytes()] * 2))


def test_table_on_disk_knows_its_folder(folder):
    Table({"path": ["a.jpg", "deep/b.png"]}).write(folder / "list.csv")
    assert open_images(folder / "list.csv", size=16).read().ok.all()


def test_a_table_s_ids_and_positions_stay_with_its_files(folder):
    ids = MaskedColumn(["J1", "J2", "J3"], mask=[False, False, True])
    table = Table({"file": ["a.jpg", "deep/b.png", "lost.jpg"], "iauname": ids})
    table["RA"], table["DEC"] = [10.0, 20.0, 30.0], [1.0, -999.0, 3.0]
    table.write(folder / "list.csv")
    source = open_images(folder / "list.csv", size=16)
    assert source.ids.tolist() == ["J1", "J2", "lost.jpg"]
    np.testing.assert_array_equal(source.coords.ra.deg, [10, np.nan, 30])
    moved = table.copy()
    moved["RA"][0] = 11.0
    assert open_images(moved, base=folder, size=16).identity() != source.identity()
    table["RA"] = ["10h", "x", "y"]
    with pytest.warns(GmcAstroWarning, match="positions are left out: column RA does not hold"):
        assert open_images(table, base=folder, size=16).coords is None


def test_a_name_and_a_position_for_each_file(folder):
    with pytest.raises(InputError, match=r"ids of shape \(1,\) for 2 files; give one a file"):
        FileSource([folder / "a.jpg"] * 2, ids=["one"])
    with pytest.raises(InputError, match=r"coords of shape \(\) for 1 files"):
        FileSource([folder / "a.jpg"], coords=SkyCoord(1, 2, unit="deg"))


def test_table_without_files():
    with pytest.raises(InputError, match=r"no column file or filename.*its columns are \['ra'\]"):
        open_images(Table({"ra": [1.0]}))
    with pytest.raises(InputError, match="no column picture"):
        open_images(Table({"file": ["a"]}), key="picture")


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "CMYK", "1"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    grey = np.linspace(0, 255, 40 * 40).reshape(40, 40)
    if mode == "I;16":
        Image.fromarray((grey * 257).astype(np.uint16)).save(tmp_path / "a.png")
    else:
        suffix = "jpg" if mode == "CMYK" else "png"
        Image.fromarray(grey.astype(np.uint8)).convert(mode).save(tmp_path / f"a.{suffix}")
    image = open_images(tmp_path, size=20).read().images[0]
    assert image[-1].mean() > image[0].mean() + 150


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_floats_are_shares_of_white_or_of_255(tmp_path, white):
    grey = np.linspace(0, white, 40 * 40, dtype=np.float32).reshape(40, 40)
    grey[0, 0] = np.nan
    Image.fromarray(grey).save(tmp_path / "a.tif")
    image = open_images(tmp_path / "a.tif", size=40).read().images[0]
    np.testing.assert_allclose(image[..., 0], np.nan_to_num(255 * grey / white), atol=1)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.csv", "ascii.csv"),
        ("a.tsv", "ascii.tab"),
        ("A.ECSV", "ascii.ecsv"),
        ("a.vot", "votable"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_tables_in_text_may_be_zipped(tmp_path, name, format_, zipped):
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(tmp_path / "one.png")
    names = Table({"file": ["one.png"], "dr7objid": [587736477597630496]})
    path = tmp_path / name
    names.write(path, format=format_)
    if zipped:
        packed = gzip.compress(path.read_bytes())
        path = tmp_path / f"{name}.gz"
        path.write_bytes(packed)
    batch = open_images(path, size=20).read()
    assert batch.status.tolist() == ["ok"]
    assert batch.images.min() == 90
    assert ids_of(open_table(path)).tolist() == ["587736477597630496"]


def test_wide_pictures_are_cut_to_the_middle(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert open_images(tmp_path, size=20).read().images.min() > 190


def test_fits_is_rendered_in_the_colours_asked_for(cube):
    own, viewer = open_images(cube, size=32), open_images(cube, recipe=LEGACY_DR9, size=32)
    assert own.recipe is None
    assert viewer.recipe is LEGACY_DR9
    asked = own.in_recipe(GZ_DECALS)
    np.testing.assert_array_equal(asked.read().images, own.read().images)
    assert (asked.read().images != viewer.read().images).any()


def test_colours_that_the_bands_cannot_make_are_told(cube):
    status = open_images(cube, size=32).in_recipe(SDSS_LUPTON).read().status[0]
    assert status == "ok (colours of GZ_DECALS: no SDSS_LUPTON from g, r, z)"


@pytest.mark.parametrize("value", [0, np.nan])
@pytest.mark.parametrize(
    ("bands", "says"),
    [([0], "no data in band g"), ([0, 2], "no data in band g, z"), ([0, 1, 2], "empty|no finite")],
)
def test_bands_without_data(tmp_path, cube, value, bands, says):
    data = fits.getdata(cube).copy()
    data[bands] = value
    fits.PrimaryHDU(data).writeto(tmp_path / "edge.fits")
    (status,) = open_images(tmp_path / "edge.fits", size=32).read().status
    assert re.match(f"unreadable: .*({says})", status)


def test_a_band_that_the_colours_do_not_need(tmp_path, cube):
    data = np.insert(fits.getdata(cube), 2, 0, axis=0)  # g, r, i, z
    fits.PrimaryHDU(data).writeto(tmp_path / "edge.fits")
    assert open_images(tmp_path / "edge.fits", recipe="LEGACY_DR9").read().status == ["ok"]


def test_framing_none_keeps_the_field(cube):
    framed, whole = open_images(cube, size=32), open_images(cube, framing="none", size=32)
    assert framed.read().images.mean() > whole.read().images.mean()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("nowhere/*.jpg", "no file matches"),
        ("nowhere", "not a file, a folder, or a glob"),
        ([], "no images given"),
        (7, "images of type int cannot be opened"),
        (None, "images of type NoneType"),
    ],
)
def test_nothing_there(images, message):
    with pytest.raises(InputError, match=message):
        open_images(images)


def test_folder_without_images(tmp_path):
    with pytest.raises(InputError, match=r"holds no file with suffix \.jpg"):
        open_images(tmp_path)


def test_a_size_that_is_none(folder):
    with pytest.raises(InputError, match="size=-1 is no number of pixels; give 1 or more"):
        open_images(folder, size=-1)


def test_unknown_framing(cube):
    with pytest.raises(InputError, match="framing='tight'"):
        open_images(cube, framing="tight")


def test_pictures_of_all_kinds_are_found_and_links_to_nothing_are_rows(tmp_path):
    picture = Image.fromarray(np.full((40, 40, 3), 90, np.uint8))
    suffixes = (".tif", ".tiff", ".webp", ".gif", ".bmp", ".png")
    for suffix in suffixes:
        picture.save(tmp_path / f"a{suffix}")
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    source = open_images(tmp_path, size=32)
    status = dict(zip(source.ids.tolist(), source.read().status.tolist(), strict=True))
    assert status == {f"a{suffix}": "ok" for suffix in suffixes} | {
        "lost.jpg": "unreadable: no such file"
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.csv", "name,ra,dec\nNGC 1;2,1.5,-2\n"),
        ("mark.csv", "\ufeffname,ra,dec\nNGC 1;2,1.5,-2\n"),
        ("comments.csv", "# of 2026, by us\n#\nname,ra,dec\nNGC 1;2,1.5,-2\n"),
        ("header.csv", "# a catalogue\n#name,ra,dec\nNGC 1;2,1.5,-2\n"),
        ("semicolons.csv", 'name;ra;dec\n"NGC 1;2";1.5;-2\n'),
        ("tabs.csv", "name\tra\tdec\nNGC 1;2\t1.5\t-2\n"),
        ("bars.csv", "name|ra|dec\nNGC 1;2|1.5|-2\n"),
        ("blanks.txt", 'name ra dec\n"NGC 1;2" 1.5 -2\n'),
    ],
)
def test_tables_that_are_called_csv(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    table = read_catalog(tmp_path / name)
    assert table.colnames == ["name", "ra", "dec"]
    assert tuple(table[0]) == ("NGC 1;2", 1.5, -2)


def test_positions_in_words_in_a_table():
    texts = {"RA": ["12:19:24", "12 19 24.0", "12h19m24s", "184.85", ""]}
    texts["DEC"] = ["-00:47:24", "-00 47 24", "-0d47m24s", " -0.79 ", ""]
    coords = positions_in(Table(texts))
    np.testing.assert_allclose(coords.ra.deg, [184.85] * 4 + [np.nan])
    np.testing.assert_allclose(coords.dec.deg, [-0.79] * 4 + [np.nan])
    with pytest.raises(InputError, match=r"column RA does not hold angles: .*'north'"):
        positions_in(Table({"RA": ["north"], "DEC": ["1"]}))


@pytest.mark.parametrize("names", [("TARGET_RA", "TARGET_DEC"), ("raMean", "decMean")])
def test_names_of_positions_in_surveys(names):
    coords = positions_in(Table([[10.0], [-5.0]], names=names))
    assert (coords.ra.deg, coords.dec.deg) == (10, -5)


def test_rows_of_a_csv_are_all_read(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("name;label\n#12;spiral\nb;smooth\n")
    assert read_catalog(path)["name"].tolist() == ["#12", "b"]
    path.write_text("name\tlabel\tnote\na\tspiral\t\n\tsmooth\tx\n")
    assert read_catalog(path)["label"].tolist() == ["spiral", "smooth"]
    path.write_text("\ufeffname,label,note\na,spiral\n")
    assert read_catalog(path)["label"].tolist() == ["spiral"]
    path.write_text("#file,label\na.png,spiral\nb.png,smooth\n")
    assert read_catalog(path)["file"].tolist() == ["a.png", "b.png"]
    path.write_text("\ufeff# by hand\nobject_id;label\n0007;spiral\n")
    assert open_table(path)["object_id"].tolist() == ["0007"]


def test_a_unit_says_what_sexagesimal_is():
    ra, dec = Column(["184 51 00"], unit="deg"), Column(["5 47 24"], unit="deg")
    coords = positions_in(Table([ra, dec], names=("ra", "dec")))
    assert (coords.ra.deg, coords.dec.deg) == (pytest.approx(184.85), pytest.approx(5.79))
    vizier = Table({"RAJ2000": ["12 19 24"], "DEJ2000": ["+05 47 24"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy does not know the unit
        vizier["RAJ2000"].unit, vizier["DEJ2000"].unit = '"h:m:s"', '"d:m:s"'
    assert positions_in(vizier).ra.deg == pytest.approx(184.85)

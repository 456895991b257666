"""Pictures in Parquet files and HATS catalogues, and tables that are FITS."""

import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from PIL import Image

from gmc_astro.exceptions import InputError, UnreadableImageError
from gmc_astro.sources import ParquetSource, PictureSource, open_images, read_catalog
from gmc_astro.sources.positions import ids_of
from gmc_astro.sources.tables import is_fits_table


@pytest.fixture(scope="module")
def encoded(pictures):
    def png(image):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        return buffer.getvalue()

    return [png(image) for image in pictures]


def write(path, encoded, first=0, **options):
    rows = len(encoded)
    table = pa.table(
        {
            "object_id": np.arange(first, first + rows),
            "ra": np.arange(rows) + 100.0,
            "dec": np.arange(rows) - 20.0,
            "image": encoded,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


@pytest.mark.parametrize("batch_size", [7, 64])
def test_groups_of_rows_and_ranges(tmp_path, encoded, pictures, batch_size):
    path = write(tmp_path / "a.parquet", encoded, row_group_size=9)
    source = pickle.loads(pickle.dumps(open_images(path, size=48)))
    assert isinstance(source, ParquetSource)
    batches = list(source.iter_batches(batch_size, start=5, stop=33))
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), pictures[5:33])
    assert [batch.start for batch in batches] == list(range(5, 33, batch_size))
    ids, coords = source.names(8, 10)
    assert ids.tolist() == ["8", "9"]
    assert coords.ra.deg.tolist() == [108, 109]


def test_the_identity_knows_the_size(tmp_path, encoded):
    path = write(tmp_path / "a.parquet", encoded)
    assert open_images(path, size=48).identity() != open_images(path, size=64).identity()
    small, large = (PictureSource(encoded, size=size).identity() for size in (48, 64))
    assert small != large


OBJECTS = [1237648720693755901, None, 1237648720693755902]


def test_object_numbers_beside_pictures_stay_whole(tmp_path, encoded):
    columns = {"objid": pa.array(OBJECTS), "name": ["a", "b", None], "image": encoded[:3]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert open_images(tmp_path / "a.parquet").ids.tolist() == [
        "1237648720693755901",
        "",
        "1237648720693755902",
    ]


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "fits", "vot", "parquet", "plain.parquet"])
def test_object_numbers_of_a_table_stay_whole(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    masked = MaskedColumn([number or 7 for number in OBJECTS], mask=[n is None for n in OBJECTS])
    if suffix == "plain.parquet":
        pq.write_table(pa.table({"objid": pa.array(OBJECTS)}), path)
    else:
        table = Table({"objid": masked, "ra": [1.0, 2.0, 3.0]})
        table.write(path, **({"format": "votable"} if suffix == "vot" else {}))
    assert ids_of(read_catalog(path)).tolist() == [str(n or "") for n in OBJECTS]


def test_pictures_that_are_missing_or_broken(tmp_path, encoded):
    path = write(tmp_path / "a.parquet", [encoded[0], None, b"nonsense", encoded[1][:80]])
    batch = open_images(path, size=48).read()
    assert batch.ok.tolist() == [True, False, False, False]
    assert batch.status[1] == "no image given"
    assert batch.status[2] == "unreadable: not a picture"


def test_records_of_bytes(tmp_path, encoded, pictures):
    """As the data sets of Hugging Face keep pictures."""
    rows = [{"bytes": content, "path": None} for content in encoded[:3]]
    pq.write_table(pa.table({"photo": rows}), tmp_path / "a.parquet")
    source = open_images(tmp_path / "a.parquet", key="photo", size=48)
    np.testing.assert_array_equal(source.read().images, pictures[:3])
    assert source.ids.tolist() == ["0", "1", "2"]
    assert source.coords is None


def test_a_cut_off_file(tmp_path, encoded):
    path = write(tmp_path / "a.parquet", encoded)
    path.write_bytes(path.read_bytes()[:5000])
    for door in (ParquetSource, open_images):
        with pytest.raises(UnreadableImageError, match="not a Parquet file, or cut off"):
            door(path)


def test_a_column_that_is_not_there(tmp_path, encoded):
    with pytest.raises(InputError, match=r"no column of pictures under spectra; it has \['object"):
        ParquetSource(write(tmp_path / "a.parquet", encoded), key="spectra")


def test_pictures_in_memory(encoded, pictures):
    source = PictureSource(encoded, size=48, table=Table({"id": np.arange(40)}))
    np.testing.assert_array_equal(source.read().images, pictures)
    assert source.ids[3] == "3"
    others = PictureSource([*encoded[:20], None, *encoded[21:]], size=48)
    same = PictureSource(list(encoded), size=48)
    assert source.identity() == same.identity() != others.identity()


def test_hats_collection_without_its_margin(tmp_path, encoded, pictures):
    folder = tmp_path / "galaxies"
    for name in ("main", "margin"):
        for i, (order, pixel) in enumerate([(1, 40), (2, 150), (1, 36)]):
            part = folder / name / "dataset" / f"Norder={order}" / "Dir=0" / f"Npix={pixel}.parquet"
            write(part, encoded[4 * i : 4 * i + 4], first=4 * i)
        (folder / name / "hats.properties").write_text("obs_collection=main\nhats_nrows=12\n")
    (folder / "collection.properties").write_text("#x\nhats_primary_table_url=main\n")
    source = open_images(folder, size=48)
    assert source.ids.tolist() == [str(i) for i in (8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3)]
    images = np.concatenate([batch.images for batch in source.iter_batches()])
    np.testing.assert_array_equal(images[:4], pictures[8:12])
    assert source.cuts(100).tolist() == [0, 4, 8, 12]
    with pytest.raises(InputError, match="imge"):  # and not its positions instead
        open_images(folder, key="imge")
    positions = open_images(folder, survey="decals", progress=False)
    assert positions.coords.ra.deg[:2].tolist() == [100, 101]


def test_hats_without_partitions(tmp_path):
    (tmp_path / "hats.properties").write_text("")
    with pytest.raises(InputError, match="without partitions"):
        open_images(tmp_path)


def test_fits_tables_are_told_from_images(tmp_path, cube):
    table = Table({"ra": [1.0], "dec": [2.0]})
    table.write(tmp_path / "table.fits")
    packed = fits.CompImageHDU(np.zeros((32, 32), np.float32))
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "packed.fits")
    (tmp_path / "broken.fits").write_bytes(b"x" * 100)
    found = {path.name: is_fits_table(path) for path in tmp_path.glob("*.fits")}
    assert found == {
        "table.fits": True,
        "cube.fits": False,
        "packed.fits": False,
        "broken.fits": False,
    }
    assert open_images(tmp_path / "table.fits").coords.dec.deg.tolist() == [2]

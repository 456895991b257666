import io
import os
import pickle

import h5py
import numpy as np
import pytest
from PIL import Image

from gmc_astro.exceptions import GmcAstroWarning, InputError, UnreadableImageError
from gmc_astro.imaging import GZ_DECALS, LEGACY_DR9, SDSS_LUPTON, make_rgb
from gmc_astro.sources import open_images


@pytest.fixture(scope="module")
def stack():
    return np.random.default_rng(0).integers(0, 255, (50, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def galaxy10(tmp_path, stack):
    path = tmp_path / "Galaxy10.h5"
    with h5py.File(path, "w") as file:
        file["images"] = stack
        file["ans"] = np.arange(50) % 10
        file["ra"], file["dec"] = np.arange(50.0), np.arange(50.0) / 2
        file["pxscale"] = np.full(50, 0.262)
    return path


def test_galaxy10_layout(galaxy10, stack):
    source = open_images(galaxy10)
    assert source.labels[:3].tolist() == [0, 1, 2]
    assert source.labels_in("ans").tolist() == source.labels.tolist()
    assert source.coords[2].dec.deg == 1
    assert source.recipe is LEGACY_DR9
    np.testing.assert_array_equal(source.read().images, stack)


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (1, 16, 16, 3)}, {"chunks": (7, 16, 16, 3), "compression": "gzip"}],
    ids=["contiguous", "chunk 1", "chunk 7"],
)
@pytest.mark.parametrize("batch_size", [1, 5, 16, 100])
def test_every_chunking_gives_the_same_rows(tmp_path, stack, options, batch_size):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=stack, **options)
    batches = list(open_images(tmp_path / "a.h5").iter_batches(batch_size, start=3, stop=41))
    assert [len(b) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert [b.start for b in batches] == list(range(3, 41, batch_size))
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), stack[3:41])


def test_colours_first(tmp_path, stack):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image_array"] = stack.transpose(0, 3, 1, 2)
        file["object_id"] = np.arange(50)
    source = open_images(tmp_path / "a.h5")
    np.testing.assert_array_equal(source.read().images, stack)
    assert source.ids[7] == "7"


def test_numbered_groups(tmp_path, stack):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(5):
            file[f"{i}/images"] = stack[10 * i : 10 * i + 10]
    np.testing.assert_array_equal(open_images(tmp_path / "a.h5").read().images, stack)


def test_several_files(tmp_path, stack):
    for i in range(2):
        with h5py.File(tmp_path / f"{i}.h5", "w") as file:
            file["images"] = stack[25 * i : 25 * i + 25]
    source = open_images(str(tmp_path / "*.h5"))
    images = np.concatenate([batch.images for batch in source.iter_batches(10)])
    np.testing.assert_array_equal(images, stack)


def test_stacks_by_a_glob(tmp_path, stack):
    for name in ("f1.h5", "f2.h5", "f[1].h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["images"] = stack[:3]
    assert len(open_images(tmp_path / "f?.h5")) == 6
    assert len(open_images(tmp_path / "f[12].h5")) == 6
    assert len(open_images(tmp_path / "f[1].h5")) == 3


def test_jpeg_bytes_and_one_that_is_broken(tmp_path, stack):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rows = file.create_dataset("images", (3,), h5py.vlen_dtype(np.uint8))
        for i in range(2):
            buffer = io.BytesIO()
            Image.fromarray(stack[i]).save(buffer, "JPEG", quality=100, subsampling=0)
            rows[i] = np.frombuffer(buffer.getvalue(), np.uint8)
        rows[2] = np.arange(9, dtype=np.uint8)
        file["filenames"] = np.array(["x", "y", "z"], dtype="S")
    source = open_images(tmp_path / "a.h5", size=16)
    batch = source.read()
    assert source.ids.tolist() == ["x", "y", "z"]
    assert batch.status.tolist()[1:] == ["ok", "unreadable: not a picture"]
    assert np.abs(batch.images[0].astype(int) - stack[0]).mean() < 8


def test_a_corrupt_chunk_harms_only_its_rows(tmp_path, stack):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("images", data=stack, chunks=(10, 16, 16, 3), compression="gzip")
        chunk = data.id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    path.write_bytes(content)
    batch = open_images(path).read()
    assert (~batch.ok).nonzero()[0].tolist() == list(range(20, 30))
    assert batch.status[25].startswith("unreadable: ")
    np.testing.assert_array_equal(batch.images[batch.ok], np.delete(stack, range(20, 30), axis=0))


def test_truncated_file(galaxy10):
    content = galaxy10.read_bytes()
    galaxy10.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImageError, match="not an HDF5 file, or cut off"):
        open_images(galaxy10)


def test_missing_file(tmp_path):
    with pytest.raises(UnreadableImageError, match="no such file"):
        open_images(tmp_path / "a.h5")


def test_unknown_key(galaxy10):
    with pytest.raises(InputError, match="no data set 'pictures'; it has"):
        open_images(galaxy10, key="pictures")


def test_no_images(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["spectra"] = np.zeros((3, 5))
    with pytest.raises(InputError, match=r"no images under images.*it has \['spectra'\]"):
        open_images(tmp_path / "a.h5")


def test_flux_is_not_rgb(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.zeros((3, 5, 8, 8), np.float32)
    with pytest.raises(InputError, match=r"shape \(3, 5, 8, 8\).*make_rgb"):
        open_images(tmp_path / "a.h5")


def test_can_be_pickled(galaxy10, stack):
    source = pickle.loads(pickle.dumps(open_images(galaxy10)))
    np.testing.assert_array_equal(source.read().images, stack)


def test_a_chunk_that_does_not_end_where_rows_do(tmp_path, stack):
    """Layouts that only the HDF5 library itself can read."""
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file.create_dataset("images", data=stack, chunks=(4, 8, 16, 3), compression="gzip")
    np.testing.assert_array_equal(open_images(tmp_path / "a.h5").read().images, stack)


@pytest.mark.parametrize(
    "filters",
    [
        {"compression": "gzip", "shuffle": True},
        {"compression": "gzip", "fletcher32": True},
        {"compression": "lzf"},
    ],
    ids=str,
)
def test_filters(tmp_path, stack, filters):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=stack, chunks=(6, 16, 16, 3), **filters)
    batches = open_images(tmp_path / "a.h5").iter_batches(16, start=5, stop=49)
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), stack[5:49])


def test_rows_that_were_never_written(tmp_path, stack):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        shape = (50, 16, 16, 3)
        data = file.create_dataset("images", shape, np.uint8, chunks=(10, *shape[1:]), fillvalue=7)
        data[10:20] = stack[10:20]
    images = open_images(tmp_path / "a.h5").read().images
    np.testing.assert_array_equal(images[10:20], stack[10:20])
    assert (np.delete(images, range(10, 20), axis=0) == 7).all()


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path, stack):
    """What HDF5 found there when it opened the file, and the disk has no more."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["images"] = stack
        end = file["images"].id.get_offset() + stack[:30].nbytes + 5
    batches = open_images(path).iter_batches(10)
    found = [next(batches)]
    os.truncate(path, end)
    found += batches
    ok = np.concatenate([batch.ok for batch in found])
    assert ok.tolist() == [True] * 30 + [False] * 20
    assert found[3].status[0] == "unreadable: the file ends 763 bytes too early"


def test_where_to_cut(tmp_path, stack):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=stack, chunks=(7, 16, 16, 3))
    assert open_images(tmp_path / "a.h5").cuts(10).tolist() == [0, 14, 28, 42, 50]
    two = open_images([tmp_path / "a.h5", tmp_path / "a.h5"])
    assert two.cuts(30).tolist() == [0, 35, 50, 85, 100]


@pytest.mark.parametrize(
    ("named", "known"),
    [
        ("SDSS_LUPTON", SDSS_LUPTON),
        ("sdss_lupton", SDSS_LUPTON),
        (np.bytes_("GZ_DECALS"), GZ_DECALS),
        ("unknown", None),
    ],
)
def test_colours_that_the_file_names(galaxy10, named, known):
    with h5py.File(galaxy10, "a") as file:
        file.attrs["recipe"] = named
    assert open_images(galaxy10).recipe is known
    assert open_images(galaxy10, recipe=LEGACY_DR9).recipe is LEGACY_DR9


def test_colours_that_nobody_knows(galaxy10):
    with h5py.File(galaxy10, "a") as file:
        file.attrs["recipe"] = "SDSS_LUPTEN"
    with pytest.warns(GmcAstroWarning, match=r"recipe='SDSS_LUPTEN' is not one of GZ_DECALS"):
        assert open_images(galaxy10).recipe is None
    assert open_images(galaxy10, recipe=SDSS_LUPTON).recipe is SDSS_LUPTON


@pytest.mark.parametrize("batch_size", [3, 50])
def test_a_status_that_was_written_is_told_again(galaxy10, batch_size):
    """Of a row with pixels a failure is not believed: the word may mean something else."""
    written = np.full(50, "ok", object)
    written[4], written[7], written[9] = "ok (fixed framing: faint)", "timed out", "final"
    with h5py.File(galaxy10, "a") as file:
        file["images"][7] = 0
        file["status"] = written
    batches = open_images(galaxy10).iter_batches(batch_size)
    status = np.concatenate([batch.status for batch in batches])
    expected = np.where(written == "final", "ok", written)
    assert status.tolist() == expected.tolist()


def test_a_status_in_numbers_is_not_ours(galaxy10):
    with h5py.File(galaxy10, "a") as file:
        file["images"][7] = 0
        file["status"] = np.zeros(50, int)
    assert open_images(galaxy10).read().ok.all()


@pytest.mark.parametrize(
    ("labels", "shape"),
    [
        (np.eye(5, dtype=int)[np.arange(50) % 5], (50, 5)),
        (np.full((50, 2), 0.5), (50, 2)),
        (np.arange(50).reshape(50, 1), (50,)),
        (np.full((50, 1), b"spiral"), (50,)),
    ],
)
def test_labels_in_two_axes(galaxy10, labels, shape):
    with h5py.File(galaxy10, "a") as file:
        del file["ans"]
        file["labels"] = labels
    found = open_images(galaxy10).labels
    assert found.shape == shape
    np.testing.assert_array_equal(found.astype(str), labels.reshape(shape).astype(str))


def test_one_label_a_row_goes_before_several(galaxy10):
    with h5py.File(galaxy10, "a") as file:
        file["label"] = file["ans"][()]
        del file["ans"]
        file["ans"] = np.full((50, 37), 0.5)
    assert open_images(galaxy10).labels[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("labels", [np.arange(49), np.full((50, 2), b"spiral")])
def test_labels_that_are_not_one_a_row(galaxy10, labels):
    with h5py.File(galaxy10, "a") as file:
        del file["ans"]
        file["labels"] = labels
    source = open_images(galaxy10)
    assert source.read().ok.all()
    with pytest.raises(InputError, match=r"/labels has shape .* for 50 images; labels are one"):
        source.labels  # noqa: B018


def test_a_position_that_is_not_on_the_sky_is_missing(galaxy10):
    with h5py.File(galaxy10, "a") as file:
        file["ra"][1], file["dec"][1], file["ra"][2] = -999, -999, -999
    coords = open_images(galaxy10).coords
    assert np.isnan(coords.ra.deg[:4]).tolist() == [False, True, True, False]
    assert np.isnan(coords.dec.deg[:4]).tolist() == [False, True, True, False]


def test_positions_in_words(galaxy10):
    with h5py.File(galaxy10, "a") as file:
        for name, words in (("ra", "12:19:24"), ("dec", "+5:47:24")):
            n = len(file[name])
            del file[name]
            file[name] = [words] * n
    with pytest.raises(InputError, match=r"Galaxy10.*ra and dec are not numbers.*in degrees"):
        open_images(galaxy10).names(0, 2)


def test_names_that_are_not_utf8(galaxy10, stack):
    names = np.array(["Gal é".encode(), "Gal é".encode("latin-1")] * 25)
    for dtype in (names.dtype, h5py.string_dtype()):
        with h5py.File(galaxy10, "a") as file:
            file.pop("ids", None)
            file.create_dataset("ids", data=names.astype(dtype), dtype=dtype)
        assert open_images(galaxy10).ids[:2].tolist() == ["Gal é", "Gal \ufffd"]


def test_images_without_pixels(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.zeros((2, 0, 0, 3), np.uint8)
    with pytest.raises(InputError, match=r"has shape \(2, 0, 0, 3\) and dtype uint8; need"):
        open_images(tmp_path / "a.h5")


def test_names_of_a_range(tmp_path, galaxy10):
    ids, coords = open_images(galaxy10).names(10, 13)
    assert ids.tolist() == ["10", "11", "12"]
    assert coords.ra.deg.tolist() == [10, 11, 12]
    two = open_images([galaxy10, galaxy10])
    assert two.names(49, 51)[1].ra.deg.tolist() == [49, 0]


@pytest.fixture(scope="module")
def flux(make_galaxy):
    """Three galaxies in g, r, i and z, as the Multimodal Universe keeps them."""
    planes = [[make_galaxy(64, 5, noise=0.01, seed=4 * i + b) for b in range(4)] for i in range(3)]
    return np.array(planes, np.float32)


def test_multimodal_universe(tmp_path, flux):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image_array"] = flux
        file["image_band"] = np.tile(np.array([b"DES-G", b"DES-R", b"DES-I", b"DES-Z"]), (3, 1))
        file["object_id"] = np.array([b"10", b"11", b"12"])
        file["ra"], file["dec"] = np.arange(3.0), np.arange(3.0)
    source = open_images(tmp_path / "a.h5", size=32).in_recipe(LEGACY_DR9)
    assert source.recipe is LEGACY_DR9
    assert source.ids.tolist() == ["10", "11", "12"]
    batch = source.read()
    assert batch.images.shape == (3, 32, 32, 3)
    assert batch.ok.all()
    assert (batch.columns["petro_r90"] > 3).all()
    plain = open_images(tmp_path / "a.h5", size=64, framing="none", recipe=LEGACY_DR9).read()
    wanted = make_rgb(flux[0][[0, 1, 3]], recipe=LEGACY_DR9)
    np.testing.assert_array_equal(plain.images[0], wanted)


def test_the_identity_of_flux_knows_its_frame(tmp_path, flux, galaxy10):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image_array"] = flux
    ways = [{}, {"size": 64}, {"framing": "fixed"}]
    found = [open_images(tmp_path / "a.h5", **way).identity() for way in ways]
    assert found[0] != found[1] != found[2] != found[0]
    own = [open_images(galaxy10, size=size).identity() for size in (32, 64)]
    assert own[0] == own[1]  # pictures keep the size they have in the file


def test_groups_of_flux_with_colours_last(tmp_path, flux):
    """AstroCLIP's cutouts: three bands after height and width, in numbered groups."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(2):
            file[f"{i}/images"] = flux[:, [0, 1, 3]].transpose(0, 2, 3, 1)
            file[f"{i}/ra"], file[f"{i}/dec"] = np.full(3, 5.0 + i), np.zeros(3)
    source = open_images(tmp_path / "a.h5", size=64, framing="none", recipe=LEGACY_DR9)
    assert source.coords.ra.deg.tolist() == [5, 5, 5, 6, 6, 6]
    images = source.read().images
    np.testing.assert_array_equal(images[:3], images[3:])
    np.testing.assert_array_equal(images[0], make_rgb(flux[0][[0, 1, 3]], recipe=LEGACY_DR9))


@pytest.mark.parametrize("top", [1, 255])
def test_pictures_in_floating_point_are_not_flux(tmp_path, flux, top):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.full((3, 64, 64, 3), top, np.float32)
    with pytest.raises(
        InputError, match=r"shape \(3, 64, 64, 3\) and dtype float32.*uint8.*image_band"
    ):
        open_images(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = flux[:, [0, 1, 3]].transpose(0, 2, 3, 1)
        file["image_band"] = [b"g", b"r", b"z"]
    images = (
        open_images(tmp_path / "a.h5", size=64, framing="none", recipe=LEGACY_DR9).read().images
    )
    np.testing.assert_array_equal(images[0], make_rgb(flux[0][[0, 1, 3]], recipe=LEGACY_DR9))


def test_flux_that_is_not_there(tmp_path, flux):
    broken = flux.copy()
    broken[1], broken[2, 0] = np.nan, 0
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image_array"] = broken
    batch = open_images(tmp_path / "a.h5", size=32).read()
    assert batch.status.tolist() == [
        "ok",
        "unreadable: the image has no finite pixel",
        "unreadable: no data in band g",
    ]

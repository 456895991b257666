"""Data sets by path and by download, in the layouts of the real files."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from gmc_astro.evaluation import DATASETS, DataFile, download_file, find_file, load_dataset
from gmc_astro.exceptions import InputError, UnreadableImageError
from gmc_astro.imaging import LEGACY_DR9


def test_galaxy10_decals(write_stack, tmp_path):
    file = write_stack(tmp_path / "Galaxy10_DECals.h5", 10, 3, ra=1.0, dec=2.0, pxscale=0.262)
    for path in (file, tmp_path):
        data = load_dataset("galaxy10-decals", path, size=224)
        assert (len(data), data.images.shape[1:]) == (30, (24, 24, 3))
        assert data.targets.tolist() == sorted(data.targets.tolist())
        assert data.scheme.names[5] == "barred_spiral"
        assert data.recipe == LEGACY_DR9
        assert data.about["files"][0]["published"] is False


def test_galaxy10_sdss(write_stack, tmp_path):
    data = load_dataset("galaxy10-sdss", write_stack(tmp_path / "x.h5", 10, 2), size=16)
    assert data.images.shape == (20, 16, 16, 3)
    assert data.about["files"][0]["published"] is None


def test_galaxy_mnist_has_its_own_split(write_stack, tmp_path):
    write_stack(tmp_path / "train_dataset.hdf5", 4, 8, labels="labels")
    test = write_stack(tmp_path / "test_dataset.hdf5", 4, 2, labels="labels")
    for path in (tmp_path, test):
        data = load_dataset("galaxy-mnist", path, size=64)
        assert len(data) == 40
        assert len(data.test_ids) == 8
        assert data.ids[-1] == data.test_ids[-1] == "test/7"


def test_a_folder_with_a_table(galaxy_folder, labels):
    with (galaxy_folder / "labels.csv").open("a") as table:
        table.write("00.png,\nmissing.png,round\n")
    for path in (galaxy_folder, galaxy_folder / "labels.csv"):
        data = load_dataset("folder", path, size=32)
        assert data.scheme.names == ("elongated", "round")
        assert np.asarray(data.scheme.names)[data.targets].tolist() == labels.tolist()
        assert data.about["left_out"] == {"no label": 1, "no image": 1}
        assert data.ids[3] == "03.png"


def test_a_table_of_whole_numbers(galaxy_folder, labels):
    """Blank cells are no class; with classes given, the numbers are theirs."""
    numbers = 1 + (labels == "round")
    lines = [f"{i:02d}.png,{number}" for i, number in enumerate(numbers)]
    lines[7] = "07.png,"
    (galaxy_folder / "labels.csv").write_text("\n".join(["file,label", *lines]) + "\n")
    data = load_dataset("folder", galaxy_folder, size=32)
    assert data.scheme.names == ("1", "2")
    assert data.about["left_out"] == {"no label": 1}
    expected = np.delete(numbers, 7).tolist()
    assert np.asarray(data.scheme.names)[data.targets].astype(int).tolist() == expected
    given = ["irregular", "elongated", "round"]
    data = load_dataset("folder", galaxy_folder, size=32, classes=given)
    assert data.scheme.names == tuple(given)
    assert data.targets.tolist() == expected
    with pytest.raises(InputError, match="label 2 of row 0 is not between 0 and 1"):
        load_dataset("folder", galaxy_folder, size=32, classes=given[:2])


def test_a_folder_with_a_folder_a_class(galaxy_folder):
    for i in range(6):
        folder = galaxy_folder / "by_class" / ("ring" if i < 3 else "no_ring")
        folder.mkdir(parents=True, exist_ok=True)
        (galaxy_folder / f"{i:02d}.png").rename(folder / f"{i:02d}.png")
    data = load_dataset("folder", galaxy_folder / "by_class", size=32)
    assert data.scheme.names == ("no_ring", "ring")
    assert data.ids.tolist()[:2] == ["no_ring/03.png", "no_ring/04.png"]


def test_a_data_set_is_read_again_at_another_size(galaxy_folder, dataset):
    data = load_dataset("folder", galaxy_folder, size=32)
    larger = load_dataset("folder", galaxy_folder, size=40)
    assert data.held_at(40).fingerprint() == larger.fingerprint()  # not 32 px made larger
    small = dataset.held_at(24)  # of unknown origin: shrunk
    assert small.images.shape[1:] == (24, 24, 3)
    assert small.fingerprint()["labels_sha256"] == dataset.fingerprint()["labels_sha256"]


def test_the_fingerprint_knows_labels_and_pixels(dataset):
    images = dataset.images.copy()
    images[0, 0, 0, 0] += 1
    other = replace(dataset, images=images).fingerprint()
    assert other["labels_sha256"] == dataset.fingerprint()["labels_sha256"]
    assert other["pixels_sha256"] != dataset.fingerprint()["pixels_sha256"]


def test_what_is_wrong_gets_a_sentence(write_stack, tmp_path, galaxy_folder):
    numbers = np.array([0, 1, 12])
    out = write_stack(tmp_path / "out.h5", 0, 0, numbers=numbers)
    unlabelled = write_stack(tmp_path / "unlabelled.h5", 2, 2, labels="nothing")
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    (tmp_path / "empty").mkdir()
    bad = galaxy_folder / "bad.csv"
    bad.write_text("file,kind\n00.png,round\n")
    fileless = galaxy_folder / "fileless.csv"
    fileless.write_text("path,label\n00.png,round\n")
    negative = galaxy_folder / "negative.csv"
    negative.write_text("file,label\n00.png,1\n01.png,-1\n")
    cases = [
        ("galaxy10-decals", out, "label 12 of row 2 is not between 0 and 9"),
        ("galaxy10-decals", unlabelled, "carries no labels"),
        ("galaxy10-decals", tmp_path / "empty", "with --download"),
        ("galaxy-mnist", tmp_path / "empty", "no address to download it from is known"),
        ("folder", None, "needs a PATH"),
        ("folder", tmp_path / "nowhere", "is not a folder"),
        ("folder", tmp_path / "empty", "0 folders"),
        ("folder", bad, "has no column 'label'"),
        ("folder", fileless, "has no column 'file'"),
        ("folder", negative, "label -1 of row 1 is negative"),
        ("cifar", None, "is not one of galaxy10-decals"),
    ]
    for name, path, message in cases:
        with pytest.raises(InputError, match=message):
            load_dataset(name, path, size=32)
    with pytest.raises(UnreadableImageError, match="not an HDF5 file"):
        load_dataset("galaxy10-decals", tmp_path / "broken.h5", size=32)


@pytest.fixture
def server(tmp_path):
    """An HTTP server on this machine that serves a folder, and cuts files of one name off."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = folder / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            body = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:100] if path.name.startswith("cut") else body)

        def log_message(self, *args):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_download_with_checksum(server, write_stack, tmp_path):
    folder, address = server
    served = write_stack(folder / "Galaxy10.h5", 10, 2)
    digest = hashlib.sha256(served.read_bytes()).hexdigest()
    file = DataFile("Galaxy10.h5", f"{address}/Galaxy10.h5", digest[:8], digest[-5:])
    assert "digits between are not known" in file.checksum
    found = find_file(file, tmp_path / "new" / "Galaxy10.h5", download=True)
    assert found["published"] is True
    assert len(load_dataset("galaxy10-sdss", found["path"], size=32)) == 20


@pytest.mark.parametrize(
    ("name", "starts", "message"),
    [
        ("Galaxy10.h5", "00000000", "it should be 00000000.*it is not kept"),
        ("cut.h5", "", "could not be downloaded"),
        ("missing.h5", "", "404"),
    ],
)
def test_a_bad_download_is_not_kept(server, write_stack, tmp_path, name, starts, message):
    folder, address = server
    write_stack(folder / "Galaxy10.h5", 10, 2)
    write_stack(folder / "cut.h5", 10, 2)
    target = tmp_path / "kept"
    with pytest.raises(InputError, match=message):
        download_file(DataFile(name, f"{address}/{name}", starts), target / name)
    assert list(target.glob("*")) == []


def test_records_say_what_is_not_known():
    file = DATASETS["galaxy10-decals"].files[0]
    assert file.checksum.startswith("19aefc47...c1571")
    assert not file.matches("0" * 64)
    assert file.matches("19aefc47" + "0" * 51 + "c1571")
    assert all("zenodo.org/records" in DATASETS[n].files[0].url for n in list(DATASETS)[:2])
    assert DATASETS["galaxy-mnist"].files[0].url is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": np.zeros((30, 8, 8, 3), np.uint8)}, "30 images, 40 ids and 40 targets"),
        ({"targets": np.full(40, 2)}, "must be integers from 0 to 1"),
        ({"targets": np.full(40, -1)}, "must be integers from 0 to 1"),
        ({"targets": np.full(40, 0.5)}, "of dtype float64 must be integers"),
        ({"test_ids": ("g01", "m31")}, r"test ids \['m31'\] are not among the ids"),
    ],
)
def test_a_data_set_whose_parts_do_not_fit(dataset, changed, message):
    with pytest.raises(InputError, match=message):
        replace(dataset, **changed)


def test_ids_may_be_numbers_and_all_may_be_lists(dataset):
    own = replace(dataset, ids=list(range(40)), targets=dataset.targets.tolist())
    assert own.rows(["12"]).tolist() == [12]
    assert own.targets.dtype.kind == "i"

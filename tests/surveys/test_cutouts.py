"""Cutouts through the real clients, from a server on this machine."""

import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from gmc_astro import fetch_cutouts, open_images
from gmc_astro.exceptions import GmcAstroWarning, InputError
from gmc_astro.imaging import LEGACY_DR9, RECIPES, SDSS_LUPTON, SDSS_VIEWER, is_ok
from gmc_astro.surveys import conf
from gmc_astro.testing import (
    HIPS_FAULTS,
    VIEWER_FAULTS,
    Fault,
    Faults,
    galaxy_at,
    serve_surveys,
)

NOWHERE = "no position (masked, or not on the sky)"
SMALL = {"framing": "fixed", "size": 32, "progress": False}


def statuses(coords, **options):
    return fetch_cutouts(coords, **(SMALL | {"cache": False} | options)).read().status.tolist()


# ---- the sky ------------------------------------------------------------------------------------


@pytest.mark.parametrize("survey", ["decals", "sdss"])
def test_the_galaxy_is_in_the_middle_and_measured(server, sky, survey):
    coords = sky(8)
    batch = fetch_cutouts(coords, survey=survey, size=64, cache=False, progress=False).read()
    assert is_ok(batch.status).all()
    grey = batch.images.mean(axis=-1)
    assert (grey[:, 30:34, 30:34].mean(axis=(1, 2)) > 3 * grey[:, :4, :4].mean(axis=(1, 2))).all()
    truth = [galaxy_at(round(c.ra.deg, 7), round(c.dec.deg, 7)) for c in coords]
    radii = np.array([max(g.disk_radius, g.bulge_radius) for g in truth])
    measured = batch.columns["petro_r90"].to_value(u.arcsec)
    assert np.corrcoef(radii, measured)[0, 1] > 0.5
    assert (batch.columns["centre_shift"] < 0.5 * u.arcsec).all()
    np.testing.assert_allclose(
        batch.columns["pixel_scale"].to_value(u.arcsec), 6.4 * measured / 64, rtol=1e-5
    )


def test_surveys_agree_on_a_galaxy(server, sky):
    """The same galaxy in two surveys of other pixels, services and bands has the same shape."""
    coords = sky(10, seed=2)
    found = [
        fetch_cutouts(coords, survey=survey, size=64, cache=False, progress=False).read().columns
        for survey in ("decals", "sdss")
    ]
    a, b = (columns["petro_r90"].to_value(u.arcsec) for columns in found)
    np.testing.assert_allclose(a, b, rtol=0.12)
    np.testing.assert_allclose(found[0]["axis_ratio"], found[1]["axis_ratio"], atol=0.08)


def test_north_is_up_and_east_left(server):
    """A galaxy's elongation turns with the sky: the FITS path and the JPEG path agree."""
    coords = SkyCoord([150.0, 151.3, 152.1, 153.2], [2.0, 3.0, 4.0, 5.0], unit="deg")
    options = {"survey": "decals", "framing": "fixed", "size": 64, "cache": False}
    fits = fetch_cutouts(coords, progress=False, **options).read().images.mean(axis=-1)
    jpeg = fetch_cutouts(coords, progress=False, image_format="jpeg", **options).read()
    assert jpeg.status.tolist() == ["ok"] * 4
    for one, other in zip(fits, jpeg.images.mean(axis=-1), strict=True):
        same, flipped = (np.corrcoef(one.ravel(), o.ravel())[0, 1] for o in (other, other[::-1]))
        assert same > 0.8
        assert same > flipped


@pytest.mark.parametrize("survey", ["decals", "sdss"])
def test_the_reddest_band_is_red(server, survey):
    """The light that is served gets stronger to the red; so it does in both services' JPEG."""
    coords = SkyCoord([150.0, 151.3, 152.1], [2.0, 3.0, 4.0], unit="deg")
    options = SMALL | {"survey": survey, "cache": False, "image_format": "jpeg"}
    batch = fetch_cutouts(coords, **options).read()
    assert is_ok(batch.status).all()
    red, _, blue = np.moveaxis(batch.images.mean(axis=(1, 2)), -1, 0)
    assert (red > blue).all()


def test_a_large_galaxy_is_fetched_wider(server, monkeypatch):
    from gmc_astro.testing import SimulatedGalaxy

    large = SimulatedGalaxy(flux=40_000, disk_radius=25.0, bulge_share=0.1, axis_ratio=0.9)
    monkeypatch.setattr("gmc_astro.testing.server.galaxy_at", lambda ra, dec: large)
    source = fetch_cutouts(
        SkyCoord(101.0, 20.0, unit="deg"), survey="decals", size=64, cache=False, progress=False
    )
    batch = source.read()
    assert batch.status.tolist() == ["ok"]
    assert batch.columns["petro_r90"][0] > 40 * u.arcsec
    assert len(server.answers) >= 2
    edge = batch.images[0].mean(axis=-1)
    assert edge[:3].mean() < 0.5 * edge[30:34, 30:34].mean()


def test_a_known_radius_frames(server, sky):
    coords = sky(2)
    radii = [5.0, np.nan] * u.arcsec
    batch = fetch_cutouts(
        coords, petro_r90=radii, size=64, survey="sdss", cache=False, progress=False
    ).read()
    assert batch.columns["petro_r90"][0] == 5 * u.arcsec
    assert np.isnan(batch.columns["axis_ratio"][0])
    assert np.isfinite(batch.columns["axis_ratio"][1])
    assert batch.columns["pixel_scale"][0] == 0.5 * u.arcsec


@pytest.mark.parametrize("radius", [0.0, -9999.0, None])
def test_a_radius_that_is_none_is_measured(server, sky, radius):
    from astropy.utils.masked import Masked

    radii = [radius] * u.arcsec if radius is not None else Masked([7.0], mask=[True]) * u.arcsec
    options = {"size": 32, "survey": "sdss", "cache": False, "progress": False}
    source = fetch_cutouts(sky(1), petro_r90=radii, **options)
    batch, measured = source.read(), fetch_cutouts(sky(1), **options).read()
    np.testing.assert_array_equal(batch.images, measured.images)
    assert batch.columns["pixel_scale"] == measured.columns["pixel_scale"]
    assert source.identity()["radii"]


def test_every_radius_at_one_position_has_its_own_frame(server, sky):
    radii = [3.0, 5.0, 8.0, 3.0] * u.arcsec
    coords = SkyCoord([150.0] * 4, [2.0] * 4, unit="deg")
    batch = fetch_cutouts(
        coords, petro_r90=radii, size=32, survey="sdss", cache=False, progress=False
    ).read()
    np.testing.assert_allclose(batch.columns["pixel_scale"], 6.4 * radii / 32)
    assert (batch.images[0] == batch.images[3]).all()


def test_an_empty_field_says_that_its_framing_fell_back(server, monkeypatch):
    from gmc_astro.testing import SimulatedGalaxy

    nothing = SimulatedGalaxy(flux=0.001)
    monkeypatch.setattr("gmc_astro.testing.server.galaxy_at", lambda ra, dec: nothing)
    batch = fetch_cutouts(
        SkyCoord(102.0, 20.0, unit="deg"), size=32, cache=False, progress=False
    ).read()
    assert batch.status.tolist() == ["ok (fixed framing: no source at the centre)"]
    assert np.isnan(batch.columns["petro_r90"][0])


@pytest.mark.parametrize("recipe", [None, *RECIPES])
def test_one_band_is_grey(server, recipe):
    position = SkyCoord(269.73, 66.02, unit="deg")
    options = {"survey": "euclid", "size": 32, "cache": False, "progress": False}
    batch = fetch_cutouts(position, recipe=recipe, **options).read()
    assert batch.status.tolist() == ["ok"]
    assert batch.images.std() > 5
    assert np.ptp(batch.images.astype(int), axis=-1).max() == 0


def test_another_recipe_where_the_bands_are_there(server, sky):
    source = fetch_cutouts(sky(2), survey="sdss", cache=False, **SMALL)
    assert source.recipe == SDSS_LUPTON
    other = source.in_recipe(SDSS_VIEWER)
    assert other.recipe == SDSS_VIEWER
    assert np.abs(other.read().images.astype(int) - source.read().images).max() > 10
    zband = fetch_cutouts(sky(2), survey="legacy-hips", cache=False, **SMALL)
    assert zband.in_recipe(SDSS_VIEWER).plan.bands == SDSS_VIEWER.bands
    assert source.in_recipe(LEGACY_DR9) is not source  # the HiPS has z as well
    grz = fetch_cutouts(sky(2), survey="decals", cache=False, **SMALL)
    assert grz.in_recipe(SDSS_LUPTON) is grz  # the viewer was not asked for i


def test_any_frame_and_any_shape(server, sky):
    coords = sky(3)
    images = fetch_cutouts(coords, cache=False, **SMALL).read().images
    galactic = fetch_cutouts(coords.galactic, cache=False, **SMALL).read().images
    np.testing.assert_array_equal(images, galactic)
    assert len(fetch_cutouts(coords[0], **SMALL)) == 1


def test_masked_and_infinite_positions_keep_their_place(server):
    from astropy.utils.masked import Masked

    ra = Masked([150.0, 150.1, 150.2], mask=[False, True, False]) * u.deg
    coords = SkyCoord(ra, [2.0, 2.0, np.nan] * u.deg)
    assert statuses(coords) == ["ok", NOWHERE, NOWHERE]


def test_a_position_that_is_not_on_the_sky_is_masked(server):
    table = QTable({"ra": [150.0, -999, 150.0], "dec": [2.0, -999, 99.99]})
    source = open_images(table, cache=False, survey="decals", **SMALL)
    assert source.read().status.tolist() == ["ok", NOWHERE, NOWHERE]


def test_outside_the_footprint_nobody_is_asked(server):
    coords = SkyCoord([150.0, 150.0], [2.0, 80.0], unit="deg")
    assert statuses(coords) == ["ok", "outside footprint"]
    assert len(server.answers) == 1


@pytest.mark.parametrize(
    ("coords", "options", "says"),
    [
        ([150.0, 2.0], {}, "list are not positions; give a SkyCoord"),
        (None, {"survey": "desi"}, "did you mean 'des'"),
        (None, {"framing": "tight"}, "framing='tight'"),
        (None, {"image_format": "png"}, "image_format='png'"),
        (None, {"max_connections": 0}, "max_connections=0"),
        (None, {"field": 60}, "field=60 is not an angle"),
        (None, {"field": 60 * u.s}, "is not an angle"),
        (None, {"petro_r90": [3.0, 4.0] * u.arcsec}, "for 1 positions"),
        (None, {"bands": ("u",)}, "survey decals has bands g, r, z"),
        (None, {"bands": ("g", "r")}, "needs bands"),
        (None, {"ids": ["a", "b"]}, "2 ids for 1 positions"),
        (None, {"recipe": "LUPTON"}, "LUPTON"),
        (
            SkyCoord(10.0, 60.0, unit="deg", frame="altaz"),
            {},
            "altaz .* obstime and location",
        ),
    ],
)
def test_bad_input_is_named(coords, options, says):
    with pytest.raises(InputError, match=says):
        fetch_cutouts(coords or SkyCoord(150.0, 2.0, unit="deg"), **options)


def test_threads_leave_the_filters_of_warnings_alone(server, sky):
    """They belong to the whole process: a filter that stays would raise any later warning."""
    options = {"size": 32, "cache": False, "progress": False}
    fetch_cutouts(sky(1), **options).read()  # imports, some of which add filters of their own
    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        fetch_cutouts(sky(60), max_connections=8, **options).read()
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before


# ---- politeness, failures, cache ----------------------------------------------------------------


def test_who_asks_and_for_what(server, sky):
    statuses(sky(1), survey="decals")
    (asked,) = server.answers
    assert "layer=ls-dr10" in asked
    assert "bands=grz" in asked
    assert all(agent.startswith("gmc_astro/") for agent in server.user_agents)


def test_the_same_position_is_fetched_once(server):
    coords = SkyCoord([150.0] * 20, [2.0] * 20, unit="deg")
    batch = fetch_cutouts(coords, cache=False, max_connections=6, **SMALL).read()
    assert (batch.images == batch.images[0]).all()
    assert sum(server.answers.values()) == 1


def test_a_server_is_left_alone_as_long_as_it_asks(sky):
    kinds = [fault for fault in VIEWER_FAULTS if fault.name == "overloaded"]
    with serve_surveys(Faults(tuple(kinds), passing=1.0), retry_after=1) as server:
        start = time.monotonic()
        assert statuses(sky(2), max_connections=1) == ["ok", "ok"]
        assert time.monotonic() - start > 1.9
        assert sum(server.answers.values()) == 4


def test_a_slow_server_times_out(sky):
    kinds = [fault for fault in VIEWER_FAULTS if fault.name == "slow"]
    with (
        serve_surveys(Faults(tuple(kinds), share=1.0), slow=1.0),
        conf.set_temp("timeout", 0.2),
        conf.set_temp("tries", 1),
    ):
        assert statuses(sky(1)) == ["timed out after 1 try"]


def test_no_server_at_all(sky):
    with conf.set_temp("viewer", "http://127.0.0.1:9/viewer"):
        (status,) = statuses(sky(1))
    assert status == "connection lost (ConnectionError) after 3 tries"


@pytest.mark.parametrize(
    ("survey", "kinds"), [("decals", VIEWER_FAULTS), ("sdss", HIPS_FAULTS)], ids=["viewer", "hips"]
)
def test_a_thousand_positions_and_every_failure(sky, tmp_path, survey, kinds):
    """A tenth of the requests fail always, another tenth at first; no row is lost."""
    n = 1000 if survey == "decals" else 400
    coords = sky(n, seed=7)
    ids = np.arange(n).astype(str)
    faults = Faults(kinds, share=0.1, passing=0.1, seed=5)
    options = SMALL | {"survey": survey, "ids": ids, "max_connections": 4}
    options |= {"cache": tmp_path, "size": 24}
    with (
        # few galaxies, soon drawn: a client that gave up on a slow drawing would ask anew while
        # the server still counts its first request
        serve_surveys(faults, slow=3.0, galaxies=32) as server,
        conf.set_temp("tries", 2),
        conf.set_temp("timeout", 1.5),
    ):
        first = fetch_cutouts(coords, **options)
        batch = first.read()
        asked = server.answers.copy()
        most = server.most_active
        server.forget()
        server.faults = Faults()
        again = fetch_cutouts(coords, **options).read()
        asked_again = server.answers.copy()

    ok = is_ok(batch.status)
    assert first.ids.tolist() == ids.tolist()
    assert len(batch) == n
    assert most <= 4
    assert (batch.images[ok].reshape(ok.sum(), -1).std(axis=1) > 1).all()
    assert not batch.images[~ok].any()

    # each row failed for the reason that the server had for one of its requests, and for no other
    expected = _expected(coords, asked, faults)
    for status, good, possible in zip(batch.status, ok, expected, strict=True):
        assert good == (not possible), (status, possible)
        assert good or any(status.startswith(fault.reason) for fault in possible), (
            status,
            possible,
        )
    seen = {fault.name for possible in expected for fault in possible}
    assert seen == {fault.name for fault in kinds}

    # the second run asks only for what failed, and the cache holds nothing half
    assert is_ok(again.status).all()
    np.testing.assert_array_equal(again.images[ok], batch.images[ok])
    assert not set(asked_again) & {key for key in asked if not faults.lasting(key)}
    assert set(asked_again.values()) == {1}
    assert not list(tmp_path.rglob(".part-*"))


def _expected(coords, asked, faults):
    """Lasting faults of the requests of each position, as the server had them."""
    keys = [key for key in asked if "jpeg-cutout" not in key]  # that is a second look
    queries = [parse_qs(urlsplit(key).query) for key in keys]
    places = SkyCoord(*[[float(q[name][0]) for q in queries] for name in ("ra", "dec")], unit="deg")
    rows, separation, _ = places.match_to_catalog_sky(coords)
    assert separation.max() < 0.01 * u.arcsec
    found = [[] for _ in coords]
    for row, key in zip(rows, keys, strict=True):
        found[row] += filter(None, [faults.lasting(key)])
    return found


SCRIPT = """
import sys
from astropy import units as u
from astropy.coordinates import SkyCoord
from gmc_astro.surveys import conf, fetch_cutouts

conf.viewer = sys.argv[1]
coords = SkyCoord([150 + 0.01 * i for i in range(200)] * u.deg, [2.0] * 200 * u.deg)
source = fetch_cutouts(coords, framing="fixed", size=24, cache=sys.argv[2], progress=False)
print(source.read().status.tolist().count("ok"))
"""


def test_killed_and_run_again_nothing_is_lost(tmp_path):
    cache = tmp_path / "cache"
    with serve_surveys(delay=0.02) as server:
        command = [sys.executable, "-c", SCRIPT, f"{server.url}/viewer", str(cache)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        while sum(server.answers.values()) < 60:
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        time.sleep(0.2)  # answers on their way arrive nowhere
        kept = len([p for p in cache.rglob("*") if p.is_file() and not p.name.startswith(".")])
        assert kept >= 50
        server.forget()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "200"
        assert sum(server.answers.values()) == 200 - kept


def test_a_damaged_cache_is_noticed(server, sky, tmp_path):
    coords = sky(3)
    options = SMALL | {"cache": tmp_path}
    images = fetch_cutouts(coords, **options).read().images
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:-100])
    server.forget()
    np.testing.assert_array_equal(fetch_cutouts(coords, **options).read().images, images)
    assert sum(server.answers.values()) == 1


def test_the_cache_stays_within_its_size(server, sky, tmp_path):
    from gmc_astro.surveys.cache import BodyCache

    fetch_cutouts(sky(12), cache=tmp_path, **SMALL).read()
    cache = BodyCache(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    with conf.set_temp("cache_gigabytes", size / 2e9):
        cache.tidy()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in left) <= size / 2
    assert len(left) < 12


def test_short_runs_keep_the_cache_within_its_size(server, sky, tmp_path, monkeypatch):
    """As many processes would: each begins to count its writes anew."""
    fetch_cutouts(sky(12), cache=tmp_path, **SMALL).read()
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    monkeypatch.setattr("gmc_astro.surveys.cache._WRITES", Counter())
    with conf.set_temp("cache_gigabytes", size / 2e9):
        fetch_cutouts(sky(13)[12:], cache=tmp_path, **SMALL).read()
    assert 0 < len([path for path in tmp_path.rglob("*") if path.is_file()]) < 12


def test_the_cache_leaves_what_is_not_its_own(server, sky, tmp_path):
    from gmc_astro.surveys.cache import BodyCache

    theirs = [tmp_path / "paper" / "figure.pdf", tmp_path / "ab" / "notes.txt"]
    for path in theirs:
        path.parent.mkdir()
        path.write_text("mine")
    (tmp_path / "paper" / "data").mkdir()
    fetch_cutouts(sky(3), cache=tmp_path, **SMALL).read()
    with conf.set_temp("cache_gigabytes", 1e-12):
        BodyCache(tmp_path).tidy()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(theirs)


@pytest.mark.parametrize("cache", [True, "file"])
def test_without_a_cache_that_can_be_used(server, sky, tmp_path, monkeypatch, cache):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    source = fetch_cutouts(sky(6), cache=cache if cache is True else tmp_path / cache, **SMALL)
    with pytest.warns(GmcAstroWarning, match=r"cannot be used: .*Not a directory") as given:
        assert is_ok(source.read().status).all()
    assert len(given) == 1


def test_sums_are_printed_where_rows_failed(server, capfd):
    coords = SkyCoord([150.0, 150.0], [2.0, 80.0], unit="deg")
    fetch_cutouts(coords, cache=False, **(SMALL | {"progress": True})).read()
    lines = capfd.readouterr().out.splitlines()
    assert Counter(line.strip() for line in lines) == {"1 ok": 1, "1 outside footprint": 1}


# ---- the one door -------------------------------------------------------------------------------


def test_positions_through_the_one_door(server, sky, tmp_path):
    coords = sky(3)
    options = {"size": 32, "framing": "fixed", "cache": False, "progress": False}
    images = open_images(coords, **options).read().images
    table = QTable({"objid": [7, 8, 9], "coord": coords})
    source = open_images(table, **options)
    assert source.ids.tolist() == ["7", "8", "9"]
    np.testing.assert_array_equal(source.read().images, images)
    path = tmp_path / "catalogue.csv"
    QTable({"RA": coords.ra.deg, "Dec": coords.dec.deg}).write(path)
    np.testing.assert_array_equal(
        open_images(path, survey="decals", **options).read().images, images
    )
    words = f"{coords[0].ra.deg} {coords[0].dec.deg}"
    np.testing.assert_array_equal(
        open_images(words, survey="decals", **options).read().images, images[:1]
    )
    assert open_images(coords, survey="sdss", size=32).survey.name == "sdss"
    assert Path(path).is_file()


@pytest.mark.parametrize(
    ("images", "options", "says"),
    [
        (QTable({"a": [1]}), {"survey": "sdss"}, "no positions"),
        ("north", {"survey": "sdss"}, "neither a file nor a position"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"cache": False}, "give survey="),
        ([1.0, 2.0], {"survey": "sdss"}, "are not positions"),
        (QTable({"ra": ["a"], "dec": ["b"]}), {"survey": "sdss"}, "column ra does not hold angles"),
    ],
)
def test_what_is_no_position(images, options, says):
    with pytest.raises(InputError, match=says):
        open_images(images, **options)


def test_predict_at_positions(server, sky, tiny_folder):
    from gmc_astro import GalaxyMorphologyClassifier

    classifier = GalaxyMorphologyClassifier(str(tiny_folder), classes=["spiral", "elliptical"])
    coords = SkyCoord([150.0, 150.0], [2.0, 88.0], unit="deg")
    table = classifier.predict(coords, survey="sdss", size=48, cache=False, progress=False)
    assert table["status"].tolist() == ["ok", "outside footprint"]
    assert table["label"].mask.tolist() == [False, True]
    assert table["petro_r90"][0] > 1 * u.arcsec
    assert table["coord"].separation(coords).max() < 1e-6 * u.arcsec


def test_the_server_says_what_it_does_not_know(capfd):
    with serve_surveys() as server:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{server.url}/elsewhere")
        server.faults = Faults((Fault("mistyped", "none"),), share=1.0)
        with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
            urllib.request.urlopen(f"{server.url}/viewer/fits-cutout?ra=1&dec=2&size=8&pixscale=1")
    assert "fault 'mistyped' is not known" in capfd.readouterr().err

"""A survey server on this machine: simulated galaxies behind the addresses of the real services.

The real clients talk to it, astroquery's among them, and it can be told to fail as the real
services do. Used by the tests, the documentation and the benchmarks; good for a dry run without
network as well.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import re
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from astropy.io import fits

from gmc_astro.testing.faults import Fault, Faults
from gmc_astro.testing.simulate import galaxy_at, render_galaxy

__all__ = ["SurveyServer", "serve_surveys"]

IMAGES = ("hips2fits", "fits-cutout", "jpeg-cutout")
PAGE = b"<html><head><title>Maintenance</title></head><body><h1>We are back soon</h1></body></html>"


class SurveyServer(ThreadingHTTPServer):
    """The server; made by `serve_surveys`.

    Parameters
    ----------
    faults : `Faults`, optional
        How it fails.
    delay : float, optional
        Seconds that each answer takes, or more where drawing the galaxy needs more.
    galaxies : int, optional
        Draw only so many different galaxies, which stand at all positions by turns, so that
        answers come quickly. Default draws one for each position.
    slow : float, optional
        Seconds that a slow answer takes.
    retry_after : int, optional
        Seconds that an overloaded server asks for.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro import fetch_cutouts
    >>> from gmc_astro.testing import serve_surveys
    >>> position = SkyCoord(184.85, 5.79, unit="deg")
    >>> with serve_surveys(galaxies=4) as server:
    ...     _ = fetch_cutouts(position, survey="decals", cache=False, progress=False).read()
    >>> sum(server.answers.values())
    1
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        delay: float = 0.0,
        galaxies: int | None = None,
        slow: float = 2.0,
        retry_after: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = faults or Faults()
        self.galaxies = galaxies
        self.delay, self.slow, self.retry_after = delay, slow, retry_after
        self.answers: Counter[str] = Counter()
        self.user_agents: set[str] = set()
        self.most_active = 0
        self._active = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Address."""
        return f"http://127.0.0.1:{self.server_port}"

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.answers.clear()
            self.most_active = 0

    def begin(self, key: str) -> Fault | None:
        """Count a request; return how to fail at it.

        Parameters
        ----------
        key : str
            The request, as its address says it.

        Returns
        -------
        fault : `Fault` or None
            None where it is to be answered well.
        """
        with self._lock:
            self._active += 1
            self.most_active = max(self.most_active, self._active)
            # a place off the footprint is so for FITS and JPEG alike
            fault = self.faults.of(key.replace("jpeg-cutout", "fits-cutout"), self.answers[key])
            self.answers[key] += 1
        return fault

    def end(self) -> None:
        """Count an answer that is done."""
        with self._lock:
            self._active -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server.

        Parameters
        ----------
        request : socket.socket
            The connection.
        client_address : tuple
            Where it came from.
        """
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve_surveys(faults: Faults | None = None, **options: Any) -> Iterator[SurveyServer]:
    """Run a server in a thread, and point the package's and astroquery's settings to it.

    Parameters
    ----------
    faults, **options
        As for `SurveyServer`.

    Yields
    ------
    server : `SurveyServer`
        The running server.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from gmc_astro import fetch_cutouts
    >>> from gmc_astro.testing import serve_surveys
    >>> position = SkyCoord(184.85, 5.79, unit="deg")
    >>> with serve_surveys():
    ...     batch = fetch_cutouts(position, survey="decals", cache=False, progress=False).read()
    >>> batch.status
    array(['ok'], dtype='<U2')
    """
    from astroquery.sdss import conf as sdss

    from gmc_astro.surveys import conf

    server = SurveyServer(faults, **options)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        with ExitStack() as settings:
            settings.enter_context(conf.set_temp("viewer", f"{server.url}/viewer"))
            settings.enter_context(conf.set_temp("hips2fits", f"{server.url}/hips2fits"))
            settings.enter_context(sdss.set_temp("skyserver_baseurl", server.url))
            yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the acknowledgement of its head
    server: SurveyServer

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Images, and the list of SkyServer's columns."""
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        if "x_results" in address.path.lower():
            self._send(json.dumps(_columns()).encode(), "application/json")
            return
        if not any(kind in address.path for kind in IMAGES):
            self._send(b"not found", "text/html", 404)
            return
        self.server.user_agents.add(self.headers.get("User-Agent", ""))
        started = time.monotonic()
        fault = self.server.begin(self.path)
        slow = fault is not None and fault.name == "slow"
        if slow:  # the client gives up on it and may ask anew: it is not talking to us any more
            self.server.end()
        try:
            if fault is not None:
                time.sleep(self.server.delay)
                self._fail(fault, address.path, query)
            else:
                answer = self._answer(address.path, query)
                time.sleep(max(started + self.server.delay - time.monotonic(), 0))
                self._send(*answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            if not slow:
                self.server.end()

    def do_POST(self) -> None:
        """SkyServer's cross-match of an uploaded list."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fault = self.server.begin(urlsplit(self.path).path)
        try:
            if fault is not None:
                self._fail(fault, self.path, {})
            else:
                self._send(_cross_match(body), "text/csv")
        finally:
            self.server.end()

    def _answer(self, path: str, query: dict[str, str], **blanks: Any) -> tuple[bytes, str]:
        return _answer(path, query, galaxies=self.server.galaxies, **blanks)

    def _send(self, body: bytes, kind: str, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, fault: Fault, path: str, query: dict[str, str]) -> None:
        """Fail as asked."""
        later = {"Retry_After": str(self.server.retry_after)}
        match fault.name:
            case "overloaded":
                self._send(PAGE, "text/html", 503, **later)
            case "too many requests":
                self._send(PAGE, "text/html", 429, **later)
            case "refused":
                message = {"title": "Bad Request", "description": "Parameter fov is wrong"}
                self._send(json.dumps(message).encode(), "application/json", 400)
            case "page":
                self._send(PAGE, "text/html")
            case "slow":
                time.sleep(self.server.slow)  # the client has given up meanwhile
                self._send(*self._answer(path, query))
            case "cut off":
                body, kind = self._answer(path, query)
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            case "hung up":
                self.close_connection = True
            case "half a file":
                body, kind = self._answer(path, query)
                self._send(body[: len(body) // 2], kind)
            case "other shape":
                side = str(int(query.get("size", query.get("width", "64"))) // 2)
                smaller = dict.fromkeys(("size", "width", "height"), side)
                self._send(*self._answer(path, query | smaller))
            case "empty":
                self._send(b"", "image/fits")
            case "no such layer":
                self._send(b"no such layer", "text/html")
            case "off the footprint":
                self._off_the_footprint(path, query)
            case "no data in one band":
                self._send(*self._answer(path, query, blank="g"))
            case "no data" | "constant":
                value = np.nan if fault.name == "no data" else 0.0
                self._send(*self._answer(path, query, constant=value))
            case _:
                raise ValueError(f"fault {fault.name!r} is not known")

    def _off_the_footprint(self, path: str, query: dict[str, str]) -> None:
        """The viewer's FITS then is an error, its JPEG a uniform grey."""
        if "fits" in path:
            self._send(b"Internal Server Error", "text/html", 500)
        else:
            grey = np.full((int(query["size"]),) * 2 + (3,), 32, np.uint8)
            self._send(_jpeg(grey), "image/jpeg")


def _answer(
    path: str,
    query: dict[str, str],
    *,
    galaxies: int | None = None,
    blank: str = "",
    constant: float | None = None,
) -> tuple[bytes, str]:
    """Body and content type of a request for an image."""
    if "hips2fits" in path:
        pixels = int(query["width"])
        scale = float(query["fov"]) * 3600 / pixels
        picture = query["format"] in ("jpg", "png")
        bands = "gri" if picture else (query["hips"].rsplit("/", 1)[-1],)
    else:
        pixels = min(int(query["size"]), 3000)
        scale = float(query["pixscale"])
        picture = path.endswith("jpeg-cutout")
        bands = query.get("bands", "griz")
    position = float(query["ra"]), float(query["dec"])
    drawn = position
    if galaxies:
        drawn = 150.0 + zlib.crc32(f"{position}".encode()) % galaxies, 2.0
    planes = _planes(*drawn, tuple(bands), pixels, round(scale, 6))
    if constant is not None:
        planes = np.full_like(planes, constant)
    if blank:
        planes = planes.copy()
        planes[[band == blank for band in bands]] = np.nan
    if picture:
        return _jpeg(_picture(planes)), "image/jpeg"
    data = planes[0] if len(planes) == 1 else planes
    return _fits(data, position, scale, "".join(bands)), "image/fits"


@functools.lru_cache(maxsize=256)
def _planes(ra: float, dec: float, bands: tuple[str, ...], pixels: int, scale: float) -> np.ndarray:
    """The sky at a position. Row 0 is south."""
    seed = zlib.crc32(f"{ra} {dec} {bands} {scale}".encode())
    return render_galaxy(galaxy_at(ra, dec), bands, pixels=pixels, pixel_scale=scale, seed=seed)


def _fits(data: np.ndarray, position: tuple[float, float], scale: float, bands: str) -> bytes:
    header = fits.Header()
    header["BANDS"] = bands
    for axis, (kind, value) in enumerate(zip(("RA---TAN", "DEC--TAN"), position, strict=True), 1):
        header[f"CTYPE{axis}"] = kind
        header[f"CRVAL{axis}"] = value
        header[f"CRPIX{axis}"] = (data.shape[-1] + 1) / 2
        header[f"CDELT{axis}"] = scale / 3600 * (-1 if axis == 1 else 1)
    buffer = io.BytesIO()
    fits.PrimaryHDU(data.astype(">f4"), header).writeto(buffer)
    return buffer.getvalue()


def _picture(planes: np.ndarray) -> np.ndarray:
    """A picture, north up, the reddest band red."""
    channels = planes[[-1, len(planes) // 2, 0]] if len(planes) != 3 else planes[::-1]
    grey = np.arcsinh(20 * np.clip(np.nan_to_num(channels), 0, None)) / np.arcsinh(60)
    return (255 * np.clip(grey, 0, 1)).astype(np.uint8).transpose(1, 2, 0)[::-1]


def _jpeg(picture: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _columns() -> list[dict[str, Any]]:
    """SkyServer's answer about the columns of a table, as far as they are served here."""
    names = ("ra", "dec", "objID", "petroRad_r", "petroR50_r", "petroR90_r", "type")
    rows = [{"name": name, "unit": "", "ucd": "", "description": name} for name in names]
    return [{"TableName": "Table1", "Rows": rows}]


def _cross_match(body: str) -> bytes:
    """SkyServer's answer to a list of names and positions: those in the north have an object."""
    fields = re.search(r"SELECT\s+(.*?)\s+FROM", body, re.DOTALL).group(1)
    names = [name.strip().removeprefix("p.") for name in fields.split(",")]
    names = [name.split(" AS ")[-1] for name in names]
    out = io.StringIO()
    out.write("#Table1\n")
    writer = csv.DictWriter(out, ["name", *names], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in re.findall(r"^ ?(\S+) (\S+) (\S+?) ?\r?$", body, re.MULTILINE):
        try:
            ra, dec = float(row[1]), float(row[2])
        except ValueError:
            continue
        if dec > 0:
            radius = 2.5 * galaxy_at(ra, dec).disk_radius
            values = {"ra": ra, "dec": dec, "objID": 1_000_000 + int(ra * 1e4), "type": "GALAXY"}
            petro = {"petroRad_r": radius, "petroR50_r": 0.4 * radius, "petroR90_r": 0.9 * radius}
            writer.writerow({"name": row[0], **values, **petro})
    return out.getvalue().encode()

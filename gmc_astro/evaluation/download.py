"""Files of public data sets: found by path, or downloaded and compared with their checksum."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm.auto import tqdm

from gmc_astro._files import make_folder, sha256_of, whole
from gmc_astro.exceptions import InputError

__all__ = ["DataFile", "download_file", "find_file"]

TIMEOUT = 60  # seconds without a byte
_PIECE = 1 << 20


@dataclass(frozen=True)
class DataFile:
    """A file of a data set, and what is known of it.

    Parameters
    ----------
    name : str
        Its name.
    url : str or None, optional
        Where it can be downloaded; None where that is not known.
    sha256_starts, sha256_ends : str, optional
        First and last hexadecimal digits of its SHA-256, as many as are known; all 64 in
        ``sha256_starts`` where it is known in full, empty where nothing is.
    size : str, optional
        About how large it is, for people.

    Examples
    --------
    >>> import hashlib
    >>> from gmc_astro.evaluation import DataFile
    >>> digest = hashlib.sha256(b"images").hexdigest()
    >>> file = DataFile("images.h5", sha256_starts=digest[:8], sha256_ends=digest[-5:])
    >>> file.matches(digest), file.url
    (True, None)
    """

    name: str
    url: str | None = None
    sha256_starts: str = ""
    sha256_ends: str = ""
    size: str = ""

    def matches(self, digest: str) -> bool:
        """Tell whether a SHA-256 agrees with what is known of this file's.

        Parameters
        ----------
        digest : str
            64 hexadecimal digits.

        Returns
        -------
        matches : bool
            True also where nothing is known.
        """
        return digest.startswith(self.sha256_starts) and digest.endswith(self.sha256_ends)

    @property
    def checksum(self) -> str:
        """What is known of the SHA-256, in words."""
        if len(self.sha256_starts) == 64:
            return self.sha256_starts
        if not self.sha256_starts:
            return "not known"
        return f"{self.sha256_starts}...{self.sha256_ends} (the digits between are not known)"


def find_file(
    file: DataFile, path: str | os.PathLike, *, download: bool = False, progress: bool = False
) -> dict[str, str | bool | None]:
    """Find a data set's file, or download it.

    A downloaded file must have the published checksum. One that is there already is taken as
    it is, and what it is is told.

    Parameters
    ----------
    file : DataFile
        What is looked for.
    path : path-like
        Where it is, or is to be.
    download : bool, optional
        Download it if it is missing.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    found : dict
        ``path``; ``sha256``; and ``published``: whether that agrees with what is known of the
        published file's, None where nothing is known.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If it is missing and cannot or shall not be downloaded, or what was downloaded has
        another checksum.

    Examples
    --------
    >>> import hashlib
    >>> import tempfile
    >>> from pathlib import Path
    >>> from gmc_astro.evaluation import DataFile, find_file
    >>> file = DataFile("images.h5", sha256_starts=hashlib.sha256(b"images").hexdigest())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "images.h5"
    ...     _ = path.write_bytes(b"images")
    ...     found = find_file(file, path)
    >>> found["published"]
    True
    """
    path = Path(path)
    if not path.is_file() and download and file.url:
        download_file(file, path, progress=progress)
    if not path.is_file():
        raise InputError(_how_to_get(file, path))
    digest = sha256_of(path)
    known = bool(file.sha256_starts)
    published = file.matches(digest) if known else None
    return {"path": os.fspath(path), "sha256": digest, "published": published}


def _how_to_get(file: DataFile, found: Path) -> str:
    if file.url is None:
        return (
            f"{found} is missing, and no address to download it from is known: put "
            f"{file.name} there, or give the folder that holds it"
        )
    return (
        f"{found} is missing: give the path of {file.name}, or download it ({file.size} from "
        f"{file.url}) with --download"
    )


def download_file(file: DataFile, path: str | os.PathLike, *, progress: bool = False) -> None:
    """Download a file; it is kept only if it is whole and has the right checksum.

    Parameters
    ----------
    file : DataFile
        What to download.
    path : path-like
        Where to put it.
    progress : bool, optional
        Show a progress bar.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the server does not give it, it is cut off, or its checksum is wrong.

    Examples
    --------
    >>> import tempfile
    >>> import threading
    >>> from functools import partial
    >>> from http.server import HTTPServer, SimpleHTTPRequestHandler
    >>> from pathlib import Path
    >>> from gmc_astro.evaluation import DataFile, download_file
    >>> class Handler(SimpleHTTPRequestHandler):
    ...     def log_message(self, *args):
    ...         pass
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "images.h5").write_bytes(b"images")
    ...     server = HTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    ...     threading.Thread(target=server.serve_forever).start()
    ...     url = f"http://127.0.0.1:{server.server_port}/images.h5"
    ...     download_file(DataFile("images.h5", url), Path(folder) / "copy.h5")
    ...     server.shutdown()
    ...     server.server_close()
    ...     print((Path(folder) / "copy.h5").read_bytes())
    b'images'
    """
    path, digest = Path(path), hashlib.sha256()
    make_folder(path.parent)
    with whole(path) as temporary, temporary.open("wb") as handle:
        for piece in _pieces(file, progress):
            digest.update(piece)
            handle.write(piece)
        if not file.matches(digest.hexdigest()):
            raise InputError(
                f"{file.url} has SHA-256 {digest.hexdigest()}, it should be {file.checksum}: it is "
                "not kept. Try again, or give the file's path"
            )


def _pieces(file: DataFile, progress: bool) -> Iterator[bytes]:
    """The body piece by piece; requests raises where it is cut off."""
    try:
        with requests.get(file.url, stream=True, timeout=TIMEOUT) as answer:
            answer.raise_for_status()
            total = int(answer.headers.get("Content-Length", 0)) or None
            options = {"unit": "B", "unit_scale": True, "disable": not progress}
            with tqdm(total=total, desc=file.name, **options) as bar:
                for piece in answer.iter_content(_PIECE):
                    bar.update(len(piece))
                    yield piece
    except requests.RequestException as err:
        raise InputError(
            f"{file.url} could not be downloaded ({err}): try again later, or download it "
            f"elsewhere and give the path of {file.name}"
        ) from err

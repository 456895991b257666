"""Bodies on disk: written whole, checked when read, the oldest dropped when there are too many."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

from astropy.config import get_cache_dir

from gmc_astro.surveys.conf import conf

__all__ = ["BodyCache"]

_DIGEST = 32  # bytes of SHA-256 in front of each body
_OURS = re.compile(r"[0-9a-f]{2}/([0-9a-f]{62}|\.part-.*)")  # files below the folder
_TIDY_EVERY = 256  # writes between two looks at the size
_WRITES: Counter[Path] = Counter()  # of this process, into each folder


class BodyCache:
    """Answers of servers by what was asked.

    A file appears under its name only when it is complete (it is written beside it and
    renamed), and begins with the hash of the rest: a file that was damaged is dropped and counts
    as not there. Several processes may use one folder at once.

    Parameters
    ----------
    folder : path-like, optional
        Default is ``surveys`` in astropy's cache folder of gmc_astro.
    """

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        self._given = folder

    @functools.cached_property
    def folder(self) -> Path:
        """The folder; looked for when it is needed, because astropy makes its own at once."""
        if self._given is None:
            return Path(get_cache_dir("gmc_astro")) / "surveys"
        return Path(self._given)

    def get(self, key: str) -> bytes | None:
        """Return the body that was kept under ``key``, or None."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        digest, body = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(body).digest() != digest:
            path.unlink(missing_ok=True)
            return None
        return body

    def put(self, key: str, body: bytes) -> None:
        """Keep a body under ``key``."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(body).digest() + body)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if _WRITES[self.folder] % _TIDY_EVERY == 0:  # also for the first: many runs are short
            self.tidy()
        _WRITES[self.folder] += 1

    def tidy(self) -> None:
        """Drop the oldest files until nine tenths of the size limit are left, and stale parts.

        Files of other names are not the cache's: the folder may be one that the user works in.
        """
        limit = conf.cache_gigabytes * 1e9
        files, total = [], 0
        for path in self.folder.glob("*/*"):
            if not _OURS.fullmatch(path.relative_to(self.folder).as_posix()):
                continue
            try:
                info = path.stat()
            except FileNotFoundError:  # another process was faster
                continue
            if path.name.startswith(".part-"):
                if time.time() - info.st_mtime > 3600:
                    path.unlink(missing_ok=True)
                continue
            files.append((info.st_mtime, info.st_size, path))
            total += info.st_size
        if total <= limit:
            return
        for _, size, path in sorted(files):
            path.unlink(missing_ok=True)
            total -= size
            if total <= 0.9 * limit:
                return

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / name[:2] / name[2:]

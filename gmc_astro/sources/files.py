"""Images in files: JPEG, PNG and FITS, by path, folder or glob."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gmc_astro.exceptions import GmcAstroError, InputError
from gmc_astro.imaging import OK, ColourRecipe, ImageBatch, ImageSource
from gmc_astro.sources.decode import SUFFIXES, Decoded, decode_picture, is_fits, read_fits, stacked

__all__ = ["DEFAULT_SIZE", "THREADS", "FileSource", "file_stamp", "find_files", "is_glob"]

DEFAULT_SIZE = 224
THREADS = min(8, os.cpu_count() or 1)  # pillow and zlib release the interpreter's lock


class FileSource(ImageSource):
    """One image a file.

    Parameters
    ----------
    paths : sequence of path-like
        Files; an empty one (a masked cell of a table) has a row that failed.
    size : int, optional
        Side of the images in pixels. Pictures are cut to their middle square.
    framing : {"auto", "petrosian", "fixed", "none"}, optional
        How FITS images are cut out; ``"auto"`` is ``"petrosian"``. Pictures stay as they are.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours to render FITS images with, and that pictures have.
    ids : sequence of str, optional
        Name of each row. Default, also where one is empty: the path below the files' common folder.
    coords : `~astropy.coordinates.SkyCoord`, shape (N,), optional
        Position of each row.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are not as many names or positions as files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from gmc_astro.sources import FileSource
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "galaxy.png"
    ...     Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(path)
    ...     batch = FileSource([path, Path(folder) / "lost.png"], size=64).read()
    >>> batch.images.shape
    (2, 64, 64, 3)
    >>> print(batch.status)
    ['ok' 'unreadable: no such file']
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike],
        *,
        size: int = DEFAULT_SIZE,
        framing: str = "auto",
        recipe: ColourRecipe | None = None,
        ids: Sequence[str] | None = None,
        coords: SkyCoord | None = None,
    ) -> None:
        self.paths = [os.fspath(path) for path in paths]
        self.size = size
        self.framing = "petrosian" if framing == "auto" else framing
        self._recipe = recipe
        self._ids = _short_names(self.paths) if ids is None else np.asarray(ids, dtype=str)
        self._coords = coords
        for name, values in (("ids", self._ids), ("coords", coords)):
            if values is not None and np.shape(values) != (len(self.paths),):
                raise InputError(
                    f"{name} of shape {np.shape(values)} for {len(self.paths)} files; "
                    "give one a file"
                )
        if (unnamed := self._ids == "").any():
            self._ids = np.where(unnamed, _short_names(self.paths), self._ids)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row, shape (N,), dtype str."""
        return self._ids

    @property
    def coords(self) -> SkyCoord | None:
        """Position of each row, where they were given."""
        return self._coords

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colours asked for, or None."""
        return self._recipe

    def identity(self) -> dict[str, Any]:
        """Hash of the rows' names and positions, and of the files' sizes and dates.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        rows = super().identity()["sha256"]
        digest = hashlib.sha256(f"{self.size} {self.framing} {rows}".encode())
        for path in self.paths:
            stamp = file_stamp(path) if path and os.path.exists(path) else {}
            digest.update(f"\n{stamp.get('bytes')} {stamp.get('modified')}".encode())
        return {"kind": "files", "rows": len(self), "names_sizes_dates": digest.hexdigest()}

    def in_recipe(self, recipe: ColourRecipe) -> FileSource:
        """Return the same files, FITS ones rendered with another recipe.

        Parameters
        ----------
        recipe : `~gmc_astro.imaging.ColourRecipe`
            Colours asked for.

        Returns
        -------
        source : `FileSource`
            This source itself where a recipe was given, or no file is FITS.
        """
        if self._recipe is not None or not any(map(is_fits, self.paths)):
            return self
        return FileSource(
            self.paths,
            size=self.size,
            framing=self.framing,
            recipe=recipe,
            ids=self._ids,
            coords=self._coords,
        )

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read files in order, some at a time in parallel.

        Parameters
        ----------
        batch_size, start, stop : int, optional
            As for `ImageSource.iter_batches <gmc_astro.imaging.ImageSource.iter_batches>`.

        Yields
        ------
        batch : `~gmc_astro.imaging.ImageBatch`
            The next rows.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        with ThreadPoolExecutor(THREADS) as pool:
            for first in range(start, stop, batch_size):
                paths = self.paths[first : min(first + batch_size, stop)]
                images, status, columns = stacked(list(pool.map(self._read, paths)), self.size)
                yield ImageBatch(images, status, first, columns)

    def _read(self, path: str) -> Decoded:
        """Read one file: its image or None, what was measured, and its status."""
        if not path:
            return None, {}, "no file given"
        try:
            if is_fits(path):
                image, measured, note = read_fits(
                    path, self.size, recipe=self._recipe, framing=self.framing
                )
                return image, measured, f"{OK} ({note})" if note else OK
            return decode_picture(path, self.size), {}, OK
        except GmcAstroError as err:
            return None, {}, f"unreadable: {str(err).removeprefix(f'{path}: ')}"


def file_stamp(path: str | os.PathLike) -> dict[str, Any]:
    """Name, size and date of a file: what differs when it was changed.

    Parameters
    ----------
    path : path-like
        A file that is there.

    Returns
    -------
    stamp : dict
        ``file`` (name without folder), ``bytes`` and ``modified`` (UTC).
    """
    found = os.stat(path)
    modified = datetime.fromtimestamp(found.st_mtime_ns / 1e9, UTC).isoformat()
    return {"file": os.path.basename(path), "bytes": found.st_size, "modified": modified}


def find_files(pattern: str | os.PathLike) -> list[str]:
    """Files that a path, folder or glob stands for.

    Parameters
    ----------
    pattern : path-like
        A file, a folder (searched through all its folders), or a glob.

    Returns
    -------
    paths : list of str
        Files, sorted.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is nothing, or no image in the folder.
    """
    pattern = os.fspath(pattern)
    if os.path.isdir(pattern):
        below = Path(pattern).rglob("*")  # links to nothing are rows that cannot be read
        found = [str(p) for p in below if _is_image(p.name) and not p.is_dir()]
        if not found:
            raise InputError(f"folder {pattern} holds no file with suffix {', '.join(SUFFIXES)}")
        return sorted(found)
    if os.path.exists(pattern):
        return [pattern]
    if is_glob(pattern):
        found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
        if found:
            return found
        raise InputError(f"no file matches {pattern!r}")
    raise InputError(f"{pattern!r} is not a file, a folder, or a glob that matches files")


def is_glob(path: str) -> bool:
    """Tell a pattern from a path; a file or folder of that very name is itself.

    Parameters
    ----------
    path : str
        What was given as a path.

    Returns
    -------
    pattern : bool
        True where it has ``*``, ``?`` or ``[`` and nothing is there.
    """
    return glob.has_magic(path) and not os.path.exists(path)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _short_names(paths: Sequence[str]) -> np.ndarray:
    """Paths below their common folder."""
    if len(paths) == 0:
        return np.zeros(0, dtype="U1")
    folders = {os.path.dirname(path) for path in paths if path}
    try:
        common = os.path.commonpath(folders) if folders and all(folders) else ""
    except ValueError:  # relative and absolute paths have none
        common = ""
    return np.array([os.path.relpath(p, common) if common and p else p for p in paths])

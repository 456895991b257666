"""Pictures in a column of Parquet files, and HATS catalogues, which are many of those."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

from gmc_astro.exceptions import GmcAstroError, InputError, UnreadableImageError
from gmc_astro.imaging import OK, ColourRecipe, ImageBatch, ImageSource
from gmc_astro.sources.decode import decode_picture
from gmc_astro.sources.files import DEFAULT_SIZE, THREADS, file_stamp
from gmc_astro.sources.positions import ids_of, positions_in
from gmc_astro.sources.tables import as_table, plain_names

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = [
    "ParquetSource",
    "PictureSource",
    "hats_partitions",
    "image_column",
    "is_hats",
    "open_parquet",
]

IMAGE_COLUMNS = ("image", "images", "cutout", "picture", "jpeg", "png", "image_bytes")


class PictureSource(ImageSource):
    """JPEG or PNG bytes in memory.

    Parameters
    ----------
    pictures : sequence of bytes
        One a row; None or empty where there is none.
    size : int, optional
        Side of the images in pixels.
    table : `~astropy.table.Table`, optional
        Names and positions of the rows, under their usual names.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours that the pictures have, if known.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from PIL import Image
    >>> from gmc_astro.sources import PictureSource
    >>> file = io.BytesIO()
    >>> Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(file, "JPEG")
    >>> batch = PictureSource([file.getvalue(), None], size=64).read()
    >>> print(batch.status)
    ['ok' 'no image given']
    """

    def __init__(
        self,
        pictures: Sequence[bytes | None],
        *,
        size: int = DEFAULT_SIZE,
        table: Table | None = None,
        recipe: ColourRecipe | None = None,
    ) -> None:
        self.pictures = pictures
        self.size = size
        self._table = table
        self._recipe = recipe

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row, else its number."""
        ids = None if self._table is None else ids_of(self._table)
        return np.arange(len(self)).astype(str) if ids is None else ids

    @property
    def coords(self) -> SkyCoord | None:
        """Position of each row, or None."""
        return None if self._table is None else positions_in(self._table)

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colours of the pictures, or None where they are not known."""
        return self._recipe

    def identity(self) -> dict[str, Any]:
        """Names, positions, size of the images, and a hash of the pictures.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(hashlib.sha256(picture or b"").digest())
        return {**super().identity(), "size": self.size, "pictures": digest.hexdigest()}

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Decode rows in order, some at a time in parallel.

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
                rows = self.pictures[first : min(first + batch_size, stop)]
                yield _decoded(rows, first, self.size, pool.map)


def _decoded(
    rows: Sequence[bytes | None], first: int, size: int, map_over: Callable[..., Any]
) -> ImageBatch:
    """A batch of pictures."""
    images = np.zeros((len(rows), size, size, 3), np.uint8)

    def one(i: int) -> str:
        if not rows[i]:
            return "no image given"
        try:
            images[i] = decode_picture(bytes(rows[i]), size)
        except GmcAstroError as err:
            return f"unreadable: {err}"
        return OK

    return ImageBatch(images, np.array(list(map_over(one, range(len(rows))))), first)


class ParquetSource(ImageSource):
    """JPEG or PNG bytes in a column of a Parquet file.

    The file is read a few rows at a time, and opened for each pass, so that a source can be
    pickled and used by several processes.

    Parameters
    ----------
    path : path-like
        The file.
    key : str, optional
        Column with the pictures: bytes, or a record with ``bytes``. Default is the first of the
        usual names.
    size : int, optional
        Side of the images in pixels.
    recipe : `~gmc_astro.imaging.ColourRecipe`, optional
        Colours that the pictures have, if known.

    Raises
    ------
    gmc_astro.exceptions.UnreadableImageError
        If the file is missing or not Parquet.
    gmc_astro.exceptions.InputError
        If it has no such column.

    Examples
    --------
    >>> import io
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from PIL import Image
    >>> from gmc_astro.sources import ParquetSource
    >>> file = io.BytesIO()
    >>> Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(file, "JPEG")
    >>> table = pa.table({"object_id": ["a", "b"], "image": [file.getvalue()] * 2})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pq.write_table(table, Path(folder) / "galaxies.parquet")
    ...     source = ParquetSource(Path(folder) / "galaxies.parquet", size=64)
    ...     ids, shape = source.ids, source.read().images.shape
    >>> print(ids, shape)
    ['a' 'b'] (2, 64, 64, 3)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        key: str | None = None,
        size: int = DEFAULT_SIZE,
        recipe: ColourRecipe | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.size = size
        self._recipe = recipe
        file = open_parquet(self.path)
        self._groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self._column = image_column(file.schema_arrow, key)
        if self._column is None:
            raise InputError(
                f"{self.path} has no column of pictures under {key or ', '.join(IMAGE_COLUMNS)}; "
                f"it has {file.schema_arrow.names}: say which with key="
            )

    def __len__(self) -> int:
        return sum(self._groups)

    @property
    def ids(self) -> np.ndarray:
        """Name of each row, else its number."""
        return self.names(0, len(self))[0]

    @property
    def coords(self) -> SkyCoord | None:
        """Position of each row, or None."""
        return self.names(0, len(self))[1]

    @property
    def recipe(self) -> ColourRecipe | None:
        """Colours of the pictures, or None where they are not known."""
        return self._recipe

    def names(self, start: int, stop: int) -> tuple[np.ndarray, SkyCoord | None]:
        """Names and positions of a range of rows.

        Parameters
        ----------
        start, stop : int
            Range of rows.

        Returns
        -------
        ids : `~numpy.ndarray` of str, shape (stop - start,)
            Name of each row.
        coords : `~astropy.coordinates.SkyCoord`, shape (stop - start,), or None
            Position of each row, where there are positions.
        """
        file = open_parquet(self.path)
        parts = list(self._rows(file, plain_names(file.schema_arrow), start, stop, 65536))
        table = as_table(pa.Table.from_batches(parts)) if parts else Table()
        ids = ids_of(table)
        return np.arange(start, stop).astype(str) if ids is None else ids, positions_in(table)

    def identity(self) -> dict[str, Any]:
        """Name, size and date of the file, and size of the images.

        Returns
        -------
        identity : dict
            Plain values for JSON.
        """
        stamp = file_stamp(self.path)
        own = {"kind": "Parquet", "rows": len(self), "data": self._column, "size": self.size}
        return {**own, **stamp}

    def iter_batches(
        self, batch_size: int = 64, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ImageBatch]:
        """Read and decode rows in order.

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
        waiting: list[bytes | None] = []
        with ThreadPoolExecutor(THREADS) as pool:
            for part in self._rows(
                open_parquet(self.path), [self._column], start, stop, batch_size
            ):
                waiting += [_bytes(value) for value in part.column(0).to_pylist()]
                while len(waiting) >= batch_size or (waiting and start + len(waiting) == stop):
                    yield _decoded(waiting[:batch_size], start, self.size, pool.map)
                    start += len(waiting[:batch_size])
                    waiting = waiting[batch_size:]

    def _rows(
        self, file: pq.ParquetFile, columns: Sequence[str], start: int, stop: int, step: int
    ) -> Iterator[pa.RecordBatch]:
        """Rows from start to stop; groups of rows outside are not read."""
        ends = np.cumsum(self._groups)
        touched = [i for i, end in enumerate(ends) if end > start and end - self._groups[i] < stop]
        if not touched or not columns:
            return
        row = int(ends[touched[0]] - self._groups[touched[0]])
        try:
            for part in file.iter_batches(step, row_groups=touched, columns=list(columns)):
                low, high = max(start - row, 0), min(stop - row, part.num_rows)
                if low < high:
                    yield part.slice(low, high - low)
                row += part.num_rows
        except (OSError, pa.ArrowException) as err:
            raise UnreadableImageError(f"{self.path} cannot be read: {err}") from err


def _bytes(value: bytes | Mapping[str, bytes] | None) -> bytes | None:
    return value.get("bytes") if isinstance(value, Mapping) else value


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a Parquet file, or say in one sentence why it cannot be."""
    if not Path(path).is_file():
        raise UnreadableImageError(f"{path}: no such file")
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as err:
        reason = str(err).splitlines()[0]
        raise UnreadableImageError(f"{path}: not a Parquet file, or cut off ({reason})") from err


def image_column(schema: pa.Schema, key: str | None = None) -> str | None:
    """Find the column with pictures.

    Parameters
    ----------
    schema : pyarrow.Schema
        Columns of a file.
    key : str, optional
        Name asked for. Default is the first of the usual names.

    Returns
    -------
    name : str or None
        None where there is no column of bytes under such a name.
    """
    for name in (key,) if key else IMAGE_COLUMNS:
        if name in schema.names and _holds_bytes(schema.field(name).type):
            return name
    return None


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def is_hats(path: str | os.PathLike) -> bool:
    """Tell whether a folder is a HATS catalogue, or a collection of one and its margins."""
    names = ("hats.properties", "collection.properties")
    folder = Path(path)
    return any((folder / name).is_file() for name in names) or (
        (folder / "properties").is_file() and (folder / "dataset").is_dir()
    )


def hats_partitions(path: str | os.PathLike) -> list[str]:
    """Parquet files of a HATS catalogue, in the order of the sky; without those of margins.

    Parameters
    ----------
    path : path-like
        Folder of the catalogue, or of its collection.

    Returns
    -------
    paths : list of str
        One or more a pixel.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there are none.

    References
    ----------
    HATS, an IVOA note: https://www.ivoa.net/documents/Notes/HATS/
    """
    folder = Path(path)
    collection = folder / "collection.properties"
    if collection.is_file():
        pairs = (line.partition("=") for line in collection.read_text().splitlines())
        entries = {key.strip(): value.strip() for key, _, value in pairs}
        folder = folder / entries["hats_primary_table_url"]
    found = sorted((folder / "dataset").glob("Norder=*/Dir=*/Npix=*"), key=_on_the_sky)
    paths = [p for part in found for p in (sorted(part.glob("*")) if part.is_dir() else [part])]
    if not paths:
        raise InputError(f"{path} is a HATS catalogue without partitions")
    return [os.fspath(path) for path in paths]


def _on_the_sky(path: Path) -> tuple[int, str]:
    """Where a pixel begins in the nested order of the finest pixels."""
    order, pixel = (
        int(re.search(rf"{name}=(\d+)", path.as_posix()).group(1)) for name in ("Norder", "Npix")
    )
    return pixel << 2 * (29 - order), path.name

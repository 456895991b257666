"""Finished ranges of rows: a Parquet file each, and beside it what it holds and its checksum."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import QTable

from gmc_astro._files import make_folder, read_json, sha256_of, whole, write_json
from gmc_astro.catalogs.embeddings import EmbeddingsFile
from gmc_astro.catalogs.parquet import write_parquet
from gmc_astro.exceptions import OutputError
from gmc_astro.imaging import OK, is_ok
from gmc_astro.learning import read_table

__all__ = ["RowRange", "Shards", "ranges_of"]


class RowRange(NamedTuple):
    """Consecutive rows of a catalogue."""

    start: int
    stop: int

    @property
    def name(self) -> str:
        """Name of the range's files, in order of the rows."""
        return f"{self.start:012d}"

    def __len__(self) -> int:
        return self.stop - self.start


def ranges_of(cuts: np.ndarray) -> list[RowRange]:
    """Ranges between cuts.

    Parameters
    ----------
    cuts : `~numpy.ndarray` of int, shape (R + 1,)
        Where to cut; see `~gmc_astro.imaging.ImageSource.cuts`.

    Returns
    -------
    ranges : list of RowRange
        R ranges.
    """
    return [RowRange(*pair) for pair in pairwise(np.asarray(cuts).tolist())]


class Shards:
    """The shards of a run.

    A range is finished when its record is there; the record is written last. Writing a range
    again gives the same bytes.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the shards.
    embeddings : EmbeddingsFile, optional
        Where embeddings go, if they are kept.
    """

    def __init__(self, folder: Path, embeddings: EmbeddingsFile | None = None) -> None:
        self.folder = folder
        self.embeddings = embeddings
        self._finished: set[str] = set()

    def make(self) -> None:
        """Make the folder and the file of embeddings."""
        make_folder(self.folder)
        if self.embeddings is not None:
            self.embeddings.make()

    def file(self, rows: RowRange) -> Path:
        """Parquet file of a range."""
        return self.folder / f"{rows.name}.parquet"

    def _record(self, rows: RowRange) -> Path:
        return self.folder / f"{rows.name}.json"

    def record(self, rows: RowRange) -> dict[str, Any] | None:
        """What a finished range holds; None where it is not finished."""
        found = read_json(self._record(rows))
        return found if found and found.get("stop") == rows.stop else None

    def is_finished(self, rows: RowRange) -> bool:
        """Tell whether a range is finished."""
        if rows.name not in self._finished:
            found, path = self.record(rows), self.file(rows)
            if found is None or not path.is_file() or path.stat().st_size != found["bytes"]:
                return False
            self._finished.add(rows.name)
        return True

    def all_ranges(self) -> list[RowRange]:
        """All finished ranges, in order."""
        records = (read_json(path) for path in sorted(self.folder.glob("[0-9]*.json")))
        ranges = [RowRange(found["start"], found["stop"]) for found in records if found]
        return [rows for rows in ranges if self.is_finished(rows)]

    def write(self, rows: RowRange, table: QTable, vectors: np.ndarray) -> dict[str, Any]:
        """Write a range: embeddings, table, record.

        Parameters
        ----------
        rows : RowRange
            The range.
        table : `~astropy.table.QTable`
            Its predictions.
        vectors : `~numpy.ndarray`, shape (B, D)
            Its embeddings.

        Returns
        -------
        record : dict
            What was written.

        Raises
        ------
        gmc_astro.exceptions.OutputError
            If it cannot be written; what was finished before is not touched.
        """
        digest = "" if self.embeddings is None else self.embeddings.write(rows.start, vectors)
        path = self.file(rows)
        with whole(path) as temporary:
            write_parquet(table, temporary)
            size, sha256 = temporary.stat().st_size, sha256_of(temporary)
        record = {
            "start": rows.start,
            "stop": rows.stop,
            "bytes": size,
            "sha256": sha256,
            "embeddings_sha256": digest,
            **_contents(table),
        }
        write_json(self._record(rows), record)
        self._finished.add(rows.name)
        return record

    def check(self, rows: RowRange) -> bool:
        """Compare a finished range with its checksums; one that differs is not finished any more.

        Parameters
        ----------
        rows : RowRange
            The range.

        Returns
        -------
        good : bool
            False where it is not finished, or was damaged.
        """
        good = self._is_good(rows)
        if not good:
            self.forget(rows)
        return good

    def forget(self, rows: RowRange) -> None:
        """Make a range count as not finished."""
        self._record(rows).unlink(missing_ok=True)
        self._finished.discard(rows.name)

    def _is_good(self, rows: RowRange) -> bool:
        found = self.record(rows)
        good = self.is_finished(rows) and found["sha256"] == sha256_of(self.file(rows))
        if good and self.embeddings is not None:
            good = found["embeddings_sha256"] == self.embeddings.digest(*rows)
        return good

    def read(self, rows: RowRange) -> QTable:
        """Read a range.

        Parameters
        ----------
        rows : RowRange
            The range.

        Returns
        -------
        table : `~astropy.table.QTable`
            Its predictions.

        Raises
        ------
        gmc_astro.exceptions.OutputError
            If it is missing or was damaged.
        """
        self.must_be_good(rows)
        return read_table(self.file(rows))

    def must_be_good(self, rows: RowRange) -> None:
        """Raise `~gmc_astro.exceptions.OutputError` if a range is missing or was damaged."""
        if not self._is_good(rows):
            raise OutputError(
                f"{self.file(rows)} is missing or was damaged: run classify_catalog again, it "
                "makes this range anew"
            )

    def sweep(self) -> None:
        """Remove what killed processes left half written; nobody may be at work."""
        for path in self.folder.glob(".*"):
            path.unlink(missing_ok=True)


def _contents(table: QTable) -> dict[str, Any]:
    """Counts of a range, and what merging must know before it reads the tables."""
    status = np.asarray(table["status"], dtype=str)
    good = is_ok(status)
    texts = {name: table[name] for name in table.colnames if _is_text(table[name])}
    return {
        "ok": int(good.sum()),
        "failed": dict(Counter(status[~good].tolist())),
        "notes": dict(Counter(status[good & (status != OK)].tolist())),
        "columns": table.colnames,
        "widths": {name: _width(column) for name, column in texts.items()},
    }


def _width(texts: np.ndarray) -> int:
    """Bytes of the longest text, at least 1."""
    return max(np.char.encode(np.ma.getdata(texts), "utf-8").dtype.itemsize, 1)


def _is_text(column: Any) -> bool:
    return getattr(getattr(column, "dtype", None), "kind", "") == "U"

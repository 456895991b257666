"""The account of a run: how many rows, how many of them well, why others not, how fast."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmc_astro._files import read_json, write_json
from gmc_astro.catalogs.shards import RowRange, Shards
from gmc_astro.exceptions import InputError

__all__ = ["REPORT_FILE", "read_report", "report_lines", "write_report"]

REPORT_FILE = "report.json"


def write_report(
    folder: Path,
    shards: Shards,
    ranges: Sequence[RowRange],
    *,
    before: int,
    seconds: float,
    engine: str,
) -> dict[str, Any]:
    """Count what is finished and keep the account in the run's folder.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the run.
    shards : Shards
        Its shards.
    ranges : sequence of RowRange
        All ranges.
    before : int
        Rows that were finished when this call began.
    seconds : float
        Time since.
    engine : str
        What did the work.

    Returns
    -------
    report : dict
        See `read_report`.
    """
    records = [shards.record(rows) for rows in ranges if shards.is_finished(rows)]
    failed, notes = Counter(), Counter()
    for record in records:
        failed.update(record["failed"])
        notes.update(record["notes"])
    ok = sum(record["ok"] for record in records)
    rows_here = ok + failed.total() - before
    report = {
        "rows": sum(len(rows) for rows in ranges),
        "classified": ok,
        "failed": dict(failed.most_common()),
        "notes": dict(notes.most_common()),
        "finished": before + rows_here,
        "complete": len(records) == len(ranges),
        "this_call": {
            "engine": engine,
            "rows": rows_here,
            "seconds": round(seconds, 3),
            "images_per_second": round(rows_here / seconds, 2) if seconds else 0.0,
        },
    }
    write_json(folder / REPORT_FILE, report)
    return report


def read_report(output: str | os.PathLike) -> dict[str, Any]:
    """Read the account of a run.

    Parameters
    ----------
    output : path-like
        Folder that `classify_catalog` wrote.

    Returns
    -------
    report : dict
        ``rows``, ``classified``, ``failed`` (count by reason), ``notes`` (rows that went well
        with a remark), ``finished``, ``complete``, and of the latest call ``this_call``:
        ``engine``, ``rows``, ``seconds`` and ``images_per_second``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
    >>> from gmc_astro.catalogs import read_report
    >>> images = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = read_report(classify_catalog(classifier, images, Path(folder) / "run"))
    >>> report["rows"], report["classified"], report["failed"], report["complete"]
    (4, 4, {}, True)
    """
    report = read_json(Path(output) / REPORT_FILE)
    if report is None:
        raise InputError(f"{output} holds no report of a run: give a folder of classify_catalog")
    return report


def report_lines(report: dict[str, Any]) -> list[str]:
    """The account in words.

    Parameters
    ----------
    report : dict
        What `read_report` gave.

    Returns
    -------
    lines : list of str
        To be printed.
    """
    call = report["this_call"]
    lines = [f"{report['classified']} of {report['rows']} images classified."]
    lines += [f"  {count} failed: {reason}" for reason, count in report["failed"].items()]
    missing = report["rows"] - report["finished"]
    if missing:
        lines.append(f"  {missing} still to do: run the same again to go on")
    if call["rows"]:
        lines.append(
            f"{call['rows']} of them now, in {_duration(call['seconds'])}: "
            f"{call['images_per_second']:.1f} images/s"
        )
    return lines


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"

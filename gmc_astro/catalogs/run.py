"""`classify_catalog`: a catalogue of any size in, shards of predictions out, restartable."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from gmc_astro._files import make_folder
from gmc_astro.catalogs.embeddings import EMBEDDINGS_FILE
from gmc_astro.catalogs.engines import (
    POLL,
    Rank,
    check_executor,
    current_rank,
    run_here,
    run_on_dask,
    where_work_is_done,
)
from gmc_astro.catalogs.images import open_catalog_images
from gmc_astro.catalogs.job import Job, Report, one_thread
from gmc_astro.catalogs.manifest import (
    MANIFEST_FILE,
    describe_run,
    keep_manifest,
    read_manifest,
)
from gmc_astro.catalogs.merging import merge_shards
from gmc_astro.catalogs.reading import all_shards
from gmc_astro.catalogs.report import REPORT_FILE, write_report
from gmc_astro.catalogs.shards import RowRange, Shards, ranges_of
from gmc_astro.exceptions import InputError, OutputError
from gmc_astro.learning import document_hash
from gmc_astro.surveys.request import gave_up

if TYPE_CHECKING:
    from distributed import Client

    from gmc_astro.classifier import GalaxyMorphologyClassifier
    from gmc_astro.imaging import ImageSource

__all__ = ["classify_catalog", "merge_catalog"]

MOST = 4096  # rows of a shard, if nothing else is asked for
FEWEST = 256
SHARES = 8  # shards that a catalogue is cut into at least, where that makes sense
FORMATS = ("parquet", "hdf5", "fits", "ecsv")
SUFFIXES = {"hdf5": "h5"}
OURS = ("shards", "claims", REPORT_FILE, EMBEDDINGS_FILE, MANIFEST_FILE)
GUESTS = ("here", "table")  # of the command line


def classify_catalog(
    classifier: GalaxyMorphologyClassifier,
    catalog: Any,
    output: str | os.PathLike,
    *,
    images: Any = "auto",
    executor: Client | None = None,
    overwrite: bool = False,
    resume: bool = True,
    embeddings: bool | str = False,
    merge: str | None = None,
    rows_per_shard: int | None = None,
    progress: bool = False,
    **source: Any,
) -> Path:
    """Classify a catalogue of any size into a folder, from which a stopped run goes on.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        Predicts as its ``predict`` does.
    catalog : path-like, Table, SkyCoord, array or ImageSource
        Whatever `~gmc_astro.sources.open_images` takes: HDF5 stacks, tables of files or of
        positions, folders, HATS catalogues.
    output : path-like
        Folder of the run, made where it is missing: ``shards/`` (Parquet), ``manifest.json``,
        ``report.json``, and on request ``embeddings.npy`` and ``predictions.*``.
    images : "auto", str, path-like, array or ImageSource, optional
        Where the catalogue's images are. ``"auto"``: it has them, names their files, or has
        positions that are cut out of a survey (``survey=``). A str: the column or data set with
        them. Else: images of their own (of a file: ``open_images("cutouts.h5")``), one for each
        row of the catalogue, in its order.
    executor : ``distributed.Client``, optional
        Dask cluster that does the work. Default is this process, beside any others that were
        started on the same output.
    overwrite : bool, optional
        Remove what an earlier run left in ``output``.
    resume : bool, optional
        Go on with the same run where ``output`` has one; False refuses.
    embeddings : bool or {"float16", "float32"}, optional
        Keep the embeddings; True is ``"float16"``. See `open_embeddings`.
    merge : {"parquet", "hdf5", "fits", "ecsv"}, optional
        Write all rows into ``predictions.*`` as well, when the run is complete.
    rows_per_shard : int, optional
        Rows of a shard, roughly: what is lost when a process dies. Default is 4,096, fewer for
        small catalogues.
    progress : bool, optional
        Show a progress bar.
    **source
        Options of `~gmc_astro.sources.open_images`.

    Returns
    -------
    output : `~pathlib.Path`
        The folder.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the catalogue has no rows, the output holds another run or the input has changed
        (the message names what differs), or an option is none that is known.
    gmc_astro.exceptions.OutputError
        If the output cannot be written; what was finished before is safe.

    See Also
    --------
    read_report : How many rows went well, and why others did not.
    merge_catalog : One file of all rows.

    Notes
    -----
    A row that cannot be had keeps its place with a status and a masked label. Where a survey did
    not answer, a run that is over asks again, when it is started anew, for the whole ranges of such
    rows (others come from the cache of cutouts). Killing the run
    at any moment and starting it again gives the same bytes as an undisturbed one, whatever the
    engine, as long as the kind of processor and the versions of the packages are the same.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
    >>> from gmc_astro.catalogs import read_report
    >>> images = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     output = classify_catalog(classifier, images, folder + "/run", merge="fits")
    ...     print(sorted(path.name for path in output.iterdir()))
    ...     read_report(output)["classified"]
    ['manifest.json', 'predictions.fits', 'report.json', 'shards']
    4
    """
    began, rank = time.perf_counter(), current_rank()
    check_executor(executor)
    kept = _number_format(embeddings)
    if merge is not None and merge not in FORMATS:
        raise InputError(f"merge={merge!r} is not one of {FORMATS}")
    classifier = _on_its_device(classifier, rank)
    opened = open_catalog_images(classifier, catalog, images, source)
    if overwrite and rank.size > 1:
        raise InputError(
            f"{rank.size} processes cannot overwrite {output} together: remove it before they start"
        )
    folder = _prepare(Path(output), overwrite, resume)
    job = _plan(classifier, opened, folder, executor, kept, rows_per_shard)
    shards = job.shards()
    shards.make()
    if rank.leads:
        _check_all(shards, job.ranges)
        if not job.claims().folder.exists():  # of a run that is over: nobody is at work
            _ask_again(shards, job.ranges)
    finished = sum(len(rows) for rows in job.ranges if shards.is_finished(rows))
    show = progress and rank.leads
    with tqdm(
        total=len(opened), initial=finished, desc="classify", unit="image", disable=not show
    ) as bar:
        try:
            _run(job, rank, executor, bar.update)
        finally:  # also of a run that was stopped; what stopped it matters more than its account
            with suppress(OutputError):
                if rank.leads:
                    seconds = time.perf_counter() - began
                    _account(job, finished, seconds, executor is not None)
    if rank.leads:
        _complete(job, merge)
    return folder


def _run(job: Job, rank: Rank, executor: Client | None, done: Report) -> None:
    if executor is None:
        run_here(job, rank, done=done)
    else:
        run_on_dask(job, executor, done=done)


def _number_format(embeddings: bool | str) -> str | None:
    if isinstance(embeddings, bool):
        return "float16" if embeddings else None
    if embeddings not in ("float16", "float32"):
        raise InputError(f"embeddings={embeddings!r} is not True, False, 'float16' or 'float32'")
    return embeddings


def _on_its_device(
    classifier: GalaxyMorphologyClassifier, rank: Rank
) -> GalaxyMorphologyClassifier:
    """Of several processes on a machine with GPUs, each takes its own."""
    if rank.size > 1 and classifier.device in ("auto", "cuda"):
        import torch

        if torch.cuda.is_available() and not classifier.holds_weights:
            classifier = copy(classifier)
            classifier.device = f"cuda:{rank.local % torch.cuda.device_count()}"
    return classifier


def _prepare(folder: Path, overwrite: bool, resume: bool) -> Path:
    """The folder of the run, refused where it holds something else."""
    manifest = folder / MANIFEST_FILE
    if overwrite and manifest.exists():
        for name in ("shards", "claims"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for path in [*folder.glob("predictions.*"), *(folder / name for name in OURS[2:])]:
            path.unlink(missing_ok=True)
        (folder / "table").unlink(missing_ok=True)
    if manifest.exists() and not resume:
        raise InputError(
            f"{folder} holds a run; give another output, resume=True to go on with it, or "
            "overwrite=True to start anew"
        )
    if folder.is_dir() and not manifest.exists() and (strange := _strangers(folder)):
        raise InputError(
            f"{folder} is a folder of something else (it holds {strange[0]!r}); give a new one"
        )
    return make_folder(folder)


def _strangers(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir())
    return [name for name in names if name not in OURS + GUESTS and not name.startswith(".")]


def _plan(
    classifier: GalaxyMorphologyClassifier,
    source: ImageSource,
    folder: Path,
    executor: Client | None,
    embeddings: str | None,
    rows_per_shard: int | None,
) -> Job:
    """Cut the rows into ranges, and make sure that the folder's run is this one."""
    if not len(source):
        raise InputError("the catalogue has no rows")
    there = read_manifest(folder)
    if rows_per_shard is None:
        rows_per_shard = there["settings"]["rows_per_shard"] if there else _rows(len(source))
    if rows_per_shard < 1:
        raise InputError(f"rows_per_shard={rows_per_shard} must be 1 or more")
    device, precision = where_work_is_done(classifier, executor)
    batch_size = classifier.batch_size or classifier.encoder.batch_size_on(device)
    with one_thread():
        classifier = classifier.ready()
    recipe = source.recipe
    meta = {"image_recipe": recipe.name if recipe is not None else ""}
    cuts = np.asarray(source.cuts(rows_per_shard))
    settings = {
        "device": device,
        "precision": precision,
        "batch_size": batch_size,
        "rows_per_shard": rows_per_shard,
        "embeddings": embeddings or "none",
    }
    manifest = describe_run(classifier, source, meta=meta, cuts=cuts, settings=settings)
    keep_manifest(folder, manifest)
    return Job(
        folder.resolve(),
        classifier,
        source,
        ranges_of(cuts),
        batch_size,
        embeddings,
        classifier.encoder.dim,
        meta,
        document_hash(manifest),
    )


def _rows(total: int) -> int:
    """Rows of a shard: halved until a small catalogue makes several."""
    rows = MOST
    while rows > FEWEST and total < SHARES * rows:
        rows //= 2
    return rows


def _check_all(shards: Shards, ranges: list[RowRange]) -> None:
    """Look at every finished range, so that a damaged one is made anew."""
    for rows in ranges:
        if shards.is_finished(rows):
            shards.check(rows)


def _ask_again(shards: Shards, ranges: list[RowRange]) -> None:
    """Make the ranges anew that have rows for which a survey gave up."""
    for rows in ranges:
        if shards.is_finished(rows) and any(map(gave_up, shards.record(rows)["failed"])):
            shards.forget(rows)


def _account(job: Job, before: int, seconds: float, dask: bool) -> None:
    """Count what is finished, whoever did it."""
    engine = "dask" if dask else "processes"
    write_report(
        job.folder, job.shards(), job.ranges, before=before, seconds=seconds, engine=engine
    )


def _complete(job: Job, merge: str | None) -> None:
    """Merge, unless a process beside this one just did, and tidy up behind killed processes."""
    shards, waited = job.shards(), False
    with job.claims() as claims:
        while not claims.take("merge"):
            waited = True
            time.sleep(POLL)
        if merge is not None:
            path = job.folder / f"predictions.{SUFFIXES.get(merge, merge)}"
            if not (waited and path.exists()):
                merge_shards(shards, job.ranges, path, overwrite=True)
        claims.release("merge")
    shards.sweep()
    for path in (job.folder / "claims").glob("[0-9]*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty: a process beside this one is about to leave
        (job.folder / "claims").rmdir()


def merge_catalog(
    output: str | os.PathLike, path: str | os.PathLike, *, overwrite: bool = False
) -> Path:
    """Write all rows of a complete run into one file.

    Parameters
    ----------
    output : path-like
        Folder that `classify_catalog` wrote.
    path : path-like
        File with suffix ``.parquet``, ``.h5``, ``.hdf5``, ``.fits`` or ``.ecsv``, which
        `~gmc_astro.learning.read_table` reads, or ``.csv`` for other programs; it appears whole.
    overwrite : bool, optional
        Replace a file that is there.

    Returns
    -------
    path : `~pathlib.Path`
        The file.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the run is not complete, the suffix is unknown, or the file exists.
    gmc_astro.exceptions.OutputError
        If a shard is damaged or the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
    >>> from gmc_astro.catalogs import merge_catalog
    >>> images = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = classify_catalog(classifier, images, Path(folder) / "run")
    ...     path = merge_catalog(run, Path(folder) / "predictions.ecsv")
    ...     print(path.name)
    predictions.ecsv
    """
    return merge_shards(*all_shards(output), path, overwrite=overwrite)

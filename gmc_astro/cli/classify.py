"""``gmc-astro classify``: images or a catalogue in; a table of classes, or shards of it, out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmc_astro.cli.common import (
    SOME_FAILED,
    account,
    apart,
    image_options,
    model_options,
    open_classifier,
    parse_classes,
    sentences,
    source_options,
    stops_tidily,
    summary,
)

if TYPE_CHECKING:
    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = ["command"]

MARK = "table"  # in the folder of the parts: the table is made
SHOWN = 100_000  # rows of a table up to which the classes are counted


@click.command("classify")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--classes",
    help="Names with commas between, a scheme (GZ2_FIVE_CLASS, GALAXY10_DECALS, GALAXY10_SDSS, "
    "GALAXY_MNIST), or a JSON/TOML file of names and prompts. Default: the model's own.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Table to write (.ecsv, .fits, .h5, .parquet, or .csv for other programs: without units, "
    "p_<class> for each class), or a folder for a run of any size. Default: print the table.",
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on with what a stopped run left behind, or start anew.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there.")
@image_options
@click.option(
    "--embeddings",
    type=click.Choice(["float16", "float32"]),
    help="Of a folder: keep embeddings.npy, for other classes without touching an image again.",
)
@click.option(
    "--merge",
    type=click.Choice(["parquet", "hdf5", "fits", "ecsv"]),
    help="Of a folder: write predictions.* of all rows as well.",
)
@click.option("--rows-per-shard", type=int, help="Rows that are lost at most when it is killed.")
@click.option("--workers", type=int, help="Processes on this machine (needs Dask).")
@click.option("--scheduler", help="Address of a Dask scheduler whose workers are to be used.")
@model_options
@click.pass_context
@sentences
def command(
    ctx: click.Context,
    images: tuple[str, ...],
    classes: str | None,
    output: str | None,
    resume: bool,
    overwrite: bool,
    key: str | None,
    framing: str,
    survey: str | None,
    embeddings: str | None,
    merge: str | None,
    rows_per_shard: int | None,
    workers: int | None,
    scheduler: str | None,
    model: str,
    weights: str | None,
    device: str,
    views: str,
) -> None:
    """Classify IMAGES: files, folders, globs, HDF5 stacks, catalogues, or positions.

    With -o, a run that was stopped goes on where it was when the same command is given again:
    finished rows are kept in OUTPUT, if it is a folder (a name without suffix), or in
    OUTPUT.parts until the table is whole. Several processes with the same command share the
    work.

    \b
    Examples:
      gmc-astro classify cutouts/
      gmc-astro classify cutouts/ -o predictions.ecsv
      gmc-astro classify "fits/*.fits" --classes "barred spiral,unbarred spiral,smooth"
      gmc-astro classify Galaxy10_DECals.h5 --classes GALAXY10_DECALS -o out.parquet
      gmc-astro classify catalogue.ecsv --key file --model my_model -o out.fits
      gmc-astro classify --survey decals "184.85 5.79"
      gmc-astro classify --survey sdss catalogue.ecsv -o out.ecsv
      gmc-astro classify survey_*.h5 -o run --embeddings float16 --merge parquet
      srun gmc-astro classify hats_catalogue/ -o run

    Exit code 1 says that some rows have no image; the table tells which and why.
    """
    apart(output, images)
    classifier = open_classifier(model, weights, device, views, parse_classes(classes))
    inputs = images[0] if len(images) == 1 else list(images)
    source = source_options(key, framing, survey)
    if not output:
        ctx.exit(_print(classifier, inputs, source))
    options: dict[str, Any] = {"rows_per_shard": rows_per_shard, **source}
    with stops_tidily(), _cluster(workers, scheduler) as executor:
        options["executor"] = executor
        if _is_folder(output):
            options |= {"embeddings": embeddings or False, "merge": merge}
            anew = overwrite or not resume
            ctx.exit(_into_folder(classifier, inputs, Path(output), anew, options))
        if embeddings or merge:
            raise click.UsageError(
                f"--embeddings and --merge need a folder for OUTPUT, and {output} is a table"
            )
        ctx.exit(_into_table(classifier, inputs, Path(output), resume, overwrite, options))


def _print(classifier: GalaxyMorphologyClassifier, inputs: Any, source: dict[str, Any]) -> int:
    """Classify and print one line a row."""
    table = classifier.predict(inputs, progress=True, **source)
    shown = table[[name for name in table.colnames if table[name].ndim == 1]]
    for column in shown.itercols():
        if getattr(getattr(column, "dtype", None), "kind", "") == "f":
            column.info.format = ".3f"
    click.echo("\n".join(shown.pformat(max_lines=-1, max_width=-1)))
    return account(table)


def _is_folder(output: str) -> bool:
    """A folder that is there, or a name that no table would have."""
    return Path(output).is_dir() or output.endswith("/") or not Path(output).suffix


def _into_folder(
    classifier: GalaxyMorphologyClassifier,
    inputs: Any,
    folder: Path,
    anew: bool,
    options: dict[str, Any],
) -> int:
    from gmc_astro.catalogs import classify_catalog

    classify_catalog(classifier, inputs, folder, overwrite=anew, progress=True, **options)
    return _report(folder, f"Shards: {folder / 'shards'}")


def _into_table(
    classifier: GalaxyMorphologyClassifier,
    inputs: Any,
    path: Path,
    resume: bool,
    overwrite: bool,
    options: dict[str, Any],
) -> int:
    """Classify into a folder beside the table, which is removed when the table is whole.

    Of several processes with the same command, one makes the table, and the last one tidies up;
    one that ends before the table is made leaves the parts to those that are still to come.
    """
    import os
    import shutil
    import socket

    from gmc_astro.catalogs.claims import Claims
    from gmc_astro.learning import check_output

    check_output(path, overwrite=overwrite)
    parts = path.with_name(f"{path.name}.parts")
    code, done = 0, False
    try:
        with Claims(parts / "here") as claims:
            claims.take(f"process.{socket.gethostname()}.{os.getpid()}")
            _classify_parts(classifier, inputs, parts, resume, overwrite, options)
            if _leads():
                code = _make_table(parts, path, claims)
            done = _is_made(parts, path) and not claims.others("process.")
    finally:
        if done or not (parts / "manifest.json").exists():
            shutil.rmtree(parts, ignore_errors=True)
    return code


def _classify_parts(
    classifier: GalaxyMorphologyClassifier,
    inputs: Any,
    parts: Path,
    resume: bool,
    overwrite: bool,
    options: dict[str, Any],
) -> None:
    """Go on with the parts of the same table; those of another one may be overwritten with it."""
    from gmc_astro.catalogs import classify_catalog
    from gmc_astro.catalogs.manifest import OtherRunError

    run = (classifier, inputs, parts)
    try:
        classify_catalog(*run, overwrite=not resume, progress=True, **options)
    except OtherRunError:
        if not overwrite:
            raise
        classify_catalog(*run, overwrite=True, progress=True, **options)


def _make_table(parts: Path, path: Path, claims: Any) -> int:
    """Merge the parts, unless another process just did; print the account."""
    import time

    from gmc_astro.catalogs import merge_catalog

    while not claims.take("table"):
        time.sleep(1)
    if not _is_made(parts, path):
        merge_catalog(parts, path, overwrite=True)
        (parts / MARK).touch()
    claims.release("table")
    return _report(parts, f"Table: {path}", lambda: _classes(parts))


def _is_made(parts: Path, path: Path) -> bool:
    """Whether the parts are in the table."""
    return (parts / MARK).exists() and path.exists()


def _classes(parts: Path) -> list[str]:
    """How many rows each class has, of a run that is not too long to be read for it."""
    from gmc_astro.catalogs import read_report
    from gmc_astro.catalogs.reading import stacked
    from gmc_astro.catalogs.shards import Shards

    if read_report(parts)["rows"] > SHOWN:
        return []
    shards = Shards(parts / "shards")
    table = stacked([shards.read(rows)["label", "status"] for rows in shards.all_ranges()])
    return summary(table, table.meta["class_names"])


def _leads() -> bool:
    """True for the one of several ranks that speaks."""
    from gmc_astro.catalogs.engines import current_rank

    return current_rank().leads


def _report(folder: Path, where: str, before: Callable[[], list[str]] = list) -> int:
    """Print the account of a run; return the exit code."""
    from gmc_astro.catalogs import read_report
    from gmc_astro.catalogs.report import report_lines

    if not _leads():
        return 0
    report = read_report(folder)
    for line in [*before(), where]:
        click.echo(line)
    click.echo("\n".join(report_lines(report)), err=True)
    return SOME_FAILED if report["failed"] else 0


@contextmanager
def _cluster(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Dask client that the options ask for, or None."""
    if workers is None and scheduler is None:
        yield None
        return
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers starts a cluster, --scheduler uses one: give one of them")
    from gmc_astro.catalogs.engines import connected, local_workers

    with local_workers(workers) if scheduler is None else connected(scheduler) as client:
        yield client

"""``gmc-astro search``: words or examples in, the galaxies that are like them out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmc_astro.cli.common import (
    SOME_FAILED,
    image_options,
    model_options,
    open_classifier,
    sentences,
    source_options,
)
from gmc_astro.exceptions import InputError

if TYPE_CHECKING:
    import numpy as np
    from astropy.table import QTable

    from gmc_astro.classifier import GalaxyMorphologyClassifier
    from gmc_astro.imaging import ImageSource

__all__ = ["command"]

PICTURES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
MOST = 60  # galaxies that a picture shows
SHOWN = ("row", "id", "coord", "score", "label", "probability")


@click.command("search")
@click.argument("images")
@click.argument("words", required=False)
@click.option(
    "--like",
    multiple=True,
    metavar="FILE_OR_ID",
    help="An image file, or a galaxy of IMAGES by its id, that is an example; several times.",
)
@click.option("--unlike", help="What they are not to look like, in words.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many to find.",
)
@click.option(
    "-o", "--output", type=click.Path(), help="Table to write (.ecsv, .fits, .h5, .parquet, .csv)."
)
@click.option("--picture", type=click.Path(), help="Sheet of what was found (.png, .jpg, .pdf).")
@click.option("--pictures-from", help="Images of a run's rows, in its order, for --picture.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT and PICTURE if they are there.")
@image_options
@model_options
@click.pass_context
@sentences
def command(
    ctx: click.Context,
    images: str,
    words: str | None,
    like: tuple[str, ...],
    unlike: str | None,
    number: int,
    output: str | None,
    picture: str | None,
    pictures_from: str | None,
    overwrite: bool,
    key: str | None,
    framing: str,
    survey: str | None,
    model: str,
    weights: str | None,
    device: str,
    views: str,
) -> None:
    """Find the galaxies among IMAGES that WORDS describe, or that look like examples.

    IMAGES is the folder of a run (classify -o FOLDER --embeddings float16), which is searched in
    seconds without touching an image, or whatever classify takes: a folder, a glob in quotes, an
    HDF5 stack, a catalogue. Such images are embedded first.

    \b
    Examples:
      gmc-astro search run "a galaxy with a ring"
      gmc-astro search run "an edge-on galaxy" -n 100 -o edge_on.ecsv
      gmc-astro search run --like 587722984435351614 --like 588017703996096547
      gmc-astro search run "a merger" --picture mergers.png --pictures-from survey.h5
      gmc-astro search cutouts/ --like my_ring.jpg --picture rings.png
      gmc-astro search cutouts/ "a spiral galaxy" --unlike "an edge-on galaxy"

    Exit code 1 says that some images could not be had; gmc-astro classify tells which and why.
    """
    from gmc_astro.learning import check_output, write_table

    if not words and not like:
        raise click.UsageError("give WORDS, or examples with --like")
    is_run = (Path(images) / "manifest.json").is_file()
    if pictures_from and not (is_run and picture):
        raise click.UsageError("--pictures-from is for the --picture of a run")
    if is_run and picture and not pictures_from:
        raise click.UsageError(
            "a run keeps no images: name those that it classified with --pictures-from"
        )
    if output:
        check_output(output, overwrite=overwrite)
    if picture:
        from gmc_astro.plots.canvas import new_figure

        check_output(picture, overwrite=overwrite, formats=PICTURES)
        new_figure(1, 1)  # says now what it would lack
    classifier = open_classifier(model, weights, device, views)
    source = source_options(key, framing, survey)
    searched: _Run | _Images
    if is_run:
        searched = _Run(classifier, images, pictures_from, source)
    else:
        searched = _Images(classifier, images, source)
    table = _search(classifier, searched, words, like, unlike, number, framing)
    _print(table)
    if output:
        write_table(table, output, overwrite=overwrite)
        click.echo(f"Table: {output}")
    if picture:
        _draw(searched.source, table, words or "", Path(picture))
        click.echo(f"Picture: {picture}")
    known, total = searched.counted()
    click.echo(f"{known} of {total} images searched.", err=True)
    ctx.exit(0 if known == total else SOME_FAILED)


class _Run:
    """A run of ``gmc-astro classify`` that kept its embeddings."""

    def __init__(
        self,
        classifier: GalaxyMorphologyClassifier,
        folder: str,
        pictures: str | None,
        options: dict[str, Any],
    ) -> None:
        from gmc_astro.catalogs import open_embeddings
        from gmc_astro.sources import open_images

        self.folder = folder
        self.embeddings = open_embeddings(folder, classifier)
        self.source = None if pictures is None else open_images(pictures, **options)
        if self.source is not None and len(self.source) != len(self.embeddings):
            raise InputError(
                f"{pictures} has {len(self.source)} images, the run {len(self.embeddings)} rows"
            )

    def find(self, ids: Sequence[str]) -> np.ndarray:
        from gmc_astro.catalogs import find_rows

        return find_rows(self.folder, ids)

    def read(self, rows: np.ndarray) -> QTable:
        from gmc_astro.catalogs import read_rows

        return read_rows(self.folder, rows)

    def counted(self) -> tuple[int, int]:
        from gmc_astro.catalogs import read_report

        report = read_report(self.folder)
        return report["classified"], report["rows"]


class _Images:
    """Images that are embedded when they are searched."""

    def __init__(
        self, classifier: GalaxyMorphologyClassifier, images: str, options: dict[str, Any]
    ) -> None:
        from gmc_astro.sources import open_images

        self.classifier = classifier
        self.source = open_images(images, **options)

    @cached_property
    def embeddings(self) -> np.ndarray:
        return self.classifier.embed(self.source, progress=True)

    def find(self, ids: Sequence[str]) -> np.ndarray:
        import numpy as np

        places = {name: row for row, name in reversed(list(enumerate(self.source.ids)))}
        missing = [name for name in ids if name not in places]
        if missing:
            raise InputError(f"the images searched have no row named {missing[0]!r}")
        return np.array([places[name] for name in ids])

    def read(self, rows: np.ndarray) -> QTable:
        from astropy.table import QTable

        table = QTable({"id": self.source.ids[rows]})
        if self.source.coords is not None:
            table.add_column(self.source.coords[rows], name="coord", index=0)
        return table

    def counted(self) -> tuple[int, int]:
        import numpy as np

        return int(np.isfinite(self.embeddings[:, 0]).sum()), len(self.embeddings)


def _search(
    classifier: GalaxyMorphologyClassifier,
    searched: _Run | _Images,
    words: str | None,
    like: Sequence[str],
    unlike: str | None,
    number: int,
    framing: str,
) -> QTable:
    """Table of what was found: row and score, and all that is known of the rows."""
    from astropy.table import hstack

    from gmc_astro.search import search_embeddings

    examples = _examples(classifier, searched, like, framing) if like else None
    options = {"like": examples, "unlike": unlike, "n": number}
    hits = search_embeddings(classifier, searched.embeddings, words, **options)
    if not len(hits):
        raise InputError("none of the images could be had, but for the examples")
    table = hstack([hits, searched.read(hits["row"])], metadata_conflicts="silent")
    table.meta |= hits.meta
    return table


def _examples(
    classifier: GalaxyMorphologyClassifier,
    searched: _Run | _Images,
    like: Sequence[str],
    framing: str,
) -> np.ndarray:
    """Embeddings of files, or rows of ids."""
    import numpy as np

    from gmc_astro.sources import open_images

    files = [name for name in like if Path(name).is_file()]
    others = [name for name in like if name not in files]
    if others and (files or any(Path(name).exists() for name in others)):
        raise InputError(
            f"--like {others[0]} is not the file of an image: give files alone, or ids alone"
        )
    if others:
        try:
            return searched.find(others)
        except InputError as err:
            raise InputError(f"--like: no such file, and {err}") from err
    opened = open_images(files, framing=framing)
    if len(opened) != len(files):
        raise InputError(f"--like: {', '.join(files)} hold {len(opened)} images: give one a file")
    vectors = classifier.embed(opened)
    for name, vector in zip(files, vectors, strict=True):
        if not np.isfinite(vector).all():
            raise InputError(f"--like {name} cannot be read: gmc-astro classify {name} says why")
    return vectors


def _print(table: QTable) -> None:
    """One line a galaxy."""
    shown = table[[name for name in SHOWN if name in table.colnames]]
    for name in ("score", "probability"):
        if name in shown.colnames:
            shown[name].info.format = ".3f"
    click.echo("\n".join(shown.pformat(max_lines=-1, max_width=-1)))


def _draw(source: ImageSource, table: QTable, title: str, path: Path) -> None:
    """Sheet of what was found, the best first, with ids and scores."""
    from gmc_astro import plots
    from gmc_astro._files import writing

    if len(table) > MOST:
        click.echo(f"The picture shows the first {MOST}.")
    table = table[:MOST]
    rows, names = table["row"].tolist(), table["id"].tolist()
    batches = [next(source.iter_batches(1, start=row, stop=row + 1)) for row in rows]
    there = [source.names(row, row + 1)[0][0] for row in rows]
    if other := [i for i, name in enumerate(there) if name != names[i]]:
        i = other[0]
        click.echo(
            f"Warning: {len(other)} of {len(rows)} rows have other names in the pictures, such as "
            f"row {rows[i]}, which is {names[i]!r} in the run and {there[i]!r} there: are they the "
            "same galaxies, in the same order?",
            err=True,
        )
    good = [i for i, batch in enumerate(batches) if batch.ok[0]]
    for i in sorted({*range(len(batches))} - {*good}):
        status = batches[i].status[0]
        click.echo(f"Not in the picture: row {rows[i]}, {names[i]!r}: {status}", err=True)
    if not good:
        raise InputError("none of the pictures of what was found can be read")
    sheet = plots.gallery(
        [batches[i].images[0] for i in good],
        probabilities=table["score"][good],
        names=[names[i] for i in good],
        title=title,
    )
    with writing(path):
        sheet.savefig(path, dpi=100)

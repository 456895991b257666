"""``gmc-astro search``: words or examples in, the galaxies that are like them out."""

from __future__ import annotations

from collections.abc import Sequence
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
PIECE = 1_000_000  # rows that are counted at a time
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
    if output:
        check_output(output, overwrite=overwrite)
    if picture:
        check_output(picture, overwrite=overwrite, formats=PICTURES)
    is_run = (Path(images) / "manifest.json").is_file()
    if is_run and picture and not pictures_from:
        raise click.UsageError(
            "a run keeps no images: name those that it classified with --pictures-from"
        )
    source = source_options(key, framing, survey)
    classifier = open_classifier(model, weights, device, views)
    searched: _Run | _Images
    if is_run:
        searched = _Run(classifier, images, pictures_from, source)
    else:
        searched = _Images(classifier, images, source)
    table = _search(classifier, searched, words, like, unlike, number)
    _print(table)
    if output:
        write_table(table, output, overwrite=overwrite)
        click.echo(f"Table: {output}")
    if picture:
        _draw(searched.source(), table, words or "", Path(picture))
        click.echo(f"Picture: {picture}")
    ctx.exit(_account(searched.embeddings))


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

        self.folder, self.pictures, self.options = folder, pictures, options
        self.embeddings = open_embeddings(folder, classifier)

    def find(self, ids: Sequence[str]) -> np.ndarray:
        from gmc_astro.catalogs import find_rows

        return find_rows(self.folder, ids)

    def read(self, rows: np.ndarray) -> QTable:
        from gmc_astro.catalogs import read_rows

        return read_rows(self.folder, rows)

    def source(self) -> ImageSource:
        from gmc_astro.sources import open_images

        source = open_images(self.pictures, **self.options)
        if len(source) != len(self.embeddings):
            raise InputError(
                f"{self.pictures} has {len(source)} images, the run {len(self.embeddings)} rows"
            )
        return source


class _Images:
    """Images that are embedded now."""

    def __init__(
        self, classifier: GalaxyMorphologyClassifier, images: str, options: dict[str, Any]
    ) -> None:
        from gmc_astro.sources import open_images

        self.opened = open_images(images, **options)
        self.embeddings = classifier.embed(self.opened, progress=True)

    def find(self, ids: Sequence[str]) -> np.ndarray:
        import numpy as np

        places = {name: row for row, name in reversed(list(enumerate(self.opened.ids)))}
        missing = [name for name in ids if name not in places]
        if missing:
            raise InputError(f"no file and no id of the images searched: {missing[0]!r}")
        return np.array([places[name] for name in ids])

    def read(self, rows: np.ndarray) -> QTable:
        from astropy.table import QTable

        table = QTable({"id": self.opened.ids[rows]})
        if self.opened.coords is not None:
            table.add_column(self.opened.coords[rows], name="coord", index=0)
        return table

    def source(self) -> ImageSource:
        return self.opened


def _search(
    classifier: GalaxyMorphologyClassifier,
    searched: _Run | _Images,
    words: str | None,
    like: Sequence[str],
    unlike: str | None,
    number: int,
) -> QTable:
    """Table of what was found: row and score, and all that is known of the rows."""
    from astropy.table import hstack

    from gmc_astro.search import search_embeddings

    options = {"like": _examples(classifier, searched, like), "unlike": unlike, "n": number}
    hits = search_embeddings(classifier, searched.embeddings, words, **options)
    if not len(hits):
        raise InputError("not one of the images could be had: gmc-astro classify says why")
    known = searched.read(hits["row"])
    return hstack([hits, known], metadata_conflicts="silent")


def _examples(
    classifier: GalaxyMorphologyClassifier, searched: _Run | _Images, like: Sequence[str]
) -> np.ndarray | None:
    """Embeddings of files, or rows of ids."""
    files = [name for name in like if Path(name).is_file()]
    if not like:
        return None
    if not files:
        return searched.find(like)
    if len(files) < len(like):
        raise InputError(
            f"--like {next(name for name in like if name not in files)} is no file, and "
            f"{files[0]} is one: give files alone, or ids alone"
        )
    return classifier.embed(files)


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

    images = [
        next(source.iter_batches(1, start=row, stop=row + 1)).images[0]
        for row in table["row"].tolist()
    ]
    names = table["id"].tolist()
    sheet = plots.gallery(images, probabilities=table["score"], names=names, title=title)
    with writing(path):
        sheet.savefig(path, dpi=100)


def _account(embeddings: np.ndarray) -> int:
    """Print how many images were searched; return the exit code."""
    import numpy as np

    known = sum(
        int(np.isfinite(embeddings[start : start + PIECE, 0]).sum())
        for start in range(0, len(embeddings), PIECE)
    )
    click.echo(f"{known} of {len(embeddings)} images searched.", err=True)
    return 0 if known == len(embeddings) else SOME_FAILED

"""``gmc-astro classify``: images in, a table of classes out."""

from __future__ import annotations

import click

from gmc_astro.cli.common import (
    account,
    model_options,
    open_classifier,
    parse_classes,
    sentences,
    summary,
)

__all__ = ["command"]


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
    type=click.Path(dir_okay=False),
    help="Table to write: .ecsv, .fits, .h5 or .parquet. Default: print it.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there.")
@click.option("--key", help="Data set of an HDF5 file, or file column of a table.")
@click.option(
    "--framing",
    type=click.Choice(["auto", "petrosian", "fixed", "none"]),
    default="auto",
    show_default=True,
    help="How FITS images and positions are cut out.",
)
@click.option(
    "--survey", help="Take IMAGES as a position, or a catalogue, in this survey: decals, sdss..."
)
@model_options
@click.pass_context
@sentences
def command(
    ctx: click.Context,
    images: tuple[str, ...],
    classes: str | None,
    output: str | None,
    overwrite: bool,
    key: str | None,
    framing: str,
    survey: str | None,
    model: str,
    weights: str | None,
    device: str,
    views: str,
) -> None:
    """Classify IMAGES: files, folders, globs, HDF5 stacks, tables of files, or positions.

    \b
    Examples:
      gmc-astro classify cutouts/
      gmc-astro classify cutouts/ -o predictions.ecsv
      gmc-astro classify "fits/*.fits" --classes "barred spiral,unbarred spiral,smooth"
      gmc-astro classify Galaxy10_DECals.h5 --classes GALAXY10_DECALS -o out.parquet
      gmc-astro classify catalogue.ecsv --key file --model my_model -o out.fits
      gmc-astro classify --survey decals "184.85 5.79"
      gmc-astro classify --survey sdss catalogue.ecsv -o out.ecsv

    Exit code 1 says that some rows have no image; the table tells which and why.
    """
    from gmc_astro.learning import check_output, write_table

    if output:
        check_output(output, overwrite=overwrite)
    classifier = open_classifier(model, weights, device, views, parse_classes(classes))
    given = {"key": key, "survey": survey}
    options = {name: value for name, value in given.items() if value}
    inputs = images[0] if len(images) == 1 else list(images)
    table = classifier.predict(inputs, progress=True, framing=framing, **options)
    if output:
        write_table(table, output, overwrite=overwrite)
        click.echo("\n".join(summary(table, table.meta["class_names"])))
        click.echo(f"Table: {output}")
    else:
        shown = table[[name for name in table.colnames if table[name].ndim == 1]]
        shown["probability"].info.format = ".3f"
        shown["entropy"].info.format = ".3f"
        click.echo("\n".join(shown.pformat(max_lines=-1, max_width=-1)))
    ctx.exit(account(table))

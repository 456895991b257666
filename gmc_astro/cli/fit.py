"""``gmc-astro fit``: a table of labelled images in, a classifier out."""

from __future__ import annotations

import click

from gmc_astro.cli.common import (
    SOME_FAILED,
    model_options,
    open_classifier,
    parse_classes,
    sentences,
)

__all__ = ["command"]


@click.command("fit")
@click.argument("catalog", type=click.Path(exists=True))
@click.option(
    "--label",
    help="Column, or data set of an HDF5 file, with the class of each image. Default: label, or "
    "the first usual name (ans, labels, label...) in an HDF5 file.",
)
@click.option("--key", help="Column with the file of each image, or data set of an HDF5 file.")
@click.option("--classes", help="As for classify. Default: the labels that occur.")
@click.option(
    "--method",
    type=click.Choice(["probe", "finetune", "reference"]),
    default="probe",
    show_default=True,
    help="probe: a head, in seconds. finetune: the towers too, in minutes, for some hundred "
    "labels or more. reference: as the paper's public code.",
)
@click.option(
    "--image-size",
    type=click.IntRange(8),
    help="Side in pixels of what a tuned encoder sees. Default: the model's.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option(
    "-o", "--output", required=True, type=click.Path(), help="Checkpoint folder to write."
)
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is a checkpoint.")
@model_options
@click.pass_context
@sentences
def command(
    ctx: click.Context,
    catalog: str,
    label: str | None,
    key: str | None,
    classes: str | None,
    method: str,
    image_size: int | None,
    seed: int,
    output: str,
    overwrite: bool,
    model: str,
    weights: str | None,
    device: str,
    views: str,
) -> None:
    """Learn classes from the labelled images of CATALOG.

    CATALOG is a table (CSV, ECSV, FITS, VOTable) with a column of file names, relative to
    its own folder, and one of labels; or an HDF5 stack that carries its labels.

    \b
    Examples:
      gmc-astro fit labels.csv -o my_model
      gmc-astro fit labels.csv --method finetune -o my_model
      gmc-astro fit labels.ecsv --label bar --classes "barred galaxy,unbarred galaxy" -o bars
      gmc-astro classify new_images/ --model my_model -o predictions.ecsv

    Exit code 1 says that some labelled images cannot be read; the classifier is saved.
    """
    from pathlib import Path

    from gmc_astro.exceptions import InputError
    from gmc_astro.learning import encode_labels
    from gmc_astro.models import check_folder
    from gmc_astro.sources import open_images, read_catalog

    check_folder(output, overwrite=overwrite)
    classifier = open_classifier(model, weights, device, views, parse_classes(classes))
    options = {"key": key} if key else {}
    if Path(catalog).suffix in (".h5", ".hdf5"):
        source = open_images(catalog, **options)
        labels = source.labels if label is None else source.labels_in(label)
        if labels is None:
            raise InputError(
                f"{catalog} carries no labels (looked for 'ans' and 'labels'); name their data "
                "set with --label"
            )
    else:
        table, label = read_catalog(catalog), label or "label"
        if label not in table.colnames:
            raise InputError(f"{catalog} has no column {label!r}; it has {table.colnames}")
        labels = table[label]
        source = open_images(table, base=Path(catalog).parent, **options)
    classifier.set_params(random_state=seed)
    classifier.fit(source, labels, method=method, image_size=image_size, progress=True)
    folder = classifier.save(output, overwrite=overwrite)
    click.echo(f"Classes: {', '.join(classifier.classes_)}")
    click.echo(f"Labelled images: {classifier.fit_log_['labels']}")
    if classifier.calibration_ is None:
        click.echo("Too few labels to hold any out: nothing is calibrated.")
    else:
        click.echo(f"On labels held out in turn, {classifier.calibration_}")
    click.echo(f"Checkpoint: {folder}")
    targets, _ = encode_labels(labels, classifier.classes_.tolist())
    if classifier.fit_log_["labels"] < (targets >= 0).sum():
        ctx.exit(SOME_FAILED)

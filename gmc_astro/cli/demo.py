"""``gmc-astro demo``: the galaxies of the Hubble Deep Field, classified without network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gmc_astro.cli.common import account, model_options, open_classifier, sentences, summary

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["command"]

TITLE = "The Hubble Deep Field, as gmc_astro sees it"
CREDIT = (
    "Image: R. Williams (STScI), the Hubble Deep Field team and NASA, as shipped by scikit-image"
)


@click.command("demo")
@click.option(
    "-o",
    "--output",
    default="gmc_astro_demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the table and the two pictures.",
)
@model_options
@click.pass_context
@sentences
def command(
    ctx: click.Context, output: str, model: str, weights: str | None, device: str, views: str
) -> None:
    """Find and classify the galaxies of the Hubble Deep Field. Needs no network.

    Writes hubble_galaxies.ecsv (the table), hubble_field.png (the field with each galaxy
    outlined by class) and hubble_examples.png (the surest galaxies of each class).

    \b
    Examples:
      gmc-astro demo
      gmc-astro demo -o somewhere --views 1
    """
    from pathlib import Path

    import numpy as np
    from skimage.data import hubble_deep_field

    from gmc_astro import plots
    from gmc_astro._files import make_folder, writing
    from gmc_astro.imaging import cut_out, find_galaxies
    from gmc_astro.learning import write_table
    from gmc_astro.plots.canvas import new_figure

    new_figure(1, 1)  # whether pictures can be drawn is known before the work
    folder = make_folder(Path(output))
    picture = hubble_deep_field()
    galaxies = find_galaxies(picture)
    click.echo(f"{len(galaxies)} galaxies found in the Hubble Deep Field")
    cutouts, widths = cut_out(picture, galaxies, size=128)
    classifier = open_classifier(model, weights, device, views)
    table = classifier.zero_shot(cutouts, _classes(), progress=True)
    table["id"] = [f"HDF-{i + 1:03d}" for i in range(len(table))]
    for name in galaxies.colnames:
        table[name] = galaxies[name]
    table["width"] = widths
    table.meta["credit"] = CREDIT

    files = [folder / name for name in ("hubble_galaxies.ecsv", "hubble_field.png")]
    write_table(table, files[0], overwrite=True)
    with writing(files[1]):
        plots.field(picture, table, title=TITLE).savefig(files[1], dpi=110)
    files.append(folder / "hubble_examples.png")
    sheet = plots.gallery(
        cutouts,
        probabilities=np.asarray(table["probability"]),
        rows=_surest(table),
        title="The surest of each class",
    )
    with writing(files[2]):
        sheet.savefig(files[2], dpi=110)
    click.echo("\n".join(summary(table, table.meta["class_names"])))
    for file, what in zip(files, ("table", "the field", "examples"), strict=True):
        click.echo(f"  {what:<10} {file}")
    ctx.exit(account(table))


def _classes() -> dict[str, tuple[str, ...]]:
    """Galaxy Zoo 2's five classes, and one for what is no galaxy."""
    from gmc_astro.morphology import GZ2_FIVE_CLASS

    return {**GZ2_FIVE_CLASS.classes, "star_or_artifact": ("a star or artifact", "an artifact")}


def _surest(table: QTable, n: int = 6) -> dict[str, list[int]]:
    """Rows of each class with the highest probability."""
    import numpy as np

    order = np.argsort(-np.asarray(table["probability"]))
    labels = np.asarray(table["label"].filled(""))
    return {
        name: [int(i) for i in order if labels[i] == name][:n] for name in table.meta["class_names"]
    }

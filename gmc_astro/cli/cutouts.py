"""``gmc-astro cutouts``: positions in, an HDF5 file of images out."""

from __future__ import annotations

import click

from gmc_astro.cli.common import account, apart, sentences, stops_tidily

__all__ = ["command"]

CARRIED = ("ans", "label", "redshift")  # columns of the catalogue that go into the file


@click.command("cutouts")
@click.argument("catalog")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False), help="HDF5 file to write."
)
@click.option("--survey", default="decals", show_default=True, help="decals, sdss, panstarrs...")
@click.option("--size", default=224, show_default=True, help="Side of the images in pixels.")
@click.option(
    "--framing",
    type=click.Choice(["petrosian", "fixed"]),
    default="petrosian",
    show_default=True,
    help="6.4 measured Petrosian radii across, or FIELD across.",
)
@click.option("--field", type=float, help="Side of a fixed frame in arcsec.")
@click.option("--look-up", is_flag=True, help="Take Petrosian radii of the SDSS where it has them.")
@click.option("--recipe", help="Colours. Default: the survey's.")
@click.option("--jpeg", is_flag=True, help="Take the survey's own colour pictures.")
@click.option("--connections", default=4, show_default=True, help="Requests at once.")
@click.option("--cache", type=click.Path(file_okay=False), help="Folder of the cache.")
@click.option("--no-cache", is_flag=True, help="Keep no answers on disk.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there.")
@click.pass_context
@sentences
def command(
    ctx: click.Context,
    catalog: str,
    output: str,
    survey: str,
    size: int,
    framing: str,
    field: float | None,
    look_up: bool,
    recipe: str | None,
    jpeg: bool,
    connections: int,
    cache: str | None,
    no_cache: bool,
    overwrite: bool,
) -> None:
    """Cut the galaxies of CATALOG out of a survey.

    CATALOG is a table with ra and dec in degrees, or with a SkyCoord column (ECSV, CSV, FITS,
    VOTable, Parquet), or one position in quotes. OUTPUT has the names of Galaxy10: images, ra,
    dec, pxscale, and ans, label and redshift where the catalogue has them; also object_id,
    status, petro_r90, axis_ratio and centre_shift. Stopped at any moment, the same command goes
    on where it was.

    \b
    Examples:
      gmc-astro cutouts catalogue.ecsv -o cutouts.h5
      gmc-astro cutouts catalogue.fits --survey sdss --look-up -o cutouts.h5
      gmc-astro cutouts "184.85 5.79" --framing fixed --field 60 -o one.h5

    Exit code 1 says that some rows have no image; "status" tells which and why.
    """
    import os

    from astropy import units as u
    from astropy.table import QTable

    from gmc_astro.exceptions import InputError
    from gmc_astro.sources import read_catalog, write_cutouts
    from gmc_astro.sources.hdf5 import HDF5_SUFFIXES
    from gmc_astro.sources.positions import ids_of, positions_of
    from gmc_astro.surveys import fetch_cutouts, get_survey, look_up_petrosian

    apart(output, [catalog])
    if not output.lower().endswith(HDF5_SUFFIXES):
        raise InputError(f"{output} will be HDF5: give it the suffix .h5 or .hdf5")
    if os.path.exists(output) and not overwrite:
        raise InputError(
            f"{output} exists; give another name, or --overwrite, which asks only for what is not "
            "in the cache"
        )
    table = read_catalog(catalog) if os.path.exists(catalog) else None
    coords = positions_of(catalog if table is None else table)
    found = get_survey(survey)
    with stops_tidily():
        source = fetch_cutouts(
            coords,
            survey=found,
            size=size,
            framing="fixed" if jpeg else framing,
            field=None if field is None else field * u.arcsec,
            petro_r90=look_up_petrosian(coords, progress=True)["petro_r90"] if look_up else None,
            recipe=recipe,
            image_format="jpeg" if jpeg else "fits",
            cache=False if no_cache else cache or True,
            max_connections=connections,
            ids=None if table is None else ids_of(table),
        )
        carried = [name for name in CARRIED if table is not None and name in table.colnames]
        attributes = {
            "survey": found.name,
            "framing": source.plan.framing,
            "size": size,
            "credit": found.credit,
        }
        status = write_cutouts(
            source,
            output,
            columns={name: table[name] for name in carried},
            attributes=attributes,
            overwrite=overwrite,
        )
    click.echo(f"Images: {output}\nPlease acknowledge: {found.credit}")
    ctx.exit(account(QTable({"status": status}), what="fetched"))

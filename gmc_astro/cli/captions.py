"""``gmc-astro captions``: a table of votes in, a table of sentences out."""

from __future__ import annotations

import click

from gmc_astro.cli.common import apart, sentences

__all__ = ["command"]

FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".parquet": "parquet"}


@click.command("captions")
@click.argument("votes", type=click.Path(exists=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="Table to write: .csv, .ecsv or .parquet. Default: print the captions.",
)
@click.option(
    "--style",
    type=click.Choice(["plain", "expert", "prompt", "varied"]),
    default="plain",
    show_default=True,
    help="Sentences, type codes and terms, as class prompts are written, or in many more words.",
)
@click.option("--epoch", default=0, show_default=True, help="Other words for the same galaxy.")
@click.option("--seed", default=0, show_default=True, help="Other words in every epoch.")
@click.option(
    "--tree",
    help="labels, GZ2, GZ_DECALS_DR12, GZ_DECALS_DR5, GZ_DECALS_DR8 or GZ1. "
    "Default: what the columns of VOTES say.",
)
@click.option("--raw", is_flag=True, help="Fractions as voted, also where debiased ones are there.")
@click.option("--min-votes", default=10, show_default=True, help="Votes that a question needs.")
@click.option("--handedness", is_flag=True, help="Say which way spiral arms turn.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there.")
@sentences
def command(
    votes: str,
    output: str | None,
    style: str,
    epoch: int,
    seed: int,
    tree: str | None,
    raw: bool,
    min_votes: int,
    handedness: bool,
    overwrite: bool,
) -> None:
    """Write a caption for each galaxy of VOTES.

    VOTES is a table of Galaxy Zoo 2, Kaggle's Galaxy Challenge, Galaxy Zoo DECaLS or Galaxy
    Zoo 1, or of labels. OUTPUT has the columns id and caption, one row for each of VOTES in
    order. The same id, epoch and seed give the same caption everywhere.

    \b
    Examples:
      gmc-astro captions votes.csv
      gmc-astro captions votes.csv -o captions.parquet
      gmc-astro captions gz2_hart16.csv.gz --style expert --epoch 3 -o captions.ecsv
      gmc-astro captions gz_decals_volunteers_5.csv --tree GZ_DECALS_DR5 --raw -o captions.csv

    Exit code 2 says that VOTES or an option cannot be used.
    """
    from pathlib import Path

    from astropy.table import Table

    from gmc_astro._files import whole
    from gmc_astro.learning import check_output
    from gmc_astro.morphology import CaptionWriter, VoteTable

    if output:
        apart(output, [votes])
        check_output(output, overwrite=overwrite, formats=FORMATS)
    table = VoteTable.read(votes, debiased=not raw, tree=_tree(tree))
    writer = CaptionWriter(table.tree, style, min_votes=min_votes)
    captions = writer(table, epoch=epoch, seed=seed, handedness=handedness)
    if output:
        result = Table({"id": table.ids, "caption": captions})
        with whole(Path(output)) as temporary:
            result.write(temporary, format=FORMATS[Path(output).suffix.lower()])
        click.echo(f"Captions: {output}")
    else:
        click.echo("\n".join(f"{i}\t{c}" for i, c in zip(table.ids, captions, strict=True)))
    silent = sum(not writer.statements(caption) for caption in captions)
    click.echo(
        f"{len(captions)} captions, {len(set(captions))} of them distinct; "
        f"of {silent} galaxies nothing could be said.",
        err=True,
    )


def _tree(name: str | None) -> object:
    """Find a tree by its name."""
    from gmc_astro.exceptions import InputError
    from gmc_astro.morphology import TREES

    if name is None:
        return None
    found = {known.upper(): tree for known, tree in TREES.items()}.get(name.upper())
    if found is None:
        raise InputError(f"--tree {name} is not one of {', '.join(TREES)}")
    return found

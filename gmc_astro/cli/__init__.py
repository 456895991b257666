"""The command line: ``gmc-astro``. Each command is read only when it is called."""

from __future__ import annotations

import importlib

import click

__all__ = ["main"]

COMMANDS = (
    "benchmark",
    "captions",
    "classify",
    "cutouts",
    "demo",
    "fit",
    "info",
    "pretrain",
    "search",
)


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"gmc_astro.cli.{cmd_name}").command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gmc_astro", prog_name="gmc-astro")
def main() -> None:
    """Tell what galaxies look like.

    \b
    Examples:
      gmc-astro demo
      gmc-astro classify cutouts/ -o predictions.ecsv
      gmc-astro classify Galaxy10_DECals.h5 --classes "spiral galaxy,elliptical galaxy"
      gmc-astro classify --survey decals "184.85 5.79"
      gmc-astro classify survey.h5 -o run --merge parquet
      gmc-astro search cutouts/ "a galaxy with a ring" --picture rings.png
      gmc-astro cutouts catalogue.ecsv --survey sdss -o cutouts.h5
      gmc-astro fit labels.csv -o my_model
      gmc-astro captions votes.csv -o captions.parquet
      gmc-astro benchmark folder my_galaxies/ --methods zero-shot probe -o results

    \b
    Exit codes: 0 all well, 1 some rows failed, 2 bad usage or input.
    """

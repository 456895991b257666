"""``gmc-astro info``: what is installed, and what a model is."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from gmc_astro.cli.common import sentences

__all__ = ["command"]


@click.command("info")
@click.argument("model", default="compact")
@sentences
def command(model: str) -> None:
    """Show versions, devices, what MODEL (a checkpoint folder, default 'compact') is, and credits.

    \b
    Examples:
      gmc-astro info
      gmc-astro info my_model
    """
    from gmc_astro.learning import package_versions
    from gmc_astro.models import bundled_folder, verify_checkpoint
    from gmc_astro.models.checkpoint import CARD_FILE
    from gmc_astro.models.device import device_name, pick_device, pick_precision
    from gmc_astro.morphology import ClassScheme

    click.echo("Versions")
    for name, version in package_versions().items():
        click.echo(f"  {name:<16} {version}")
    device = pick_device("auto")
    click.echo(
        f"Device\n  {device} ({device_name(device)}), precision {pick_precision('auto', device)}"
    )

    folder = bundled_folder() if model == "compact" else model
    metadata = verify_checkpoint(folder)
    click.echo(f"Model\n  {metadata['name']} in {folder} (all files verified)")
    for key, value in metadata["contract"].items():
        click.echo(f"  {key:<16} {value}")
    for file, digest in metadata["files"].items():
        click.echo(f"  {file:<30} SHA-256 {digest[:16]}...")
    if metadata.get("classes"):
        scheme = ClassScheme.from_dict(metadata["classes"])
        click.echo(f"Classes ({scheme.name})")
        for name, prompts in scheme.classes.items():
            click.echo(f"  {name:<26} {prompts[0]!r} and {len(prompts) - 1} more")
    card = Path(folder) / CARD_FILE
    if card.is_file():
        click.echo(f"Card, with what it learnt from\n  {card}")
    _credit()


def _credit() -> None:
    """What to cite, and what the surveys that cutouts can come from ask for."""
    from gmc_astro import __bibtex__
    from gmc_astro.surveys import SURVEYS

    click.echo("Credit\n  Cite:")
    click.echo(textwrap.indent(__bibtex__.strip(), "    "))
    click.echo("  Where cutouts came from a survey, acknowledge it:")
    for survey in SURVEYS.values():
        click.echo(f"    {survey.name}: {survey.title}")
        words = textwrap.fill(survey.credit or "none given", 88, break_on_hyphens=False)
        click.echo(textwrap.indent(words, "      "))

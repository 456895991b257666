"""``gmc-astro info``: what is installed, and what a model is."""

from __future__ import annotations

import click

from gmc_astro.cli.common import sentences

__all__ = ["command"]


@click.command("info")
@click.argument("model", default="compact")
@sentences
def command(model: str) -> None:
    """Show versions, devices, and what MODEL (a checkpoint folder, default 'compact') is.

    \b
    Examples:
      gmc-astro info
      gmc-astro info my_model
    """
    from gmc_astro.learning import package_versions
    from gmc_astro.models import bundled_folder, verify_checkpoint
    from gmc_astro.models.device import device_name, pick_device, pick_precision
    from gmc_astro.morphology import ClassScheme
    from gmc_astro.surveys import SURVEYS

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
    from gmc_astro import __bibtex__

    click.echo("Credit\n  Cite:")
    click.echo("\n".join(f"    {line}" for line in __bibtex__.strip().splitlines()))
    click.echo("  Acknowledge the surveys whose images you use:")
    for survey in SURVEYS.values():
        click.echo(f"    {survey.name:<12} {survey.credit}")

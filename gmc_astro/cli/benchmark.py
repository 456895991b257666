"""``gmc-astro benchmark``: the paper's protocol on a data set, with tables and figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

from gmc_astro.cli.common import STOPPED, model_options, parse_classes, sentences

__all__ = ["command"]


class _Several(click.Option):
    """An option that takes all values up to the next option, and may be repeated as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, multiple=True, **kwargs)


class _Command(click.Command):
    """A command whose `_Several` options may be written ``--fractions 0.01 0.1 1``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each of its values, as click wants it."""
        several = {
            name
            for p in self.params
            if isinstance(p, _Several)
            for name in (*p.opts, *p.secondary_opts)
        }
        return super().parse_args(ctx, _spelt_out(args, several))


def _spelt_out(args: Sequence[str], several: set[str]) -> list[str]:
    """``--a 1 2 --b`` as ``--a 1 --a 2 --b``."""
    result, current, first = [], None, False
    for arg in args:
        if arg.startswith("-"):
            name, has_value, _ = arg.partition("=")
            current, first = (name if name in several else None), not has_value
            result.append(arg)
        else:
            result += [arg] if current is None or first else [current, arg]
            first = False
    return result


def _methods_help() -> str:
    """One line a method; written here too, so that --help loads no network library."""
    return "\n".join(f"  {name:<10} {about}" for name, about in METHODS_HELP.items())


METHODS_HELP = {
    "zero-shot": "the model in the words of the classes, without any label",
    "probe": "a logistic head on the model's embeddings",
    "finetune": "the model fine-tuned on the labels",
    "reference": "the model fine-tuned as CLIP-GMC's public code does",
    "scratch": "the model's image tower, supervised from random weights",
    "convnext": "a supervised ConvNeXt; convnext:NAME@WEIGHTS for another than --convnext",
    "timm": "timm:NAME@WEIGHTS, any network of timm; imagenet (default), random, or a file",
    "zoobot": "zoobot:NAME@WEIGHTS, an encoder of Zoobot; hub (default), a file or folder",
    "clip": "a probe on plain CLIP; clip:ARCHITECTURE@WEIGHTS, default ViT-B-16@openai",
}

HELP = f"""Run few-label methods on DATASET by the paper's protocol.

DATASET is galaxy10-decals, galaxy10-sdss, galaxy-mnist or folder. PATH is its file, or the
folder that holds its files (default: here). For folder: a folder with labels.csv (columns file
and label), or with one folder of images a class.

Every method sees the same stratified 80/20 splits (Galaxy MNIST: its own), one a seed, and the
same fractions of the training part's labels. OUTPUT gets splits.json, cells/, report.json,
report.rst and figures. A run that was stopped goes on with the same command.

\b
Methods:
{_methods_help()}

\b
Examples:
  gmc-astro benchmark folder my_galaxies/ --methods zero-shot probe -o results
  gmc-astro benchmark galaxy10-decals Galaxy10_DECals.h5 -o galaxy10
  gmc-astro benchmark galaxy10-sdss --download --seeds 3 -o sdss
  gmc-astro benchmark galaxy-mnist mnist/ --fractions 0.01 0.1 1.0 --methods probe scratch -o out
  gmc-astro benchmark folder my_galaxies/ --methods timm:resnet18@random+64px convnext -o results

Methods that train or tune a network may be given a size of their own, scratch+96px, finetune+96px:
they then see images of 96 pixels, where the default is the model's size.

Write DATASET and PATH before --fractions and --methods, which take all that follows up to the
next option. Exit code 130 says that it was stopped, 2 that an input cannot be used.
"""


@click.command("benchmark", cls=_Command, help=HELP)
@click.argument(
    "dataset", type=click.Choice(["galaxy10-decals", "galaxy-mnist", "galaxy10-sdss", "folder"])
)
@click.argument("path", required=False, type=click.Path())
@click.option(
    "--fractions",
    cls=_Several,
    type=click.FloatRange(0, 1, min_open=True),
    default=(0.01, 0.05, 0.1, 0.5, 1.0),
    show_default=True,
    help="Shares of the training part that have labels.",
)
@click.option(
    "--seeds", type=click.IntRange(1), default=5, show_default=True, help="How many splits."
)
@click.option(
    "--methods",
    cls=_Several,
    default=("zero-shot", "probe"),
    show_default=True,
    help="Rows of the tables, see above.",
)
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False))
@click.option("--classes", help="As for classify. Default: the data set's own.")
@click.option(
    "--size",
    type=click.IntRange(8),
    help="Largest side in pixels at which images are held. Default: 4/3 of the model's.",
)
@click.option("--download", is_flag=True, help="Download files that are missing from PATH.")
@click.option(
    "--convnext",
    default="convnext_base@imagenet",
    show_default=True,
    help="Network and weights of the method convnext, such as convnext_atto@random.",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Epochs of supervised methods with many labels."
)
@click.option(
    "--steps", type=click.IntRange(1), help="Steps that supervised methods take at least."
)
@click.option(
    "--training-images",
    cls=_Several,
    type=click.Path(exists=True),
    help="Images the model was trained on (files, folders, tables): report which are tested.",
)
@click.option(
    "--resume/--restart",
    default=True,
    show_default=True,
    help="Keep finished cells, or compute all of them again.",
)
@click.option("--figure-prefix", default="", help="Way from the including page to OUTPUT.")
@click.option("--title", default="", help="What the figures call the data.")
@model_options
@click.pass_context
@sentences
def command(
    ctx: click.Context,
    dataset: str,
    path: str | None,
    output: str,
    classes: str | None,
    size: int | None,
    download: bool,
    training_images: tuple[str, ...],
    figure_prefix: str,
    title: str,
    **options: Any,
) -> None:
    """Run the protocol; what ``--help`` says is `HELP`."""
    from gmc_astro.evaluation import ModelOptions, find_row, load_dataset, run_benchmark
    from gmc_astro.plots.canvas import new_figure

    new_figure(1, 1)  # whether figures can be drawn is known before hours of work
    methods = _with_convnext(options["methods"], options["convnext"])
    for method in methods:
        find_row(method)
    names = ("model", "weights", "device")
    model = ModelOptions(**{n: options[n] for n in names}, views=int(options["views"]))
    if size is None:
        size = _default_size(model)
    data = load_dataset(
        dataset, path, size=size, classes=parse_classes(classes), download=download, progress=True
    )
    click.echo(f"{len(data)} images of {data.images.shape[1]} px; {_notes(data.about)}", err=True)
    try:
        benchmark = run_benchmark(
            data,
            output,
            methods=methods,
            fractions=options["fractions"],
            seeds=range(options["seeds"]),
            model=model,
            supervised=_supervised(options["epochs"], options["steps"]),
            training_images=list(training_images) or None,
            restart=not options["resume"],
            progress=True,
        )
    except KeyboardInterrupt:
        click.echo(
            f"\nStopped. What is finished is kept in {output}; the same command goes on, "
            "without --restart."
        )
        ctx.exit(STOPPED)
    _report(benchmark, output, figure_prefix, title)


def _report(benchmark: Any, output: str, prefix: str, title: str) -> None:
    """Write the report and print its main table."""
    from gmc_astro.evaluation import write_report

    report = write_report(benchmark, output, figure_prefix=prefix, title=title)
    width = max(map(len, ("macro-F1", *benchmark.rows)))
    click.echo(f"{'macro-F1':<{width}}" + "".join(f"{100 * f:>9g} %" for f in benchmark.fractions))
    for row in benchmark.rows:
        means = []
        for fraction in benchmark.fractions:
            cells = benchmark.over_seeds(row, fraction)
            means.append(sum(c.results["metrics"]["macro_f1"] for c in cells) / len(cells))
        click.echo(f"{row:<{width}}" + "".join(f"{mean:>11.4f}" for mean in means))
    if benchmark.leakage is not None and (alike := benchmark.leakage["alike"]):
        click.echo(f"{len(alike)} images look like training images of the model.", err=True)
    click.echo(f"Report: {report}")


def _with_convnext(methods: Sequence[str], convnext: str) -> list[str]:
    """``convnext`` alone stands for the network that ``--convnext`` names."""
    pattern = re.compile(r"^convnext(?=\+|$)")
    return [pattern.sub(lambda _: f"convnext:{convnext}", method) for method in methods]


def _default_size(model: Any) -> int:
    """Room for the turns and zooms of training around the model's own size."""
    from gmc_astro.learning import held_size
    from gmc_astro.morphology import GZ2_FIVE_CLASS

    return held_size(model.classifier(GZ2_FIVE_CLASS, 0).encoder.contract.size)


def _supervised(epochs: int | None, steps: int | None) -> Any:
    from gmc_astro.learning import LabelTraining

    given = {"epochs": epochs, "least_steps": steps}
    return LabelTraining(**{k: v for k, v in given.items() if v is not None})


def _notes(about: Any) -> str:
    """What was left out, and files that are not the published ones."""
    notes = [f"{n} left out for {why}" for why, n in about.get("left_out", {}).items()]
    notes += [
        f"{file['path']} is not the published file (SHA-256 {file['sha256'][:12]}...)"
        for file in about.get("files", ())
        if file["published"] is False
    ]
    return "; ".join(notes) or "none left out"

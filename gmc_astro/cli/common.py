"""What the commands share: options, errors as sentences, and the account of a run."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from gmc_astro.exceptions import GmcAstroError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.table import QTable

    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = [
    "BAD_USAGE",
    "SOME_FAILED",
    "STOPPED",
    "account",
    "apart",
    "image_options",
    "model_options",
    "open_classifier",
    "parse_classes",
    "read_settings",
    "sentences",
    "source_options",
    "stops_tidily",
    "summary",
]

BAD_USAGE = 2
SOME_FAILED = 1
STOPPED = 130  # as shells report Ctrl-C


def model_options(command: Callable) -> Callable:
    """Add the options that choose a model and a device."""
    options = [
        click.option(
            "--model",
            default="compact",
            show_default=True,
            help="'compact' (bundled), a checkpoint folder, or an open_clip architecture.",
        ),
        click.option("--weights", help="For an architecture: a tag, file or folder."),
        click.option(
            "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."
        ),
        click.option(
            "--views",
            type=click.Choice(["1", "2", "4", "8"]),
            default="8",
            show_default=True,
            help="Orientations to average over; fewer is faster.",
        ),
    ]
    return _with_options(command, options)


def image_options(command: Callable) -> Callable:
    """Add the options that say what images are and how they are cut out."""
    options = [
        click.option("--key", help="Data set of an HDF5 file, or column of a table."),
        click.option(
            "--framing",
            type=click.Choice(["auto", "petrosian", "fixed", "none"]),
            default="auto",
            show_default=True,
            help="How FITS images, flux and positions are cut out.",
        ),
        click.option(
            "--survey",
            help="Take IMAGES as a position, or a catalogue, in this survey: decals, sdss...",
        ),
    ]
    return _with_options(command, options)


def source_options(key: str | None, framing: str, survey: str | None) -> dict[str, Any]:
    """Return what `image_options` gave, as ``open_images`` takes it."""
    given = {"key": key, "survey": survey}
    return {name: value for name, value in given.items() if value} | {"framing": framing}


def _with_options(command: Callable, options: Sequence[Callable]) -> Callable:
    for option in reversed(options):
        command = option(command)
    return command


def open_classifier(
    model: str, weights: str | None, device: str, views: str, classes: Any = None
) -> GalaxyMorphologyClassifier:
    """Make the classifier that the options describe."""
    from gmc_astro.classifier import GalaxyMorphologyClassifier

    return GalaxyMorphologyClassifier(
        model, weights=weights, device=device, views=int(views), classes=classes
    )


def apart(output: str | None, inputs: Sequence[str]) -> None:
    """Refuse an output that would take the place of an input."""
    import os

    for given in inputs if output and os.path.exists(output) else ():
        if os.path.exists(given) and os.path.samefile(output, given):
            raise InputError(f"{output} is read from: give another name for what is written")


def parse_classes(text: str | None) -> Any:
    """Read ``--classes``: a scheme's name, names with commas between, or a TOML/JSON file."""
    if text is None:
        return None
    from pathlib import Path

    from gmc_astro.morphology import SCHEMES

    if text.upper() in SCHEMES:
        return SCHEMES[text.upper()]
    path = Path(text)
    if path.suffix in (".json", ".toml"):
        if not path.is_file():
            raise click.BadParameter(f"{path} is not a file", param_hint="--classes")
        return read_settings(path)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) < 2:
        raise click.BadParameter(
            f"{text!r} names fewer than two classes; separate them with commas, "
            f"or use one of {', '.join(SCHEMES)}",
            param_hint="--classes",
        )
    return names


def read_settings(path: Path) -> Any:
    """Read a JSON or TOML file; one that cannot be read is named, with the line."""
    import json
    import tomllib

    reader = json.loads if path.suffix == ".json" else tomllib.loads
    try:
        return reader(path.read_text(encoding="utf-8"))
    except ValueError as err:  # of the decoders of JSON, TOML and UTF-8
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise InputError(f"{path} cannot be read as {kind}, mend it: {err}") from err


@contextmanager
def _as_sentence() -> Iterator[None]:
    try:
        yield
    except GmcAstroError as err:
        click.echo(f"Error: {err}", err=True)
        raise click.exceptions.Exit(BAD_USAGE) from err


def sentences(command: Callable) -> Callable:
    """Turn our errors, and Ctrl-C, into one sentence and an exit code, instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _as_sentence():
            try:
                return command(*args, **kwargs)
            except KeyboardInterrupt as err:
                click.echo("Stopped.", err=True)
                raise click.exceptions.Exit(STOPPED) from err

    return wrapped


@contextmanager
def stops_tidily() -> Iterator[None]:
    """End on Ctrl-C, or when the system says that time is up, with one sentence."""
    import signal
    import threading

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if main else None
    try:
        yield
    except KeyboardInterrupt as err:
        click.echo("Stopped. Finished rows are safe: run the same again to go on.", err=True)
        raise click.exceptions.Exit(STOPPED) from err
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def account(table: QTable, what: str = "classified") -> int:
    """Print how many rows went well and why others did not; return the exit code."""
    from gmc_astro.imaging import is_ok

    status = np.asarray(table["status"], dtype=str)
    ok = is_ok(status)
    click.echo(f"{ok.sum()} of {len(status)} images {what}.", err=True)
    for reason, count in Counter(status[~ok].tolist()).most_common():
        click.echo(f"  {count} failed: {reason}", err=True)
    return 0 if ok.all() else SOME_FAILED


def summary(table: QTable, names: Sequence[str]) -> list[str]:
    """One line a class: its name, its share, and a bar."""
    labels = table["label"].filled("") if hasattr(table["label"], "filled") else table["label"]
    counts = Counter(np.asarray(labels, dtype=str).tolist())
    most = max([counts[name] for name in names], default=0) or 1
    width = max(map(len, names))
    return [
        f"  {name:<{width}}  {counts[name]:>6}  {'#' * round(30 * counts[name] / most)}"
        for name in names
    ]

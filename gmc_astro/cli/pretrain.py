"""``gmc-astro pretrain``: labelled images in, an encoder that knows their language out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gmc_astro.cli.common import read_settings, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np

    from gmc_astro.classifier import GalaxyMorphologyClassifier
    from gmc_astro.learning import PretrainSettings, TrainingSet, World
    from gmc_astro.models import Encoder
    from gmc_astro.morphology import ClassScheme

__all__ = ["command"]

SECTIONS = {
    "model": {"architecture", "weights", "name", "classes", "calibrate", "dtype", "card"},
    "images": {
        *("root", "tables", "marked", "size", "outlines", "exclude"),
        *("holdout", "holdouts", "repeats", "simulated"),
    },
    "contract": {"recipe", "framing", "span", "pixel_scale"},
    "training": None,  # the fields of PretrainSettings
    "words": None,  # the same, where a second training of the text tower alone is other
    "larger": None,  # the same, where a training of the image tower alone is other; its size
    "teachers": None,  # the same, where the training of larger image towers is other; their names
    "taught": None,  # the same, where a training of the image tower, now with them, is other
    "shifted": None,  # the same, where a further training of the image tower is other
    "asked": None,  # the same, where a training of the image tower, on answers, is other
    "measured": None,  # the same, where another one, also on what was measured, is other
}
#: What a section may say besides: of what its training sees and asks, and which towers it trains.
BESIDES = {
    "larger": {"size", "pixels"},
    "teachers": {"size", "pixels", "towers"},
    "taught": {"itself"},
    "shifted": {"itself"},
    "asked": {"repeats", "outlines"},
    "measured": {"repeats", "outlines", "bulges"},
}


@click.command("pretrain")
@click.argument("tables", nargs=-1, type=click.Path(exists=True))
@click.option("--config", type=click.Path(exists=True, dir_okay=False), help="Settings in TOML.")
@click.option(
    "-o", "--output", required=True, type=click.Path(), help="Checkpoint folder to write."
)
@click.option("--epochs", type=int, help="Passes over the images; before the configuration's.")
@click.option(
    "--recipe",
    default="gmc",
    show_default=True,
    help="gmc, or reference: the settings of the paper's public code.",
)
@click.option(
    "--exclude",
    multiple=True,
    type=click.Path(exists=True),
    help="Images, or a table of files, of galaxies that a test will show; may be repeated.",
)
@click.option(
    "--save-every", type=int, default=500, show_default=True, help="Steps between saved states."
)
@click.option("--tensorboard", is_flag=True, help="Write the log for TensorBoard as well.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--restart", is_flag=True, help="Start anew, also where a run was interrupted.")
@sentences
def command(
    tables: tuple[str, ...],
    config: str | None,
    output: str,
    epochs: int | None,
    recipe: str,
    exclude: tuple[str, ...],
    save_every: int,
    tensorboard: bool,
    device: str,
    restart: bool,
) -> None:
    """Pretrain on TABLES of files with votes or labels (or folders with a labels.csv).

    Captions are written anew each epoch from what is known of each galaxy. The run is kept in
    OUTPUT.run: calling the command again goes on where it was interrupted. Losses and settings
    are in OUTPUT.run/training_log.jsonl.

    \b
    Examples:
      gmc-astro pretrain gz2_votes.csv -o my_encoder
      gmc-astro pretrain --config configs/compact.toml -o compact
      torchrun --nproc-per-node 4 -m gmc_astro pretrain gz2_votes.csv -o my_encoder
    """
    from gmc_astro.learning import joined_processes

    with joined_processes(device) as (world, own_device):
        _pretrain(
            tables,
            config,
            output,
            world,
            epochs=epochs,
            recipe=recipe,
            exclude=list(exclude) or None,
            save_every=save_every,
            tensorboard=tensorboard,
            device=own_device,
            resume=not restart,
        )


def _pretrain(
    tables: tuple[str, ...],
    config: str | None,
    output: str,
    world: World,
    *,
    recipe: str,
    device: str,
    **options: Any,
) -> None:
    """Read, train, save: what the command does in each process."""
    from copy import deepcopy
    from functools import partial
    from pathlib import Path

    from gmc_astro._files import make_folder
    from gmc_astro.classifier import GalaxyMorphologyClassifier
    from gmc_astro.exceptions import InputError
    from gmc_astro.learning import VoteCaptions, pretrain, split_tables, validate
    from gmc_astro.models import ImageContract
    from gmc_astro.morphology import CaptionWriter

    say = click.echo if world.leads else (lambda text: None)
    if Path(output).exists():
        raise InputError(f"{output} exists; give another folder")
    settings = _read(config)
    model, images = settings["model"], settings["images"]
    card = Path(config).with_name(model["card"]).read_text() if config and "card" in model else None
    folder = make_folder(Path(f"{output}.run"))
    found = _tables(tables, images) + _marked(images, config, folder, world)
    found += _simulated(images.get("simulated", {}), folder, world)
    marked = dict.fromkeys(images.get("marked", ()), 0.0)  # of what is marked nothing is held out
    shares = {key: images[key] for key in ("holdout", "holdouts") if key in images}
    shares["holdouts"] = marked | shares.get("holdouts", {})
    repeats, outlines = images.get("repeats", {}), images.get("outlines", True)

    def read(
        repeats: dict[str, int], bulges: list[str] | None = None
    ) -> tuple[TrainingSet, TrainingSet]:
        excluded = images.get("exclude", ())
        parts = split_tables(found, exclude=excluded, repeats=repeats, **shares)
        if not outlines and not bulges:
            return parts
        return _with_shapes(parts, folder / "shapes.npz", world, bulges=bulges or ())

    training, held_out = read(repeats)
    numbers = f"{len(training)} to train on, {len(held_out)} held out"
    say(f"{len(training) + len(held_out)} images in {len(found)} tables\n{numbers}")

    classifier = GalaxyMorphologyClassifier(
        model.get("architecture", "compact"),
        weights=model.get("weights", _start(model)),
        classes=model.get("classes"),
        device=device,
    )
    classifier.encoder.name = model.get("name", Path(output).name)
    pixels = images.get("size") or classifier.encoder.contract.size
    shared = marked or images.get("holdouts")
    if shared and options["exclude"] is None and len(held_out):
        options["exclude"] = held_out.images(224)  # the same galaxies in other tables
    known: dict[str, str] = {}
    if "calibrate" in model:
        known = _labels(_tables((), {**images, "tables": [model["calibrate"]]})[0])
    teachers: list[Encoder] = []
    for stage, kept, besides in _stages(recipe, settings, folder, options.pop("epochs")):
        encoder = classifier.encoder
        if "size" in besides:
            encoder.set_image_size(besides["size"])
        pixels = besides.get("pixels", pixels)
        if "repeats" in besides or "bulges" in besides:
            training, _ = read(repeats | besides.get("repeats", {}), besides.get("bulges"))
            say(f"{len(training)} to train on, with the repeats of this stage")
        # the paper's public code watched the images that it trained on
        watched, source = training if stage.defects else held_out, training.images(pixels)
        validation = None
        if len(watched):
            images_of = watched.images(pixels)
            validation = partial(validate, source=images_of, votes=watched.votes)
        options |= {"folder": kept, "validation": validation}
        writer = CaptionWriter(training.votes.tree, stage.caption_style)
        classes = _asked_for(training, known, classifier.classes) if known else None
        measured = besides.get("outlines", False)
        captions = VoteCaptions(training.votes, writer, classes=classes, measured=measured)
        if "tower" in besides:
            say(f"Teacher {besides['tower']}")
            tower = encoder.with_image_tower(besides["tower"], random_state=stage.seed)
            teachers.append(tower)
            pretrain(teachers[-1], source, captions, settings=stage, **options)
        else:
            if besides.get("itself"):
                teachers.append(encoder.with_network(deepcopy(encoder.network)))
            classifier.pretrain(source, captions, recipe=stage, teachers=teachers, **options)
            teachers = []  # a later stage has its own
    if not world.leads:
        return
    if known:
        _calibrate(classifier, training, known)
        say(f"Probabilities in words divided by temperature {classifier.temperature_:.2f}")
    contract = ImageContract(**{**classifier.encoder.contract.to_dict(), **settings["contract"]})
    classifier.save(output, contract=contract, dtype=model.get("dtype", "float32"), card=card)
    say(f"Checkpoint: {output}\nLog: {folder / 'training_log.jsonl'}")


def _stages(
    recipe: str, settings: dict[str, dict[str, Any]], folder: Path, epochs: int | None
) -> Iterator[tuple[PretrainSettings, Path, dict[str, Any]]]:
    """Trainings one after the other: settings, the folder that keeps it, what else is said."""
    from dataclasses import replace

    first = _settings(recipe, settings["training"])
    yield replace(first, epochs=epochs or first.epochs), folder, {}
    # no word that the first stage taught is forgotten: rows that it zeroed stay zero anyway
    own = {"words": {"locked_images": True}}
    own |= {key: {"locked_texts": True} for key in ("larger", "teachers", "taught", "shifted")}
    own |= {key: {"locked_texts": True, "loss": "answers"} for key in ("asked", "measured")}
    for section, locked in own.items():
        if not (values := settings[section]):
            continue
        besides = {key: value for key, value in values.items() if key in BESIDES.get(section, ())}
        rest = {key: value for key, value in values.items() if key not in besides}
        stage = _settings(first, {**locked, "prune_words": False, **rest})
        if section == "teachers":
            for tower in besides.pop("towers", ()):
                yield stage, folder / section / tower, {**besides, "tower": tower}
        else:
            yield stage, folder / section, besides


def _labels(table: str) -> dict[str, str]:
    """Label of each file of a table or folder."""
    from pathlib import Path

    from gmc_astro.exceptions import InputError
    from gmc_astro.sources import read_catalog
    from gmc_astro.sources.tables import file_column

    path = Path(table, "labels.csv") if Path(table).is_dir() else Path(table)
    catalog = read_catalog(path)
    if "label" not in catalog.colnames:
        raise InputError(f"model.calibrate: {path} has no column label")
    files = file_column(catalog, None, path.parent)
    return dict(zip(files, map(str, catalog["label"]), strict=True))


def _asked_for(
    training: TrainingSet, known: dict[str, str], classes: Any
) -> tuple[ClassScheme, np.ndarray]:
    """Classes that a training may ask for, and the share of each in each row."""
    from gmc_astro.learning import class_shares
    from gmc_astro.morphology import ClassScheme

    scheme = ClassScheme.from_any(classes)
    shares, _ = class_shares([known.get(path) for path in training.paths], scheme.names)
    return scheme, shares


def _calibrate(
    classifier: GalaxyMorphologyClassifier, training: TrainingSet, known: dict[str, str]
) -> None:
    """Calibrate words on the labelled files that were trained on."""
    import numpy as np

    ids = np.asarray(training.images(classifier.encoder.contract.size).ids).astype(str)
    seen = zip(training.paths, np.isin(ids, classifier.excluded_), strict=True)
    labels = {file: known[file] for file, left_out in seen if file in known and not left_out}
    classifier.calibrate_words(list(labels), list(labels.values()))


def _read(config: str | None) -> dict[str, dict[str, Any]]:
    """Read the configuration; a name that means nothing is refused, not passed over."""
    from dataclasses import fields
    from pathlib import Path

    from gmc_astro.exceptions import InputError
    from gmc_astro.learning import PretrainSettings

    settings = read_settings(Path(config)) if config else {}
    for section, values in settings.items():
        of_training = {field.name for field in fields(PretrainSettings)}
        known = SECTIONS.get(section) or of_training | BESIDES.get(section, set())
        wrong = [section] if section not in SECTIONS else sorted(set(values) - known)
        if wrong:
            raise InputError(f"{config}: {', '.join(wrong)} is not a setting of [{section}]")
    return {section: settings.get(section, {}) for section in SECTIONS}


def _tables(given: tuple[str, ...], images: dict[str, Any]) -> list[str]:
    """Tables of the command line, else those of the configuration below its root."""
    import os

    from gmc_astro.exceptions import InputError

    if given:
        return list(given)
    root = _root(images)
    if not images.get("tables"):
        raise InputError("give tables of images, or a configuration that names them")
    return [os.path.join(root, name) for name in images["tables"]]


def _root(images: dict[str, Any]) -> str:
    """Folder that the configuration's names start from."""
    import os

    from gmc_astro.exceptions import InputError

    root = os.path.expandvars(images.get("root", ""))
    if "$" in root:
        raise InputError(f"images.root is {root}: set that environment variable to the data folder")
    return root


def _marked(images: dict[str, Any], config: str | None, folder: Path, world: World) -> list[str]:
    """Tables beside the configuration, whose files are below its root: copies that say where."""
    from pathlib import Path

    from gmc_astro.sources import read_catalog
    from gmc_astro.sources.tables import file_column

    found = []
    for name in images.get("marked", ()):
        copy = folder / name
        if world.leads:
            table = read_catalog(Path(config).with_name(name))
            files = file_column(table, None, _root(images))
            table["id"] = file_column(table, None, None)  # the same on every machine
            table["file"] = files
            table.write(copy, overwrite=True)
        world.wait()
        found.append(str(copy))
    return found


def _start(model: dict[str, Any]) -> str | None:
    """Weights to start from where none are named: a folder's own, else random ones."""
    from pathlib import Path

    return None if Path(model.get("architecture", "compact")).is_dir() else "random"


def _settings(recipe: str | PretrainSettings, values: dict[str, Any]) -> PretrainSettings:
    """Settings of a recipe, with the configuration's in their place."""
    from dataclasses import replace

    from gmc_astro.learning import Augmentation, PretrainSettings

    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    if "augmentation" in values:
        own = {k: tuple(v) if isinstance(v, list) else v for k, v in values["augmentation"].items()}
        values["augmentation"] = Augmentation(**own)
    return replace(PretrainSettings.named(recipe), **values)


def _simulated(numbers: dict[str, int], folder: Path, world: World) -> list[str]:
    """Folders of simulated galaxies in each recipe's colours, drawn where they are missing."""
    from gmc_astro.testing import write_training_galaxies

    found = []
    for recipe, n in numbers.items():
        table = folder / f"simulated_{recipe}_{n}"
        if world.leads and not table.exists():
            write_training_galaxies(table, n, recipe=recipe, progress=True)
        world.wait()
        found.append(str(table))
    return found


def _with_shapes(
    parts: tuple[TrainingSet, TrainingSet], kept: Path, world: World, bulges: Sequence[str] = ()
) -> tuple[TrainingSet, TrainingSet]:
    """Measure shapes once; an interrupted run finds them, of these very files, in its folder.

    All galaxies get an outline, spirals in the folders named for it a bulge.
    """
    import os

    import numpy as np

    from gmc_astro.learning import TrainingSet, measure_shapes

    everything = TrainingSet.concatenate(parts)
    paths = np.array([os.path.abspath(path) for path in everything.paths])
    files, once, rows = np.unique(paths, return_index=True, return_inverse=True)
    known = kept.is_file() and np.array_equal(np.load(kept)["paths"], files)
    world.wait()
    if not known and world.leads:
        galaxies = TrainingSet(tuple(files), everything.votes[once])
        np.savez_compressed(
            kept, paths=files, **measure_shapes(galaxies.images(224), progress=True)
        )
    world.wait()
    votes = everything.votes.with_outline(np.load(kept)["axis_ratio"][rows])
    if bulges:
        chosen = _below(paths, bulges)
        contrasts = np.load(kept)["core_contrast"][rows]
        votes = votes.with_bulges(np.where(chosen, contrasts, np.nan))
    cut = len(parts[0])
    return (
        TrainingSet(everything.paths[:cut], votes[:cut]),
        TrainingSet(everything.paths[cut:], votes[cut:]),
    )


def _below(paths: np.ndarray, folders: Sequence[str]) -> np.ndarray:
    """Which files lie below folders of these names."""
    from pathlib import Path

    import numpy as np

    from gmc_astro.exceptions import InputError

    parts = [set(Path(path).parent.parts) for path in paths]
    if unknown := sorted(set(folders) - set().union(*parts)):
        raise InputError(f"bulges: no image lies in a folder named {', '.join(unknown)}")
    return np.array([not part.isdisjoint(folders) for part in parts])

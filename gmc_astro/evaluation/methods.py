"""Methods of the benchmark: rows of its tables, each a small function behind a name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gmc_astro._files import sha256_of
from gmc_astro.classifier import GalaxyMorphologyClassifier
from gmc_astro.evaluation.supervised import predict_tower, train_tower
from gmc_astro.exceptions import InputError
from gmc_astro.learning import FIT_METHODS, FineTuning, LabelTraining
from gmc_astro.models import Encoder, random_tower, timm_tower, tower_contract
from gmc_astro.models.device import seeded
from gmc_astro.morphology import ClassScheme
from gmc_astro.sources import ArraySource

__all__ = ["METHODS", "Method", "ModelOptions", "Row", "Task", "find_row"]

HUB = "hub"
ZOOBOT = "hf-hub:mwalmsley/zoobot-encoder-{}"
_SIZE = re.compile(r"(.*?)(?:\+([1-9]\d*)px)?")


@dataclass(frozen=True)
class ModelOptions:
    """The model that is benchmarked.

    Parameters
    ----------
    model : str, optional
        As for `~gmc_astro.classifier.GalaxyMorphologyClassifier`.
    weights : str or None, optional
        For an architecture: its weights.
    device : str, optional
        Where everything is computed.
    views : {1, 2, 4, 8}, optional
        Orientations to average over, for every method.

    Examples
    --------
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import ModelOptions
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> ModelOptions(views=1).classifier(scheme, seed=0).views
    1
    """

    model: str = "compact"
    weights: str | None = None
    device: str = "auto"
    views: int = 8

    def classifier(self, scheme: ClassScheme, seed: int) -> GalaxyMorphologyClassifier:
        """Make a classifier for some classes.

        All of them share the model, which is loaded once, and the embeddings of images that one
        of them has seen.

        Parameters
        ----------
        scheme : `~gmc_astro.morphology.ClassScheme`
            The classes.
        seed : int
            Its ``random_state``.

        Returns
        -------
        classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
            Not fitted.
        """
        classifier = self._loaded.ready(scheme)
        return classifier.set_params(classes=scheme, random_state=seed)

    @cached_property
    def _loaded(self) -> GalaxyMorphologyClassifier:
        return GalaxyMorphologyClassifier(
            self.model, weights=self.weights, device=self.device, views=self.views, random_state=0
        )

    def _another(self, model: str, weights: str) -> ModelOptions:
        """Another model with these options, once for each."""
        return self._others.setdefault(
            (model, weights), replace(self, model=model, weights=weights)
        )

    @cached_property
    def _others(self) -> dict[tuple[str, str], ModelOptions]:
        return {}


@dataclass(frozen=True)
class Task:
    """What a method is given: labelled images, images to classify, and nothing of their labels.

    Parameters
    ----------
    train : `~gmc_astro.sources.ArraySource`
        Labelled images.
    labels : `~numpy.ndarray` of str
        Their classes.
    test : `~gmc_astro.sources.ArraySource`
        Images to classify.
    scheme : `~gmc_astro.morphology.ClassScheme`
        The classes.
    seed : int
        Seed of everything random.
    model : `ModelOptions`
        The model that is benchmarked.
    supervised : `~gmc_astro.learning.LabelTraining`
        How supervised methods train.
    progress : bool, optional
        Show progress bars of long trainings.
    size : int or None, optional
        Side in pixels that a method sees which trains or tunes a tower. Default is the model's.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import ClassScheme
    >>> from gmc_astro.evaluation import ModelOptions, Task, find_row
    >>> from gmc_astro.learning import LabelTraining
    >>> from gmc_astro.sources import ArraySource
    >>> images = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), np.uint8)
    >>> labels = np.array(["spiral", "smooth"] * 2)
    >>> scheme = ClassScheme.from_any(["spiral", "smooth"])
    >>> model = ModelOptions(device="cpu", views=1)
    >>> train, test = ArraySource(images[:4]), ArraySource(images[4:])
    >>> task = Task(train, labels, test, scheme, 0, model, LabelTraining())
    >>> find_row("zero-shot").run(task).shape
    (2, 2)
    """

    train: ArraySource
    labels: np.ndarray
    test: ArraySource
    scheme: ClassScheme
    seed: int
    model: ModelOptions
    supervised: LabelTraining
    progress: bool = False
    size: int | None = None

    def encoder(self) -> Encoder:
        """Load the model's encoder, at the size that is asked for.

        Returns
        -------
        encoder : `~gmc_astro.models.Encoder`
            The model's own, which others share, or a copy at another size.
        """
        encoder = self.model.classifier(self.scheme, self.seed).encoder
        return encoder if self.size is None else encoder.at_size(self.size)


@dataclass(frozen=True)
class Method:
    """A method, as data.

    Parameters
    ----------
    about : str
        What it is, in a line.
    run : callable
        Maps a `Task`, a name and weights to class probabilities of the test images.
    name, weights : str, optional
        Defaults of what may be written behind the method's own name.
    needs_name : bool, optional
        Whether a name must be written.
    labels : bool, optional
        Whether it learns from labels.
    trains : bool, optional
        Whether it trains as `~gmc_astro.learning.LabelTraining` say.
    tunes : bool, optional
        Whether it tunes the model's own towers.
    fit : str or None, optional
        Method of `~gmc_astro.classifier.GalaxyMorphologyClassifier.fit` that it needs.
    settings : callable, optional
        Makes the dataclass of settings that it fits with: a cell made with others is not kept.

    Examples
    --------
    >>> from gmc_astro.evaluation import METHODS
    >>> METHODS["zero-shot"].labels, METHODS["convnext"].trains
    (False, True)
    """

    about: str
    run: Callable[[Task, str, str], np.ndarray]
    name: str = ""
    weights: str = ""
    needs_name: bool = False
    labels: bool = True
    trains: bool = False
    tunes: bool = False
    fit: str | None = None
    settings: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Row:
    """A row of the tables: a method, and with which network.

    Parameters
    ----------
    text : str
        As it was written: ``"probe"``, ``"timm:resnet18@random"``, ``"scratch+96px"``.
    method : `Method`
        The method.
    name, weights : str
        Network and weights, where the method takes them.
    size : int or None, optional
        Side in pixels that the network sees, where it is not the model's.

    Examples
    --------
    >>> from gmc_astro.evaluation import find_row
    >>> row = find_row("clip:ViT-B-16@openai")
    >>> row.name, row.weights, row.method.labels
    ('ViT-B-16', 'openai', True)
    """

    text: str
    method: Method = field(compare=False)
    name: str
    weights: str
    size: int | None = None

    def run(self, task: Task) -> np.ndarray:
        """Class probabilities of the test images, shape (n, K).

        Parameters
        ----------
        task : `Task`
            Images with labels, and images to classify.

        Returns
        -------
        probabilities : `~numpy.ndarray`, shape (n, K)
            One row a test image.
        """
        return self.method.run(task, self.name, self.weights)

    def to_dict(self) -> dict[str, Any]:
        """What the row is, as plain values; weights in a file or a folder by their hash.

        Returns
        -------
        row : dict of str to str
            ``row``, ``name`` and ``weights``.
        """
        path = Path(self.weights)
        digest = sha256_of(path) if self.weights and path.exists() else ""
        weights = path.name if digest else self.weights
        row = _SIZE.fullmatch(self.text)[1].split("@")[0]  # the size is with the images
        return {"row": row, "name": self.name, "weights": weights + digest}


def find_row(text: str) -> Row:
    """Read a row as it is written: ``method``, ``method:name`` or ``method:name@weights``.

    Methods that train or tune a network may end in ``+96px``, the side of the images that it
    sees.

    Parameters
    ----------
    text : str
        One of `METHODS`, for some with a network's name and weights behind it.

    Returns
    -------
    row : `Row`
        The row.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is no such method, it needs a name or takes none, or no size, or this
        version's classifier has no such fit.

    Examples
    --------
    >>> from gmc_astro.evaluation import find_row
    >>> row = find_row("timm:resnet18@random")
    >>> row.name, row.weights
    ('resnet18', 'random')
    """
    written, size = _SIZE.fullmatch(text).groups()
    head, _, weights = written.partition("@")
    key, _, name = head.partition(":")
    if key not in METHODS:
        raise InputError(f"method {text!r} is not one of {', '.join(METHODS)}")
    method = METHODS[key]
    if (name or weights) and not (method.name or method.needs_name):
        raise InputError(f"method {text!r}: {key} takes no name of a network; write {key!r}")
    if method.needs_name and not name:
        raise InputError(f"method {text!r} needs the name of a network: {key}:NAME")
    if size and not (method.trains or method.tunes):
        raise InputError(f"method {text!r}: {key} takes the model's size; leave out +{size}px")
    if method.fit is not None and method.fit not in FIT_METHODS:
        raise InputError(
            f"method {text!r}: this version's fit has no method {method.fit!r}, only "
            f"{', '.join(FIT_METHODS)}"
        )
    size = int(size) if size else None
    return Row(text, method, name or method.name, weights or method.weights, size)


def _zero_shot(task: Task, name: str, weights: str) -> np.ndarray:
    classifier = task.model.classifier(task.scheme, task.seed)
    return np.asarray(classifier.zero_shot(task.test, task.scheme)["probabilities"])


def _fit(method: str) -> Callable[[Task, str, str], np.ndarray]:
    """A method of the classifier itself."""

    def run(task: Task, name: str, weights: str) -> np.ndarray:
        classifier = task.model.classifier(task.scheme, task.seed)
        classifier.fit(task.train, task.labels, method=method, image_size=task.size)
        return classifier.predict_proba(task.test)

    return run


def _clip(task: Task, name: str, weights: str) -> np.ndarray:
    """A probe on a model that never saw galaxies' captions."""
    classifier = task.model._another(name, weights).classifier(task.scheme, task.seed)
    classifier.fit(task.train, task.labels, method="probe")
    return classifier.predict_proba(task.test)


def _scratch(task: Task, name: str, weights: str) -> np.ndarray:
    """The model's own image tower from random weights."""
    encoder = task.encoder()
    with seeded(task.seed):
        network = random_tower(encoder, classes=len(task.scheme.names))
    return _train_and_predict(task, network, encoder.contract, pretrained=False)


def _timm(task: Task, name: str, weights: str) -> np.ndarray:
    """Any network of timm."""
    size = task.size or task.encoder().contract.size
    with seeded(task.seed):
        network = timm_tower(name, classes=len(task.scheme.names), weights=weights, size=size)
    contract = tower_contract(network, size)
    return _train_and_predict(task, network, contract, pretrained=weights != "random")


def _zoobot(task: Task, name: str, weights: str) -> np.ndarray:
    """An encoder of Zoobot: of the hub, or in a file or folder."""
    if weights == HUB:
        return _timm(task, ZOOBOT.format(name), "imagenet")
    return _timm(task, name, weights)


def _train_and_predict(
    task: Task, network: torch.nn.Module, contract: Any, *, pretrained: bool
) -> np.ndarray:
    names, turns = list(task.scheme.names), task.scheme.mentions_handedness
    targets = np.array([names.index(label) for label in task.labels.tolist()])
    device = task.model.device
    network = train_tower(
        network,
        task.train.read().images,
        targets,
        contract,
        settings=task.supervised,
        pretrained=pretrained,
        mirror=not turns,
        device=device,
        seed=task.seed,
        progress=task.progress,
    )
    views = min(task.model.views, 4) if turns else task.model.views
    return predict_tower(network, task.test.read().images, contract, views=views, device=device)


#: Methods by name. A new row of the benchmark is a new entry here.
METHODS: Mapping[str, Method] = {
    "zero-shot": Method(
        "the model in the words of the classes, without any label", _zero_shot, labels=False
    ),
    "probe": Method("a logistic head on the model's embeddings", _fit("probe"), fit="probe"),
    "finetune": Method(
        "the model fine-tuned on the labels",
        _fit("finetune"),
        tunes=True,
        fit="finetune",
        settings=FineTuning,
    ),
    "reference": Method(
        "the model fine-tuned as CLIP-GMC's public code does",
        _fit("reference"),
        tunes=True,
        fit="reference",
    ),
    "scratch": Method(
        "the model's image tower, supervised from random weights", _scratch, trains=True
    ),
    "convnext": Method(
        "a supervised ConvNeXt (convnext:NAME@WEIGHTS for another)",
        _timm,
        name="convnext_base",
        weights="imagenet",
        trains=True,
    ),
    "timm": Method(
        "timm:NAME@WEIGHTS, any network of timm; WEIGHTS is imagenet, random, or a file",
        _timm,
        weights="imagenet",
        needs_name=True,
        trains=True,
    ),
    "zoobot": Method(
        "zoobot:NAME@WEIGHTS, an encoder of Zoobot from the hub, or from a file or folder",
        _zoobot,
        weights=HUB,
        needs_name=True,
        trains=True,
    ),
    "clip": Method(
        "a probe on plain CLIP (clip:ARCHITECTURE@WEIGHTS), which never learnt of galaxies",
        _clip,
        name="ViT-B-16",
        weights="openai",
        fit="probe",
    ),
}

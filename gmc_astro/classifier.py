"""The estimator that people meet: it joins sources, encoder and heads."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.metadata_routing import UNUSED

from gmc_astro.exceptions import InputError, RecipeMismatchWarning
from gmc_astro.imaging import OK, ImageSource, get_recipe
from gmc_astro.learning import (
    LinearHead,
    PretrainSettings,
    VoteHead,
    as_captions,
    class_starts,
    document_hash,
    embed_source,
    encode_labels,
    fit_probe,
    package_versions,
    predictions_table,
    pretrain,
    text_embeddings,
    votes_table,
)
from gmc_astro.models import Checkpoint, Encoder, ImageContract, open_model, write_checkpoint
from gmc_astro.morphology import ClassScheme, VoteTable
from gmc_astro.sources import open_images

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from numpy.typing import ArrayLike

__all__ = ["GalaxyMorphologyClassifier"]

Classes = ClassScheme | Mapping[str, Sequence[str]] | Sequence[str]

METHODS = ("probe",)


class NoClassesError(InputError, NotFittedError):
    """A model has no classes of its own, and none were named."""


class GalaxyMorphologyClassifier(ClassifierMixin, BaseEstimator):
    """Tell what galaxies look like, in classes named in words.

    Follows scikit-learn's conventions: the constructor only stores its arguments; models
    and data are loaded when they are needed; learnt attributes end in an underscore.

    Parameters
    ----------
    model : str or path-like, optional
        ``"compact"`` (bundled, works offline), a folder written by `save`, an ``hf-hub:``
        name, or an open_clip architecture such as ``"ViT-B-16"`` together with ``weights``.
    weights : str or path-like, optional
        For an architecture: an open_clip tag (``"openai"``), a file, a folder, an ``hf-hub:``
        name, or ``"random"`` to pretrain from nothing.
    classes : sequence of str, mapping of str to list of str, or ClassScheme, optional
        Classes for `predict` and `fit`: names, names with prompts, or a scheme. Default is
        the scheme that the model was saved with.
    device : str, optional
        ``"auto"`` takes the GPU where there is one.
    batch_size : int, optional
        Images at a time. Default suits the device.
    precision : {"auto", "fp32", "bf16"}, optional
        ``"auto"`` computes in bfloat16 where the processor has it.
    views : {1, 2, 4, 8}, optional
        Orientations of each image to average over. Where classes speak of handedness
        (clockwise), at most 4, because mirror images would undo it.
    random_state : int, optional
        Seed of everything random.

    Attributes
    ----------
    classes_ : `~numpy.ndarray` of str, shape (K,)
        Class names of the fitted head.
    scheme_ : `~gmc_astro.morphology.ClassScheme`
        Classes and prompts of the fitted head.
    head_ : `~gmc_astro.learning.LinearHead`
        The fitted head.
    training_log_ : list of dict
        One entry an epoch of `pretrain`.
    excluded_ : `~numpy.ndarray` of str
        Ids of the rows that `pretrain` left out for ``exclude``.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier
    >>> images = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> table = classifier.zero_shot(images, classes=["spiral galaxy", "elliptical galaxy"])
    >>> table["probabilities"].shape
    (2, 2)
    """

    # What a call takes is no metadata that scikit-learn's pipelines should route.
    __metadata_request__fit = dict.fromkeys(("images", "labels", "method", "progress"), UNUSED)
    __metadata_request__predict = dict.fromkeys(("images", "progress"), UNUSED)
    __metadata_request__predict_proba = dict.fromkeys(("images", "progress"), UNUSED)
    __metadata_request__score = dict.fromkeys(("images", "labels"), UNUSED)

    def __init__(
        self,
        model: str | os.PathLike = "compact",
        *,
        weights: str | os.PathLike | None = None,
        classes: Classes | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        precision: str = "auto",
        views: int = 8,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.weights = weights
        self.classes = classes
        self.device = device
        self.batch_size = batch_size
        self.precision = precision
        self.views = views
        self.random_state = random_state

    # ---- the model behind it -------------------------------------------------------------

    @property
    def encoder(self) -> Encoder:
        """The `~gmc_astro.models.Encoder` in use, loaded when first asked for."""
        return self._checkpoint().encoder

    def _checkpoint(self) -> Checkpoint:
        """Load the model once for as long as the arguments that name it stay the same."""
        key = (os.fspath(self.model), self.weights, self.device, self.precision)
        if getattr(self, "_loaded_key", None) != key:
            self._loaded = open_model(
                self.model, weights=self.weights, device=self.device, precision=self.precision
            )
            self._loaded_key = key
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        """Leave a network that its name can bring back out of pickles."""
        state = super().__getstate__().copy()
        if not hasattr(self, "training_log_"):
            state.pop("_loaded", None)
            state.pop("_loaded_key", None)
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")

    # ---- prediction ----------------------------------------------------------------------

    def zero_shot(
        self,
        images: Any,
        classes: Classes | None = None,
        *,
        progress: bool = False,
        **source: Any,
    ) -> QTable:
        """Classify images into classes that are only named, without any label.

        Parameters
        ----------
        images : SkyCoord, path, array, Table or ImageSource
            Whatever `~gmc_astro.sources.open_images` takes.
        classes : sequence of str, mapping of str to list of str, or ClassScheme, optional
            The classes. Default is the constructor's, else the model's own scheme.
        progress : bool, optional
            Show a progress bar.
        **source
            Options of `~gmc_astro.sources.open_images`.

        Returns
        -------
        table : `~astropy.table.QTable`
            See `~gmc_astro.learning.predictions_table`.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the images are of no kind that is known, or there are fewer than two classes.
        sklearn.exceptions.NotFittedError
            If no classes are given anywhere.
        """
        scheme = self._scheme(classes)
        return self._predict(images, scheme, self._zero_shot_head(scheme), progress, source)

    def predict(self, images: Any, *, progress: bool = False, **source: Any) -> QTable:
        """Classify images with the fitted head, or zero-shot where nothing was fitted.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`.

        Returns
        -------
        table : `~astropy.table.QTable`
            See `~gmc_astro.learning.predictions_table`.
        """
        return self._predict(images, *self._fitted(), progress, source)

    def predict_proba(self, images: Any, *, progress: bool = False, **source: Any) -> np.ndarray:
        """Class probabilities of images.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`.

        Returns
        -------
        probabilities : `~numpy.ndarray`, shape (N, K), dtype float64
            Rows sum to 1; NaN where an image could not be had.
        """
        table = self.predict(images, progress=progress, **source)
        return np.asarray(table["probabilities"])

    def embed(self, images: Any, *, progress: bool = False, **source: Any) -> np.ndarray:
        """Embeddings of images in the space that they share with words.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`.

        Returns
        -------
        embeddings : `~numpy.ndarray`, shape (N, D), dtype float32
            Unit vectors; NaN where an image could not be had.
        """
        return self._embed(self._open(images, source), self.views, progress).embeddings

    def predict_votes(self, images: Any, *, progress: bool = False, **source: Any) -> QTable:
        """Predict how volunteers would answer each question, and how sure that is.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`.

        Returns
        -------
        table : `~astropy.table.QTable`
            See `~gmc_astro.learning.votes_table`: a fraction and its standard deviation for
            every answer.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the model was not pretrained on vote counts.
        """
        checkpoint = self._checkpoint()
        head = VoteHead.of(checkpoint)
        opened = self._open(images, source)
        embedded = self._embed(opened, self.views, progress)
        meta = {"model": checkpoint.encoder.name, "checkpoint_sha256": checkpoint.sha256}
        rows = {"ids": opened.ids, "coords": opened.coords}
        return votes_table(head, embedded.embeddings, embedded.status, **rows, meta=meta)

    def predict_embeddings(
        self,
        embeddings: ArrayLike,
        classes: Classes | None = None,
        *,
        status: Sequence[str] | None = None,
        ids: ArrayLike | None = None,
        coords: SkyCoord | None = None,
        columns: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> QTable:
        """Classify images whose embeddings are known already, without touching an image.

        Parameters
        ----------
        embeddings : array_like, shape (N, D)
            Unit vectors that `embed` gave, or `~gmc_astro.catalogs.open_embeddings`; NaN where
            there was no image.
        classes : sequence of str, mapping of str to list of str, or ClassScheme, optional
            As for `zero_shot`. Default: as `predict` does.
        status : sequence of str, shape (N,), optional
            Status of each row. Default tells rows of NaN from others.
        ids, coords, columns : optional
            As for `~gmc_astro.learning.predictions_table`.
        meta : mapping, optional
            Added to the table's ``meta``.

        Returns
        -------
        table : `~astropy.table.QTable`
            See `~gmc_astro.learning.predictions_table`.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the embeddings are not (N, D).
        """
        embeddings = np.asarray(embeddings, np.float32)
        if embeddings.ndim != 2 or embeddings.shape[1] != self.encoder.dim:
            wanted = f"(N, {self.encoder.dim})"
            raise InputError(f"embeddings have shape {embeddings.shape}; this model's are {wanted}")
        fitted = self if classes is None and self.__sklearn_is_fitted__() else self.ready(classes)
        if status is None:
            status = np.where(np.isfinite(embeddings).all(axis=1), OK, "no embedding")
        head = {"head": "zero-shot" if np.isnan(fitted.head_.strength) else "fitted"}
        return predictions_table(
            fitted.head_.predict_proba(embeddings),
            status,
            fitted.scheme_.names,
            ids=ids,
            coords=coords,
            columns=columns,
            meta={**fitted._provenance(fitted.scheme_, None, fitted.views), **head, **(meta or {})},
        )

    def ready(self, classes: Classes | None = None) -> GalaxyMorphologyClassifier:
        """Return a copy whose head is made: zero-shot prompts are embedded once and for all.

        Parameters
        ----------
        classes : sequence of str, mapping of str to list of str, or ClassScheme, optional
            As for `zero_shot`. Default: as `predict` does.

        Returns
        -------
        classifier : `GalaxyMorphologyClassifier`
            With ``head_``, ``scheme_`` and ``classes_``, and ``views`` that suit the classes.
        """
        ready = copy(self)
        if classes is None:
            ready.scheme_, ready.head_ = self._fitted()
        else:
            ready.scheme_ = self._scheme(classes)
            ready.head_ = self._zero_shot_head(ready.scheme_)
        ready.classes_ = np.asarray(ready.scheme_.names)
        if ready.scheme_.mentions_handedness:
            ready.views = min(self.views, 4)
        return ready

    def score(self, images: Any, labels: ArrayLike, **source: Any) -> float:
        """Accuracy over the rows that have an image.

        Parameters
        ----------
        images, **source
            As for `zero_shot`.
        labels : array_like, shape (N,)
            Class names, or integers that index the classes.

        Returns
        -------
        accuracy : float
            Share of rows that are classified as labelled.
        """
        table = self.predict(images, **source)
        names = table.meta["class_names"]
        targets, _ = encode_labels(labels, names)
        if len(targets) != len(table):
            raise InputError(f"{len(targets)} labels for {len(table)} images; give one a row")
        usable = ~table["label"].mask & (targets >= 0)
        return float(np.mean(table["label"][usable] == np.asarray(names)[targets[usable]]))

    def _predict(
        self,
        images: Any,
        scheme: ClassScheme,
        head: LinearHead,
        progress: bool,
        source: Mapping[str, Any],
    ) -> QTable:
        """Embed the images, apply the head, and lay the answer out as a table."""
        opened = self._open(images, source)
        views = min(self.views, 4) if scheme.mentions_handedness else self.views
        embedded = self._embed(opened, views, progress)
        return predictions_table(
            head.predict_proba(embedded.embeddings),
            embedded.status,
            scheme.names,
            ids=opened.ids,
            coords=opened.coords,
            columns=embedded.columns,
            meta=self._provenance(scheme, opened, views),
        )

    def _open(self, images: Any, options: Mapping[str, Any]) -> ImageSource:
        """Open the images in the colours of the model, or warn that they have others."""
        source = open_images(images, **options)
        wanted = self.encoder.contract.recipe
        if wanted is None:
            return source
        if options.get("recipe") is None:
            source = source.in_recipe(get_recipe(wanted))
        if source.recipe is not None and source.recipe != get_recipe(wanted):
            warnings.warn(
                f"the images have the colours of {source.recipe.name}, the model was trained on "
                f"{wanted}; expect lower accuracy, or fit() on a few labels of these images",
                RecipeMismatchWarning,
                stacklevel=4,
            )
        return source

    def _embed(self, source: ImageSource, views: int, progress: bool) -> Any:
        return embed_source(
            self.encoder, source, views=views, batch_size=self.batch_size, progress=progress
        )

    def _scheme(self, classes: Classes | None) -> ClassScheme:
        """Classes given here, or to the constructor, or saved with the model."""
        if classes is None:
            classes = self.classes
        if classes is None:
            classes = self._checkpoint().metadata.get("classes")
            if classes is None:
                raise NoClassesError(
                    f"model {self.model!r} has no classes of its own: name some with classes=, "
                    "or fit() on labels"
                )
            return ClassScheme.from_dict(classes)
        return ClassScheme.from_any(classes)

    def _zero_shot_head(self, scheme: ClassScheme) -> LinearHead:
        encoder = self.encoder
        return LinearHead.zero_shot(text_embeddings(encoder, scheme), encoder.logit_scale)

    def _fitted(self) -> tuple[ClassScheme, LinearHead]:
        """Head fitted here, else the one saved with the model, else zero-shot."""
        if hasattr(self, "head_"):
            return self.scheme_, self.head_
        checkpoint = self._checkpoint()
        if checkpoint.head and self.classes is None:
            scheme = ClassScheme.from_dict(checkpoint.metadata["classes"])
            return scheme, LinearHead.from_arrays(checkpoint.head)
        scheme = self._scheme(None)
        return scheme, self._zero_shot_head(scheme)

    def _provenance(
        self, scheme: ClassScheme, source: ImageSource | None, views: int
    ) -> dict[str, Any]:
        """What a table says of how it was made; flat, so that every file format can hold it."""
        checkpoint = self._checkpoint()
        recipe = None if source is None else source.recipe
        return {
            "model": checkpoint.encoder.name,
            "checkpoint_sha256": checkpoint.sha256,
            "head": "fitted" if hasattr(self, "head_") or checkpoint.head else "zero-shot",
            "classes": scheme.name,
            "model_recipe": checkpoint.encoder.contract.recipe or "",
            "image_recipe": recipe.name if recipe is not None else "",
            "views": views,
            "versions": ", ".join(f"{k} {v}" for k, v in package_versions().items()),
        }

    # ---- learning ------------------------------------------------------------------------

    def fit(
        self,
        images: Any,
        labels: ArrayLike,
        *,
        method: str = "probe",
        progress: bool = False,
        **source: Any,
    ) -> GalaxyMorphologyClassifier:
        """Learn classes from labelled images.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`. Rows without an image are left out.
        labels : array_like, shape (N,)
            Class names, or integers that index ``classes``. Masked rows are left out.
        method : {"probe"}, optional
            ``"probe"``: a logistic head on fixed embeddings that starts at the embeddings of
            the classes' words; see `~gmc_astro.learning.fit_probe`.

        Returns
        -------
        self : `GalaxyMorphologyClassifier`
            The fitted classifier.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If labels and images differ in number, a label is not one of ``classes``, or
            fewer than two classes have an image.
        """
        if method not in METHODS:
            raise InputError(f"method={method!r} is not one of {METHODS}")
        names = None if self.classes is None else ClassScheme.from_any(self.classes).names
        targets, names = encode_labels(labels, names)
        scheme = ClassScheme.from_any(self.classes if self.classes is not None else names)
        opened = self._open(images, source)
        if len(targets) != len(opened):
            raise InputError(f"{len(targets)} labels for {len(opened)} images; give one a row")
        embedded = self._embed(opened, self.views, progress)
        usable = embedded.ok & (targets >= 0)
        if len(np.unique(targets[usable])) < 2:
            raise InputError(
                f"{usable.sum()} of {len(opened)} rows have an image and a label, and they show "
                "fewer than two classes; give labelled images of at least two"
            )
        encoder = self.encoder
        features, targets = embedded.embeddings[usable], targets[usable]
        self.head_ = fit_probe(
            features,
            targets,
            class_starts(encoder, scheme, features, targets),
            scale=encoder.logit_scale,
            random_state=self.random_state,
        )
        self.scheme_ = scheme
        self.classes_ = np.asarray(scheme.names)
        return self

    def pretrain(
        self,
        images: Any,
        votes_or_captions: VoteTable | Sequence[str],
        *,
        recipe: str | PretrainSettings = "gmc",
        epochs: int | None = None,
        exclude: Any = None,
        folder: str | os.PathLike | None = None,
        resume: bool = True,
        save_every: int = 500,
        tensorboard: bool = False,
        progress: bool = True,
        validation: Any = None,
        **source: Any,
    ) -> GalaxyMorphologyClassifier:
        """Train both towers on images and language.

        Parameters
        ----------
        images, **source
            As for `zero_shot`. Rows without an image are left out.
        votes_or_captions : `~gmc_astro.morphology.VoteTable` or sequence of str
            Volunteers' votes, from which captions are written anew each epoch, or one
            caption a row.
        recipe : {"gmc", "reference"} or `~gmc_astro.learning.PretrainSettings`, optional
            Settings of the training.
        epochs : int, optional
            Passes over the images. Default is the recipe's.
        exclude : SkyCoord, Table, images or ImageSource, optional
            Galaxies that a test will show; see `~gmc_astro.learning.find_leaks`.
        folder, resume, save_every, tensorboard, progress, validation
            As for `~gmc_astro.learning.pretrain`.

        Returns
        -------
        self : `GalaxyMorphologyClassifier`
            The pretrained classifier; a head that was fitted before is dropped.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the recipe is unknown or images and captions differ in number.
        """
        settings = PretrainSettings.named(recipe, epochs=epochs, seed=self.random_state)
        opened = open_images(images, **source)
        result = pretrain(
            self.encoder,
            opened,
            as_captions(votes_or_captions, len(opened)),
            settings=settings,
            exclude=exclude,
            folder=folder,
            resume=resume,
            save_every=save_every,
            tensorboard=tensorboard,
            progress=progress,
            validation=validation,
        )
        self.training_log_, self.excluded_ = result.log, result.excluded
        if opened.recipe is not None:
            self.encoder.contract = replace(self.encoder.contract, recipe=opened.recipe.name)
        self._loaded = result.as_checkpoint(self.encoder)
        for name in ("head_", "scheme_", "classes_"):
            if hasattr(self, name):
                delattr(self, name)
        return self

    # ---- keeping -------------------------------------------------------------------------

    def save(
        self,
        path: str | os.PathLike,
        *,
        overwrite: bool = False,
        contract: ImageContract | None = None,
        card: str | None = None,
        dtype: str = "float32",
    ) -> Path:
        """Write the classifier as a checkpoint folder, which open_clip can load as well.

        Parameters
        ----------
        path : path-like
            The folder.
        overwrite : bool, optional
            Replace a folder that is there already.
        contract : `~gmc_astro.models.ImageContract`, optional
            State what the training images were. Default is the encoder's own.
        card : str, optional
            Model card in Markdown.
        dtype : {"float32", "float16"}, optional
            Number format of the weights on disk.

        Returns
        -------
        path : `~pathlib.Path`
            The folder.
        """
        checkpoint = self._checkpoint()
        if contract is not None:
            checkpoint.encoder.contract = contract
        scheme, head = getattr(self, "scheme_", None), getattr(self, "head_", None)
        arrays = head.to_arrays() if head is not None else checkpoint.head
        if scheme is None and (self.classes is not None or checkpoint.metadata.get("classes")):
            scheme = self._scheme(None)
        metadata = {
            "classes": scheme.to_dict() if scheme is not None else None,
            "prompts_sha256": document_hash(scheme.to_dict()) if scheme is not None else None,
            "training": getattr(self, "training_log_", checkpoint.metadata.get("training")),
            "votes": checkpoint.metadata.get("votes"),
            "versions": package_versions(),
        }
        return write_checkpoint(
            path,
            checkpoint.encoder,
            metadata=metadata,
            head=arrays,
            votes=checkpoint.votes,
            card=card,
            dtype=dtype,
            overwrite=overwrite,
        )

    @classmethod
    def load(
        cls, path: str | os.PathLike, *, device: str = "auto", precision: str = "auto"
    ) -> GalaxyMorphologyClassifier:
        """Load a classifier that `save` wrote.

        Parameters
        ----------
        path : path-like
            A checkpoint folder.
        device, precision : str, optional
            As in the constructor.

        Returns
        -------
        classifier : `GalaxyMorphologyClassifier`
            With the fitted head, if one was saved.

        Raises
        ------
        gmc_astro.exceptions.CheckpointError
            If the folder is not what it says it is.
        """
        classifier = cls(os.fspath(path), device=device, precision=precision)
        checkpoint = classifier._checkpoint()
        if checkpoint.head:
            classifier.scheme_ = ClassScheme.from_dict(checkpoint.metadata["classes"])
            classifier.classes_ = np.asarray(classifier.scheme_.names)
            classifier.head_ = LinearHead.from_arrays(checkpoint.head)
        return classifier

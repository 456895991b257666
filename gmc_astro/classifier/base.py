"""What every part of the estimator stands on: its arguments, the model, and the door for images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from gmc_astro.exceptions import GmcAstroWarning, InputError, RecipeMismatchWarning
from gmc_astro.imaging import RECIPES, ColourRecipe, ImageSource, is_ok
from gmc_astro.learning import Embedded, EmbeddingCache, VoteHead, embed_source
from gmc_astro.models import Checkpoint, Encoder, open_model
from gmc_astro.morphology import ClassScheme
from gmc_astro.sources import open_images

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Classes", "ModelUser", "NoClassesError", "warn_of_lost"]

_OF_TRAINING = ("training_log_", "excluded_", "temperature_")
#: What a fit learns.
OF_A_FIT = (
    "head_",
    "scheme_",
    "classes_",
    "calibration_",
    "fit_log_",
    "_tuned",
    "_labelled_embeddings",
    "_labelled_size",
)

Classes = ClassScheme | Mapping[str, Sequence[str]] | Sequence[str]


class NoClassesError(InputError, NotFittedError):
    """A model has no classes of its own, and none were named."""


class ModelUser(ClassifierMixin, BaseEstimator):
    """An estimator around a pretrained model; see `GalaxyMorphologyClassifier`."""

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
        """The `~gmc_astro.models.Encoder` in use, loaded when first asked for.

        After ``fit(method="finetune")`` it is the tuned one.
        """
        return getattr(self, "_tuned", None) or self._checkpoint().encoder

    @property
    def _is_tuned(self) -> bool:
        """Whether a fit changed the encoder."""
        return getattr(self, "_tuned", None) is not None

    @property
    def holds_weights(self) -> bool:
        """Whether it has weights of its own, which ``model`` cannot bring back."""
        return self._is_tuned or self._was_trained

    @property
    def checkpoint_sha256(self) -> str:
        """Hash of the checkpoint's weights; empty where there is none, or it holds its own."""
        return "" if self.holds_weights else self._checkpoint().sha256

    @property
    def _was_trained(self) -> bool:
        """Whether the model itself was changed."""
        return any(hasattr(self, name) for name in _OF_TRAINING)

    def _checkpoint(self) -> Checkpoint:
        """Load the model once for as long as the arguments that name it stay the same."""
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size} is not 1 or more")
        if not isinstance(self.model, str | os.PathLike):
            raise InputError(f"model={self.model!r:.60} is no name, and no path of a folder")
        key = (os.fspath(self.model), self.weights, self.device, self.precision)
        known = getattr(self, "_loaded_key", None)
        if known == key:
            return self._loaded
        if self._was_trained and known is not None and known[:2] == key[:2]:
            encoder = self._loaded.encoder.moved(self.device, self.precision)
            self._loaded = replace(self._loaded, encoder=encoder)
        else:
            if known is not None and known[:2] != key[:2]:  # what was learnt was another model's
                self._drop(_OF_TRAINING + OF_A_FIT)
            self._loaded = open_model(
                self.model,
                weights=self.weights,
                device=self.device,
                precision=self.precision,
                random_state=self.random_state,
            )
        self._loaded_key = key
        return self._loaded

    def _drop(self, names: Sequence[str]) -> None:
        """Forget what attributes of these names hold."""
        for name in names:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        """Leave a network that its name can bring back out of pickles, and what is only fast."""
        state = super().__getstate__().copy()
        state.pop("_cache", None)
        if not self._was_trained:
            state.pop("_loaded", None)
            state.pop("_loaded_key", None)
        return state

    # ---- images and classes --------------------------------------------------------------

    def _open(self, images: Any, options: Mapping[str, Any]) -> ImageSource:
        """Open the images in the colours of the model, or warn that they have others."""
        source = open_images(images, **options)
        wanted = self._colours(options.get("recipe"), source.recipe)
        if wanted is None:
            return source
        if options.get("recipe") is None:
            source = source.in_recipe(wanted)
        if source.recipe is not None and source.recipe != wanted:
            warnings.warn(
                f"the images have the colours of {source.recipe.name}, the model was trained on "
                f"{wanted.name}; expect lower accuracy, or fit() on a few labels of these images",
                RecipeMismatchWarning,
                stacklevel=4,
            )
        return source

    def _colours(self, *known: Any) -> ColourRecipe | None:
        """Colours of the model; of a recipe of one's own it has the name, which ``known`` tells."""
        name = self.encoder.contract.recipe
        if name is None or name.upper() in RECIPES:
            return None if name is None else RECIPES[name.upper()]
        for recipe in known:
            if isinstance(recipe, ColourRecipe) and recipe.name == name:
                return recipe
        raise InputError(
            f"the model was trained on the colours {name}, which do not come with the package: "
            "give that ColourRecipe with recipe="
        )

    def _embed(
        self, source: ImageSource, views: int, progress: bool, encoder: Encoder | None = None
    ) -> Embedded:
        """Embed a source; images that the own encoder has seen lately come from memory."""
        encoder = encoder or self.encoder
        return embed_source(
            encoder,
            source,
            views=views,
            batch_size=self.batch_size,
            progress=progress,
            cache=self._cache_of(encoder) if encoder is self.encoder else None,
        )

    def _cache_of(self, encoder: Encoder) -> EmbeddingCache:
        """Embeddings by this encoder that are known; those of another are dropped."""
        kept, settings, cache = getattr(self, "_cache", (None, None, None))
        own = (encoder.contract, encoder.precision)
        if kept is not encoder.network or settings != own:
            cache = EmbeddingCache()
            self._cache = (encoder.network, own, cache)
        return cache

    def _vectors(self, embeddings: ArrayLike) -> np.ndarray:
        """Embeddings that somebody kept, checked."""
        embeddings = np.asarray(embeddings, np.float32)
        if embeddings.ndim != 2 or embeddings.shape[1] != self.encoder.dim:
            wanted = f"(N, {self.encoder.dim})"
            raise InputError(f"embeddings have shape {embeddings.shape}; this model's are {wanted}")
        return embeddings

    def _views(self, asked: ClassScheme | VoteHead) -> int:
        """Orientations to average over: no mirror images where handedness counts."""
        return min(self.views, 4) if asked.mentions_handedness else self.views

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


def warn_of_lost(status: np.ndarray, labelled: np.ndarray, what: str, *, deep: int = 1) -> None:
    """Say that images of labelled rows could not be had.

    Parameters
    ----------
    status : `~numpy.ndarray` of str, shape (N,)
        Status of each row.
    labelled : `~numpy.ndarray` of bool, shape (N,)
        Which have a label.
    what : str
        What becomes of such rows.
    deep : int, optional
        Calls between the user's own and this one.
    """
    lost = np.flatnonzero(labelled & ~is_ok(status))
    if len(lost):
        warnings.warn(
            f"{len(lost)} of {labelled.sum()} labelled images cannot be had and {what}, such as "
            f"row {lost[0]}: {status[lost[0]]}",
            GmcAstroWarning,
            stacklevel=deep + 2,
        )

"""Predicting: classes, sets of classes, votes, and what to label next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable

from gmc_astro.classifier.base import Classes, ModelUser, warn_of_lost
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import OK, ImageSource
from gmc_astro.learning import (
    LinearHead,
    TrustedHead,
    VoteHead,
    abstain,
    change_priors,
    embed_source,
    encode_labels,
    package_versions,
    predictions_table,
    suggest_rows,
    text_embeddings,
    votes_table,
)
from gmc_astro.learning.suggest import nearest_distances
from gmc_astro.morphology import ClassScheme

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from numpy.typing import ArrayLike

__all__ = ["Predicting"]

Prior = Mapping[str, float] | Sequence[float]

_SAME = 1e-5  # distance of embeddings of one and the same image; those in memory are equal


class Predicting(ModelUser):
    """What an estimator says of images; see `GalaxyMorphologyClassifier`."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")

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
        ready = self.ready(self._scheme(classes))
        return ready._predict(images, progress, source)

    def predict(
        self,
        images: Any,
        *,
        class_prior: Prior | None = None,
        abstain_below: float | None = None,
        progress: bool = False,
        **source: Any,
    ) -> QTable:
        """Classify images with the fitted head, or zero-shot where nothing was fitted.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`.
        class_prior : mapping of str to float, or sequence of float, optional
            Share of each class among these galaxies, where it is not that of the labels.
        abstain_below : float, optional
            Give no label where no class is as probable as that; the status says so.

        Returns
        -------
        table : `~astropy.table.QTable`
            See `~gmc_astro.learning.predictions_table`. A fitted head adds ``novelty``: how
            unlike the labelled images an image is, 1 where 99 % of them are below.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the images are of no kind that is known, the priors are not one for each class,
            or ``abstain_below`` is no probability.
        """
        table = self.ready()._predict(images, progress, source, class_prior)
        return table if abstain_below is None else abstain(table, abstain_below)

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

    def predict_sets(
        self, images: Any, *, coverage: float = 0.9, progress: bool = False, **source: Any
    ) -> np.ndarray:
        """Sets of classes that hold the true one with a stated probability.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`.
        coverage : float, optional
            The probability, on average over galaxies that are like the labelled ones.

        Returns
        -------
        sets : `~numpy.ndarray` of bool, shape (N, K)
            True for the classes in a row's set; all of them where an image could not be had.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If nothing was fitted, or on too few labels to hold any out.
        """
        ready = self.ready()
        embedded = ready._embed(ready._open(images, source), ready.views, progress)
        sets = np.ones((len(embedded.status), len(ready.classes_)), bool)
        sets[embedded.ok] = ready.head_.predict_sets(
            embedded.embeddings[embedded.ok], coverage=coverage
        )
        return sets

    def suggest_labels(
        self, images: Any, n: int, *, progress: bool = False, **source: Any
    ) -> np.ndarray:
        """Choose the galaxies whose labels would teach most.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`.
        n : int
            How many.

        Returns
        -------
        rows : `~numpy.ndarray` of int, shape (n,)
            Uncertain and unlike each other; the most useful first. No image is among them that
            this classifier was fitted on (in this session: `save` does not keep which).

        Raises
        ------
        gmc_astro.exceptions.InputError
            If fewer than ``n`` rows have an image without a label.
        """
        ready = self.ready()
        opened = ready._open(images, source)
        embedded = ready._embed(opened, ready.views, progress)
        probabilities = ready.head_.predict_proba(embedded.embeddings)
        if (labelled := getattr(self, "_labelled_embeddings", None)) is not None:
            seen = embedded
            if self._is_tuned:  # labelled images are known as they were before
                encoder = self._checkpoint().encoder
                if encoder.contract.size != self._labelled_size:
                    encoder = encoder.at_size(self._labelled_size)
                seen = ready._embed(opened, ready.views, progress, encoder)
            nearest = nearest_distances(seen.embeddings[seen.ok], labelled)
            probabilities[np.flatnonzero(seen.ok)[nearest < _SAME]] = np.nan
        return suggest_rows(probabilities, embedded.embeddings, n, random_state=self.random_state)

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
        embedded = embed_source(  # by the pretrained encoder, also after it was tuned to classes
            checkpoint.encoder,
            opened,
            views=self._views(head),
            batch_size=self.batch_size,
            progress=progress,
        )
        meta = {"model": checkpoint.encoder.name, "checkpoint_sha256": checkpoint.sha256}
        rows = {"ids": opened.ids, "coords": opened.coords}
        return votes_table(head, embedded.embeddings, embedded.status, **rows, meta=meta)

    def predict_embeddings(
        self,
        embeddings: ArrayLike,
        classes: Classes | None = None,
        *,
        class_prior: Prior | None = None,
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
            Unit vectors that `embed` gave; NaN where there was no image.
        classes : sequence of str, mapping of str to list of str, or ClassScheme, optional
            As for `zero_shot`. Default: as `predict` does.
        class_prior : mapping of str to float, or sequence of float, optional
            As for `predict`.
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
        embeddings = self._vectors(embeddings)
        fitted = self.ready(classes)
        if status is None:
            status = np.where(np.isfinite(embeddings).all(axis=1), OK, "no embedding")
        probabilities = fitted.head_.predict_proba(embeddings)
        if class_prior is not None:
            names = fitted.scheme_.names
            prior = fitted.head_.prior
            if prior is None:
                prior = np.full(len(names), 1 / len(names))
            if unseen := [name for name, share in zip(names, prior, strict=True) if share == 0]:
                raise InputError(
                    f"class_prior= is for classes that labels show: fit() saw none of {unseen}"
                )
            probabilities = change_priors(probabilities, prior, class_prior, names=names)
        novelty = fitted.head_.novelty_of(embeddings)
        return predictions_table(
            probabilities,
            status,
            fitted.scheme_.names,
            ids=ids,
            coords=coords,
            columns={**(columns or {}), **({} if novelty is None else {"novelty": novelty})},
            meta={**fitted._provenance(None), **(meta or {})},
        )

    def ready(self, classes: Classes | None = None) -> Predicting:
        """Return a copy whose head is made: prompts are embedded once and for all.

        Parameters
        ----------
        classes : sequence of str, mapping of str to list of str, or ClassScheme, optional
            As for `zero_shot`. Default: as `predict` does.

        Returns
        -------
        classifier : `GalaxyMorphologyClassifier`
            With ``head_``, ``scheme_`` and ``classes_``, and ``views`` that suit the classes.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If no classes are given anywhere.
        """
        self._cache_of(self.encoder)  # before the copy, so that both have the model and this
        ready = object.__new__(type(self))  # copy() would leave the network out, as pickle does
        ready.__dict__.update(self.__dict__)
        if classes is None:
            ready.scheme_, ready.head_ = self._fitted()
        else:
            ready.scheme_ = self._scheme(classes)
            ready.head_ = self._zero_shot_head(ready.scheme_)
        ready.classes_ = np.asarray(ready.scheme_.names)
        ready.views = self._views(ready.scheme_)
        return ready

    def score(self, images: Any, labels: ArrayLike, **source: Any) -> float:
        """Accuracy over the rows that have an image and a label.

        A warning says how many labelled rows have none.

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

        Raises
        ------
        gmc_astro.exceptions.InputError
            If labels and images differ in number, no row has both, or the images are of no kind
            that is known.
        """
        table = self.predict(images, **source)
        names = table.meta["class_names"]
        targets, _ = encode_labels(labels, names)
        if len(targets) != len(table):
            raise InputError(f"{len(targets)} labels for {len(table)} images; give one a row")
        warn_of_lost(np.asarray(table["status"]), targets >= 0, "are not counted")
        usable = ~table["label"].mask & (targets >= 0)
        if not usable.any():
            raise InputError(f"none of {len(table)} rows has an image and a label")
        return float(np.mean(table["label"][usable] == np.asarray(names)[targets[usable]]))

    def _predict(
        self,
        images: Any,
        progress: bool,
        source: Mapping[str, Any],
        class_prior: Prior | None = None,
    ) -> QTable:
        """Embed the images, apply the head, and lay the answer out as a table."""
        opened = self._open(images, source)
        embedded = self._embed(opened, self.views, progress)
        return self.predict_embeddings(
            embedded.embeddings,
            class_prior=class_prior,
            status=embedded.status,
            ids=opened.ids,
            coords=opened.coords,
            columns=embedded.columns,
            meta=self._provenance(opened),
        )

    def _zero_shot_head(self, scheme: ClassScheme) -> TrustedHead:
        encoder = self.encoder
        words = text_embeddings(encoder, scheme)
        return TrustedHead(LinearHead.zero_shot(words, encoder.logit_scale))

    def _fitted(self) -> tuple[ClassScheme, TrustedHead]:
        """Head fitted here, else the one saved with the model, else zero-shot."""
        if hasattr(self, "head_"):
            return self.scheme_, self.head_
        checkpoint = self._checkpoint()
        if checkpoint.head and self.classes is None:
            scheme = ClassScheme.from_dict(checkpoint.metadata["classes"])
            return scheme, TrustedHead.from_arrays(checkpoint.head)
        scheme = self._scheme(None)
        return scheme, self._zero_shot_head(scheme)

    def _provenance(self, source: ImageSource | None) -> dict[str, Any]:
        """What a table says of how it was made; flat, so that every file format can hold it."""
        checkpoint = self._checkpoint()
        recipe = None if source is None else source.recipe
        return {
            "model": checkpoint.encoder.name,
            "checkpoint_sha256": self.checkpoint_sha256,
            "head": "fitted" if self.head_.is_fitted else "zero-shot",
            "classes": self.scheme_.name,
            "model_recipe": checkpoint.encoder.contract.recipe or "",
            "image_recipe": recipe.name if recipe is not None else "",
            "views": self.views,
            "versions": ", ".join(f"{k} {v}" for k, v in package_versions().items()),
        }

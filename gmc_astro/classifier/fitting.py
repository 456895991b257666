"""Learning: labels into a head or a tuned model, captions into a pretrained one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gmc_astro.classifier.base import OF_A_FIT, NoClassesError, warn_of_lost
from gmc_astro.classifier.predicting import Predicting
from gmc_astro.exceptions import GmcAstroWarning, InputError
from gmc_astro.learning import (
    Captions,
    Embedded,
    Labelled,
    Pixels,
    PretrainSettings,
    as_captions,
    class_shares,
    find_method,
    fit_calibrator,
    labelled_images,
    pretrain,
    text_embeddings,
    trust,
)
from gmc_astro.models import Encoder
from gmc_astro.morphology import ClassScheme, VoteTable
from gmc_astro.sources import open_images

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gmc_astro.classifier.estimator import GalaxyMorphologyClassifier

__all__ = ["Fitting"]

_ALL_DIFFERENT = 30  # labels that may each be another class
_FOR_NOVELTY = 512  # labelled images that a tuned encoder embeds again, to know them


class Fitting(Predicting):
    """How an estimator learns; see `GalaxyMorphologyClassifier`."""

    def fit(
        self,
        images: Any,
        labels: ArrayLike,
        *,
        method: str = "probe",
        sample_weight: ArrayLike | None = None,
        validation: tuple[Any, ArrayLike] | None = None,
        transductive: bool = False,
        image_size: int | None = None,
        progress: bool = False,
        **source: Any,
    ) -> GalaxyMorphologyClassifier:
        """Learn classes from labelled images.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`. Rows without an image are left out.
        labels : array_like, shape (N,) or (N, K), or mapping
            Class names; integers that index ``classes``; or vote fractions, a column a class.
            Masked rows, or rows of NaN, are not labelled. Where no ``classes`` were given and
            all names are of the model's own classes, it keeps those, also without a label.
        method : {"probe", "finetune", "reference"}, optional
            ``"probe"``: a logistic head on fixed embeddings that starts at the embeddings of
            the classes' words; seconds. ``"finetune"``: both towers as well, part of the way;
            for some hundred labels or more, minutes. ``"reference"``: as the paper's public
            code. See :doc:`/user_guide/few_labels`.
        sample_weight : array_like, shape (N,), optional
            Weight of each row, 0 or more.
        validation : tuple of (images, labels), optional
            Other labelled galaxies, to choose settings and calibrate on. Default holds some of
            the labelled rows out in turn.
        transductive : bool, optional
            Learn from the unlabelled rows too; only for ``method="probe"``. If they are the
            galaxies that a test will ask for, say so where the result is reported.
        image_size : int, optional
            Side in pixels of what the encoder sees, where the method tunes it. Default is the
            model's. Another should have many labels; see `Encoder.set_image_size
            <gmc_astro.models.Encoder.set_image_size>` for which lie near.

        Returns
        -------
        self : `GalaxyMorphologyClassifier`
            The fitted classifier.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If labels and images differ in number, a label is not one of ``classes``, fewer
            than two classes have an image, the method is not known, or the image tower
            cannot take images of ``image_size``.
        gmc_astro.exceptions.TrainingError
            If the training of a method that tunes the encoder diverges.
        """
        find_method(method)  # before the work
        if image_size is not None and method == "probe":
            raise InputError('image_size= is for methods that tune the encoder, not "probe"')
        if transductive and method != "probe":
            raise InputError(f'transductive=True is for method="probe", not {method!r}')
        shares, scheme = self._shares(labels)
        self._forget()
        encoder = self.encoder if image_size is None else self.encoder.at_size(image_size)
        given = {"encoder": encoder, "progress": progress, "source": source}
        labelled = self._labelled(
            images, shares, scheme, sample_weight, transductive=transductive, **given
        )
        if validation is not None:
            if not (isinstance(validation, tuple | list) and len(validation) == 2):
                raise InputError(f"validation={validation!r:.60} is not a pair (images, labels)")
            other, _ = class_shares(validation[1], scheme.names)
            part = self._labelled(validation[0], other, scheme, None, **given)
            labelled = replace(labelled, validation=part)
        return self._learn(labelled, method)

    def fit_embeddings(
        self,
        embeddings: ArrayLike,
        labels: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> GalaxyMorphologyClassifier:
        """Learn classes from embeddings that are known already, without touching an image.

        Parameters
        ----------
        embeddings : array_like, shape (N, D)
            Unit vectors that `embed` gave with as many ``views``, or
            `~gmc_astro.catalogs.open_embeddings`; rows of NaN are left out.
        labels, sample_weight
            As for `fit`.

        Returns
        -------
        self : `GalaxyMorphologyClassifier`
            The fitted classifier, with a probe.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the embeddings are not (N, D), `fit` has tuned the encoder, which would be
            forgotten, or as `fit`.
        """
        self._refuse_if_tuned(
            "embeddings of it are not those of the pretrained model; save() it and load() that, or "
            "take a new classifier for the pretrained model's"
        )
        shares, scheme = self._shares(labels)
        self._forget()
        embeddings = self._vectors(embeddings)
        weights = _weights(sample_weight, len(embeddings))
        rows = _labelled_rows(np.isfinite(embeddings).all(axis=1), shares, weights)
        labelled = Labelled(
            self.encoder,
            scheme,
            embeddings[rows],
            shares[rows],
            weights[rows],
            views=self._views(scheme),
            random_state=self.random_state,
        )
        return self._learn(labelled, "probe")

    def calibrate_words(
        self,
        images: Any,
        labels: ArrayLike,
        *,
        progress: bool = False,
        **source: Any,
    ) -> GalaxyMorphologyClassifier:
        """Make zero-shot probabilities as sure as they are right, by labelled images.

        One number changes, the factor from cosine similarity to logits (temperature scaling
        [1]_): the most probable class of an image stays what it was. The factor then holds for
        all classes that are named, and for a head that is fitted afterwards.

        Parameters
        ----------
        images, progress, **source
            As for `zero_shot`. Rows without an image are left out.
        labels : array_like
            As for `fit`, of the constructor's ``classes`` or else of the model's own; of vote
            fractions the class of the largest counts.

        Returns
        -------
        self : `GalaxyMorphologyClassifier`
            With ``temperature_``, by which logits are divided; `save` keeps the factor with the
            model.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If labels and images differ in number, a label is not one of the classes, fewer
            than two classes have an image, or `fit` has tuned the encoder.
        sklearn.exceptions.NotFittedError
            If no classes are given anywhere.

        References
        ----------
        .. [1] Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599
        """
        self._refuse_if_tuned("calibrate_words() before, fit() calibrates its own classes")
        scheme = self._scheme(None)
        shares, _ = class_shares(labels, scheme.names)
        embedded = self._embed(self._open(images, source), self._views(scheme), progress)
        rows = _labelled_rows(embedded.ok, shares, np.ones(len(shares)))
        encoder = self.encoder
        cosines = embedded.embeddings[rows] @ text_embeddings(encoder, scheme).T
        targets = shares[rows].argmax(axis=1)
        found = fit_calibrator(encoder.logit_scale * cosines, targets, kind="temperature")
        encoder.set_logit_scale(encoder.logit_scale / found.temperature)
        self.temperature_ = getattr(self, "temperature_", 1.0) * found.temperature
        return self

    def _refuse_if_tuned(self, instead: str) -> None:
        """Raise an error, which says what to do instead, where a fit has tuned the encoder."""
        if self._is_tuned:
            method = self.fit_log_["method"]
            raise InputError(
                f"fit(method={method!r}) has tuned the encoder to its classes: {instead}"
            )

    def _shares(self, labels: ArrayLike) -> tuple[np.ndarray, ClassScheme]:
        """Share of each class in each row, and the classes."""
        if self.classes is not None:
            scheme = ClassScheme.from_any(self.classes)
            return class_shares(labels, scheme.names)[0], scheme
        shares, names = class_shares(labels)
        try:
            own = self._scheme(None)
        except NoClassesError:
            return shares, ClassScheme.from_any(names)
        if not set(names) <= set(own.names):
            return shares, ClassScheme.from_any(names)
        of_all = np.zeros((len(shares), len(own.names)))
        of_all[:, [own.names.index(name) for name in names]] = shares
        of_all[np.isnan(shares).any(axis=1)] = np.nan
        return of_all, own

    def _learn(self, labelled: Labelled, method: str) -> GalaxyMorphologyClassifier:
        """Fit, calibrate, and keep what was learnt."""
        _warn_of_repeats(labelled.embeddings)
        fitted = find_method(method)(labelled)
        embeddings = labelled.embeddings
        encoder = fitted.encoder or labelled.encoder
        if encoder is not self.encoder:
            self._tuned = encoder
            embeddings = _some_embeddings(encoder, labelled)
        self.head_, self.calibration_ = trust(labelled, fitted, embeddings)
        self._labelled_embeddings = labelled.embeddings
        self._labelled_size = labelled.encoder.contract.size
        self.scheme_, self.classes_ = labelled.scheme, np.asarray(labelled.scheme.names)
        self.fit_log_ = {"method": method, "labels": len(labelled), **fitted.log}
        return self

    def _labelled(
        self,
        images: Any,
        shares: np.ndarray,
        scheme: ClassScheme,
        sample_weight: ArrayLike | None,
        *,
        encoder: Encoder,
        progress: bool,
        source: Mapping[str, Any],
        transductive: bool = False,
    ) -> Labelled:
        """Rows that have an image and a label, embedded."""
        opened = self._open(images, source)
        weights = _weights(sample_weight, len(opened))
        embedded = self._embed(opened, self._views(scheme), progress, encoder)
        rows = _labelled_rows(embedded.ok, shares, weights)
        warn_of_lost(embedded.status, np.isfinite(shares).all(axis=1), "teach nothing", deep=2)
        return Labelled(
            encoder,
            scheme,
            embedded.embeddings[rows],
            shares[rows],
            weights[rows],
            pixels=Pixels(opened, rows),
            unlabelled=_unlabelled(embedded, shares) if transductive else None,
            views=self._views(scheme),
            random_state=self.random_state,
            progress=progress,
        )

    def _forget(self) -> None:
        """Drop what an earlier fit learnt."""
        self._drop(OF_A_FIT)

    def pretrain(
        self,
        images: Any,
        votes_or_captions: VoteTable | Sequence[str] | Captions,
        *,
        recipe: str | PretrainSettings = "gmc",
        epochs: int | None = None,
        teachers: Sequence[Encoder] = (),
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
        votes_or_captions : `~gmc_astro.morphology.VoteTable`, sequence of str, or Captions
            Volunteers' votes, from which captions are written anew each epoch, or one
            caption a row; or `~gmc_astro.learning.Captions`.
        recipe : {"gmc", "reference"} or `~gmc_astro.learning.PretrainSettings`, optional
            Settings of the training.
        epochs : int, optional
            Passes over the images. Default is the recipe's.
        teachers : sequence of `~gmc_astro.models.Encoder`, optional
            Larger encoders of the same text tower, whose embeddings the image tower learns.
        exclude : SkyCoord, Table, images or ImageSource, optional
            Galaxies that a test will show; see `~gmc_astro.learning.find_leaks`.
        folder, resume, save_every, tensorboard, progress, validation
            As for `~gmc_astro.learning.pretrain`.

        Returns
        -------
        self : `GalaxyMorphologyClassifier`
            The pretrained classifier; a head that was fitted before is dropped. Where it is
            stopped, the weights are those before.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If the recipe is unknown or images and captions differ in number.
        gmc_astro.exceptions.TrainingError
            If the training diverges.
        """
        settings = PretrainSettings.named(recipe, epochs=epochs, seed=self.random_state)
        opened = open_images(images, **source)
        captions = as_captions(votes_or_captions, len(opened), style=settings.caption_style)
        self._forget()
        before = self._checkpoint()
        weights = deepcopy(before.encoder.network.state_dict())
        try:
            result = pretrain(
                before.encoder,
                opened,
                captions,
                settings=settings,
                teachers=teachers,
                exclude=exclude,
                folder=folder,
                resume=resume,
                save_every=save_every,
                tensorboard=tensorboard,
                progress=progress,
                validation=validation,
            )
        except BaseException:  # also Ctrl-C: nobody asked for weights half-way
            before.encoder.network.load_state_dict(weights)
            raise
        self.training_log_, self.excluded_ = result.log, result.excluded
        if opened.recipe is not None:
            self.encoder.contract = replace(self.encoder.contract, recipe=opened.recipe.name)
        learnt = result.as_checkpoint(self.encoder)
        metadata = {"classes": before.metadata.get("classes"), **learnt.metadata}
        self._loaded = replace(learnt, metadata=metadata)
        self._drop(("_cache", "temperature_"))  # the network is the same, its weights are not
        return self


def _some_embeddings(encoder: Encoder, labelled: Labelled) -> np.ndarray:
    """Embeddings of labelled images by a tuned encoder."""
    rows = labelled.pixels.rows[:: max(len(labelled) // _FOR_NOVELTY, 1)]
    images = labelled_images(labelled.pixels.source, rows, encoder.contract.size)
    return encoder.encode_images(images, views=labelled.views)


def _unlabelled(embedded: Embedded, shares: np.ndarray) -> np.ndarray:
    """Embeddings of the rows without a label."""
    return embedded.embeddings[embedded.ok & np.isnan(shares).any(axis=1)]


def _warn_of_repeats(embeddings: np.ndarray) -> None:
    """An image that is held out and learnt from tells nothing of others."""
    repeats = len(embeddings) - len({row.tobytes() for row in embeddings})
    if repeats:
        warnings.warn(
            f"{repeats} of {len(embeddings)} labelled images repeat others: calibration and what "
            "cross-validation chooses will look too good; give each image once, with "
            "sample_weight= where it shall count for more",
            GmcAstroWarning,
            stacklevel=4,
        )


def _labelled_rows(ok: np.ndarray, shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rows that have an image, a label and a weight."""
    if len(shares) != len(ok):
        raise InputError(f"{len(shares)} labels for {len(ok)} images; give one a row")
    rows = np.flatnonzero(ok & np.isfinite(shares).all(axis=1) & (weights > 0))
    shown = len(np.unique(shares[rows].argmax(axis=1)))
    if shown < 2:
        raise InputError(
            f"{len(rows)} of {len(ok)} rows have an image and a label, and they show "
            "fewer than two classes; give labelled images of at least two"
        )
    if shown == len(rows) > _ALL_DIFFERENT:
        raise InputError(
            f"each of the {shown} labels is another one: give class names, not names of galaxies"
        )
    return rows


def _weights(sample_weight: ArrayLike | None, n: int) -> np.ndarray:
    """Weights of n rows."""
    try:
        weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, float)
    except (TypeError, ValueError) as err:
        raise InputError(f"sample_weight holds something that is no number: {err}") from err
    if weights.shape != (n,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError(
            f"sample_weight of shape {weights.shape} for {n} images; "
            "give a number of 0 or more a row"
        )
    return weights

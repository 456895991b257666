"""The estimator that people meet: it joins sources, encoder and heads."""

from __future__ import annotations

import os
from copy import copy
from dataclasses import asdict
from pathlib import Path

import numpy as np
from sklearn.utils.metadata_routing import UNUSED

from gmc_astro.classifier.fitting import Fitting
from gmc_astro.learning import CalibrationReport, TrustedHead, document_hash, package_versions
from gmc_astro.models import ImageContract, write_checkpoint
from gmc_astro.morphology import ClassScheme

__all__ = ["GalaxyMorphologyClassifier"]


class GalaxyMorphologyClassifier(Fitting):
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
    head_ : `~gmc_astro.learning.TrustedHead`
        The fitted head.
    calibration_ : `~gmc_astro.learning.CalibrationReport` or None
        How good the probabilities are before and after calibration, on labels held out; None
        where there were too few.
    fit_log_ : dict
        What `fit` chose.
    temperature_ : float
        By which `calibrate_words` divided the logits of words.
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
    __metadata_request__fit = dict.fromkeys(
        ("images", "labels", "method", "progress", "transductive", "validation"), UNUSED
    )
    __metadata_request__predict = dict.fromkeys(
        ("images", "progress", "class_prior", "abstain_below"), UNUSED
    )
    __metadata_request__predict_proba = dict.fromkeys(("images", "progress"), UNUSED)
    __metadata_request__score = dict.fromkeys(("images", "labels"), UNUSED)

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
            Replace a checkpoint that is there already. A folder that holds anything else is
            refused.
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

        Raises
        ------
        gmc_astro.exceptions.CheckpointError
            If the folder exists and ``overwrite`` is False.
        gmc_astro.exceptions.InputError
            If it is the working directory, a file, or holds what is not of a checkpoint.
        gmc_astro.exceptions.OutputError
            If it cannot be written.
        """
        checkpoint, encoder = self._checkpoint(), copy(self.encoder)
        encoder.contract = contract or encoder.contract
        scheme, head = getattr(self, "scheme_", None), getattr(self, "head_", None)
        report = getattr(self, "calibration_", None)
        if head is not None:
            arrays = head.to_arrays()
        else:  # a head that was saved is of its own classes
            arrays = checkpoint.head if self.classes is None else None
        if scheme is None and (self.classes is not None or checkpoint.metadata.get("classes")):
            scheme = self._scheme(None)
        metadata = {
            "classes": scheme.to_dict() if scheme is not None else None,
            "prompts_sha256": document_hash(scheme.to_dict()) if scheme is not None else None,
            "views": self.views,
            "calibration": None if report is None else asdict(report),
            "training": getattr(self, "training_log_", checkpoint.metadata.get("training")),
            "votes": None if self._is_tuned else checkpoint.metadata.get("votes"),
            "versions": package_versions(),
        }
        return write_checkpoint(
            path,
            encoder,
            metadata=metadata,
            head=arrays,
            votes=None if self._is_tuned else checkpoint.votes,  # it reads the pretrained encoder
            card=card,
            dtype=dtype,
            overwrite=overwrite,
        )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        *,
        device: str = "auto",
        precision: str = "auto",
        views: int | None = None,
    ) -> GalaxyMorphologyClassifier:
        """Load a classifier that `save` wrote.

        Parameters
        ----------
        path : path-like
            A checkpoint folder.
        device, precision : str, optional
            As in the constructor.
        views : {1, 2, 4, 8}, optional
            As in the constructor. Default is what the saved classifier had.

        Returns
        -------
        classifier : `GalaxyMorphologyClassifier`
            With the fitted head and its ``calibration_``, if one was saved.

        Raises
        ------
        gmc_astro.exceptions.CheckpointError
            If the folder is not what it says it is.
        """
        classifier = cls(os.fspath(path), device=device, precision=precision)
        checkpoint = classifier._checkpoint()
        classifier.views = views or checkpoint.metadata.get("views", classifier.views)
        if checkpoint.head:
            classifier.scheme_ = ClassScheme.from_dict(checkpoint.metadata["classes"])
            classifier.classes_ = np.asarray(classifier.scheme_.names)
            classifier.head_ = TrustedHead.from_arrays(checkpoint.head)
            report = checkpoint.metadata.get("calibration")
            classifier.calibration_ = None if report is None else CalibrationReport(**report)
        return classifier

"""Learning: losses, augmentation, the training loop, and heads that need few labels."""

from gmc_astro.learning.augment import Augmentation
from gmc_astro.learning.captions import Captions, FixedCaptions, VoteCaptions, as_captions
from gmc_astro.learning.embedding import Embedded, class_starts, embed_source, text_embeddings
from gmc_astro.learning.labels import encode_labels
from gmc_astro.learning.losses import contrastive_loss
from gmc_astro.learning.predictions import package_versions, predictions_table
from gmc_astro.learning.pretraining import RECIPES, PretrainSettings, pretrain
from gmc_astro.learning.probe import LinearHead, fit_probe
from gmc_astro.learning.table_io import check_output, read_table, write_table
from gmc_astro.learning.training_set import TrainingSet, measure_outlines
from gmc_astro.learning.validation import validate_questions

__all__ = [
    "RECIPES",
    "Augmentation",
    "Captions",
    "Embedded",
    "FixedCaptions",
    "LinearHead",
    "PretrainSettings",
    "TrainingSet",
    "VoteCaptions",
    "as_captions",
    "check_output",
    "class_starts",
    "contrastive_loss",
    "embed_source",
    "encode_labels",
    "fit_probe",
    "measure_outlines",
    "package_versions",
    "predictions_table",
    "pretrain",
    "read_table",
    "text_embeddings",
    "validate_questions",
    "write_table",
]

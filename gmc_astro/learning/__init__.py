"""Learning: losses, augmentation, the training loop, and heads that need few labels."""

from gmc_astro.learning.augment import Augmentation
from gmc_astro.learning.calibration import (
    CalibrationReport,
    Calibrator,
    calibration_report,
    fit_calibrator,
)
from gmc_astro.learning.captions import Captions, FixedCaptions, as_captions
from gmc_astro.learning.conformal import ConformalSets, fit_conformal
from gmc_astro.learning.distributed import World, current_world, joined_processes
from gmc_astro.learning.embedding import (
    Embedded,
    EmbeddingCache,
    class_starts,
    embed_source,
    text_embeddings,
)
from gmc_astro.learning.finetuning import FineTuning, fit_finetune
from gmc_astro.learning.fitting import (
    FIT_METHODS,
    Fitted,
    Labelled,
    Pixels,
    find_method,
    register_fit_method,
)
from gmc_astro.learning.folds import out_of_fold_logits
from gmc_astro.learning.label_training import (
    LabelTraining,
    held_size,
    labelled_images,
    train_on_labels,
)
from gmc_astro.learning.labels import class_shares, encode_labels
from gmc_astro.learning.leakage import (
    SAME_GALAXY,
    find_leaks,
    hash_images,
    hash_source,
    nearest_bits,
)
from gmc_astro.learning.losses import (
    answer_loss,
    contrastive_loss,
    infonce_loss,
    sigmoid_loss,
    soft_contrastive_loss,
)
from gmc_astro.learning.metrics import (
    brier_score,
    chance_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
)
from gmc_astro.learning.novelty import NoveltyDetector, fit_novelty
from gmc_astro.learning.predictions import (
    abstain,
    document_hash,
    package_versions,
    predictions_table,
)
from gmc_astro.learning.pretraining import Pretrained, pretrain
from gmc_astro.learning.priors import change_priors, estimate_priors
from gmc_astro.learning.probe import LinearHead, fit_probe
from gmc_astro.learning.probing import fit_head
from gmc_astro.learning.questions import Questions
from gmc_astro.learning.reference import fit_reference
from gmc_astro.learning.settings import RECIPES, PretrainSettings
from gmc_astro.learning.shuffling import read_ahead
from gmc_astro.learning.suggest import suggest_rows
from gmc_astro.learning.table_io import check_output, read_table, write_table
from gmc_astro.learning.training_set import TrainingSet, measure_shapes, split_tables
from gmc_astro.learning.trusted_head import TrustedHead, trust
from gmc_astro.learning.validation import validate, validate_questions, validate_retrieval
from gmc_astro.learning.vote_captions import VoteCaptions
from gmc_astro.learning.vote_head import VoteHead, dirichlet_multinomial_loss, votes_table

__all__ = [
    "FIT_METHODS",
    "RECIPES",
    "SAME_GALAXY",
    "Augmentation",
    "CalibrationReport",
    "Calibrator",
    "Captions",
    "ConformalSets",
    "Embedded",
    "EmbeddingCache",
    "FineTuning",
    "Fitted",
    "FixedCaptions",
    "LabelTraining",
    "Labelled",
    "LinearHead",
    "NoveltyDetector",
    "Pixels",
    "PretrainSettings",
    "Pretrained",
    "Questions",
    "TrainingSet",
    "TrustedHead",
    "VoteCaptions",
    "VoteHead",
    "World",
    "abstain",
    "answer_loss",
    "as_captions",
    "brier_score",
    "calibration_report",
    "chance_calibration_error",
    "change_priors",
    "check_output",
    "class_shares",
    "class_starts",
    "contrastive_loss",
    "current_world",
    "dirichlet_multinomial_loss",
    "document_hash",
    "embed_source",
    "encode_labels",
    "estimate_priors",
    "expected_calibration_error",
    "find_leaks",
    "find_method",
    "fit_calibrator",
    "fit_conformal",
    "fit_finetune",
    "fit_head",
    "fit_novelty",
    "fit_probe",
    "fit_reference",
    "hash_images",
    "hash_source",
    "held_size",
    "infonce_loss",
    "joined_processes",
    "labelled_images",
    "measure_shapes",
    "nearest_bits",
    "negative_log_likelihood",
    "out_of_fold_logits",
    "package_versions",
    "predictions_table",
    "pretrain",
    "read_ahead",
    "read_table",
    "register_fit_method",
    "sigmoid_loss",
    "soft_contrastive_loss",
    "split_tables",
    "suggest_rows",
    "text_embeddings",
    "train_on_labels",
    "trust",
    "validate",
    "validate_questions",
    "validate_retrieval",
    "votes_table",
    "write_table",
]

"""Errors and warnings of gmc_astro: one root each, so that users can catch all of ours at once."""

from __future__ import annotations

from astropy.utils.exceptions import AstropyUserWarning

__all__ = [
    "CheckpointError",
    "ConvergenceWarning",
    "GmcAstroError",
    "GmcAstroWarning",
    "InputError",
    "MeasurementError",
    "OutputError",
    "RecipeMismatchWarning",
    "SurveyError",
    "TrainingError",
    "UnknownWordsWarning",
    "UnreadableImageError",
    "VoteTableError",
]


class GmcAstroError(Exception):
    """Root of every error that gmc_astro raises on purpose."""


class InputError(GmcAstroError, ValueError):
    """An argument or input cannot be used; the message says what is accepted."""


class UnreadableImageError(GmcAstroError, OSError):
    """A file or row holds no image that can be read; the message says why."""


class MeasurementError(GmcAstroError):
    """A galaxy's size or shape could not be measured on its image."""


class OutputError(GmcAstroError, OSError):
    """An output cannot be written or read back; the message says why and what is safe."""


class SurveyError(GmcAstroError):
    """A survey's service, layer or footprint cannot answer a request."""


class VoteTableError(GmcAstroError, ValueError):
    """A table does not hold volunteers' votes in a layout that is known."""


class CheckpointError(GmcAstroError, ValueError):
    """A checkpoint folder is not what it says it is."""


class TrainingError(GmcAstroError):
    """A training diverged; the message says at which step."""


class GmcAstroWarning(AstropyUserWarning):
    """Root of every warning that gmc_astro gives."""


class RecipeMismatchWarning(GmcAstroWarning):
    """Images were made by another colour recipe than the model was trained on."""


class UnknownWordsWarning(GmcAstroWarning):
    """A class prompt has words that the model never read."""


class ConvergenceWarning(GmcAstroWarning):
    """A fit stopped before it converged."""

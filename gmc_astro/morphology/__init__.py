"""The language of galaxies: decision trees, votes, captions, and class schemes with prompts."""

from gmc_astro.morphology.captions import CaptionWriter
from gmc_astro.morphology.phrases import PHRASES
from gmc_astro.morphology.schemes import (
    GALAXY10_DECALS,
    GALAXY_MNIST,
    GZ2_FIVE_CLASS,
    SCHEMES,
    ClassScheme,
    prompts_for,
)
from gmc_astro.morphology.trees import GZ2_TREE, LABEL_TREE, Answer, DecisionTree, Question
from gmc_astro.morphology.votes import VoteTable

__all__ = [
    "GALAXY10_DECALS",
    "GALAXY_MNIST",
    "GZ2_FIVE_CLASS",
    "GZ2_TREE",
    "LABEL_TREE",
    "PHRASES",
    "SCHEMES",
    "Answer",
    "CaptionWriter",
    "ClassScheme",
    "DecisionTree",
    "Question",
    "VoteTable",
    "prompts_for",
]

"""The language of galaxies: decision trees, votes, captions, and class schemes with prompts."""

from gmc_astro.morphology.captions import CaptionWriter
from gmc_astro.morphology.gz2_class import parse_gz2_class, write_gz2_class
from gmc_astro.morphology.lexicon import Statement
from gmc_astro.morphology.phrases import PHRASES
from gmc_astro.morphology.registering import register_tree
from gmc_astro.morphology.schemes import (
    GALAXY10_DECALS,
    GALAXY10_SDSS,
    GALAXY_MNIST,
    GZ2_FIVE_CLASS,
    SCHEMES,
    ClassScheme,
    prompts_for,
)
from gmc_astro.morphology.tree import Answer, DecisionTree, Question
from gmc_astro.morphology.trees import (
    GZ1_TREE,
    GZ2_TREE,
    GZ_DECALS_DR5_TREE,
    GZ_DECALS_DR8_TREE,
    GZ_DECALS_DR12_TREE,
    LABEL_TREE,
    TREES,
)
from gmc_astro.morphology.votes import VoteTable

__all__ = [
    "GALAXY10_DECALS",
    "GALAXY10_SDSS",
    "GALAXY_MNIST",
    "GZ1_TREE",
    "GZ2_FIVE_CLASS",
    "GZ2_TREE",
    "GZ_DECALS_DR5_TREE",
    "GZ_DECALS_DR8_TREE",
    "GZ_DECALS_DR12_TREE",
    "LABEL_TREE",
    "PHRASES",
    "SCHEMES",
    "TREES",
    "Answer",
    "CaptionWriter",
    "ClassScheme",
    "DecisionTree",
    "Question",
    "Statement",
    "VoteTable",
    "parse_gz2_class",
    "prompts_for",
    "register_tree",
    "write_gz2_class",
]

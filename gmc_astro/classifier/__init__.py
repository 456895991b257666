"""The estimator, in parts: base (the model), predicting, fitting, and the whole."""

from gmc_astro.classifier.estimator import GalaxyMorphologyClassifier

__all__ = ["GalaxyMorphologyClassifier"]

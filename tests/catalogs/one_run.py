"""A run as a script: MODEL STACK OUTPUT, for processes that are started together."""

import sys

from gmc_astro import GalaxyMorphologyClassifier, classify_catalog

if __name__ == "__main__":
    model, stack, output = sys.argv[1:]
    classifier = GalaxyMorphologyClassifier(
        model,
        classes=["round galaxy", "elongated galaxy"],
        device="cpu",
        precision="fp32",
        views=2,
        batch_size=16,
    )
    classify_catalog(classifier, stack, output, rows_per_shard=16, embeddings="float32")

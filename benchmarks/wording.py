"""How much zero-shot results depend on the words: twenty phrasings of each class, one at a time.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/wording.py [--model compact] [--save]

The galaxies are the quarter of ``gz2_five_class`` that ``configs/compact.toml`` holds out. The
phrasings (``benchmarks/wordings.py``) were written without looking at results; none of them is a
phrase of captions, and what share of their words the model never saw is told. A draw takes one
phrasing of each class at random; the same accuracy is measured with all twenty averaged, and with
the prompts that the package ships.
"""

from __future__ import annotations

import argparse
import re
import sys

import numpy as np
from bundled import Parts, five_classes, probabilities
from common import data_folder, machine, model_of, write_results
from sklearn.metrics import accuracy_score, f1_score
from wordings import WORDINGS

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.morphology import GZ2_FIVE_CLASS, ClassScheme
from gmc_astro.morphology.phrases import subject_for
from gmc_astro.morphology.varied import VARIED_PHRASES

DRAWS = 200


def check_unused() -> None:
    """Stop if a phrasing is one that captions use."""
    used = {subject_for(p) + p for phrases in VARIED_PHRASES.values() for p in phrases}
    used |= {phrase for phrases in VARIED_PHRASES.values() for phrase in phrases}
    if known := sorted(used & {text for texts in WORDINGS.values() for text in texts}):
        sys.exit(f"captions use {known}")


def unknown_share(classifier: GalaxyMorphologyClassifier) -> float:
    """Share of the words of all phrasings that no caption of the training had."""
    texts = [text for texts in WORDINGS.values() for text in texts]
    words = [word for text in texts for word in re.findall(r"[a-z0-9-]+", text.lower())]
    unknown = set(classifier.encoder.unknown_words(texts))
    return sum(word in unknown for word in words) / len(words)


def scores(classifier, scheme, embeddings, truth) -> tuple[float, float]:
    """Accuracy and macro-F1 with a scheme's prompts."""
    names = np.array(scheme.names)
    found = names[probabilities(classifier, scheme, embeddings).argmax(axis=1)]
    return accuracy_score(truth, found), f1_score(truth, found, average="macro")


def main() -> None:
    """Measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="compact", help="model to measure (default: compact)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/wording.json")
    options = parser.parse_args()
    check_unused()
    classifier = GalaxyMorphologyClassifier(options.model, classes=GZ2_FIVE_CLASS)
    parts = Parts(data_folder(), classifier)
    _, held_out = parts.split("gz2_five_class")
    truth, embeddings = five_classes(held_out), parts.embed(held_out)
    rng = np.random.default_rng(0)
    drawn = np.array(
        [
            scores(
                classifier,
                ClassScheme("draw", {n: (str(rng.choice(t)),) for n, t in WORDINGS.items()}),
                embeddings,
                truth,
            )
            for _ in range(DRAWS)
        ]
    )
    rows = {
        "the package's prompts": scores(classifier, GZ2_FIVE_CLASS, embeddings, truth),
        "all twenty, averaged": scores(classifier, ClassScheme("all", WORDINGS), embeddings, truth),
        "one of twenty: median": tuple(np.median(drawn, axis=0)),
        "one of twenty: worst in ten": tuple(np.percentile(drawn, 10, axis=0)),
        "one of twenty: worst": tuple(drawn.min(axis=0)),
    }
    about = {
        **model_of(classifier.encoder),
        "galaxies": f"{len(truth)} of gz2_five_class, held out",
        "draws of one phrasing a class": DRAWS,
        "words that no caption had": f"{unknown_share(classifier):.0%}",
        **machine(),
    }
    lines = [f"{key}: {value}" for key, value in about.items()]
    lines += ["", f"{'':<30}{'accuracy':>10}{'macro-F1':>10}"]
    lines += [f"{name:<30}{row[0]:>10.3f}{row[1]:>10.3f}" for name, row in rows.items()]
    print("\n".join(lines))
    if options.save:
        results = {name: [round(float(v), 4) for v in row] for name, row in rows.items()}
        write_results("wording", {"about": about, "results": results}, lines)


if __name__ == "__main__":
    main()

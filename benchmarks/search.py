"""Search by words and by examples on held-out galaxies, and how long it takes.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/search.py [--save]

Each class of ``gz2_five_class``, and rings in ``decals_rings``, are looked for among the held-out
galaxies of the table, in its balance. Examples are drawn from the training part. The
average precision is compared with that of plain cosines with the same words.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from bundled import Parts, five_classes, ring_labels
from common import data_folder, machine, write_results
from sklearn.metrics import average_precision_score

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.search import search_embeddings

QUERIES = {
    "a spiral galaxy": ("gz2_five_class", "spiral"),
    "an edge-on galaxy": ("gz2_five_class", "edge_on"),
    "a round, smooth galaxy": ("gz2_five_class", "smooth_completely_round"),
    "a smooth galaxy, in between": ("gz2_five_class", "smooth_in_between"),
    "a cigar-shaped galaxy": ("gz2_five_class", "smooth_cigar"),
    "a galaxy with a ring": ("decals_rings", "ring"),
}
EXAMPLES, DRAWS, FIRST = (1, 5), 20, 10
ROWS, ROUNDS = 1_000_000, 5


def wanted(parts: Parts, table: str, name: str, *, held: bool) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of a part of a table, and which of its galaxies are looked for."""
    part = parts.split(table)[held]
    truth = ring_labels(part) == 1 if name == "ring" else five_classes(part) == name
    return parts.embed(part), truth


def ranked(classifier: GalaxyMorphologyClassifier, embeddings, truth, words=None, **options):
    """Average precision of a search of all rows, and how many of the first ten are right."""
    hits = search_embeddings(classifier, embeddings, words, n=len(truth), **options)
    score = np.empty(len(truth))
    score[hits["row"]] = -np.arange(len(truth))
    precision = average_precision_score(truth, score)
    return [float(precision), float(truth[hits["row"][:FIRST]].mean())]


def one_query(parts: Parts, words: str) -> dict[str, list[float]]:
    """Average precision, and share of the first ten, of each way to ask."""
    classifier = parts.classifier
    (known, is_one), (embeddings, truth) = (
        wanted(parts, *QUERIES[words], held=held) for held in (False, True)
    )
    cosines = embeddings @ classifier.encoder.encode_texts([words])[0]
    first = truth[np.argsort(-cosines, kind="stable")[:FIRST]].mean()
    found = {
        "share": [float(truth.mean()), int(truth.sum())],
        "plain cosine": [float(average_precision_score(truth, cosines)), float(first)],
        "words": ranked(classifier, embeddings, truth, words),
    }
    rng = np.random.default_rng(0)
    for number in EXAMPLES:
        draws = [rng.choice(np.flatnonzero(is_one), number, replace=False) for _ in range(DRAWS)]
        for name, said in (("", None), ("words and ", words)):
            each = [ranked(classifier, embeddings, truth, said, like=known[rows]) for rows in draws]
            found[f"{name}{number} like it"] = np.mean(each, axis=0).tolist()
    return {name: [round(value, 3) for value in values] for name, values in found.items()}


def seconds_of_a_search(classifier: GalaxyMorphologyClassifier) -> float:
    """Median of some searches among a million rows in a file, as a run keeps them."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.npy"
        rows = rng.normal(size=(ROWS, classifier.encoder.dim)).astype(np.float16)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        np.save(path, rows)
        del rows
        kept, taken = np.load(path, mmap_mode="r"), []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            search_embeddings(classifier, kept, "a galaxy with a ring")
            taken.append(time.perf_counter() - start)
    return round(float(np.median(taken)), 2)


def main() -> None:
    """Measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/search.*")
    options = parser.parse_args()
    parts = Parts(data_folder(), GalaxyMorphologyClassifier("compact"))
    results = {words: one_query(parts, words) for words in QUERIES}
    ways = list(next(iter(results.values())))[1:]
    lines = [f"{key}: {value}" for key, value in machine().items()]
    lines += ["", "average precision, and in brackets the share of the first ten that is right"]
    lines.append(f"{'':<28}{'galaxies':<14}" + "".join(f"{way:<20}" for way in ways))
    for words, found in results.items():
        share, number = found["share"]
        cells = [f"{found[way][0]:.3f} ({found[way][1]:.2f})" for way in ways]
        of = f"{number} ({share:.1%})"
        lines.append(f"{words:<28}{of:<14}" + "".join(f"{cell:<20}" for cell in cells))
    seconds = seconds_of_a_search(parts.classifier)
    lines += ["", f"seconds of a search among {ROWS:,} rows of float16 in a file: {seconds}"]
    print("\n".join(lines))
    if options.save:
        about = machine() | {"draws": DRAWS, "rows": ROWS, "seconds": seconds}
        write_results("search", {"about": about, "queries": results}, lines)


if __name__ == "__main__":
    main()

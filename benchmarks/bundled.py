"""How good the bundled model is on galaxies that its training never saw.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/bundled.py [--model compact] [--save]

The held-out rows are those of ``configs/compact.toml``, by the hash of their id: a quarter of
``gz2_five_class`` and of ``decals_rings``, a third of ``tree_examples``. Before anything is
measured they are compared with all training rows by perceptual hash; rows that show the same
galaxy must be among those that the training log says were left out.

Bars have no labels: those of ``benchmarks/bars_and_rings.csv`` were marked by eye, on held-out
galaxies, by the one who marked those of ``configs/bars_and_rings.csv`` for the training.
``benchmarks/rings_by_eye.csv`` says how much, from 0 to 9, 120 galaxies of ``decals_rings`` looked
ringed to a reader who had not seen their labels. Nor has anyone voted on the bulges of the spirals
of ``gz2_five_class``: what words say of them is compared with the contrast of core and disc.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table
from common import ROOT, data_folder, machine, model_of, write_results
from scipy.stats import pearsonr, rankdata
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score

from gmc_astro import GalaxyMorphologyClassifier
from gmc_astro.learning import (
    SAME_GALAXY,
    TrainingSet,
    expected_calibration_error,
    hash_source,
    measure_shapes,
    nearest_bits,
    negative_log_likelihood,
    split_tables,
    text_embeddings,
)
from gmc_astro.morphology import GZ2_FIVE_CLASS, PHRASES, ClassScheme
from gmc_astro.morphology.phrases import as_sentences

CONFIG = tomllib.loads((ROOT / "configs" / "compact.toml").read_text())["images"]
LOG = ROOT / "configs" / "compact_log.jsonl"
#: Answer of the tree that each class of the five asserts, the most telling one.
CLASSES = {
    "smooth_completely_round": ("rounded", "completely_round"),
    "smooth_in_between": ("rounded", "in_between"),
    "smooth_cigar": ("rounded", "cigar_shaped"),
    "edge_on": ("edgeon", "yes"),
    "spiral": ("spiral", "spiral"),
}
RINGS = ClassScheme.from_any(
    {
        "no ring": ["a spiral galaxy", "a galaxy without a ring", "a disk galaxy"],
        "ring": ["a ring galaxy", "a galaxy with a ring"],
    }
)
BARS = ClassScheme.from_any(
    {name: as_sentences(PHRASES["bar", name]) for name in ("no_bar", "bar")}
)
#: The same in the plainest words: the model has to understand "without".
DENIED = ClassScheme.from_any(
    {"no ring": ["a galaxy without a ring"], "ring": ["a galaxy with a ring"]}
)
#: Questions asked of the examples: two sets of answers each.
QUESTIONS = {
    "featured or smooth": ("smooth_or_features", ("features_or_disk",), ("smooth",)),
    "edge-on or not": ("edgeon", ("yes",), ("no",)),
    "spiral or not": ("spiral", ("spiral",), ("no_spiral",)),
    "bar or not": ("bar", ("bar",), ("no_bar",)),
    "large or small bulge": (
        "bulge_prominence",
        ("obvious", "dominant"),
        ("no_bulge", "just_noticeable"),
    ),
}
TEN, TWENTY, DRAWS, RESAMPLES = 10, 20, 10, 2000


class Parts:
    """Training and held-out rows of each table, with the embeddings of a model."""

    def __init__(self, data: Path, classifier: GalaxyMorphologyClassifier) -> None:
        self.data, self.classifier = data, classifier
        self.embedded: dict[tuple[str, ...], np.ndarray] = {}

    def split(self, name: str) -> tuple[TrainingSet, TrainingSet]:
        """Rows of a table as its pretraining split them."""
        share = CONFIG["holdouts"].get(name, CONFIG["holdout"])
        return split_tables([self.data / name], holdout=share)

    def embed(self, part: TrainingSet) -> np.ndarray:
        """Embeddings of a part, averaged over eight orientations."""
        if part.paths not in self.embedded:
            self.embedded[part.paths] = self.classifier.embed(part.images(224))
        return self.embedded[part.paths]


def check_leakage(data: Path, held_out: list[TrainingSet]) -> dict[str, int]:
    """Stop if a held-out galaxy is in the training, by perceptual hash."""
    tables = [data / name for name in CONFIG["tables"]]
    keys = ("holdout", "holdouts", "exclude")
    training, _ = split_tables(tables, **{key: CONFIG[key] for key in keys})
    known, _ = hash_source(training.images(224))
    hashes = np.concatenate([hash_source(part.images(224))[0] for part in held_out])
    bits = nearest_bits(known, hashes)
    same = np.flatnonzero(bits <= SAME_GALAXY)
    alike = set(training.votes.ids[same].tolist())
    left_out = set(json.loads(LOG.read_text().splitlines()[0]).get("excluded", ()))
    if alike - left_out:
        sys.exit(f"held-out galaxies were trained on: {sorted(alike - left_out)}")
    shown = {path for part in held_out for path in part.paths} | {training.paths[i] for i in same}
    for name in CONFIG.get("marked", ()):
        marked = {str(data / file) for file in Table.read(ROOT / "configs" / name)["file"]}
        if both := sorted(marked & shown):
            sys.exit(f"{name} marks galaxies that are held out: {both[:5]}")
    return {
        "training images": len(training) - len(alike),
        "held-out images": len(hashes),
        "training rows left out, because they show a held-out galaxy": len(alike),
    }


def interval(right: np.ndarray) -> list[float]:
    """Wilson interval of a share, 95 %."""
    found = binom_conf_interval(right.sum(), len(right), confidence_level=0.95, interval="wilson")
    return [round(float(v), 4) for v in found]


def auc_interval(truth: np.ndarray, score: np.ndarray) -> list[float]:
    """Bootstrap interval of the area under the ROC curve, 95 %, classes resampled apart."""
    rng = np.random.default_rng(0)
    classes = [np.flatnonzero(truth == k) for k in (0, 1)]
    draws = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rng.choice(c, len(c)) for c in classes])
        draws.append(roc_auc_score(truth[rows], score[rows]))
    return [round(float(v), 3) for v in np.percentile(draws, [2.5, 97.5])]


def five_classes(part: TrainingSet) -> np.ndarray:
    """Names of the five classes of a part."""
    names = np.full(len(part), "", "U30")
    for name, answer in CLASSES.items():
        names[part.votes.fraction(*answer) == 1] = name
    return names


def probabilities(classifier: GalaxyMorphologyClassifier, scheme: ClassScheme, embeddings):
    """Zero-shot probabilities of embeddings."""
    encoder = classifier.encoder
    logits = encoder.logit_scale * embeddings @ text_embeddings(encoder, scheme).T
    logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    return logits / logits.sum(axis=1, keepdims=True)


def fit_few(parts: Parts, scheme: ClassScheme, kept, held, each: int) -> np.ndarray:
    """Probabilities of held-out embeddings from a few labels of the training part, draw by draw."""
    (embeddings, labels), names = kept, scheme.names
    found = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        rows = [rng.choice(np.flatnonzero(labels == n), each, replace=False) for n in names]
        rows = np.concatenate(rows)
        parts.classifier.set_params(random_state=seed, classes=scheme)
        parts.classifier.fit_embeddings(embeddings[rows], labels[rows])
        found.append(parts.classifier.predict_embeddings(held)["probabilities"])
    return np.array(found)


def galaxy_zoo_2(parts: Parts) -> tuple[dict, list[str]]:
    """Five classes: zero-shot, and with ten labels of each."""
    training, held_out = parts.split("gz2_five_class")
    truth, names = five_classes(held_out), np.array(GZ2_FIVE_CLASS.names)
    embeddings = parts.embed(held_out)
    words = probabilities(parts.classifier, GZ2_FIVE_CLASS, embeddings)
    shown, targets = names[words.argmax(axis=1)], (truth[:, None] == names).argmax(axis=1)
    right = shown == truth
    zero_shot = {
        "accuracy": round(float(right.mean()), 4),
        "interval_95": interval(right),
        "macro_f1": round(float(f1_score(truth, shown, average="macro")), 4),
        "log_loss": round(float(negative_log_likelihood(words, targets)), 4),
        "calibration_error": round(float(expected_calibration_error(words, targets)), 4),
    }
    kept = parts.embed(training), five_classes(training)
    few = fit_few(parts, GZ2_FIVE_CLASS, kept, embeddings, TEN)
    labels = [names[p.argmax(axis=1)] for p in few]
    scores = {
        "accuracy": [round(float(accuracy_score(truth, found)), 4) for found in labels],
        "macro_f1": [round(float(f1_score(truth, f, average="macro")), 4) for f in labels],
    }
    matrix = confusion_matrix(truth, shown, labels=names)
    lines = [
        f"gz2_five_class, {len(truth)} held out, natural class balance",
        f"  zero-shot: accuracy {zero_shot['accuracy']:.3f} {zero_shot['interval_95']}, "
        f"macro-F1 {zero_shot['macro_f1']:.3f}",
        f"  zero-shot: log loss {zero_shot['log_loss']:.3f}, expected calibration error "
        f"{zero_shot['calibration_error']:.3f}",
        f"  {TEN} labels a class, {DRAWS} draws: accuracy {spread(scores['accuracy'])}, "
        f"macro-F1 {spread(scores['macro_f1'])}",
        "  zero-shot, rows: volunteers' class, columns: predicted",
    ]
    for name, row in zip(names, matrix, strict=True):
        lines.append(f"    {name:<24}" + "".join(f"{n:>6}" for n in row))
    return {"zero_shot": zero_shot, "few": scores, "confusion": matrix.tolist()}, lines


def rings(parts: Parts) -> tuple[dict, list[str]]:
    """Ring or no ring: zero-shot, and with twenty labels of each."""
    training, held_out = parts.split("decals_rings")
    truth, embeddings = ring_labels(held_out), parts.embed(held_out)
    score = probabilities(parts.classifier, RINGS, embeddings)[:, 1]
    auc = round(float(roc_auc_score(truth, score)), 3)
    plain = probabilities(parts.classifier, DENIED, embeddings)[:, 1]
    plain_auc = round(float(roc_auc_score(truth, plain)), 3)
    names = np.array(RINGS.names)
    kept = parts.embed(training), names[ring_labels(training)]
    few = fit_few(parts, RINGS, kept, embeddings, TWENTY)
    aucs = [round(float(roc_auc_score(truth, found[:, 1])), 3) for found in few]
    result = {"zero_shot_auc": auc, "interval_95": auc_interval(truth, score)}
    result |= {"without_auc": plain_auc, "few_auc": aucs}
    return result, [
        f"decals_rings, {len(truth)} held out, {truth.sum()} with a ring",
        f"  zero-shot: AUC {auc:.3f} {result['interval_95']}",
        f"  zero-shot, with a ring or without a ring, in these words only: AUC {plain_auc:.3f}",
        f"  {TWENTY} labels a class, {DRAWS} draws: AUC {spread(aucs)}",
    ]


def ring_labels(part: TrainingSet) -> np.ndarray:
    """1 for a ring, 0 for none."""
    return (part.votes.fraction("odd_feature", "ring") == 1).astype(int)


def examples(parts: Parts) -> tuple[dict, list[str]]:
    """Questions of the tree on examples that experts chose, zero-shot."""
    _, held_out = parts.split("tree_examples")
    embeddings = parts.embed(held_out)
    results, lines = {}, [f"tree_examples, {len(held_out)} held out, of seven surveys, zero-shot"]
    for title, (question, *sides) in QUESTIONS.items():
        shown = [
            np.nan_to_num([held_out.votes.fraction(question, a) for a in answers]).max(axis=0)
            >= 0.5
            for answers in sides
        ]
        rows = shown[0] | shown[1]
        truth = shown[0][rows].astype(int)
        counts = f"{truth.sum()} and {(1 - truth).sum()}"
        if len(set(truth.tolist())) < 2:
            results[title] = {"yes": int(truth.sum()), "no": int((1 - truth).sum())}
            lines.append(f"  {title:<22} {counts}: cannot be measured")
            continue
        score = probabilities(parts.classifier, two_sides(title), embeddings[rows])[:, 1]
        results[title], line = told_apart(title, truth, score)
        lines.append(line)
    return results, lines


def two_sides(title: str) -> ClassScheme:
    """The two sets of answers to a question as classes, the first one last."""
    question, *sides = QUESTIONS[title]
    prompts = {
        str(k): as_sentences(p for a in answers for p in PHRASES[question, a])
        for k, answers in enumerate(reversed(sides))
    }
    return ClassScheme(question, prompts)


def told_apart(title: str, truth: np.ndarray, score: np.ndarray) -> tuple[dict, str]:
    """How well a score tells yes from no: numbers, and a line of the table."""
    yes, no = int(truth.sum()), int((1 - truth).sum())
    auc, ends = round(float(roc_auc_score(truth, score)), 3), auc_interval(truth, score)
    line = f"  {title:<22} {f'{yes} and {no}':<10} AUC {auc:.3f} {ends}"
    return {"yes": yes, "no": no, "auc": auc, "interval_95": ends}, line


def by_eye(parts: Parts) -> tuple[dict, list[str]]:
    """Bars and rings that were marked by eye, and what a reader makes of the rings' labels."""
    results, lines = {}, ["marked by eye, held out, zero-shot"]
    marks = Table.read(ROOT / "benchmarks" / "bars_and_rings.csv")
    for name, survey in (("gz2_five_class", "SDSS"), ("decals_rings", "DECaLS")):
        _, held_out = parts.split(name)
        embeddings = dict(zip(held_out.paths, parts.embed(held_out), strict=True))
        for column, scheme in (("bar", BARS), ("ring", RINGS)):
            marked = marks[~np.ma.getmaskarray(marks[column])]
            rows = [(str(parts.data / row["file"]), row[column]) for row in marked]
            known = {path: int(mark) for path, mark in rows if path in embeddings}
            if not known:
                continue
            shown = np.array([embeddings[path] for path in known])
            score = probabilities(parts.classifier, scheme, shown)[:, 1]
            truth = np.array(list(known.values()))
            told, line = told_apart(f"{column} or not, {survey}", truth, score)
            results[f"{column}, {survey}"] = told
            lines.append(line)
    reader = Table.read(ROOT / "benchmarks" / "rings_by_eye.csv")
    everything = TrainingSet.read([parts.data / "decals_rings"])
    labels = dict(zip(everything.paths, ring_labels(everything), strict=True))
    truth = np.array([labels[str(parts.data / file)] for file in reader["file"]])
    auc = round(float(roc_auc_score(truth, reader["score"])), 3)
    ends = auc_interval(truth, reader["score"])
    results["a reader's rings"] = {"galaxies": len(truth), "auc": auc, "interval_95": ends}
    lines.append(
        f"  a reader's scores of {len(truth)} rings, against their labels: AUC {auc:.3f} {ends}"
    )
    return results, lines


def measured_bulges(parts: Parts) -> tuple[dict, list[str]]:
    """Words on the bulges of spirals against the contrast of core and disc, by rank."""
    _, held_out = parts.split("gz2_five_class")
    contrast = measure_shapes(held_out.images(224))["core_contrast"]
    rows = (five_classes(held_out) == "spiral") & np.isfinite(contrast)
    embeddings = parts.embed(held_out)[rows]
    scheme = two_sides("large or small bulge")
    score = probabilities(parts.classifier, scheme, embeddings)[:, 1]
    found = pearsonr(rankdata(score), rankdata(contrast[rows]))
    rho, ends = round(float(found.statistic), 3), found.confidence_interval(0.95)
    ends = [round(float(end), 3) for end in ends]
    return {"spirals": int(rows.sum()), "rank_correlation": rho, "interval_95": ends}, [
        f"bulges of {rows.sum()} spirals held out, in words, zero-shot, and as measured",
        f"  rank correlation with the contrast of core and disc {rho:.3f} {ends}",
    ]


def spread(values: list[float]) -> str:
    """Mean and standard deviation over draws."""
    return f"{np.mean(values):.3f} +- {np.std(values, ddof=1):.3f}"


def main() -> None:
    """Check for leakage, measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="compact", help="model to measure (default: compact)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bundled.json")
    options = parser.parse_args()
    classifier = GalaxyMorphologyClassifier(options.model, classes=GZ2_FIVE_CLASS)
    parts = Parts(data_folder(), classifier)
    leakage = check_leakage(parts.data, [parts.split(name)[1] for name in CONFIG["holdouts"]])
    about = model_of(classifier.encoder) | leakage | machine()
    results, lines = {}, [f"{key}: {value}" for key, value in about.items()]
    for name, measure in (
        ("gz2_five_class", galaxy_zoo_2),
        ("decals_rings", rings),
        ("tree_examples", examples),
        ("by_eye", by_eye),
        ("measured_bulges", measured_bulges),
    ):
        results[name], found = measure(parts)
        lines += ["", *found]
    print("\n".join(lines))
    if options.save:
        write_results("bundled", {"about": about, **results}, lines)


if __name__ == "__main__":
    main()

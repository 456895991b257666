"""Galaxies that the bundled model gets wrong, drawn where real galaxies are at hand."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAIRS, EACH = 4, 6  # the most common confusions, and galaxies of each
ELSEWHERE = """
.. note::

   The pictures are drawn where ``GMC_ASTRO_DATA`` names the folder of real galaxies while the
   documentation is built; it was not there. The counts are in :ref:`benchmark-bundled`.
"""
FIGURE = """
.. figure:: _static/drawn/failures.png
   :alt: {alt}

   Held-out galaxies of Galaxy Zoo 2 that the bundled model calls something else than the
   volunteers, the most certain first, with its probability. {wrong} of {total} are wrong in all.
"""


def write_failures(folder: Path) -> None:
    """Write ``failures.inc`` into a folder: a figure, or why there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.environ.get("GMC_ASTRO_DATA"):
        (folder / "failures.inc").write_text(ELSEWHERE)
        return
    sys.path.insert(0, str(ROOT / "benchmarks"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = _draw(folder / "failures.png")
    (folder / "failures.inc").write_text(text)


def _draw(path: Path) -> str:
    """Draw the figure; return its directive."""
    from bundled import Parts, five_classes, probabilities
    from common import data_folder

    from gmc_astro import GalaxyMorphologyClassifier
    from gmc_astro.morphology import GZ2_FIVE_CLASS
    from gmc_astro.plots import gallery

    classifier = GalaxyMorphologyClassifier(classes=GZ2_FIVE_CLASS)
    parts = Parts(data_folder(), classifier)
    _, held_out = parts.split("gz2_five_class")
    truth, names = five_classes(held_out), np.array(GZ2_FIVE_CLASS.names)
    shares = probabilities(classifier, GZ2_FIVE_CLASS, parts.embed(held_out))
    found, certainty = names[shares.argmax(axis=1)], shares.max(axis=1)
    wrong = np.flatnonzero(found != truth)
    kinds, counts = np.unique(np.stack([truth, found], 1)[wrong], axis=0, return_counts=True)
    common = [kinds[i] for i in np.argsort(-counts, kind="stable")[:PAIRS]]
    rows = {}
    for true, shown in common:
        alike = wrong[(truth[wrong] == true) & (found[wrong] == shown)]
        title = f"volunteers: {true}, model: {shown} ({len(alike)})"
        rows[title] = alike[np.argsort(-certainty[alike], kind="stable")][:EACH].tolist()
    if not rows:
        return "\nOf all held-out galaxies none is called something else.\n"
    images = held_out.images(224).read().images
    gallery(images, probabilities=certainty, rows=rows, columns=EACH).savefig(path, dpi=110)
    alt = "Rows of galaxies: " + "; ".join(rows)
    return FIGURE.format(alt=alt, wrong=len(wrong), total=len(truth))

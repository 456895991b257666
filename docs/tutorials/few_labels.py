"""
A few labels
============

Words alone do not always say what you mean. Here sixty labels teach the bundled model classes of
our own; then we look at how often it is right, how far its probabilities can be trusted, and which
galaxies would be worth labelling next.

The galaxies are simulated, so that the truth is known and no network is needed. With images of
your own, replace the first step.
"""

# %%
# Labelled galaxies
# -----------------
#
# `~gmc_astro.testing.write_training_galaxies` draws galaxies in the colours, noise and seeing of
# SDSS into a folder, with a table that says what each one is in the codes of Galaxy Zoo 2.

import tempfile

from astropy.table import Table

from gmc_astro import open_images
from gmc_astro.testing import write_training_galaxies

folder = tempfile.TemporaryDirectory()
drawn = f"{folder.name}/drawn"
path = write_training_galaxies(drawn, 300, pixels=96, seed=2026)
truth = Table.read(path)
images = open_images(f"{drawn}/images").read().images  # in the same order
truth["file", "gz2_class"][:3]

# %%
# From the codes we make four classes: smooth galaxies (``E``), disks seen edge-on (``Se``), and the
# other disks with or without spiral arms, whose number is a digit of the code.

import numpy as np


def kind(code):
    if code.startswith("E"):
        return "smooth galaxy"
    if code.startswith("Se"):
        return "edge-on disk"
    if set(code) & set("1234"):
        return "spiral galaxy"
    return "disk without arms"


labels = np.array([kind(code) for code in truth["gz2_class"]])
names = [
    "spiral galaxy",
    "disk without arms",
    "edge-on disk",
    "smooth galaxy",
]
for name in names:
    print(f"{(labels == name).sum():3} {name}")

# %%
# Some are hard for a person, too: what is small beside the seeing shows neither arms nor a disk.

from gmc_astro.plots import gallery

rows = {name: np.flatnonzero(labels == name)[:5] for name in names}
figure = gallery(images, rows=rows, columns=5)
# sphinx_gallery_start_ignore
figure.set_label(
    "Five simulated galaxies of each class: spiral galaxies, some with clear arms and some mere "
    "blobs; disks without arms; thin edge-on disks; smooth galaxies, round to elongated"
)
# sphinx_gallery_end_ignore
figure

# %%
# Sixty labels
# ------------
#
# The first sixty galaxies are labelled, the others are the test. Zero-shot classification is the
# start; ``fit`` moves from the words towards the labels.

from gmc_astro import GalaxyMorphologyClassifier

labelled, test = np.arange(60), np.arange(60, 300)
classifier = GalaxyMorphologyClassifier(classes=names)
before = classifier.predict_proba(images[test])
score = classifier.score(images[test], labels[test])
print(f"zero-shot: {score:.0%} right")

classifier.fit(images[labelled], labels[labelled])
after = classifier.predict_proba(images[test])
score = classifier.score(images[test], labels[test])
print(f"60 labels: {score:.0%} right")

# %%
# `~gmc_astro.plots.confusion` shows which classes are taken for which. Each row sums to 1; a good
# classifier has its large numbers on the diagonal.

from gmc_astro.plots import confusion

targets = np.array([names.index(label) for label in labels[test]])
panels = {"zero-shot": before, "60 labels": after}
predicted = {panel: p.argmax(axis=1) for panel, p in panels.items()}
# sphinx_gallery_thumbnail_number = 2
figure = confusion(targets, predicted, names)

# sphinx_gallery_start_ignore
found = {
    panel: ", ".join(f"{name} {np.mean(p[targets == i] == i):.2f}" for i, name in enumerate(names))
    for panel, p in predicted.items()
}
figure.set_label(
    "Two confusion matrices. Share of each class that is found, "
    + "; ".join(f"{panel}: {shares}" for panel, shares in found.items())
)
# sphinx_gallery_end_ignore
figure

# %%
# Can its probabilities be trusted?
# ---------------------------------
#
# ``fit`` holds labels out in turn, calibrates the probabilities on them, and reports how good they
# are. With so few labels the report itself is rough.

print(classifier.calibration_)

# %%
# Our test galaxies can check it. On the dotted line the classifier is as often right as it says,
# below it is too sure. ECE, the expected calibration error, is the mean distance from the line.

from gmc_astro.plots import reliability

figure = reliability(panels, targets, bins=5)
# sphinx_gallery_start_ignore
from gmc_astro.learning import expected_calibration_error

errors = {name: expected_calibration_error(p, targets) for name, p in panels.items()}
figure.set_label(
    "Two reliability diagrams: share of right answers against the largest probability. "
    + "; ".join(f"{name}: expected calibration error {error:.3f}" for name, error in errors.items())
)
# sphinx_gallery_end_ignore
figure

# %%
# Sets instead of single labels
# -----------------------------
#
# Where one label would claim too much, ask for a set of classes that holds the true one with a
# stated probability. A clear galaxy gets one class, a doubtful one several.

sets = classifier.predict_sets(images[test], coverage=0.9)
covered = sets[np.arange(len(test)), targets].mean()
print(f"{covered:.0%} of the sets hold the true class")
print(f"{sets.sum(axis=1).mean():.1f} classes a set")

# %%
# The promise holds on average over many draws of labelled galaxies. For one draw of sixty, a share
# some percentage points above or below is no surprise; more labels narrow that.

# %%
# What is in a set, at a glance: the first galaxies of the test for each size.

sizes = sets.sum(axis=1)
rows = {f"sets of {n}": test[sizes == n][:5] for n in np.unique(sizes)}
figure = gallery(images, rows=rows, columns=5)
# sphinx_gallery_start_ignore
figure.set_label(
    "Up to five galaxies for each size of set: "
    + ", ".join(f"{(sizes == n).sum()} sets of {n}" for n in np.unique(sizes))
)
# sphinx_gallery_end_ignore
figure

# %%
# What to label next
# ------------------
#
# ``suggest_labels`` picks galaxies that the classifier is unsure of and that are unlike each other.

rows = test[classifier.suggest_labels(images[test], 9)]
table = classifier.predict(images[rows])
figure = gallery(images[rows], table["label"], table["probability"], columns=3)
# sphinx_gallery_start_ignore
figure.set_label(
    "Nine galaxies that are worth a label, with the class that the classifier would give: "
    + ", ".join(f"{row['label']} {row['probability']:.2f}" for row in table)
)
# sphinx_gallery_end_ignore
figure

# %%
# Label them, add them to the others, and fit again. Galaxies chosen so are the hard ones: never
# measure accuracy or calibration on them. Here they leave the test:

more = np.concatenate([labelled, rows])
rest = np.setdiff1d(test, rows)
before = classifier.score(images[rest], labels[rest])
classifier.fit(images[more], labels[more])
after = classifier.score(images[rest], labels[rest])
print(f"60 labels: {before:.0%} right")
print(f"{len(more)} labels: {after:.0%} right")

# %%
# ``classifier.save("my_model")`` keeps it all: model, head, calibration and what the sets need.
# :doc:`/user_guide/few_labels` tells of fine-tuning for some hundred labels or more, and
# :doc:`/user_guide/calibration` when to trust what.
folder.cleanup()

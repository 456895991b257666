"""
Galaxies in words
=================

We find the galaxies in a picture of the sky, name some classes, and let the bundled model sort the
galaxies into them. Nothing is trained, and no network is needed.

The picture is the Hubble Deep Field as scikit-image ships it: R. Williams (STScI), the Hubble Deep
Field team and NASA. The model learnt mostly from bright, nearby galaxies; these are faint and far
away. Take the classes as a demonstration, not as a catalogue.
"""

# %%
# Find the galaxies
# -----------------
#
# `~gmc_astro.imaging.find_galaxies` detects extended sources and measures their ellipses, the
# largest first; `~gmc_astro.imaging.cut_out` cuts a square out around each, 6.4 Petrosian radii
# wide as in the model's training where that can be measured, and scales it to ``size`` pixels.

from skimage.data import hubble_deep_field

from gmc_astro.imaging import cut_out, find_galaxies

picture = hubble_deep_field()
galaxies = find_galaxies(picture)
cutouts, widths = cut_out(picture, galaxies, size=128)
print(f"{len(galaxies)} found")
print(f"{widths.min():.0f} to {widths.max():.0f} pixels across")

# %%
# `~gmc_astro.plots.gallery` draws a sheet of images. Look at some before anything else: most
# surprises are in the images, not in the model. One of these is a bright star. What lies beyond the
# picture's edge is black.

from gmc_astro.plots import gallery

figure = gallery(cutouts[:12], columns=4, title="The twelve largest")
# sphinx_gallery_start_ignore
figure.set_label(
    "Twelve cutouts of the Hubble Deep Field: round and oval yellow galaxies, blue ones with arms, "
    "close groups, and one star with spikes; small galaxies around each"
)
# sphinx_gallery_end_ignore
figure

# %%
# Name the classes
# ----------------
#
# A class is a name with one or more sentences that say it. ``GZ2_FIVE_CLASS`` has five classes of
# Galaxy Zoo 2. We add one for what is no galaxy, because the model chooses among the classes that
# it is given, and nothing else.

from gmc_astro.morphology import GZ2_FIVE_CLASS

classes = dict(GZ2_FIVE_CLASS.classes)
classes["star_or_artifact"] = ["a star or artifact", "an artifact"]
for name, sentences in classes.items():
    print(f"{name}: {sentences[0]}")

# %%
# `~gmc_astro.classifier.GalaxyMorphologyClassifier.zero_shot` compares each image with the
# sentences, and returns a table with a row for each image, in order.

from gmc_astro import GalaxyMorphologyClassifier

classifier = GalaxyMorphologyClassifier()
table = classifier.zero_shot(cutouts, classes)
for name in ("probability", "entropy"):
    table[name].info.format = ".2f"
table["id", "label", "probability", "entropy", "status"][:5]

# %%
# With the ellipses beside the classes, `~gmc_astro.plots.field` draws the whole picture; the
# numbers in the legend are galaxies of each class.

from gmc_astro.plots import field

for name in ("x", "y", "semimajor", "semiminor", "orientation"):
    table[name] = galaxies[name]
# sphinx_gallery_thumbnail_number = 2
figure = field(picture, table)
# sphinx_gallery_start_ignore
counted = ", ".join(
    f"{(table['label'] == name).sum()} {name.replace('_', ' ')}" for name in classes
)
figure.set_label(f"The Hubble Deep Field with each galaxy outlined by its class: {counted}")
# sphinx_gallery_end_ignore
figure

# %%
# The surest and the least sure
# -----------------------------
#
# ``probability`` is that of the class in ``label``. ``rows=`` gives the sheet a line for each
# class; here, its four most probable galaxies.

import numpy as np

probability = np.asarray(table["probability"])
order = np.argsort(-probability)
surest = {}
for name in classes:
    surest[name] = [i for i in order if table["label"][i] == name][:4]
figure = gallery(cutouts, probabilities=probability, rows=surest, columns=4)
# sphinx_gallery_start_ignore
figure.set_label(
    "A line of up to four galaxies for each class, with their probabilities, the highest first: "
    + "; ".join(
        f"{name.replace('_', ' ')} {', '.join(f'{probability[i]:.2f}' for i in rows)}"
        for name, rows in surest.items()
        if rows
    )
)
# sphinx_gallery_end_ignore
figure

# %%
# ``entropy`` is highest where the model cannot decide. These galaxies deserve a look by eye:

rows = np.argsort(-np.asarray(table["entropy"]))[:6]
shown = table[rows]
figure = gallery(cutouts[rows], shown["label"], shown["probability"], columns=3)
# sphinx_gallery_start_ignore
figure.set_label(
    "The six galaxies that the model is least sure of, with the class it would choose: "
    + ", ".join(f"{row['label']} {row['probability']:.2f}".replace("_", " ") for row in shown)
)
# sphinx_gallery_end_ignore
figure

# %%
# Other words
# -----------
#
# Other classes are other words. A plain list of names is enough; sentences are made from them.
# The images are not embedded again: the classifier remembers those that it saw.

names = ["spiral galaxy", "elliptical galaxy", "merging galaxies"]
other = classifier.zero_shot(cutouts, names)
shown = other[:12]
figure = gallery(cutouts[:12], shown["label"], shown["probability"], columns=3)
# sphinx_gallery_start_ignore
figure.set_label(
    "The twelve largest galaxies with classes of our own: "
    + ", ".join(f"{row['label']} {row['probability']:.2f}" for row in shown)
)
# sphinx_gallery_end_ignore
figure

# %%
# Several galaxies in one frame look like a merger to the model, whether or not they touch. Such
# errors are the rule when a class is only named, and a few labels mend many of them: see
# :doc:`few_labels`. The table says which model and which classes it came from:

for key in ("model", "head", "views", "class_names"):
    print(f"{key}: {other.meta[key]}")

# %%
# Write it with ``table.write("galaxies.ecsv")``, or with `~gmc_astro.learning.write_table` as
# FITS, HDF5 or Parquet. ``gmc-astro demo`` makes the same table, with two pictures, in one command.

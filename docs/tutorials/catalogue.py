"""
A catalogue that can be stopped
===============================

A survey does not fit into memory, nor into one evening. We write a small HDF5 stack of simulated
galaxies, classify it, stop in the middle, go on, and then ask the finished run other questions
without touching an image again. With a million rows the calls are the same.
"""

# %%
# An HDF5 stack
# -------------
#
# A stack is a data set ``images`` of shape (N, H, W, 3) and type uint8; ``ra`` and ``dec``, in
# degrees, are taken along where they are there. `~gmc_astro.testing.galaxy_at` says which simulated
# galaxy lies at a position; each is drawn about as wide as the model's training images were.

import tempfile
from pathlib import Path

import h5py
import numpy as np

from gmc_astro.imaging import SDSS_LUPTON, make_rgb
from gmc_astro.testing import galaxy_at, render_galaxy

rng = np.random.default_rng(2026)
ra, dec = rng.uniform(150, 160, 320), rng.uniform(-5, 5, 320)
galaxies = [galaxy_at(*place) for place in zip(ra, dec, strict=True)]


def draw(galaxy, number, pixels=80):
    smooth = galaxy.bulge_share > 0.5
    reach = 2 * galaxy.bulge_radius if smooth else galaxy.disk_radius
    planes = render_galaxy(
        galaxy,
        SDSS_LUPTON.bands,
        pixels=pixels,
        pixel_scale=6.4 * 2.3 * reach / pixels,
        noise=0.05,
        seed=number,
    )
    return make_rgb(planes, recipe=SDSS_LUPTON)


folder = tempfile.TemporaryDirectory()
stack, run = Path(folder.name, "survey.h5"), Path(folder.name, "run")
with h5py.File(stack, "w") as file:
    drawn = [draw(galaxy, i) for i, galaxy in enumerate(galaxies)]
    file["images"] = np.stack(drawn)
    file["ra"], file["dec"] = ra, dec
print(f"{stack.name}: {stack.stat().st_size / 1e6:.1f} MB")

# %%
# A few of them; the stack is read like any other input.

from gmc_astro import open_images
from gmc_astro.plots import gallery

source = open_images(stack)
images = source.read().images
figure = gallery(images[:10], columns=5)
# sphinx_gallery_start_ignore
figure.set_label("Ten simulated galaxies on black sky: spirals, disks and smooth blobs")
# sphinx_gallery_end_ignore
figure

# %%
# Begin, and be stopped
# ---------------------
#
# On a cluster the command line does the work, and the queue ends it when its time is up. Here we
# end it ourselves as soon as the first rows are finished. Each shard is written whole or not at
# all, so small ones lose little.

import subprocess
import sys
import time

command = [sys.executable, "-m", "gmc_astro", "classify", str(stack)]
command += ["-o", str(run)]
command += ["--rows-per-shard", "32", "--embeddings", "float16"]
process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
while process.poll() is None and not list(run.glob("shards/*.json")):
    time.sleep(0.05)
process.terminate()
print("exit code", process.wait())

# %%
# `~gmc_astro.catalogs.read_report` says how far it came.

from gmc_astro.catalogs import read_report

report = read_report(run)
print(f"{report['finished']} of {report['rows']} rows finished")
print("complete:", report["complete"])

# %%
# Go on
# -----
#
# The same command would go on; so does the same call in Python, with the same model and settings.
# It does only the rows that are missing.

from gmc_astro import GalaxyMorphologyClassifier, classify_catalog

classifier = GalaxyMorphologyClassifier()
settings = {"rows_per_shard": 32, "embeddings": "float16"}
classify_catalog(classifier, stack, run, **settings)
report = read_report(run)
print(f"{report['this_call']['rows']} rows in this call")
print("complete:", report["complete"])
print(f"{report['classified']} classified, failed: {report['failed']}")

# %%
# One table
# ---------
#
# The run is a folder of shards. `~gmc_astro.catalogs.merge_catalog` writes all rows into one file
# of Parquet, FITS, HDF5 or ECSV, in the order of the stack and with its positions in ``coord``.

from gmc_astro.catalogs import merge_catalog
from gmc_astro.learning import read_table

print(sorted(path.name for path in run.iterdir()))
table = read_table(merge_catalog(run, run.with_suffix(".fits")))
for name in ("probability", "entropy"):
    table[name].info.format = ".2f"
print(table["coord"][0].to_string("hmsdms", precision=1))
table["label", "probability", "entropy", "status"][:5]

# %%
# Other questions, without the images
# -----------------------------------
#
# The embeddings are one memory-mapped array, a row for each galaxy. Reading and embedding images
# was nearly all of the work; with the embeddings kept, other classes cost next to nothing.

from gmc_astro.catalogs import open_embeddings

embeddings = open_embeddings(run, classifier)  # refuses those of another model
classes = {
    "spiral": ["a spiral galaxy"],
    "no arms": ["a smooth galaxy", "a disk without arms"],
}
words = classifier.predict_embeddings(embeddings, classes)
print(embeddings.shape, embeddings.dtype)
for name in classes:
    print(f"{(words['label'] == name).sum():3} {name}")

# %%
# Labels work as well. We know the truth of a simulation, and take it for the first eighty.

arms = np.array([galaxy.arms for galaxy in galaxies])
truth = np.where(arms > 0, "spiral", "no arms")
fitted = GalaxyMorphologyClassifier(classes=classes)
fitted.fit_embeddings(embeddings[:80], truth[:80])
after = fitted.predict_embeddings(embeddings)
for what, table in (("words", words), ("80 labels", after)):
    right = np.mean(table["label"][80:] == truth[80:])
    print(f"{what}: {right:.0%} of the others right")

# %%
# `~gmc_astro.plots.embedding_map` draws which galaxies the model takes for alike, here coloured by
# the truth. Only nearness means something on such a map, neither the axes nor large distances.

from gmc_astro.plots import embedding_map

# sphinx_gallery_thumbnail_number = 2
figure = embedding_map(embeddings, truth)
# sphinx_gallery_start_ignore
figure.set_label(
    f"The {len(truth)} galaxies as points on a plane, near where their embeddings are alike: "
    f"{np.sum(truth == 'spiral')} spirals and {np.sum(truth == 'no arms')} galaxies without arms "
    "in two colours, partly apart and partly mixed"
)
# sphinx_gallery_end_ignore
figure

# %%
# Embeddings are unit vectors, so a product with one of them says how alike the others are. We take
# the surest spiral and its nearest neighbours; the number in each image is the product.

found = np.flatnonzero(after["label"] == "spiral")
first = found[np.argmax(after["probability"][found])]
alike = np.asarray(embeddings @ embeddings[first], float)
nearest = np.argsort(-alike)[:8]
figure = gallery(images[nearest], truth[nearest], alike[nearest], columns=4)
# sphinx_gallery_start_ignore
figure.set_label(
    "A spiral galaxy and the seven galaxies most like it, with how alike they are: "
    + ", ".join(f"{truth[i]} {alike[i]:.2f}" for i in nearest)
)
# sphinx_gallery_end_ignore
figure

# %%
# :doc:`/user_guide/catalogues` tells of several processes, SLURM, Dask, HATS catalogues and full
# disks, and :doc:`/benchmarks` how fast it is.
folder.cleanup()

"""Simulated galaxies that are labelled as volunteers would: what real labels lack.

Bars, bulges, rings, disturbed shapes, and the number and winding of arms are known of few real
galaxies; of a simulated one they are known for certain. Galaxies are drawn at the framing, sky
noise and seeing of the SDSS main sample, with stars and fainter galaxies around, and labelled
with the codes of Galaxy Zoo 2 (see `~gmc_astro.morphology.parse_gz2_class`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.modeling.models import Gaussian2D
from astropy.table import Table
from PIL import Image
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import get_recipe, make_rgb
from gmc_astro.testing.simulate import SimulatedGalaxy, render_galaxy

__all__ = ["draw_labelled_galaxy", "write_training_galaxies"]

SPAN = 6.4  # sides of the images in Petrosian 90 % radii, as the bundled model's contract has it
#: Seeing in arcsec and sky noise in nanomaggies an arcsec, band by band unknown: typical values
#: of SDSS in r and of DECaLS.
SKIES = {"SDSS_LUPTON": (1.3, 0.06), "GZ_DECALS": (1.2, 0.012)}
#: Share of the light in the bulge for each letter of its prominence.
BULGES = {"d": (0.0, 0.02), "c": (0.06, 0.12), "b": (0.2, 0.35), "a": (0.5, 0.7)}
MOST_BESIDE_ARMS = 0.75  # of the disk's light in bar and ring, so that the arms can be seen
#: Pitch angle in degrees for each letter of the winding.
WINDINGS = {"t": (8, 13), "m": (17, 24), "l": (30, 40)}


def draw_labelled_galaxy(rng: np.random.Generator) -> tuple[SimulatedGalaxy, str]:
    """Draw a galaxy and its code.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    galaxy : `~gmc_astro.testing.SimulatedGalaxy`
        The galaxy.
    code : str
        As in the column ``gz2_class``: a third of the galaxies are spirals, the others are disks
        without arms, disks seen edge-on, smooth ones, and irregular, disturbed and merging ones.
        Half of the disks without arms, and some spirals, have a ring.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.testing import draw_labelled_galaxy
    >>> galaxy, code = draw_labelled_galaxy(np.random.default_rng(4))
    >>> (galaxy.arms > 0) == any(letter in code for letter in "1234")
    True
    """
    radius = float(rng.uniform(1.5, 5.0))
    brightness = float(rng.uniform(8.0, 30.0))  # nanomaggies for each square arcsec of radius
    common = {
        "flux": brightness * radius**2,
        "disk_radius": radius,
        "angle": float(rng.uniform(0, np.pi)),
    }
    kind = rng.choice([*SHARES], p=[*SHARES.values()])
    draw = DRAWN.get(kind)
    own, code = draw(rng, radius) if draw else _face_on(rng, radius, arms=kind == "spiral")
    return SimulatedGalaxy(**common | own), code


def _face_on(rng: np.random.Generator, radius: float, *, arms: bool) -> tuple[dict[str, Any], str]:
    letter, barred = str(rng.choice(list(BULGES))), bool(rng.random() < 0.5)
    galaxy = {
        "bulge_share": float(rng.uniform(*BULGES[letter])),
        "bulge_radius": radius * float(rng.uniform(0.15, 0.3)),
        "bulge_index": float(rng.uniform(1.5, 4.0)),
        "axis_ratio": float(rng.uniform(0.5, 1.0)),
        "bar": float(rng.uniform(0.15, 0.4)) if barred else 0.0,
        "redness": float(rng.uniform(0, 0.5 if arms else 1)),
    }
    code = f"S{'B' if barred else ''}{letter}"
    ringed = rng.random() < (0.15 if arms else 0.5)
    odd = "(r)" if ringed else ""
    if ringed:
        ring = float(rng.uniform(0.15, 0.6))
        galaxy |= {
            "ring": min(ring, MOST_BESIDE_ARMS - galaxy["bar"]) if arms else ring,
            "ring_radius": float(rng.uniform(0.9, 1.9)),
            "ring_width": float(rng.uniform(0.1, 0.25)),
        }
    if not arms:
        return galaxy, code + odd
    number, winding = (
        int(rng.choice([1, 2, 3, 4], p=[0.2, 0.4, 0.2, 0.2])),
        str(rng.choice([*"tml"])),
    )
    pitch = np.radians(rng.uniform(*WINDINGS[winding]))
    galaxy |= {
        "arms": number,
        "arm_contrast": float(rng.uniform(0.5, 1.0)),
        "winding": float(rng.choice([-1, 1]) * pitch),
    }
    return galaxy, f"{code}{number}{winding}{odd}"


def _edge_on(rng: np.random.Generator, radius: float) -> tuple[dict[str, Any], str]:
    bulge = bool(rng.random() < 0.6)
    galaxy = {
        "bulge_share": float(rng.uniform(0.2, 0.5)) if bulge else 0.0,
        "bulge_radius": radius * float(rng.uniform(0.15, 0.3)),
        "bulge_index": 2.0,
        "bulge_axis_ratio": float(rng.uniform(0.7, 1.0)),
        "axis_ratio": float(rng.uniform(0.08, 0.18)),
        "redness": float(rng.uniform(0, 0.8)),
    }
    return galaxy, "Ser" if bulge else "Sen"


def _smooth(rng: np.random.Generator, radius: float) -> tuple[dict[str, Any], str]:
    letter = str(rng.choice([*"ric"]))
    ratio = float(rng.uniform(*{"r": (0.88, 1.0), "i": (0.5, 0.75), "c": (0.2, 0.32)}[letter]))
    galaxy = {
        "bulge_share": 1.0,
        "bulge_radius": radius,
        "bulge_index": float(rng.uniform(2.0, 4.5)),
        "bulge_axis_ratio": ratio,
        "axis_ratio": ratio,
    }
    return galaxy, f"E{letter}"


def _irregular(rng: np.random.Generator, radius: float) -> tuple[dict[str, Any], str]:
    shares = rng.dirichlet(np.ones(int(rng.integers(4, 10)))) * rng.uniform(0.3, 0.6)
    places = rng.normal(0, 0.7, (len(shares), 2))
    galaxy = {
        "bulge_share": 0.0,
        "axis_ratio": float(rng.uniform(0.4, 0.9)),
        "clumps": tuple((*map(float, p), float(s)) for p, s in zip(places, shares, strict=True)),
    }
    return galaxy, "Sd(i)"


def _disturbed(rng: np.random.Generator, radius: float) -> tuple[dict[str, Any], str]:
    letter = str(rng.choice(["c", "b"]))
    galaxy = {
        "bulge_share": float(rng.uniform(*BULGES[letter])),
        "bulge_radius": radius * float(rng.uniform(0.15, 0.3)),
        "axis_ratio": float(rng.uniform(0.4, 0.9)),
        "tail": float(rng.uniform(0.15, 0.4)),
        "redness": float(rng.uniform(0, 0.6)),
    }
    return galaxy, f"S{letter}(d)"


def _merger(rng: np.random.Generator, radius: float) -> tuple[dict[str, Any], str]:
    galaxy, code = _disturbed(rng, radius)
    other, _ = _disturbed(rng, radius)
    away, size = rng.uniform(0, 2 * np.pi), float(rng.uniform(0.5, 0.9))
    distance = radius * rng.uniform(1.0, 2.0)
    galaxy["companion"] = SimulatedGalaxy(
        flux=18.0 * (size * radius) ** 2,
        disk_radius=size * radius,
        angle=float(rng.uniform(0, np.pi)),
        **other,
    )
    galaxy["offset"] = (float(distance * np.cos(away)), float(distance * np.sin(away)))
    return galaxy, code.replace("(d)", "(m)")


#: How often each kind of galaxy is drawn.
SHARES = {
    "spiral": 0.35,
    "disk": 0.25,
    "edge-on": 0.1,
    "smooth": 0.1,
    "irregular": 0.08,
    "disturbed": 0.06,
    "merger": 0.06,
}
DRAWN = {
    "edge-on": _edge_on,
    "smooth": _smooth,
    "irregular": _irregular,
    "disturbed": _disturbed,
    "merger": _merger,
}


def write_training_galaxies(
    folder: str | os.PathLike,
    n: int,
    *,
    recipe: str = "SDSS_LUPTON",
    pixels: int = 128,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Draw labelled galaxies into a folder that `gmc_astro.learning.TrainingSet` reads.

    Parameters
    ----------
    folder : path-like
        Folder to make, with ``images/`` and ``labels.csv``: ``file``, ``id``, ``gz2_class`` and
        ``origin``, which is ``simulated`` in every row.
    n : int
        Number of galaxies.
    recipe : {"SDSS_LUPTON", "GZ_DECALS"}, optional
        Survey whose colours, seeing and noise they have.
    pixels : int, optional
        Side of the images, which spans 4 to 7 Petrosian 90 % radii.
    seed : int, optional
        Of everything random; galaxy i is the same whatever ``n``.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    table : `~pathlib.Path`
        The table.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the folder exists, there is no galaxy to draw, or the survey is not one of those.

    Examples
    --------
    >>> import tempfile
    >>> from gmc_astro.learning import TrainingSet
    >>> from gmc_astro.testing import write_training_galaxies
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = write_training_galaxies(f"{folder.name}/drawn", 2, pixels=32)
    >>> len(TrainingSet.read([table.parent]))
    2
    >>> folder.cleanup()
    """
    folder = Path(folder)
    if recipe not in SKIES:
        raise InputError(f"recipe={recipe!r} is not one of {', '.join(SKIES)}")
    if n < 1:
        raise InputError(f"n={n} is less than 1")
    if folder.exists():
        raise InputError(f"{folder} exists; give another folder")
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "images").mkdir(parents=True)
    rows = []
    for i in tqdm(range(n), desc="galaxies", unit="galaxy", disable=not progress):
        rng = np.random.default_rng((seed, i))
        galaxy, code = draw_labelled_galaxy(rng)
        name = f"images/{i:06d}.jpg"
        Image.fromarray(_picture(galaxy, recipe, pixels, rng)).save(unfinished / name, quality=95)
        rows.append((name, f"simulated-{seed}-{i:06d}", code, "simulated"))
    table = Table(rows=rows, names=["file", "id", "gz2_class", "origin"])
    table.write(unfinished / "labels.csv")
    unfinished.rename(folder)
    return folder / "labels.csv"


def _picture(
    galaxy: SimulatedGalaxy, recipe: str, pixels: int, rng: np.random.Generator
) -> np.ndarray:
    """A galaxy among others as the survey would show it, (pixels, pixels, 3) uint8."""
    seeing, noise = SKIES[recipe]
    bands = get_recipe(recipe).bands
    # 90 % of an exponential disk's light is within 2.3 of its half-light radii, of a bulge's 2.9
    reach = galaxy.disk_radius * (2.3 + 0.6 * galaxy.bulge_share)
    scale = SPAN * np.hypot(reach, seeing) * rng.uniform(0.65, 1.1) / pixels
    planes = render_galaxy(
        galaxy,
        tuple(bands),
        pixels=pixels,
        pixel_scale=scale,
        seeing=seeing * rng.uniform(0.8, 1.3),
        noise=noise * rng.uniform(0.7, 1.3),
        seed=int(rng.integers(2**31)),
    )
    for light in _neighbours(pixels, scale, seeing, rng):
        planes += light * rng.uniform(0.5, 1.5, len(bands))[:, None, None]
    return make_rgb(planes, recipe=recipe)


def _neighbours(
    pixels: int, scale: float, seeing: float, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Stars, and small galaxies that are no more than blurred spots, each (pixels, pixels)."""
    y, x = np.mgrid[:pixels, :pixels]
    for _ in range(rng.poisson(5e-4 * (pixels * scale) ** 2)):
        place = rng.uniform(0, pixels, 2)
        if np.hypot(*(place - pixels / 2)) < pixels / 5:
            continue
        width = seeing / 2.355 / scale * rng.choice([1.0, 1.0, 2.0])
        flux = 10 ** rng.uniform(0, 2)
        peak = flux / (2 * np.pi * width**2)
        spot = Gaussian2D(peak, *place, width, width * rng.uniform(0.6, 1.0), rng.uniform(0, np.pi))
        yield spot(x, y)

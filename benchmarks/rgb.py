"""Bands to colours: speed beside astropy's, and likeness to Galaxy Zoo DECaLS's own pictures.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/rgb.py [--save]

The two functions take turns on the same simulated galaxies, 256 pixels wide. What is left between
ours and Galaxy Zoo's picture of the same cube is their JPEG compression, and their desaturation of
faint pixels, which the recipe leaves out.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from astropy.visualization import make_lupton_rgb
from common import data_folder, machine, write_results
from PIL import Image

from gmc_astro.imaging import GZ_DECALS, SDSS_LUPTON, make_rgb, read_bands
from gmc_astro.testing import galaxy_at, render_galaxy

PIXELS = 256
GALAXIES = 16
ROUNDS = 40
PAIRS = ("decals_dr3_a", "decals_dr3_s", "decals_dr5_c")


def speed() -> dict[str, float]:
    """Milliseconds an image of both, their ratio round by round, and the largest difference."""
    cubes = [
        render_galaxy(galaxy_at(150 + i, 2), ("g", "r", "i"), pixels=PIXELS, seed=i)
        for i in range(GALAXIES)
    ]
    seconds = np.zeros((ROUNDS, 2))
    difference = 0
    for i in range(ROUNDS):
        start = time.perf_counter()
        ours = [make_rgb(cube, recipe=SDSS_LUPTON, flip=False) for cube in cubes]
        middle = time.perf_counter()
        theirs = [make_lupton_rgb(*cube[::-1], stretch=0.5, Q=10) for cube in cubes]
        seconds[i] = middle - start, time.perf_counter() - middle
        difference = int(np.abs(np.array(ours, int) - np.array(theirs, int)).max())
    each = 1e3 * np.median(seconds, axis=0) / GALAXIES
    return {
        "ours_milliseconds": float(each[0]),
        "astropy_milliseconds": float(each[1]),
        "ratio": float(np.median(seconds[:, 1] / seconds[:, 0])),
        "largest_difference": difference,
    }


def likeness() -> dict[str, float]:
    """Mean difference in grey levels from Galaxy Zoo DECaLS's picture of the same cube."""
    folder = data_folder() / "fits"
    found = {}
    for name in PAIRS:
        ours = make_rgb(read_bands(folder / f"{name}.fits").data, recipe=GZ_DECALS, flip=True)
        theirs = np.asarray(Image.open(folder / f"{name}.jpg").convert("RGB"), int)
        found[name] = float(np.abs(ours.astype(int) - theirs).mean())
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/rgb.*")
    args = parser.parse_args()
    times, pairs = speed(), likeness()
    lines = [
        f"Lupton's colours, {PIXELS} x {PIXELS}, median of {ROUNDS} rounds of {GALAXIES} galaxies",
        f"make_rgb                {times['ours_milliseconds']:6.2f} ms an image",
        f"astropy make_lupton_rgb {times['astropy_milliseconds']:6.2f} ms an image, "
        f"{times['ratio']:.2f} x as long; largest difference "
        f"{times['largest_difference']} grey level",
        "",
        "Galaxy Zoo DECaLS's own pictures: mean absolute difference in grey levels",
        *[f"{name:<24}{value:6.2f}" for name, value in pairs.items()],
    ]
    print("\n".join(lines))
    if args.save:
        write_results("rgb", {"machine": machine(), **times, "likeness": pairs}, lines)


if __name__ == "__main__":
    main()

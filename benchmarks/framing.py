"""How well the Petrosian radius is recovered from noisy images, and how long that takes.

    python benchmarks/framing.py [--galaxies 60] [--save]

Simulated Sersic galaxies, seen through a PSF of 1.2 arcsec at 0.262 arcsec a pixel, in cutouts of
64 arcsec as `fetch_cutouts` asks for first. The truth is petroR90 as measured on the same image
without noise. The signal-to-noise ratio is that of the flux within the half-light ellipse.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import machine, write_results

from gmc_astro.exceptions import MeasurementError
from gmc_astro.imaging import measure_galaxy
from gmc_astro.testing import SimulatedGalaxy, render_galaxy

PIXELS = 244  # 64 arcsec
PIXEL_SCALE = 0.262
#: Other galaxies than those on which the limits in ``imaging/measure.py`` were chosen.
SEED = 20261124
INDICES = (1, 4)
SIGNAL_TO_NOISE = (20, 50, 100, 200)
RADII = {1: (2.0, 6.0), 4: (1.5, 3.5)}  # half-light radii in arcsec that a cutout of 64 can hold


def draw(index: int, rng: np.random.Generator) -> SimulatedGalaxy:
    """A galaxy of one Sersic index, with a random size, axis ratio and angle."""
    radius, ratio, angle = rng.uniform(*RADII[index]), rng.uniform(0.2, 1.0), rng.uniform(0, np.pi)
    if index == 1:
        return SimulatedGalaxy(disk_radius=radius, bulge_share=0.0, axis_ratio=ratio, angle=angle)
    return SimulatedGalaxy(
        bulge_radius=radius,
        bulge_share=1.0,
        bulge_index=index,
        bulge_axis_ratio=ratio,
        angle=angle,
    )


def noise_for(galaxy: SimulatedGalaxy, index: int, signal_to_noise: float) -> float:
    """Noise of a pixel that gives the half-light ellipse its signal-to-noise ratio."""
    radius = galaxy.disk_radius if index == 1 else galaxy.bulge_radius
    ratio = galaxy.axis_ratio if index == 1 else galaxy.bulge_axis_ratio
    pixels = np.pi * ratio * (radius / PIXEL_SCALE) ** 2
    return 0.5 * galaxy.flux / (signal_to_noise * np.sqrt(pixels))


def recover(index: int, signal_to_noise: float, galaxies: int, seed: int) -> dict[str, float]:
    """Relative errors of petroR90 over many galaxies, and the milliseconds of one measurement."""
    rng = np.random.default_rng([seed, index, signal_to_noise])
    errors, seconds, failed = [], 0.0, 0
    for _ in range(galaxies):
        galaxy = draw(index, rng)
        (clean,) = render_galaxy(galaxy, "r", pixels=PIXELS, pixel_scale=PIXEL_SCALE, noise=0)
        truth = measure_galaxy(clean).petro_r90
        noise = noise_for(galaxy, index, signal_to_noise) * rng.normal(size=clean.shape)
        start = time.perf_counter()
        try:
            found = measure_galaxy(clean + noise.astype(np.float32)).petro_r90
        except MeasurementError:
            failed += 1
            errors.append(np.inf)
            continue
        finally:
            seconds += time.perf_counter() - start
        errors.append(found / truth - 1)
    size = np.abs(errors)
    return {
        "sersic_index": index,
        "signal_to_noise": signal_to_noise,
        "galaxies": galaxies,
        "bias": float(np.median(errors)),
        "median": float(np.median(size)),
        "nine_in_ten": float(np.quantile(size, 0.9, method="higher")),
        "not_measured": failed,
        "milliseconds": 1e3 * seconds / galaxies,
        "errors": [round(float(error), 4) for error in errors],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--galaxies", type=int, default=60, help="for each line of the table")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the draw (default: {SEED})")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/framing.*")
    args = parser.parse_args()
    rows = [recover(n, snr, args.galaxies, args.seed) for n in INDICES for snr in SIGNAL_TO_NOISE]
    lines = [
        f"petroR90 of {args.galaxies} simulated galaxies a line, axis ratio 0.2 to 1, "
        f"seed {args.seed}",
        "Sersic n   S/N     bias   median |error|   9 in 10 below   not measured   ms a galaxy",
    ]
    lines += [
        f"{r['sersic_index']:8}  {r['signal_to_noise']:4}  {r['bias']:+7.3f}  {r['median']:15.3f}"
        f"  {r['nine_in_ten']:14.3f}  {r['not_measured']:13}  {r['milliseconds']:12.1f}"
        for r in rows
    ]
    size = np.abs([error for r in rows for error in r["errors"]])
    lines.append(
        f"all lines together: median {np.median(size):.3f}, nine in ten below "
        f"{np.quantile(size, 0.9, method='higher'):.3f}"
    )
    print("\n".join(lines))
    if args.save:
        write_results("framing", {"machine": machine(), "rows": rows}, lines)


if __name__ == "__main__":
    main()

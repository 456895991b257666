"""Fetching cutouts: speed against a plain loop, and memory with many positions.

    python benchmarks/cutouts.py [--cutouts 400] [--positions 20000] [--save]

A server in another process on this machine takes 100 ms for each answer. The plain loop asks it
through astroquery's `hips2fits.query`, one cutout after the other, and is timed on a part of them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord
from astroquery.hips2fits import hips2fitsClass

from gmc_astro import fetch_cutouts
from gmc_astro.surveys import conf
from gmc_astro.testing import serve_surveys

DELAY = 0.1  # seconds that the server takes
CONNECTIONS = 4
LOOP = 60  # cutouts of the plain loop
SIDE = 64  # pixels
GALAXIES = 32  # different ones that the server draws
HIPS = "CDS/P/DESI-Legacy-Surveys/DR10/r"
OPTIONS = {"survey": "decals", "framing": "fixed", "size": SIDE, "cache": False, "progress": False}


def positions(n: int) -> SkyCoord:
    """As many positions, all different."""
    rng = np.random.default_rng(0)
    return SkyCoord(rng.uniform(120, 240, n), rng.uniform(1, 30, n), unit="deg")


def serve(delay: float) -> None:
    """Serve until the other side closes our input."""
    with serve_surveys(delay=delay, galaxies=GALAXIES) as server:
        print(server.url, flush=True)
        sys.stdin.read()


@contextmanager
def server_process(delay: float) -> Iterator[str]:
    """Address of a server in a process of its own."""
    command = [sys.executable, __file__, "--task", "serve", "--delay", str(delay)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


def ours(n: int) -> float:
    """Seconds a cutout, with a few connections."""
    ready = fetch_cutouts(positions(GALAXIES), max_connections=CONNECTIONS, **OPTIONS)
    ready.read()  # the server has drawn its galaxies
    source = fetch_cutouts(positions(n), max_connections=CONNECTIONS, **OPTIONS)
    start = time.perf_counter()
    ok = sum(batch.ok.sum() for batch in source.iter_batches(64))
    seconds = time.perf_counter() - start
    if ok != n:
        sys.exit(f"only {ok} of {n} cutouts came")
    return seconds / n


def plain_loop(n: int, url: str) -> float:
    """Seconds a cutout of one band, one after the other."""
    client = hips2fitsClass()
    client.server = url
    start = time.perf_counter()
    for at in positions(n):
        client.query(
            hips=HIPS,
            width=SIDE,
            height=SIDE,
            projection="TAN",
            ra=at.ra,
            dec=at.dec,
            fov=Angle(SIDE * 0.262 * u.arcsec),
            format="fits",
        )
    return (time.perf_counter() - start) / n


def peak_memory(n: int) -> float:
    """Peak memory in MB of this process after so many positions."""
    coords = positions(n)
    source = fetch_cutouts(coords, max_connections=CONNECTIONS, **OPTIONS)
    for batch in source.iter_batches(64):
        del batch
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_another_process(task: str, n: int, url: str) -> float:
    """Run one of the tasks above where nothing else has used memory."""
    command = [sys.executable, __file__, "--task", task, "--cutouts", str(n), "--url", url]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cutouts", type=int, default=400)
    parser.add_argument("--positions", type=int, default=20_000)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/cutouts.*")
    parser.add_argument("--task", choices=["serve", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--delay", type=float, default=DELAY, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task == "serve":
        serve(args.delay)
        return
    conf.viewer, conf.hips2fits = f"{args.url}/viewer", f"{args.url}/hips2fits"
    if args.task == "memory":
        print(peak_memory(args.cutouts))
        return
    with server_process(DELAY) as url:
        conf.viewer = f"{url}/viewer"
        loop = plain_loop(LOOP, f"{url}/hips2fits")
        fast = ours(args.cutouts)
    with server_process(0.0) as url:
        few, many = (in_another_process("memory", n, url) for n in (1000, args.positions))
    ideal = DELAY / CONNECTIONS
    results = {
        "cutouts": args.cutouts,
        "seconds": fast * args.cutouts,
        "against_ideal": fast / ideal,
        "plain_loop_against_ours": loop / fast,
        "peak_megabytes": {"1000": few, str(args.positions): many},
    }
    lines = [
        f"{args.cutouts} cutouts, {CONNECTIONS} connections, {DELAY * 1e3:.0f} ms an answer",
        f"fetch_cutouts             {fast * args.cutouts:7.2f} s   {fast / ideal:.3f} x the ideal "
        f"{ideal * args.cutouts:.1f} s",
        f"loop of hips2fits.query   {loop * args.cutouts:7.2f} s   {loop / fast:.2f} x slower "
        f"(timed on {LOOP}, one band each)",
        f"peak memory               {few:7.0f} MB with 1,000 positions, {many:.0f} MB with "
        f"{args.positions:,}",
    ]
    print("\n".join(lines))
    if args.save:
        from common import machine, write_results  # loads torch, which is no memory of cutouts

        write_results("cutouts", {"machine": machine(), **results}, lines)


if __name__ == "__main__":
    main()

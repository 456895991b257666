"""Images a second on a CPU: the bundled model against CLIP's ViT-B/32, in one run.

    python benchmarks/cpu_speed.py [--save] [--rounds 5]

Both are asked for embeddings of images in memory, with the same code and as many threads, in
float32 and in bfloat16, of which the faster one counts. ViT-B/32 has random weights: speed does
not depend on them. Rounds alternate between the two, and the fastest of each is taken. How long
the bundled model takes to load is measured in fresh processes, after torch has been imported:
first what the libraries around it take to be imported, then the model itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import numpy as np
import torch
from common import machine, write_results

from gmc_astro.models import Encoder, load_encoder

IMAGES = {"compact": 512, "ViT-B-32": 64}
VIEWS = (1, 8)
LOADING = """
import time, torch
start = time.perf_counter()
from gmc_astro.models import load_encoder
imported = time.perf_counter()
load_encoder("compact", device="cpu")
print(imported - start, time.perf_counter() - imported)
"""


def seconds_an_image(encoder: Encoder, images: np.ndarray, views: int) -> float:
    """Time of one pass over the images."""
    start = time.perf_counter()
    encoder.encode_images(images, views=views)
    return (time.perf_counter() - start) / len(images)


def loading(rounds: int) -> tuple[float, float]:
    """Seconds of importing what loads the bundled model, and of loading it; the fastest of each."""
    found = []
    for _ in range(rounds):
        run = [sys.executable, "-W", "ignore", "-c", LOADING]
        output = subprocess.run(run, capture_output=True, text=True, check=True).stdout
        found.append([float(seconds) for seconds in output.split()])
    importing, reading = np.min(found, axis=0)
    return importing, reading


def main() -> None:
    """Time both in turns, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--save", action="store_true", help="write results/cpu_speed.json")
    options = parser.parse_args()

    encoders = {
        "compact": load_encoder("compact", device="cpu"),
        "ViT-B-32": load_encoder("ViT-B-32", weights="random", device="cpu"),
    }
    chosen = {name: encoder.precision for name, encoder in encoders.items()}
    rng = np.random.default_rng(0)
    images = {
        name: rng.integers(0, 255, (IMAGES[name], e.contract.size, e.contract.size, 3), np.uint8)
        for name, e in encoders.items()
    }
    best = {(n, p, v): np.inf for n in encoders for p in ("fp32", "bf16") for v in VIEWS}
    for turn in range(options.rounds + 1):  # the first warms up
        for name, precision, views in best:
            part = images[name][: max(len(images[name]) // views, 8)]
            encoders[name].precision = precision
            seconds = seconds_an_image(encoders[name], part, views)
            if turn:
                best[name, precision, views] = min(best[name, precision, views], seconds)
    rates = {
        (name, views): 1 / min(best[name, precision, views] for precision in ("fp32", "bf16"))
        for name in encoders
        for views in VIEWS
    }
    importing, reading = loading(3)
    about = {
        **machine(),
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)),
        "precision chosen by default": ", ".join(f"{n} {p}" for n, p in chosen.items()),
        "importing open_clip, torchvision and timm, seconds": round(importing, 2),
        "loading the bundled model, seconds": round(reading, 2),
    }
    lines = [f"{key}: {value}" for key, value in about.items()]
    title = f"compact, {encoders['compact'].contract.size} px"
    lines += ["", f"{'images/s':<12}{title:>16}{'ViT-B/32, 224 px':>18}{'ratio':>8}"]
    for views in VIEWS:
        ours, theirs = rates["compact", views], rates["ViT-B-32", views]
        lines.append(f"views={views:<6}{ours:>16.1f}{theirs:>18.1f}{ours / theirs:>8.1f}")
    print("\n".join(lines))
    if options.save:
        results = {f"{name} views={views}": round(rate, 2) for (name, views), rate in rates.items()}
        write_results("cpu_speed", {"about": about, "images_per_second": results}, lines)


if __name__ == "__main__":
    main()

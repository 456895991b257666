"""What the benchmark scripts share: the data, the machine, duplicates, and results on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from gmc_astro.learning import package_versions
from gmc_astro.models.device import device_name, pick_device

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

HASH_SIDE = 16  # a perceptual hash of 256 bits
#: Bits in which two images of one galaxy may differ. Of the pairs between training pool and
#: test set that were looked at, those that differ in 22 or fewer show the same galaxy, those
#: that differ in 26 or more do not.
SAME_GALAXY = 24


def data_folder() -> Path:
    """Folder of real galaxies, from the environment."""
    folder = os.environ.get("GMC_ASTRO_DATA")
    if not folder or not Path(folder).is_dir():
        sys.exit("set GMC_ASTRO_DATA to the folder of real galaxies (see docs/benchmarks.rst)")
    return Path(folder)


def machine() -> dict[str, str]:
    """Where and with what a result was made."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    device = pick_device("auto")
    return {
        "device": f"{device.type} ({device_name(device)})",
        "commit": commit or "unknown",
        **package_versions(),
    }


def perceptual_hashes(paths: list[str], title: str) -> np.ndarray:
    """Perceptual hash of each image file, shape (N, 256), bool."""
    hashes = []
    for path in tqdm(paths, desc=title, unit="image"):
        with Image.open(path) as image:
            hashes.append(imagehash.phash(image, hash_size=HASH_SIDE).hash.ravel())
    return np.array(hashes)


def nearest_bits(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Smallest number of differing bits between each hash and all others, shape (N,)."""
    a, b = hashes.astype(np.float32), others.astype(np.float32)
    return (a @ (1 - b.T) + (1 - a) @ b.T).min(axis=1).astype(int)


def write_results(name: str, results: dict, lines: list[str]) -> None:
    """Write results as JSON beside the scripts, and the printed lines, which the docs show."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"\nwritten: benchmarks/results/{name}.json and .txt")

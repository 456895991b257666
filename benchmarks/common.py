"""What the benchmark scripts share: the data, the machine, and results on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from gmc_astro.learning import package_versions
from gmc_astro.models import Encoder
from gmc_astro.models.device import device_name, pick_device

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


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


def model_of(encoder: Encoder) -> dict[str, str]:
    """Which model a result is of."""
    return {"model": f"{encoder.name}, weights {encoder.weights_sha256[:12]}"}


def write_results(name: str, results: dict, lines: list[str]) -> None:
    """Write results as JSON beside the scripts, and the printed lines, which the docs show."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"\nwritten: benchmarks/results/{name}.json and .txt")

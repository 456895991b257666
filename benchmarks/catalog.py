"""Catalogues of any size: speed as a share of the model's own, and memory.

    python benchmarks/catalog.py [--rows 20000] [--views 8 1] [--smoke] [--save]

A stack of 256-px images lies in HDF5 files of three layouts. `classify_catalog` reads it, predicts
and writes its shards. The encoder's own rate is that of `Encoder.encode_images` on images that are
in memory already, with the same views and batches, measured before and after each run in the same
process. Beside them stands what one would write at first: a torch DataLoader over h5py, on a part
of the rows. Peak memory is that of processes of their own that classify sparse files (all black).

The rates that the project asks for are those of the default, views=8. With views=1 the model takes
a fifth of the time, and unpacking gzip takes as long as ever on the same cores.

The images are those of gz2_five_class where GMC_ASTRO_DATA names the folder of real galaxies,
else simulated; each stands in the file many times, in eight orientations.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from common import machine, write_results
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from gmc_astro import GalaxyMorphologyClassifier, classify_catalog
from gmc_astro.catalogs import read_report
from gmc_astro.testing import galaxy_at, render_galaxy

SIDE = 256
LAYOUTS = {
    "contiguous": {},
    "chunk 1": {"chunks": (1, SIDE, SIDE, 3)},
    "chunk 64, gzip": {"chunks": (64, SIDE, SIDE, 3), "compression": "gzip"},
}
ASKED = {"contiguous": 0.95, "chunk 1": 0.95, "chunk 64, gzip": 0.90}
DIFFERENT = 256  # images
BLOCK = 64  # rows written at a time
WORKERS = 2  # of the DataLoader


def pictures(n: int) -> np.ndarray:
    """Different galaxies, (n, 256, 256, 3) uint8."""
    folder = Path(os.environ.get("GMC_ASTRO_DATA", "")) / "gz2_five_class"
    files = sorted(folder.rglob("*.jpg"))[:n]
    if files:
        images = [Image.open(file).convert("RGB").resize((SIDE, SIDE)) for file in files]
        return np.stack([np.asarray(image) for image in images])
    planes = [render_galaxy(galaxy_at(i, 0), pixels=SIDE, seed=i) for i in range(n)]
    stretched = np.arcsinh(20 * np.clip(planes, 0, None)) / np.arcsinh(60)
    return (255 * np.clip(stretched, 0, 1)).astype(np.uint8).transpose(0, 2, 3, 1)


def write_stack(path: Path, images: np.ndarray, rows: int, layout: dict) -> None:
    """Write rows, a block at a time, in one orientation a block."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("images", (rows, SIDE, SIDE, 3), np.uint8, **layout)
        for i, start in enumerate(range(0, rows, BLOCK)):
            n = min(BLOCK, rows - start)
            chosen = np.rot90(images[np.arange(start, start + n) % len(images)], i % 4, (1, 2))
            data[start : start + n] = chosen if i % 8 < 4 else chosen[:, :, ::-1]


def write_sparse(path: Path, rows: int) -> None:
    """Write a stack of which the disk holds no image."""
    shape = (rows, SIDE, SIDE, 3)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple(shape)
        h5py.h5d.create(file.id, b"images", h5py.h5t.STD_U8LE, space, properties)


class Rows(Dataset):
    """One row at a time, as tutorials have it."""

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self.rows, self.data = path, rows, None

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> np.ndarray:
        if self.data is None:
            self.data = h5py.File(self.path)["images"]
        return self.data[row]


def loop_rate(classifier: GalaxyMorphologyClassifier, path: Path, rows: int) -> float:
    """Images a second of the plain loop; its processes are started before the clock."""
    encoder, step = classifier.encoder, classifier.encoder.default_batch_size
    loader = DataLoader(Rows(path, rows), batch_size=min(step, rows // 4), num_workers=WORKERS)
    batches = iter(loader)
    first = next(batches)
    start, seen = time.perf_counter(), 0
    classifier.predict_embeddings(encoder.encode_images(first.numpy(), views=classifier.views))
    for batch in batches:
        vectors = encoder.encode_images(batch.numpy(), views=classifier.views)
        classifier.predict_embeddings(vectors)
        seen += len(batch)
    return (seen + len(first)) / (time.perf_counter() - start)


def own_rate(classifier: GalaxyMorphologyClassifier, images: np.ndarray, seconds: float) -> float:
    """Images a second of the encoder, on full batches that are in memory."""
    encoder, step = classifier.encoder, classifier.encoder.default_batch_size
    batch = np.resize(images, (step, *images.shape[1:]))
    encoder.encode_images(batch[:16], views=classifier.views)
    start, seen = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        encoder.encode_images(batch, views=classifier.views)
        seen += step
    return seen / (time.perf_counter() - start)


def measure(folder: Path, images: np.ndarray, views: int, options: argparse.Namespace) -> dict:
    """Rates of every layout with some number of views."""
    classifier = GalaxyMorphologyClassifier(views=views).ready()
    found = {}
    for name in LAYOUTS:
        path = folder / f"{name}.h5"
        before = own_rate(classifier, images, options.seconds)
        output = classify_catalog(classifier, path, folder / "run", overwrite=True)
        own = (before + own_rate(classifier, images, options.seconds)) / 2
        rate = read_report(output)["this_call"]["images_per_second"]
        plain = loop_rate(classifier, path, options.loop_rows)
        found[name] = {
            "encoder": round(own, 1),
            "classify_catalog": round(rate, 1),
            "share": round(rate / own, 3),
            "dataloader": round(plain, 1),
        }
        print(f"  views {views}, {name}: {found[name]}", flush=True)
    return found


def peak_memory(folder: Path, rows: int) -> float:
    """Most memory, in MB, of a process that classifies a sparse file."""
    path = folder / f"sparse{rows}.h5"
    write_sparse(path, rows)
    command = [sys.executable, __file__, "--task", str(path), str(folder / f"memory{rows}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path.unlink()
    return float(done.stdout)


def task(path: str, output: str) -> None:
    """Classify a file in this process, and print its peak memory."""
    classify_catalog(GalaxyMorphologyClassifier(views=1), path, output)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def lines_of(results: dict) -> list[str]:
    """The table that is printed."""
    lines = [f"{key}: {value}" for key, value in results["machine"].items()]
    lines += ["", f"{results['rows']} rows of {SIDE} px, compact model, images a second"]
    for views, layouts in results["rates"].items():
        head = f"{'encoder':>10}{'catalog':>10}{'share':>8}{'asked':>8}{'DataLoader':>12}"
        lines += ["", f"{f'views={views}':<16}{head}"]
        for name, found in layouts.items():
            lines.append(
                f"{name:<16}{found['encoder']:>10.1f}{found['classify_catalog']:>10.1f}"
                f"{found['share']:>8.3f}{ASKED[name]:>8.2f}{found['dataloader']:>12.1f}"
            )
    if results["memory"]:
        lines += ["", "peak memory of a process, sparse file, views=1"]
        lines += [f"  {rows:>8} rows: {mb:.0f} MB" for rows, mb in results["memory"].items()]
        few, many = list(results["memory"].values())
        lines.append(f"  difference: {many - few:.0f} MB (asked: within 100)")
    return lines


def main() -> None:
    """Measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--views", type=int, nargs="+", default=[8, 1])
    parser.add_argument("--loop-rows", type=int, default=1024, help="rows of the plain loop")
    parser.add_argument("--seconds", type=float, default=10, help="of each rate of the encoder")
    parser.add_argument("--memory-rows", type=int, nargs=2, default=[10_000, 200_000])
    parser.add_argument("--no-memory", action="store_true", help="leave the peak memory out")
    parser.add_argument("--folder", help="where the files go (about 10 GB)")
    parser.add_argument("--smoke", action="store_true", help="few rows")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/catalog.*")
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        task(*options.task)
        return
    if options.smoke:
        options.rows, options.loop_rows, options.seconds = 600, 128, 2
        options.memory_rows, options.views = [300, 1500], [1]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, images = Path(name), pictures(DIFFERENT)
        for layout, how in LAYOUTS.items():
            write_stack(folder / f"{layout}.h5", images, options.rows, how)
        rates = {views: measure(folder, images, views, options) for views in options.views}
        rows = [] if options.no_memory else options.memory_rows
        results = {
            "machine": machine(),
            "rows": options.rows,
            "rates": rates,
            "memory": {n: round(peak_memory(folder, n)) for n in rows},
        }
    lines = lines_of(results)
    print("\n".join(lines))
    if options.save:
        write_results("catalog", results, lines)


if __name__ == "__main__":
    main()

"""Speed on a GPU: embedding, pretraining the bundled model, and pretraining ViT-B/16.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/gpu.py [--smoke] [--save]

(a) Embeddings of images in the host's memory, by the bundled model and by CLIP's ViT-B/32.
(b) Training steps of the bundled model, as ``pretrain`` takes them, images held on the card.
(c) ViT-B/16: images a second and the share of the card's arithmetic that the image tower uses,
    against the reference recipe's loop (float32, images through a DataLoader) on the same card,
    neither of them compiled. Utilisation counts the image tower's own products only.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

import numpy as np
import torch
from common import data_folder, machine, write_results
from pretrain import ReferenceImages, captions_of, our_loop, plain_loop, workers
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from gmc_astro.learning import RECIPES, FixedCaptions, TrainingSet
from gmc_astro.learning.distributed import World
from gmc_astro.learning.shuffling import Shuffler
from gmc_astro.learning.training_step import Trainer
from gmc_astro.models import Encoder, load_encoder
from gmc_astro.models.device import autocast

VIEWS = (1, 8)
PIXELS = 224  # held of each training image


def embedding(images: int, rounds: int) -> dict[str, float]:
    """(a): images a second, the fastest round of each; rounds alternate between the two."""
    encoders = {
        "compact": load_encoder("compact", device="cuda"),
        "ViT-B-32": load_encoder("ViT-B-32", weights="random", device="cuda"),
    }
    rng, found = np.random.default_rng(0), {}
    sides = {encoder.contract.size for encoder in encoders.values()}
    drawn = {n: rng.integers(0, 255, (images, n, n, 3), np.uint8) for n in sides}
    for turn in range(rounds + 1):  # the first warms up
        for name, encoder in encoders.items():
            side = encoder.contract.size
            for views in VIEWS:
                start = time.perf_counter()
                encoder.encode_images(drawn[side], views=views)  # comes back when all is done
                rate = images / (time.perf_counter() - start)
                if turn:
                    key = f"{name}, {side} px, views={views}"
                    found[key] = max(found.get(key, 0.0), round(rate, 1))
    return found


def trainer_of(encoder: Encoder, training: TrainingSet, batch: int) -> Trainer:
    """What takes the steps of the default recipe."""
    settings = replace(RECIPES["gmc"], batch_size=batch)
    captions = FixedCaptions(captions_of(training))
    return Trainer(encoder, captions, settings, 1000, None, World())


def held(training: TrainingSet) -> Shuffler:
    """The images on the card."""
    return Shuffler(training.images(PIXELS), device=torch.device("cuda"))


def compact_model(training: TrainingSet, steps: int, batch: int = 256) -> dict[str, float]:
    """(b): the bundled model at its own size."""
    trainer = trainer_of(load_encoder("compact", device="cuda"), training, batch)
    rate = batch * our_loop(trainer, held(training), batch, steps)
    return {"batch": batch, "images a second": round(rate, 1)}


def large_model(training: TrainingSet, steps: int) -> dict[str, float]:
    """(c): ViT-B/16 from random weights."""
    encoder = load_encoder("ViT-B-16", weights="random", device="cuda", precision="fp32")
    mean, std = encoder.contract.mean, encoder.contract.std
    texts = captions_of(training)
    images = ReferenceImages(list(training.paths), PIXELS, mean, std)
    loader = DataLoader(images, 64, shuffle=True, num_workers=workers(), drop_last=True)
    plain = 64 * plain_loop(encoder, loader, texts[:64], steps)

    batch = len(training)
    encoder = load_encoder("ViT-B-16", weights="random", device="cuda", precision="bf16")
    trainer = trainer_of(encoder, training, batch)
    found = batch * our_loop(trainer, held(training), batch, steps)
    peak = peak_rate()
    work = 3 * flops_of(encoder)  # a backward pass costs twice the forward pass
    return {
        "reference loop, batches of 64, images a second": round(plain, 1),
        f"pretrain, batches of {batch}, images a second": round(found, 1),
        "GFLOP an image": round(work / 1e9, 1),
        "bfloat16 TFLOP/s of a large product": round(peak / 1e12, 1),
        "utilisation": round(found * work / peak, 3),
    }


def flops_of(encoder: Encoder) -> float:
    """Floating-point operations of one image through the image tower."""
    pixels = torch.zeros(1, 3, PIXELS, PIXELS, device=encoder.device)
    precision = autocast(encoder.device, "bf16")
    with FlopCounterMode(display=False) as counter, torch.no_grad(), precision:
        encoder.network.encode_image(pixels)
    return float(counter.get_total_flops())


def peak_rate(side: int = 8192, repeats: int = 30) -> float:
    """Measured rate of this card, in operations a second."""
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for count in (3, repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            a @ b
        torch.cuda.synchronize()
    return 2 * side**3 * repeats / (time.perf_counter() - start)


def main() -> None:
    """Measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few images and steps")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/gpu.*")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; benchmarks/pretrain.py and cpu_speed.py need none")
    rows, images, steps, rounds = (256, 512, 2, 1) if options.smoke else (1024, 2048, 16, 2)
    pool = TrainingSet.read([data_folder() / "sdss_pool"])
    training = TrainingSet(pool.paths[:rows], pool.votes[:rows])
    parts = {}
    for title, measured in (
        ("(a) embedding, images a second", lambda: embedding(images, rounds)),
        ("(b) pretraining the bundled model", lambda: compact_model(training, 2 * steps)),
        ("(c) pretraining ViT-B/16", lambda: large_model(training, steps)),
    ):
        print(title, "...", flush=True)
        parts[title] = measured()
    about = {**machine(), "cuda": torch.version.cuda}
    lines = [f"{key}: {value}" for key, value in about.items()]
    for title, found in parts.items():
        lines += ["", title, *(f"  {key}: {value}" for key, value in found.items())]
    print("\n".join(lines))
    if options.save:
        write_results("gpu", {"about": about, **parts}, lines)


if __name__ == "__main__":
    main()

"""Speed of pretraining: the data path, and whole steps on this processor.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/pretrain.py [--smoke] [--save]

(a) source and augmentation alone, against the reference recipe's way (each image through PIL,
    scipy and torchvision in the workers of a DataLoader) on the same images and cores;
(b) whole training steps of the compact model, against a plain loop.

On a GPU: see ``gpu.py``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from common import data_folder, machine, write_results
from open_clip.loss import ClipLoss
from PIL import Image
from scipy.ndimage import grey_opening
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from gmc_astro.imaging import SDSS_LUPTON
from gmc_astro.learning import RECIPES, FixedCaptions, PretrainSettings, TrainingSet
from gmc_astro.learning.augment import draw, training_pixels
from gmc_astro.learning.distributed import World
from gmc_astro.learning.shuffling import Shuffler
from gmc_astro.learning.training_step import Trainer
from gmc_astro.models import Encoder, ImageContract, load_encoder

BATCH = 128
REFERENCE = RECIPES["reference"]


class ReferenceImages(Dataset):
    """The reference recipe's way: one image at a time, on the CPU."""

    def __init__(self, paths: list[str], size: int, mean: tuple, std: tuple) -> None:
        self.paths = paths
        self.change = v2.Compose(
            [
                v2.CenterCrop(round(0.8 * 224)),
                v2.RandomRotation(360, interpolation=v2.InterpolationMode.BILINEAR),
                v2.RandomAffine(0, translate=(4 / 224, 4 / 224), scale=(1 / 1.3, 1.3)),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(contrast=0.5),
                v2.Resize((size, size)),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        with Image.open(self.paths[row]) as image:
            pixels = grey_opening(np.asarray(image.convert("RGB")), size=(3, 3, 1))
        return self.change(Image.fromarray(pixels))


def workers() -> int:
    """One worker a core."""
    return torch.get_num_threads()


def speed(batches: Callable[[], Iterator], repeats: int) -> list[float]:
    """Images a second of each pass."""
    found = []
    for _ in range(repeats):
        start, images = time.perf_counter(), 0
        for batch in batches():
            images += len(batch)
        found.append(images / (time.perf_counter() - start))
    return found


def data_path(training: TrainingSet, size: int, repeats: int) -> dict[str, object]:
    """(a): the same files to batches of augmented, normalised tensors of the same size."""
    contract = ImageContract(size=size)
    images = ReferenceImages(list(training.paths), size, contract.mean, contract.std)
    loader = DataLoader(images, BATCH, shuffle=True, num_workers=workers(), drop_last=True)
    found: dict[str, object] = {"reference": speed(lambda: iter(loader), repeats)}
    for name, settings, held in (
        ("gmc", RECIPES["gmc"], max(128, round(size * 4 / 3)) if size < 224 else 224),
        ("gmc, the reference's changes", REFERENCE, 224),
    ):
        shuffler = Shuffler(training.images(held))
        found[name] = speed(lambda s=shuffler, c=settings: ours(s, c, contract), repeats)
    return {name: [round(value, 1) for value in values] for name, values in found.items()}


def ours(shuffler: Shuffler, settings: PretrainSettings, contract: ImageContract) -> Iterator:
    """Batches as a training step makes them."""
    generator = torch.Generator().manual_seed(0)
    for images, rows in shuffler.batches(BATCH, seed=0, epoch=0):
        draws = draw(len(rows), settings.augmentation, generator)
        pixels = torch.from_numpy(images)
        yield training_pixels(pixels, contract, settings.augmentation, draws, recipe=SDSS_LUPTON)


def plain_loop(encoder: Encoder, images: DataLoader, texts: list[str], steps: int) -> float:
    """Steps a second of what one writes first: every caption encoded in full context, float32."""
    network = encoder.network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, foreach=False, fused=False)
    tokens = encoder.tokenizer(texts).to(encoder.device)
    batches, done, start = iter(images), 0, time.perf_counter()
    for step in range(-1, steps):  # the first one warms up
        if step == 0:
            start = time.perf_counter()
        pixels = next(batches, None)
        if pixels is None:
            batches = iter(images)
            pixels = next(batches)
        features = F.normalize(network.encode_image(pixels.to(encoder.device)), dim=-1)
        words = F.normalize(network.encode_text(tokens), dim=-1)
        loss = ClipLoss()(features, words, network.logit_scale.exp())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
        done = step + 1
    return done / (time.perf_counter() - start)


def our_loop(trainer: Trainer, shuffler: Shuffler, batch: int, steps: int) -> float:
    """Steps a second of `pretrain`."""
    done, epoch, start = -2, 0, time.perf_counter()
    with trainer.prepared():
        while done < steps:
            for images, rows in shuffler.batches(batch, seed=0, epoch=epoch):
                trainer.step(max(done, 0), epoch, images, rows)
                done += 1
                if done == 0:
                    start = time.perf_counter()
                if done == steps:
                    break
            epoch += 1
    return steps / (time.perf_counter() - start)


def whole_steps(training: TrainingSet, steps: int) -> dict[str, float]:
    """(b): the compact model at its own size, the same images and captions."""
    encoder = load_encoder("compact", weights="random", device="cpu")
    size, mean, std = encoder.contract.size, encoder.contract.mean, encoder.contract.std
    texts = captions_of(training)
    images = ReferenceImages(list(training.paths), size, mean, std)
    loader = DataLoader(images, BATCH, shuffle=True, num_workers=workers(), drop_last=True)
    plain = plain_loop(encoder, loader, texts[:BATCH], steps)

    encoder = load_encoder("compact", weights="random", device="cpu")
    settings = replace(RECIPES["gmc"], batch_size=BATCH)
    captions = FixedCaptions(texts)
    trainer = Trainer(encoder, captions, settings, steps, None, World())
    found = our_loop(trainer, Shuffler(training.images(128)), BATCH, steps)
    return {
        "precision": encoder.precision,
        "plain loop, steps a second": round(plain, 3),
        "pretrain, steps a second": round(found, 3),
    }


def captions_of(training: TrainingSet) -> list[str]:
    """One sentence a row from its votes."""
    from gmc_astro.morphology import CaptionWriter

    return CaptionWriter(training.votes.tree)(training.votes)


def lines_of(results: dict) -> list[str]:
    """The table that is printed."""
    lines = [f"{key}: {value}" for key, value in results["machine"].items()]
    for size, found in results["data path"].items():
        lines += ["", f"(a) data path, {size} px, images a second: first pass, best later pass"]
        reference = max(found["reference"])
        for name, values in found.items():
            later = max(values[1:] or values)
            ratio = f"{later / reference:.1f} x" if name != "reference" else ""
            lines.append(f"  {name:<30}{values[0]:>9.1f}{later:>9.1f}   {ratio}")
    lines += ["", f"(b) compact model, batches of {BATCH}"]
    lines += [f"  {key}: {value}" for key, value in results["steps"].items()]
    return lines


def main() -> None:
    """Measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few images and steps")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/pretrain.*")
    options = parser.parse_args()
    rows, steps, repeats = (256, 2, 2) if options.smoke else (1024, 12, 4)
    pool = TrainingSet.read([data_folder() / "sdss_pool"])
    training = TrainingSet(pool.paths[:rows], pool.votes[:rows])
    results = {
        "machine": machine(),
        "images": rows,
        "data path": {size: data_path(training, size, repeats) for size in (96, 224)},
        "steps": whole_steps(training, steps),
    }
    lines = lines_of(results)
    print("\n".join(lines))
    if options.save:
        write_results("pretrain", results, lines)


if __name__ == "__main__":
    main()

"""Small image towers on a CPU: which is worth its time.

    python benchmarks/towers.py [--save]

Whole training steps (forward and backward, 64 images) and prediction, in bfloat16 on one thread, at
two sizes of image, with random weights and a head of 256 numbers. The bundled model's tower was
chosen from this table: the fastest to train, and among the fastest to predict.
"""

from __future__ import annotations

import argparse
import time

import timm
import torch
from common import machine, write_results

TOWERS = (
    "regnetx_004",
    "regnety_004",
    "regnetx_008",
    "resnet10t",
    "resnet18",
    "convnext_atto",
    "convnext_zepto_rms",
    "mobilenetv4_conv_small",
    "lcnet_100",
)
SIZES, IMAGES, ROUNDS = (64, 96), 64, 3


def rates(name: str, size: int) -> dict[str, float]:
    """Images a second in training and prediction, by the processor's own clock."""
    tower = timm.create_model(name, num_classes=256).to(memory_format=torch.channels_last)
    images = torch.randn(IMAGES, 3, size, size).contiguous(memory_format=torch.channels_last)

    def train() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = tower(images).float().pow(2).mean()
        loss.backward()

    def predict() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            tower(images)

    found = {"parameters": sum(p.numel() for p in tower.parameters()) / 1e6}
    for what, step in (("train", train), ("predict", predict)):
        tower.train(what == "train")
        step()
        start = time.process_time()
        for _ in range(ROUNDS):
            step()
        found[what] = ROUNDS * IMAGES / (time.process_time() - start)
    return found


def main() -> None:
    """Time each tower, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write results/towers.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    about = {**machine(), "threads": 1}
    head = "".join(f"{f'{what} {size} px':>16}" for size in SIZES for what in ("train", "predict"))
    lines = [f"{key}: {value}" for key, value in about.items()]
    lines += ["", f"{'images/s':<24}{'parameters':>12}{head}"]
    results = {}
    for name in TOWERS:
        results[name] = {size: rates(name, size) for size in SIZES}
        text = f"{name:<24}{results[name][SIZES[0]]['parameters']:>10.1f} M"
        for size in SIZES:
            text += "".join(f"{results[name][size][what]:>16.0f}" for what in ("train", "predict"))
        lines.append(text)
        print(text, flush=True)
    print("\n".join(lines))
    if options.save:
        write_results("towers", {"about": about, "images_per_second": results}, lines)


if __name__ == "__main__":
    main()

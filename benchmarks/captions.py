"""Captions of Galaxy Zoo 2's Stripe 82 votes: how fast, how many different ones, are they true.

    GMC_ASTRO_DATA=/path/to/galaxies python benchmarks/captions.py [--epochs 5] [--save]

Times are those of one core. A caption is untrue where an answer that it asserts has less than half
of its row's votes, or one that it denies has half or more.
"""

from __future__ import annotations

import argparse
from time import process_time

import numpy as np
from common import data_folder, machine, write_results

from gmc_astro.morphology import CaptionWriter, VoteTable
from gmc_astro.morphology.styles import STYLES

HALF = 0.5
HEAD = f"{'style':<8} {'epoch':>5} {'seconds':>8} {'rows/s':>9} {'distinct':>9} {'untrue':>7}"


def measure(writer: CaptionWriter, votes: VoteTable, epoch: int) -> dict[str, float]:
    """Write an epoch's captions, and count."""
    start = process_time()
    captions = writer(votes, epoch=epoch)
    seconds = process_time() - start
    claims = writer.claim_matrix(captions)
    half = votes.fractions >= HALF
    untrue = np.where(half, claims < 0, claims > 0).any(axis=1)
    return {
        "style": writer.style,
        "epoch": epoch,
        "seconds": round(seconds, 3),
        "rows_per_second": round(len(votes) / seconds),
        "distinct": len(set(captions)),
        "untrue": int(np.sum(untrue)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/captions.*")
    options = parser.parse_args()

    start = process_time()
    votes = VoteTable.read(data_folder() / "votes" / "gz2_stripe82_coadd_votes.csv.gz")
    reading = process_time() - start
    lines = [f"{len(votes):,} rows read in {reading:.2f} s", HEAD]
    rows = []
    for style in STYLES:
        writer = CaptionWriter(votes.tree, style)
        for epoch in range(options.epochs):
            rows.append(measure(writer, votes, epoch))
            lines.append(
                "{style:<8} {epoch:>5} {seconds:>8.3f} {rows_per_second:>9,} {distinct:>9,} "
                "{untrue:>7}".format(**rows[-1])
            )
    print("\n".join(lines))
    if options.save:
        results = {"machine": machine(), "reading_seconds": round(reading, 2), "captions": rows}
        write_results("captions", results, lines)


if __name__ == "__main__":
    main()

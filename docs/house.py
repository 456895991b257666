"""The floors of the package with what each imports, drawn from the code itself."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import gmc_astro

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from floors import FLOORS, imports, modules

LEFT_OUT = {"_version", "exceptions", "__main__", "data"}  # everybody's, and what holds no idea
ASIDE = {
    "sources": -0.5,
    "testing": 2.6,
    "morphology": -2.6,
    "imaging": 0.6,
}  # no arrow behind a box
WIDTH, HEIGHT = 1.5, 0.46


def draw_house(path: Path) -> None:
    """A box for each package on its floor, and arrows to those that it imports.

    An import is left out where another one, of a package in between, brings it as well.
    """
    package = Path(gmc_astro.__file__).parent
    floors = defaultdict(list)
    for room, (floor, _) in FLOORS.items():
        if room not in LEFT_OUT:
            floors[floor].append(room)
    place = {
        room: (ASIDE.get(room, (i - (len(rooms) - 1) / 2) * 2.3), floor)
        for floor, rooms in floors.items()
        for i, room in enumerate(rooms)
    }
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    axes = figure.subplots()
    drawn = {(a, b) for a, b in _imports(package) if a in place and b in place}
    for start, end in sorted(_shortest(drawn)):
        (x, y), (u, v) = place[start], place[end]
        ends = ((x, y - HEIGHT / 2), (u, v + HEIGHT / 2))
        bow = 0.0 if y - v < 3 else 0.35 * np.sign(x - u)  # a long way round, not behind boxes
        style = {"arrowstyle": "-|>", "mutation_scale": 9, "color": "#7b8794"}
        axes.add_patch(FancyArrowPatch(*ends, connectionstyle=f"arc3,rad={bow}", **style))
    for room, (x, y) in place.items():
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        style = "round,pad=0.02,rounding_size=0.08"
        axes.add_patch(
            FancyBboxPatch(corner, WIDTH, HEIGHT, style, fc="#e8f1f8", ec="#0072B2", zorder=3)
        )
        axes.text(x, y, room, ha="center", va="center", fontsize=10, zorder=4)
    for floor in floors:
        axes.text(-4.1, floor, f"floor {floor}", va="center", fontsize=8, color="#52606d")
    axes.set_xlim(-4.3, 4.3)
    axes.set_ylim(0.5, 7.5)
    axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _shortest(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Pairs without those that two or more others lead to as well."""
    reached = {start: {b for a, b in pairs if a == start} for start, _ in pairs}

    def below(room: str) -> set[str]:
        found = reached.get(room, set())
        return found.union(*(below(other) for other in found))

    return {(a, b) for a, b in pairs if not any(b in below(other) for other in reached[a] - {b})}


def _imports(package: Path) -> set[tuple[str, str]]:
    """Pairs of packages of which the first imports the second, except the root's own."""
    found = set()
    for path in modules(package):
        room = path.relative_to(package).with_suffix("").parts[0]
        for name in imports(path, package):
            parts = name.split(".")
            if parts[0] == package.name and len(parts) > 1 and parts[1] != room:
                found.add((room, parts[1]))
    return found

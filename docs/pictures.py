"""Pictures that the documentation draws anew each time it is built, without network."""

from __future__ import annotations

import ast
import re
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from gmc_astro.imaging import RECIPES, make_rgb
from gmc_astro.testing import SimulatedGalaxy, render_galaxy

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 5  # places on a floor
TABLE = """.. list-table::
   :header-rows: 1
   :widths: 8 17 45 30

   * - floor
     - place
     - what it is
     - imports, besides numpy and astropy
"""
ROW = """   * - {floor}
     - ``{room}``
     - {holds}
     - {imports}
"""
SPIRAL = SimulatedGalaxy(
    flux=900, disk_radius=7, bulge_radius=1.2, bulge_share=0.18, axis_ratio=0.75, angle=0.6, arms=2
)


def draw_recipes(path: Path) -> None:
    """One simulated galaxy in each colour recipe."""
    planes = dict(zip("griz", render_galaxy(SPIRAL, tuple("griz"), pixels=244), strict=True))
    figure = Figure(figsize=(10, 2.7), layout="constrained")
    for axes, recipe in zip(
        np.ravel(figure.subplots(1, len(RECIPES))), RECIPES.values(), strict=True
    ):
        axes.imshow(make_rgb({band: planes[band] for band in recipe.bands}, recipe=recipe))
        axes.set_title(f"{recipe.name}\n{''.join(recipe.bands)}", fontsize=9)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def house() -> SimpleNamespace:
    """The floors of the package and who imports whom, as ``tests/test_floors.py`` knows them.

    That module holds the table and reads the imports; its tests, which need pytest, are left out.
    """
    source = ast.parse((ROOT / "tests" / "test_floors.py").read_text())
    source.body = [
        node
        for node in source.body
        if not (isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))
        and not (isinstance(node, ast.Import) and node.names[0].name == "pytest")
    ]
    known: dict = {}
    exec(compile(source, "test_floors.py", "exec"), known)
    package, floors = known["PACKAGE"], known["FLOORS"]
    arrows, words = set(), {}
    for path in known["modules"](package):
        room = known["room_of"](path, package)
        if path.parent == package or path.name == "__init__.py":
            first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
            words[room] = re.sub(r"(?<!`)`(\w+)`(?!`)", r"``\1``", first)
        for name in known["imports"](path, package):
            target = name.removeprefix(f"{package.name}.").partition(".")[0]
            if name != target and room in floors and target in floors and target != room:
                arrows.add((room, target))
    return SimpleNamespace(floors=floors, arrows=arrows, words=words)


def direct(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Arrows that no longer way makes needless."""

    def reaches(start: str, end: str) -> bool:
        return any(a == start and (b == end or reaches(b, end)) for a, b in arrows)

    return {
        (a, b)
        for a, b in arrows
        if not any(reaches(c, b) for start, c in arrows if start == a and c != b)
    }


def places(floors: dict[str, int], arrows: set[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Column and floor of each room: arrows short, past other rooms, and seldom across."""
    stories = [[r for r in floors if floors[r] == level] for level in sorted({*floors.values()})]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(8):  # starts, of which the best end is taken
        place = {}
        for story in stories:
            columns = rng.permutation(COLUMNS)
            place.update({r: (int(c), floors[r]) for r, c in zip(story, columns, strict=False)})
        for _ in range(4):  # each floor in turn, given the others
            for story in stories:
                tried = []
                for columns in permutations(range(COLUMNS), len(story)):
                    place |= {r: (c, floors[r]) for r, c in zip(story, columns, strict=True)}
                    tried.append((disorder(place, arrows), columns))
                place |= {r: (c, floors[r]) for r, c in zip(story, min(tried)[1], strict=True)}
        found.append((disorder(place, arrows), sorted(place.items())))
    return dict(min(found)[1])


def disorder(place: dict[str, tuple[int, int]], arrows: set[tuple[str, str]]) -> float:
    """What makes a picture hard to read: long arrows, arrows through rooms, crossings."""
    total, lines = 0.0, [(*place[start], *place[end]) for start, end in arrows]
    for number, (x, y, left, low) in enumerate(lines):
        total += abs(x - left)
        for column, level in place.values():
            if low < level < y:
                total += 9 * (abs(left + (x - left) * (level - low) / (y - low) - column) < 0.7)
        for u, top, v, bottom in lines[:number]:
            high, deep = min(y, top), max(low, bottom)
            if deep < high:  # both are there between these heights
                ends = [
                    (left + (x - left) * (h - low) / (y - low))
                    - (v + (u - v) * (h - bottom) / (top - bottom))
                    for h in (high, deep)
                ]
                total += 3 * (ends[0] * ends[1] < 0)
    return total


def draw_floors(folder: Path) -> None:
    """The house as a picture, ``floors.svg``, and as a table, ``floors.inc``."""
    found = house()
    arrows = direct(found.arrows)
    floors = {room: level for room, (level, _) in found.floors.items()}
    place = places(floors, arrows)
    figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.subplots()
    for level in sorted({*floors.values()}):
        axes.axhspan(level - 0.46, level + 0.46, color="#eef2f6" if level % 2 else "#dfe7ee", lw=0)
        axes.text(-0.75, level, level, ha="center", va="center", fontsize=14, color="#667788")
    for start, end in arrows:
        (x, y), (left, low) = place[start], place[end]
        line = ((x, y - 0.24), (left, low + 0.24))
        style = {"arrowstyle": "-|>", "mutation_scale": 14, "color": "#33506b"}
        axes.add_patch(FancyArrowPatch(*line, shrinkA=0, shrinkB=0, zorder=3, **style))
    for room, (x, y) in place.items():
        box = FancyBboxPatch(
            (x - 0.42, y - 0.2), 0.84, 0.4, "round,pad=0.03", fc="white", ec="#33506b", zorder=2
        )
        axes.add_patch(box)
        axes.text(x, y, room, ha="center", va="center", fontsize=12, zorder=4)
    axes.set(xlim=(-1, COLUMNS - 0.4), ylim=(-0.5, max(floors.values()) + 0.5))
    axes.set_axis_off()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "floors.svg")
    rows = [
        ROW.format(floor=level, room=room, holds=found.words[room], imports=", ".join(sorted(more)))
        for room, (level, more) in sorted(found.floors.items(), key=lambda item: -item[1][0])
    ]
    (folder / "floors.inc").write_text(TABLE + "".join(rows))

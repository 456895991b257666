"""DESIGN: a package imports only from floors below its own; neighbours do not know each other."""

import ast
import sys
from pathlib import Path

import pytest

import gmc_astro

PACKAGE = Path(gmc_astro.__file__).parent

#: Floor of each room, and what it may import besides the standard library, numpy and astropy.
FLOORS: dict[str, tuple[int, set[str]]] = {
    "_version": (0, set()),
    "exceptions": (0, set()),
    "_files": (1, set()),
    "_tables": (0, set()),
    "data": (0, set()),
    "morphology": (1, set()),
    "imaging": (1, {"photutils", "PIL", "scipy"}),
    "surveys": (2, {"astroquery", "requests", "urllib3", "PIL", "tqdm"}),
    "models": (2, {"torch", "open_clip", "timm", "safetensors"}),
    "sources": (3, {"h5py", "isal", "PIL", "pyarrow"}),
    "testing": (3, {"astroquery", "PIL", "scipy", "tqdm"}),
    "learning": (4, {"torch", "sklearn", "scipy", "tqdm", "threadpoolctl"}),
    "classifier": (5, {"sklearn"}),
    "plots": (5, {"matplotlib", "sklearn", "umap"}),
    "evaluation": (6, {"torch", "sklearn", "scipy", "tqdm", "requests"}),
    "catalogs": (6, {"distributed", "h5py", "pandas", "pyarrow", "torch", "tqdm"}),
    "search": (6, set()),
    "cli": (7, {"click", "skimage"}),
    "__main__": (8, set()),
}
EVERYWHERE = {"numpy", "astropy"}
LOADERS = {"__init__": {"lazy_loader"}}
ONLY_IN = {
    "open_clip": ("models/network.py",),
    "timm": ("models/towers.py", "models/layers.py"),
}
LONGEST = 450  # lines of a module


def modules(package):
    return sorted(p for p in package.rglob("*.py"))


def imports(path, package):
    """Absolute names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = [package.name, *path.relative_to(package).parent.parts]
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
            if base == package.name:
                yield from (f"{base}.{alias.name}" for alias in node.names)
            else:
                yield base


def room_of(path, package):
    parts = path.relative_to(package).with_suffix("").parts
    return parts[0]


def broken(package, floors=FLOORS):
    """Sentences, one for each import that goes up, sideways, or outside what is allowed."""
    known = {room.name.removesuffix(".py") for room in package.iterdir()}
    found = []
    for path in modules(package):
        room = room_of(path, package)
        where = path.relative_to(package).as_posix()
        if room == "__init__":
            floor, allowed = 99, LOADERS["__init__"]
        elif room not in floors:
            found.append(f"{where} stands on no floor: add it to FLOORS")
            continue
        else:
            floor, allowed = floors[room]
        for name in imports(path, package):
            top, _, rest = name.partition(".")
            if top == package.name:
                target = rest.split(".")[0]
                if not target or target == room or target not in known:
                    continue
                if floors[target][0] >= floor:
                    found.append(f"{where} (floor {floor}) imports {name}")
            elif top in sys.stdlib_module_names or top in EVERYWHERE:
                continue
            elif top not in allowed or where not in ONLY_IN.get(top, where):
                found.append(f"{where} imports {name}")
    return found


def test_floors_hold():
    assert broken(PACKAGE) == []


def test_every_room_is_on_a_floor():
    rooms = {room_of(path, PACKAGE) for path in modules(PACKAGE)} - {"__init__"}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("morphology/votes.py", "from gmc_astro.learning import pretrain", "floor 1"),
        ("morphology/votes.py", "from gmc_astro import imaging", "floor 1"),
        ("imaging/rgb.py", "from ..morphology import trees", "floor 1"),
        ("sources/files.py", "def f():\n    from gmc_astro.classifier import x", "floor 3"),
        ("learning/probe.py", "import open_clip", "open_clip"),
        ("models/encoder.py", "import timm", "timm"),
        ("classifier/estimator.py", "import torch", "torch"),
        ("morphology/trees.py", "import pandas as pd", "pandas"),
        ("attic.py", "x = 1", "stands on no floor"),
    ],
)
def test_a_broken_floor_is_found(tmp_path, file, line, says):
    """The test above can fail: each way of breaking a floor is broken here, in a copy."""
    import shutil

    copy = shutil.copytree(
        PACKAGE, tmp_path / "gmc_astro", ignore=shutil.ignore_patterns("data", "__pycache__")
    )
    (copy / "data").mkdir()
    assert broken(copy) == []
    with (copy / file).open("a") as handle:
        handle.write(f"\n{line}\n")
    sentences = broken(copy)
    assert len(sentences) == 1
    assert sentences[0].startswith(file)
    assert says in sentences[0]


def test_modules_stay_small():
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines())
        for path in modules(PACKAGE)
    }
    assert {k: n for k, n in lengths.items() if n > LONGEST} == {}

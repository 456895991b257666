"""The floors of the house and what a module imports, for the test that holds them and a picture."""

import ast

#: Floor of each room, and what it may import besides the standard library, numpy and astropy.
FLOORS: dict[str, tuple[int, set[str]]] = {
    "_version": (0, set()),
    "exceptions": (0, set()),
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
    "cli": (7, {"click", "skimage"}),
    "__main__": (8, set()),
}


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

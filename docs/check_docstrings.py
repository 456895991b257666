"""List what the docstrings of public names lack, one line each; exit code 1 if anything does.

Every function, class and public method that the ``__all__`` of a public package reaches is read
by numpydoc's own parser. Asked for are

- Parameters: each of the signature's, by its name, and no other;
- Returns or Yields, where the body returns or yields something;
- Raises, where the body raises, and in it the name of each class that it raises;
- Examples, with a doctest, of functions and classes.

Not asked for, each for its reason:

- An example of a method whose class has one: the class's example shows its methods together.
- Examples and parameters of exceptions: they are raised here and only caught elsewhere.
- Parameters of a protocol: nobody makes an instance of it.
- Returns of a property: it is read as an attribute, and its summary says what it is.
- Anything of a method that overrides one of ours and has no docstring: Python and Sphinx show the
  docstring of the overridden one, which is asked in its own class.
- Anything of a method that scikit-learn or Astropy defines and we only inherit: it is theirs.
- Raises of a bare ``raise``: what it passes on is not an error of the function.

Usage: ``python docs/check_docstrings.py``
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate

PACKAGES = [
    "gmc_astro",
    *("gmc_astro.morphology", "gmc_astro.imaging", "gmc_astro.surveys", "gmc_astro.models"),
    *("gmc_astro.sources", "gmc_astro.learning", "gmc_astro.catalogs", "gmc_astro.evaluation"),
    *("gmc_astro.plots", "gmc_astro.search", "gmc_astro.testing", "gmc_astro.exceptions"),
]
#: numpydoc's codes: unknown section, no docstring, parameter missing or unknown, no Returns, no
#: Yields. Their order is free, so that one line can stand for several ("As for `zero_shot`").
CODES = {"GL06", "GL08", "PR01", "PR02", "RT01", "YD01"}


def public_objects(packages: list[str] = PACKAGES) -> dict[str, Any]:
    """Public functions and classes by name; one that two packages export is there once."""
    found: dict[int, tuple[str, Any]] = {}
    for package in packages:
        module = importlib.import_module(package)
        for name in module.__all__:
            item = getattr(module, name)
            if inspect.isfunction(item) or inspect.isclass(item):
                found[id(item)] = (f"{package}.{name}", item)
    return dict(found.values())


def public_methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Methods and properties of ours without an underscore, of the class and of its bases."""
    for name in dir(cls):
        if name.startswith("_"):
            continue
        item = inspect.getattr_static(cls, name)
        if isinstance(item, classmethod | staticmethod):
            item = item.__func__
        body = item.fget if isinstance(item, property) else item
        if inspect.isfunction(body) and body.__module__.startswith("gmc_astro"):
            yield name, item


def overrides(cls: type, name: str) -> bool:
    """Whether another class of ours above this one documents a method of this name."""
    return any(
        base.__dict__[name].__doc__
        for base in cls.__mro__[1:]
        if name in base.__dict__ and base.__module__.startswith("gmc_astro")
    )


def own_raises(function: Callable[..., Any]) -> set[str]:
    """Names after ``raise`` in the body, without those of functions defined within."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
                continue
            if isinstance(child, ast.Raise) and child.exc is not None:
                raised = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
                yield ast.unparse(raised)
            yield from walk(child)

    return set(walk(tree.body[0]))


def check(name: str, item: Any, *, example: bool = False) -> Iterator[str]:
    """Sentences, one for each lack of one docstring."""
    doc = Validator(get_doc_object(item))
    exception = inspect.isclass(item) and issubclass(item, BaseException)
    unmade = exception or getattr(item, "_is_protocol", False)
    for code, sentence in validate(doc.doc)["errors"]:
        if code in CODES and not (unmade and code.startswith("PR")):
            yield f"{name}: {code} {sentence}"
    if example and not exception and not any(">>> " in line for line in doc.examples):
        yield f"{name}: EX01 No example found"
    told = " ".join(part for row in doc.doc["Raises"] for part in (row.name, row.type))
    for raised in sorted(raises_of(item)):
        if raised not in told:
            yield f"{name}: RS01 Raises says nothing of {raised}"


def raises_of(item: Any) -> set[str]:
    """What the body raises: for a property its getter's, for a class its constructor's."""
    if isinstance(item, property):
        bodies = [item.fget]
    elif inspect.isclass(item):
        bodies = [item.__dict__.get("__init__"), item.__dict__.get("__post_init__")]
    else:
        bodies = [item]
    written = [body for body in bodies if body and is_written(body)]
    return set().union(*(own_raises(body) for body in written))


def is_written(function: Callable[..., Any]) -> bool:
    """Whether its source is ours: not a dataclass's constructor, nor a protocol's."""
    generated = inspect.unwrap(function).__code__.co_filename.startswith("<")
    return function.__module__.startswith("gmc_astro") and not generated


def lacks(packages: list[str] = PACKAGES) -> list[str]:
    """All lacks of the public names of these packages."""
    found = []
    for name, item in public_objects(packages).items():
        found += check(name, item, example=True)
        if not inspect.isclass(item):
            continue
        for method, function in public_methods(item):
            if function.__doc__ is None and overrides(item, method):
                continue
            found += check(f"{name}.{method}", function)
    return found


if __name__ == "__main__":
    lines = lacks()
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))

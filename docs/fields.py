"""Fields of a record are shown with the words that its class has for the parameter.

A frozen dataclass is documented by its parameters, so its attributes have no docstring of their
own, and the tables of the reference would have a line with nothing in it for each.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pydoc import locate

from check_docstrings import PACKAGES
from numpydoc.docscrape import NumpyDocString
from sphinx.pycode import ModuleAnalyzer


def words_of(name: str) -> list[str]:
    """Lines that say what an attribute is, by its full name; none where nothing is known."""
    owner, _, field = name.rpartition(".")
    cls = locate(owner)
    if not inspect.isclass(cls) or not cls.__doc__:
        return []
    for parameter in NumpyDocString(inspect.getdoc(cls))["Parameters"]:
        if field in parameter.name.split(", "):
            # a footnote belongs to the class's page
            return [re.sub(r"\s*\[\d+\]_", "", line) for line in parameter.desc]
    return []


def tell(app):
    """Give the fields of public records the words of their classes, as if they stood in the code.

    Sphinx reads comments that begin with ``#:`` there; these are put beside them.
    """
    for package in PACKAGES:
        module = importlib.import_module(package)
        for cls in (getattr(module, name) for name in module.__all__):
            if not (inspect.isclass(cls) and dataclasses.is_dataclass(cls)):
                continue
            read = ModuleAnalyzer.for_module(cls.__module__)  # kept by Sphinx, one a module
            read.analyze()
            for field in dataclasses.fields(cls):
                if words := words_of(f"{package}.{cls.__name__}.{field.name}"):
                    read.attr_docs.setdefault((cls.__qualname__, field.name), [*words, ""])


def setup(app):
    """Before any page is read."""
    app.connect("builder-inited", tell)
    return {"parallel_read_safe": True}

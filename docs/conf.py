"""Configuration of Sphinx."""

import os
import sys
from pathlib import Path

import gmc_astro

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "gmc_astro"
author = "gmc_astro Developers"
copyright = "2026, gmc_astro Developers"
version = release = gmc_astro.__version__

extensions = [
    "fields",
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx_automodapi.automodapi",
    "sphinx_automodapi.smart_resolver",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "tutorial_pages/index.rst"]  # a copy of tutorials/index.rst
templates_path = []
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["tutorials.css", "pages.css"]
html_title = f"gmc_astro {release}"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

suppress_warnings = ["myst.header"]  # the card starts below its own title
nitpicky = True
default_role = "obj"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
automodapi_inheritance_diagram = False
automodapi_toctreedirnm = "api"
automodsumm_inherited_members = False
autodoc_typehints = "none"

# Tutorials are scripts that run while the documentation is built; their pages are not kept in git.
sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "tutorial_pages",
    "filename_pattern": r"\.py$",
    "copyfile_regex": r"index\.rst",  # it leads to the pages; nothing else is to be made for it
    "image_scrapers": ("tutorial_pictures.scrape",),
    "ignore_repr_types": r"matplotlib\.figure\.Figure",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_signature": False,
}

# Names of other packages become links where their inventories can be fetched; elsewhere the
# build needs no network. Our own names must always resolve.
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|astropy|torch|sklearn|matplotlib|pathlib|scipy|PIL|http)\..*"),
    (r"py:.*", r"(str|int|float|bool|bytes|list|dict|tuple|set|object|None|ABC|abc\..*)"),
]
if os.environ.get("READTHEDOCS"):
    extensions.append("sphinx.ext.intersphinx")
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "astropy": ("https://docs.astropy.org/en/stable", None),
    "torch": ("https://pytorch.org/docs/stable", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "matplotlib": ("https://matplotlib.org/stable", None),
}


def setup(app):
    """Draw the pictures before the pages are read."""
    from failures import write_failures
    from pictures import draw_floors, draw_recipes

    def draw(app):
        draw_recipes(HERE / "_static" / "drawn" / "recipes.png")
        draw_floors(HERE / "_static" / "drawn")
        write_failures(HERE / "_static" / "drawn")

    app.connect("builder-inited", draw)

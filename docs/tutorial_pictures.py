"""Pictures of the tutorials for sphinx-gallery: each figure with words for those who cannot see it.

The functions of ``gmc_astro.plots`` return figures that pyplot does not know, so sphinx-gallery's
own scraper does not find them. This one takes every figure that a block of a tutorial made, and
the words from its label: ``figure.set_label("...")``, in lines that the page does not show. A
figure without words stops the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakSet

from matplotlib.figure import Figure

PIXELS = 1200  # across a picture
_DRAWN: WeakSet[Figure] = WeakSet()


def words_of(figure: Figure) -> str:
    """What a figure shows, in one line."""
    words = " ".join(str(figure.get_label() or "").split())
    if not words:
        raise ValueError("a picture has no words: give it some with figure.set_label()")
    return words


def new_figures(names: dict[str, Any]) -> list[Figure]:
    """Figures of a namespace that were not drawn yet, in the order of their names' making."""
    found = [value for value in names.values() if isinstance(value, Figure)]
    return [figure for figure in dict.fromkeys(found) if figure not in _DRAWN]


def scrape(block: Any, variables: dict[str, Any], settings: dict[str, Any], **_: Any) -> str:
    """Save the figures of a block, sharp at the width of a page; return their directives."""
    from sphinx_gallery.scrapers import figure_rst

    directives = []
    for figure in new_figures(variables["example_globals"]):
        words = words_of(figure)
        path = Path(next(variables["image_path_iterator"]))
        dpi = PIXELS / figure.get_figwidth()
        figure.savefig(path, dpi=dpi, facecolor=figure.get_facecolor())
        directives.append(figure_rst([path], settings["src_dir"], words))
        _DRAWN.add(figure)
    return "".join(directives)

"""Pictures: fields and sheets of galaxies, and how well a classifier does.

Each function returns a matplotlib figure of its own; save it with ``figure.savefig``. Nothing
opens a window or changes matplotlib's settings.
"""

from gmc_astro.plots.canvas import class_colours, method_styles
from gmc_astro.plots.maps import embedding_map
from gmc_astro.plots.quality import confusion, learning_curve, reliability
from gmc_astro.plots.sky import field, gallery

__all__ = [
    "class_colours",
    "confusion",
    "embedding_map",
    "field",
    "gallery",
    "learning_curve",
    "method_styles",
    "reliability",
]

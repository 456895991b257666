"""What all pictures share: figures without global state, and colours that most eyes tell apart."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gmc_astro.exceptions import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "class_colours",
    "legend_below",
    "marker",
    "method_styles",
    "new_figure",
    "picture_of",
    "readable",
    "wrapped",
]

# Okabe and Ito's palette for colour-blind readers, those first that stand out on a dark sky
_ON_DARK = (
    "#56B4E9",
    "#E69F00",
    "#F0E442",
    "#CC79A7",
    "#009E73",
    "#D55E00",
    "#FFFFFF",
    "#999999",
)
_ON_WHITE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = "osD^vP*X"
_LINES = ("-", "--", "-.", ":")
_LEGEND_WORDS = 60  # letters of a legend's entry before it is broken


def class_colours(names: Sequence[str], *, dark: bool = True) -> dict[str, str]:
    """Choose a colour for each class that can be told apart by most eyes.

    Parameters
    ----------
    names : sequence of str
        Classes; eight or fewer get colours of their own, the ninth has that of the first.
    dark : bool, optional
        For a dark background (images); otherwise for a white one.

    Returns
    -------
    colours : dict of str to str
        Hexadecimal colours, after Okabe and Ito's palette for colour-blind readers.

    Examples
    --------
    >>> from gmc_astro.plots import class_colours
    >>> class_colours(["spiral", "smooth"])
    {'spiral': '#56B4E9', 'smooth': '#E69F00'}
    """
    palette = _ON_DARK if dark else _ON_WHITE
    return {name: palette[i % len(palette)] for i, name in enumerate(names)}


def method_styles(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Choose colour, marker and line of each curve, so that they differ without colour too.

    Parameters
    ----------
    names : sequence of str
        Curves.

    Returns
    -------
    styles : dict of str to dict
        Options of `matplotlib.axes.Axes.plot`.

    Examples
    --------
    >>> from gmc_astro.plots import method_styles
    >>> method_styles(["probe"])
    {'probe': {'color': '#0072B2', 'marker': 'o', 'linestyle': '-'}}
    """
    colours = class_colours(names, dark=False)
    return {
        name: {
            "color": colours[name],
            "marker": marker(i),
            "linestyle": _LINES[i % len(_LINES)],
        }
        for i, name in enumerate(names)
    }


def marker(i: int) -> str:
    """Marker of the i-th of many; where colours begin anew, each has the next one's."""
    return _MARKERS[(i + i // len(_MARKERS)) % len(_MARKERS)]


def new_figure(width: float, height: float, *, background: str = "white") -> Figure:
    """A figure of its own: no window, no global state of pyplot."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as err:
        raise InputError(
            'pictures need matplotlib: install it with pip install "gmc_astro[plots]"'
        ) from err
    figure = Figure(figsize=(width, height), facecolor=background, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def legend_below(figure: Figure, handles: Sequence[Any], *, columns: int, **options: Any) -> None:
    """Write a legend below all axes, in as many columns, up to these, as the figure is wide for."""
    renderer = figure.canvas.get_renderer()
    for handle in handles:
        handle.set_label(wrapped(handle.get_label(), _LEGEND_WORDS))
    for ncols in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=ncols, **options)
        if ncols == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            return
        legend.remove()


def picture_of(image: np.ndarray) -> np.ndarray:
    """The same picture, refused where it is not RGB of 8 bits."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise InputError(
            f"a picture of shape {image.shape} and dtype {image.dtype} cannot be drawn; give "
            "(H, W, 3) and uint8, from 0 to 255"
        )
    return image


def readable(name: str) -> str:
    """A class's name as it is written in a picture; a dollar sign begins no formula."""
    return str(name).replace("_", " ").replace("$", r"\$")


def wrapped(text: str, width: int) -> str:
    """The same text in lines of no more letters, where its words are not longer."""
    return textwrap.fill(text, width, break_long_words=False)

"""What all pictures share: figures without global state, and colours that most eyes tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gmc_astro.exceptions import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MARKERS", "class_colours", "method_styles", "new_figure", "readable"]

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
MARKERS = "osD^vP*X"
_LINES = ("-", "--", "-.", ":")


def class_colours(names: Sequence[str], *, dark: bool = True) -> dict[str, str]:
    """Choose a colour for each class that can be told apart by most eyes.

    Parameters
    ----------
    names : sequence of str
        Classes; eight or fewer get colours of their own.
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
            "marker": MARKERS[i % len(MARKERS)],
            "linestyle": _LINES[i % len(_LINES)],
        }
        for i, name in enumerate(names)
    }


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


def readable(name: str) -> str:
    """A class's name as it is written in a picture."""
    return str(name).replace("_", " ")

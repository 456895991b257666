"""Pictures: a field with its galaxies outlined by class, and sheets of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gmc_astro.exceptions import InputError

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

__all__ = ["class_colours", "field", "gallery"]

_OUTLINE = 3.0  # half axes of outlines, in standard deviations of the light


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """Choose a colour for each class that can be told apart by most eyes.

    Parameters
    ----------
    names : sequence of str
        Classes; eight or fewer get colours of their own.

    Returns
    -------
    colours : dict of str to str
        Hexadecimal colours, after Okabe and Ito's palette for colour-blind readers.
    """
    palette = [
        "#56B4E9",
        "#E69F00",
        "#F0E442",
        "#CC79A7",
        "#009E73",
        "#D55E00",
        "#FFFFFF",
        "#999999",
    ]
    return {name: palette[i % len(palette)] for i, name in enumerate(names)}


def _new_figure(width: float, height: float) -> Figure:
    """A figure of its own: no window, no global state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def field(image: np.ndarray, table: QTable, *, title: str = "") -> Figure:
    """Draw a picture of the sky with its galaxies outlined and coloured by class.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (H, W, 3), dtype uint8
        The picture.
    table : `~astropy.table.QTable`
        Predictions, with the columns ``x``, ``y``, ``semimajor``, ``semiminor`` and
        ``orientation`` of `~gmc_astro.imaging.find_galaxies`.
    title : str, optional
        Title of the picture.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a column is missing.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Ellipse

    needed = {"x", "y", "semimajor", "semiminor", "orientation", "label"}
    if missing := sorted(needed - set(table.colnames)):
        raise InputError(f"the table has no column {', '.join(missing)}")
    names = table.meta["class_names"]
    colours = class_colours(names)
    height, width = image.shape[:2]
    figure = _new_figure(12, 12 * height / width + 1.1)
    axes = figure.add_subplot()
    axes.imshow(image, interpolation="nearest")
    axes.set_axis_off()
    for row in table:
        if np.ma.is_masked(row["label"]):
            continue
        colour = colours[str(row["label"])]
        half_axes = [max(_OUTLINE * row[name], 6) for name in ("semimajor", "semiminor")]
        axes.add_patch(
            Ellipse(
                (row["x"], row["y"]),
                2 * half_axes[0],
                2 * half_axes[1],
                angle=row["orientation"],
                fill=False,
                edgecolor=colour,
                linewidth=1.3,
            )
        )
    counts = {name: int(np.sum(table["label"] == name)) for name in names}
    handles = [
        Line2D([], [], color=colours[n], lw=3, label=f"{n.replace('_', ' ')} ({counts[n]})")
        for n in names
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(names), 3),
        labelcolor="white",
        frameon=False,
        fontsize=13,
    )
    axes.set_title(title, color="white", fontsize=16)
    return figure


def gallery(
    images: np.ndarray,
    rows: Mapping[str, Sequence[int]],
    probabilities: Sequence[float],
    *,
    columns: int = 6,
    title: str = "",
) -> Figure:
    """Draw a sheet of examples, a line for each class.

    Parameters
    ----------
    images : `~numpy.ndarray`, shape (N, H, W, 3), dtype uint8
        Images.
    rows : mapping of str to sequence of int
        For each class, the images to show.
    probabilities : sequence of float, shape (N,)
        Written under each image.
    columns : int, optional
        Images a line.
    title : str, optional
        Title of the sheet.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``.
    """
    shown = {name: list(chosen)[:columns] for name, chosen in rows.items() if len(chosen)}
    if not shown:
        raise InputError("no class has an image to show")
    colours = class_colours(list(rows))
    figure = _new_figure(1.7 * columns + 0.6, 2.0 * len(shown) + 0.6)
    figure.suptitle(title, color="white", fontsize=16)
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (name, chosen) in zip(grid, shown.items(), strict=True):
        line[0].set_title(name.replace("_", " "), color=colours[name], loc="left", fontsize=12)
        for axes, i in zip(line, chosen, strict=False):
            axes.imshow(images[i])
            axes.text(
                0.04, 0.05, f"{probabilities[i]:.2f}", color="white", transform=axes.transAxes
            )
    return figure

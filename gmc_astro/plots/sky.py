"""Pictures of the sky: a field with its galaxies outlined by class, and sheets of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro._tables import words
from gmc_astro.exceptions import InputError
from gmc_astro.plots.canvas import (
    class_colours,
    legend_below,
    new_figure,
    picture_of,
    readable,
    wrapped,
)

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["field", "gallery"]

_OUTLINE = 3.0  # half axes of outlines, in standard deviations of the light
_LETTERS = 22  # that fit above an image of a sheet


def field(image: np.ndarray, table: QTable, *, title: str = "") -> Figure:
    """Draw a picture of the sky with its galaxies outlined and coloured by class.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (H, W, 3), dtype uint8
        The picture.
    table : `~astropy.table.QTable`
        Predictions, with the columns ``x``, ``y``, ``semimajor``, ``semiminor`` and
        ``orientation`` of `~gmc_astro.imaging.find_galaxies`. The classes are those of
        ``table.meta["class_names"]``, or those that occur. Rows without a label are not drawn.
    title : str, optional
        Title of the picture.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a column is missing, a label is none of the classes, or the picture is not RGB of
        8 bits.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro import GalaxyMorphologyClassifier
    >>> from gmc_astro.imaging import cut_out, find_galaxies
    >>> from gmc_astro.plots import field
    >>> y, x = np.mgrid[:128, :128]
    >>> light = 200 * np.exp(-np.hypot(x - 40, (y - 80) / 0.6) / 6)
    >>> sky = np.random.default_rng(0).normal(10, 1, (128, 128, 3))
    >>> picture = (light[..., np.newaxis] + sky).clip(0, 255).astype(np.uint8)
    >>> galaxies = find_galaxies(picture)
    >>> cutouts, _ = cut_out(picture, galaxies, size=96)
    >>> table = GalaxyMorphologyClassifier(device="cpu", views=1).predict(cutouts)
    >>> for name in ("x", "y", "semimajor", "semiminor", "orientation"):
    ...     table[name] = galaxies[name]
    >>> figure = field(picture, table, title="One simulated galaxy")
    """
    needed = {"x", "y", "semimajor", "semiminor", "orientation", "label"}
    if missing := sorted(needed - set(table.colnames)):
        raise InputError(f"the table has no column {', '.join(missing)}")
    labels = words(table["label"])
    names = list(table.meta.get("class_names", np.unique(labels[labels != ""]).tolist()))
    if unknown := sorted(set(labels.tolist()) - {*names, ""}):
        raise InputError(f"labels {unknown[:5]} are not among the classes {names}")
    height, width = picture_of(image).shape[:2]
    figure = new_figure(12, 12 * height / width + 1.1, background="black")
    from matplotlib.lines import Line2D
    from matplotlib.patches import Ellipse

    axes = figure.add_subplot()
    axes.imshow(image, interpolation="nearest")
    axes.set_axis_off()
    styles = _outlines(names)
    for row, label in zip(table, labels.tolist(), strict=True):
        if not label:
            continue
        half_axes = [max(_OUTLINE * row[name], 6) for name in ("semimajor", "semiminor")]
        axes.add_patch(
            Ellipse(
                (row["x"], row["y"]),
                2 * half_axes[0],
                2 * half_axes[1],
                angle=row["orientation"],
                fill=False,
                linewidth=1.3,
                **styles[label],
            )
        )
    handles = [
        Line2D([], [], lw=3, label=f"{readable(name)} ({np.sum(labels == name)})", **styles[name])
        for name in names
    ]
    if handles:
        options = {"labelcolor": "white", "frameon": False, "fontsize": 13}
        legend_below(figure, handles, columns=3, **options)
    axes.set_title(title, color="white", fontsize=16)
    return figure


def _outlines(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Colour and line of each class; where colours begin anew, the line is another one."""
    colours, lines = class_colours(names), ("-", "--", ":", "-.")
    first = list(dict.fromkeys(colours.values()))
    return {
        name: {"color": colour, "linestyle": lines[i // len(first) % len(lines)]}
        for i, (name, colour) in enumerate(colours.items())
    }


def gallery(
    images: np.ndarray | Sequence[np.ndarray],
    labels: Sequence[str] | None = None,
    probabilities: Sequence[float] | None = None,
    *,
    names: Sequence[str] | None = None,
    rows: Mapping[str, ArrayLike] | None = None,
    columns: int = 6,
    title: str = "",
) -> Figure:
    """Draw a sheet of images with their labels and probabilities.

    Parameters
    ----------
    images : `~numpy.ndarray`, shape (N, H, W, 3), dtype uint8, or sequence of such images
        Images.
    labels : sequence of str, shape (N,), optional
        Written above each image, a colour for each; nothing where masked.
    probabilities : sequence of float, shape (N,), optional
        Written into each image; nothing for NaN.
    names : sequence of str, shape (N,), optional
        Written above each image in white, where there are no labels; long ones without their
        middle.
    rows : mapping of str to array_like of int or bool, optional
        Images to show, their numbers or a mask of shape (N,): a line for each entry, with its
        name above it and as many of its images as there are ``columns``. Default is all images,
        one after the other.
    columns : int, optional
        Images a line.
    title : str, optional
        Title of the sheet.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is no image to show, images are not RGB of 8 bits, ``rows`` are none of theirs,
        or come with labels or names, which would stand in the same place; or if labels,
        probabilities or names differ from images in number.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.plots import gallery
    >>> images = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    >>> sheet = gallery(images, ["spiral", "smooth"], [0.9, 0.7])
    """
    images = [picture_of(image) for image in images]
    given = {"labels": labels, "probabilities": probabilities, "names": names}
    for what, values in given.items():
        if values is not None and len(values) != len(images):
            raise InputError(f"{len(values)} {what} for {len(images)} images; give one an image")
    if rows is not None and not (labels is None and names is None):
        raise InputError("rows have names of their own: leave out labels and names")
    if columns < 1:
        raise InputError(f"columns={columns} is less than 1")
    lines = _lines(len(images), rows, columns)
    labels = np.full(len(images), "") if labels is None else words(labels)
    shown = list(rows or dict.fromkeys(labels[labels != ""].tolist()))
    colours = class_colours(shown)
    figure = new_figure(1.7 * columns + 0.6, 2.0 * len(lines) + 0.6, background="black")
    figure.suptitle(title, color="white", fontsize=16, parse_math=False)
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for cells, (name, chosen) in zip(grid, lines, strict=True):
        if rows is not None:
            _name_line(cells[0], readable(name), colours[name])
        for axes, i in zip(cells, chosen, strict=False):
            axes.imshow(images[i])
            if label := str(labels[i]):
                text = wrapped(readable(label), _LETTERS)
                axes.set_title(text, color=colours[label], fontsize=9)
            elif names is not None:
                text = _shortened(str(names[i]))
                axes.set_title(text, color="white", fontsize=9, parse_math=False)
            if probabilities is not None and np.isfinite(probabilities[i]):
                _write_into(axes, f"{probabilities[i]:.2f}")
    return figure


def _name_line(axes: Axes, name: str, colour: str) -> None:
    """Write a line's name above its first image; it may be longer than that is wide."""
    axes.set_title(" ", fontsize=12)  # room for it
    place = {"transform": axes.transAxes, "in_layout": False}
    axes.text(0, 1.03, name, color=colour, fontsize=12, **place)


def _write_into(axes: Axes, text: str) -> None:
    """Write into the lower left corner of an image."""
    box = {"facecolor": "black", "alpha": 0.55, "pad": 1.5, "linewidth": 0}
    axes.text(0.04, 0.05, text, color="white", transform=axes.transAxes, bbox=box)


def _shortened(name: str) -> str:
    """A name without its middle where it is long: ids differ at their ends."""
    half = (_LETTERS - 1) // 2
    return name if len(name) <= _LETTERS else f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def _lines(
    n: int, rows: Mapping[str, ArrayLike] | None, columns: int
) -> list[tuple[str, list[int]]]:
    """Name and images of each line of a sheet."""
    if rows is None:
        lines = [("", list(range(i, min(i + columns, n)))) for i in range(0, n, columns)]
    else:
        numbers = {name: _numbers(name, chosen, n) for name, chosen in rows.items()}
        lines = [(name, chosen[:columns]) for name, chosen in numbers.items() if chosen]
    if not lines:
        raise InputError("there is no image to show: give images, and rows= that name some")
    return lines


def _numbers(name: str, chosen: ArrayLike, n: int) -> list[int]:
    """Numbers of the images that one entry of ``rows`` names, or masks."""
    rows = np.asarray(chosen)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows).tolist()
    if rows.size and (rows.ndim != 1 or rows.dtype.kind not in "iu" or not _within(rows, n)):
        raise InputError(
            f"rows[{name!r}] of shape {rows.shape} and dtype {rows.dtype} are no rows of {n} "
            f"images; give numbers from 0 to {n - 1}, or a mask of {n}"
        )
    return rows.astype(int).tolist()


def _within(rows: np.ndarray, n: int) -> bool:
    """Whether all rows are there; negative ones count from the end."""
    return rows.min() >= -n and rows.max() < n

"""How well a classifier does: confusion matrices, reliability diagrams and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro.exceptions import InputError
from gmc_astro.learning import encode_labels, expected_calibration_error
from gmc_astro.learning.metrics import confidence_bins
from gmc_astro.plots.canvas import legend_below, method_styles, new_figure, readable, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion", "learning_curve", "reliability"]

NORMALISATIONS = ("true", "predicted", None)
_COLUMNS = 3  # panels a line
_FEWEST = 5  # rows of a bin whose share is worth a point
_LETTERS = 24  # of a class's name before it is broken into lines


def confusion(
    targets: ArrayLike,
    predicted: ArrayLike | Mapping[str, ArrayLike],
    names: Sequence[str],
    *,
    normalise: str | None = "true",
    title: str = "",
) -> Figure:
    """Draw which classes are taken for which.

    Parameters
    ----------
    targets : array_like of int or str, shape (N,)
        True class of each row: its name, or 0 to K - 1.
    predicted : array_like of int or str, shape (N,), or mapping of str to such
        Predicted classes; with a mapping, a panel for each of its entries. Rows that are masked
        or empty, here or in ``targets``, are left out.
    names : sequence of str, shape (K,)
        Names of the classes.
    normalise : {"true", "predicted", None}, optional
        Write shares of each true class (rows), of each predicted class (columns), or counts. Of
        a class without any row there is no share.
    title : str, optional
        Title of the picture.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If ``normalise`` is none of the three, rows differ in number or none is left, or a class
        is not among ``names``.

    Examples
    --------
    >>> from gmc_astro.plots import confusion
    >>> figure = confusion([0, 0, 1], [0, 1, 1], ["smooth", "spiral"])
    """
    from sklearn.metrics import confusion_matrix

    if normalise not in NORMALISATIONS:
        raise InputError(f"normalise={normalise!r} is not one of {NORMALISATIONS}")
    panels = _panels(predicted, len(np.asarray(targets)))
    true, _ = encode_labels(targets, names)
    written = [wrapped(readable(name), _LETTERS) for name in names]
    longest = max(len(line) for name in written for line in name.splitlines())
    side = 0.9 + 0.55 * len(names)
    figure, grid = _grid(len(panels), side + 0.1 * longest, side + 0.08 * longest, title)
    for axes, (panel, found) in zip(grid, panels.items(), strict=False):
        given, _ = encode_labels(found, names)
        known = _some_left((true >= 0) & (given >= 0), panel)
        matrix = confusion_matrix(true[known], given[known], labels=range(len(names)))
        _draw_confusion(axes, matrix, written, normalise)
        if not axes.get_subplotspec().is_first_col():  # names stand once a line
            axes.set_yticklabels([])
            axes.set_ylabel("")
        axes.set_title(panel, fontsize=12)
    return figure


def _draw_confusion(
    axes: Axes, counts: np.ndarray, names: Sequence[str], normalise: str | None
) -> None:
    """One matrix, its cells written out."""
    totals = np.ones_like(counts)
    if normalise:
        totals = np.broadcast_to(counts.sum(int(normalise == "true"), keepdims=True), counts.shape)
    matrix = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    top = 1 if normalise else max(counts.max(), 1)
    axes.imshow(matrix, cmap="cividis", vmin=0, vmax=top)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    size = 9 if len(names) < 7 else 7
    for (i, j), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            text = f"{value:.2f}" if normalise else f"{value:.0f}"
            colour = "black" if value > 0.6 * top else "white"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=size)


def reliability(
    probabilities: ArrayLike | Mapping[str, ArrayLike],
    targets: ArrayLike,
    *,
    bins: int = 15,
    title: str = "",
) -> Figure:
    """Draw how often a classifier is right against how sure it is.

    On the diagonal it is as often right as it says; below, it is too sure. The bars show how
    the predictions are spread; bins of fewer than 5 rows have no point. The expected calibration
    error (ECE) is that of the same bins. Rows of NaN, which had no image, and those without a
    target are left out.

    Parameters
    ----------
    probabilities : array_like, shape (N, K), or mapping of str to such
        Class probabilities; with a mapping, a panel for each of its entries.
    targets : array_like of int, shape (N,)
        True class of each row, 0 to K - 1; masked, or -1, where it is not known.
    bins : int, optional
        Bins of equal width of the largest probability.
    title : str, optional
        Title of the picture.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If probabilities are not (N, K), they and targets do not belong together, no row has
        both, or ``bins`` is less than 1.

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599

    Examples
    --------
    >>> from gmc_astro.plots import reliability
    >>> figure = reliability([[0.9, 0.1], [0.4, 0.6]], [0, 1])
    """
    true = np.ma.asarray(targets)
    if true.dtype.kind not in "iub":
        raise InputError(f"targets of dtype {true.dtype} are no numbers of classes, 0 to K - 1")
    true = true.astype(int).filled(-1)
    panels = _panels(probabilities, len(true))
    if bins < 1:
        raise InputError(f"bins={bins} is less than 1")
    figure, grid = _grid(len(panels), 3.6, 3.7, title)
    for axes, (panel, found) in zip(grid, panels.items(), strict=False):
        values = np.asarray(found, float)
        if values.ndim != 2:
            raise InputError(
                f"probabilities {panel} of shape {values.shape} are not (N, K), a column a class"
            )
        known = _some_left(np.isfinite(values).all(axis=1) & (true >= 0), panel)
        _draw_reliability(axes, values[known], true[known], bins)
        axes.set_title(panel, fontsize=12)
    return figure


def _draw_reliability(
    axes: Axes, probabilities: np.ndarray, targets: np.ndarray, bins: int
) -> None:
    """One diagram: the diagonal, a point a bin, and the share of rows in each bin."""
    error = expected_calibration_error(probabilities, targets, bins=bins)
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    number = confidence_bins(sure, bins)
    rows = np.bincount(number, minlength=bins)
    enough = rows >= min(_FEWEST, len(targets))
    mean_sure = np.bincount(number, sure, minlength=bins)[enough] / rows[enough]
    mean_right = np.bincount(number, right, minlength=bins)[enough] / rows[enough]
    edges = np.arange(bins) / bins
    axes.bar(edges, rows / rows.sum(), width=1 / bins, align="edge", color="#DDDDDD")
    axes.plot([0, 1], [0, 1], color="#777777", linestyle=":", zorder=1)
    axes.plot(mean_sure, mean_right, color="#0072B2", marker="o", clip_on=False)
    axes.text(0.04, 0.95, f"ECE {error:.3f}", transform=axes.transAxes, va="top")
    words = {"s": "bars: share of rows", "color": "#777777", "fontsize": 8}
    axes.text(0.04, 0.87, transform=axes.transAxes, va="top", **words)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="largest probability", ylabel="share that is right")
    axes.set_aspect("equal")


def learning_curve(
    scores: Mapping[str, Mapping[str, Mapping[float, ArrayLike]]],
    *,
    title: str = "",
) -> Figure:
    """Draw scores against the share of labels, a panel a quantity and a curve a method.

    Parameters
    ----------
    scores : mapping
        ``scores[quantity][method][fraction]`` are the scores over seeds; a method that needs
        no labels has the one fraction 0 and is drawn as a level line.
    title : str, optional
        Title of the picture.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``. Points are means, bands and bars are one standard
        deviation over seeds.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If there is nothing to draw.

    Examples
    --------
    >>> from gmc_astro.plots import learning_curve
    >>> curve = {0.01: [0.78, 0.80], 0.1: [0.88, 0.89], 1.0: [0.93, 0.94]}
    >>> figure = learning_curve({"macro-F1": {"probe": curve, "zero-shot": {0: [0.7, 0.72]}}})
    """
    if not any(curve for curves in scores.values() for curve in curves.values()):
        raise InputError("scores hold no curve: give scores[quantity][method][fraction]")
    methods = list(dict.fromkeys(name for curves in scores.values() for name in curves))
    styles = method_styles(methods)
    figure = new_figure(5.6 * len(scores), 4.8)
    figure.suptitle(title)
    for axes, (quantity, curves) in zip(
        np.ravel(figure.subplots(1, len(scores), squeeze=False)), scores.items(), strict=True
    ):
        for method in filter(curves.get, curves):
            _draw_curve(axes, method, curves[method], styles[method])
        _label_fractions(axes, curves)
        axes.set_ylabel(quantity)
    named = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {text: handle for found in named for handle, text in zip(*found, strict=True)}
    legend_below(figure, [handles[name] for name in methods if name in handles], columns=5)
    return figure


def _draw_curve(
    axes: Axes, method: str, curve: Mapping[float, ArrayLike], style: Mapping[str, Any]
) -> None:
    """One method: means as a line, one standard deviation as a band; as a bar at one share."""
    fractions = np.array(sorted(curve))
    values = [np.asarray(curve[f], float) for f in fractions]
    mean = np.array([v.mean() for v in values])
    spread = np.array([v.std(ddof=1) if len(v) > 1 else 0.0 for v in values])
    named = {"label": method}
    if fractions[0] == 0:
        level = {key: style[key] for key in ("color", "linestyle")}
        axes.axhline(mean[0], **level, **named)
        axes.axhspan(mean[0] - spread[0], mean[0] + spread[0], color=style["color"], alpha=0.12)
        fractions, mean, spread, named = fractions[1:], mean[1:], spread[1:], {}
    if len(fractions) == 1:
        axes.errorbar(fractions, mean, spread, capsize=3, **style, **named)
    elif len(fractions):
        axes.plot(fractions, mean, **style, **named)
        axes.fill_between(fractions, mean - spread, mean + spread, color=style["color"], alpha=0.15)


def _label_fractions(axes: Axes, curves: Mapping[str, Mapping[float, ArrayLike]]) -> None:
    """A logarithmic axis that names just the shares that were measured."""
    from matplotlib.ticker import NullLocator

    shown = sorted({f for curve in curves.values() for f in curve} - {0})
    axes.set_xscale("log")
    axes.set_xticks(shown, [f"{100 * f:g} %" for f in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("labels of the training part")
    axes.grid(color="#DDDDDD", linewidth=0.6)


def _panels(values: Any, rows: int) -> dict[str, np.ndarray]:
    """Panels by title, checked for their number of rows."""
    panels = dict(values) if isinstance(values, Mapping) else {"": values}
    if not panels:
        raise InputError("there are no predictions to draw: the mapping is empty")
    for panel, found in panels.items():
        if len(np.asarray(found)) != rows or not rows:
            raise InputError(
                f"{len(np.asarray(found))} predictions {panel} for {rows} targets; "
                "give one a row, and at least one row"
            )
    return panels


def _some_left(known: np.ndarray, panel: str) -> np.ndarray:
    """The same rows, refused where there is none of them."""
    if not known.any():
        raise InputError(f"no row of {panel or 'the predictions'} has both a class and a target")
    return known


def _grid(n: int, width: float, height: float, title: str) -> tuple[Figure, np.ndarray]:
    """A figure with n panels in lines of three; those that are left over are hidden."""
    columns = min(n, _COLUMNS) if n != 4 else 2
    lines = -(-n // columns)
    figure = new_figure(width * columns, height * lines + (0.4 if title else 0))
    figure.suptitle(title)
    grid = np.ravel(figure.subplots(lines, columns, squeeze=False))
    for axes in grid[n:]:
        axes.set_axis_off()
    return figure, grid[:n]

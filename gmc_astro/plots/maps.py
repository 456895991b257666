"""Maps of embeddings: which galaxies a model takes for alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro._tables import words
from gmc_astro.exceptions import InputError
from gmc_astro.plots.canvas import class_colours, legend_below, marker, new_figure, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

__all__ = ["embedding_map"]


def embedding_map(
    embeddings: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    method: str = "tsne",
    random_state: int = 0,
    title: str = "",
) -> Figure:
    """Draw embeddings on a plane, near where they are alike.

    Distances between far groups mean nothing on such a map.

    Parameters
    ----------
    embeddings : array_like, shape (N, D)
        Vectors, as `~gmc_astro.classifier.GalaxyMorphologyClassifier.embed` gives them; rows
        with NaN are left out.
    labels : array_like of str, shape (N,), optional
        Colour the points by these. Grey where masked, empty or None.
    method : {"tsne", "umap"}, optional
        t-SNE of scikit-learn, or UMAP of umap-learn (``pip install "gmc_astro[umap]"``).
    random_state : int, optional
        Seed of the map.
    title : str, optional
        Title of the picture.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Save it with ``figure.savefig``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If ``method`` is neither, embeddings are not (N, D) or fewer than 4, labels and embeddings
        differ in number, or UMAP is not installed.

    References
    ----------
    van der Maaten & Hinton 2008, JMLR 9, 2579; McInnes et al. 2018, arXiv:1802.03426

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.plots import embedding_map
    >>> vectors = np.random.default_rng(0).normal(size=(12, 4))
    >>> figure = embedding_map(vectors, ["spiral", "smooth"] * 6)
    """
    embeddings = np.asarray(embeddings, float)
    if embeddings.ndim != 2:
        raise InputError(f"embeddings of shape {embeddings.shape} are not (N, D), a vector a row")
    names = words(np.full(len(embeddings), "") if labels is None else labels)
    if len(names) != len(embeddings):
        raise InputError(f"{len(names)} labels for {len(embeddings)} embeddings; give one a row")
    usable = np.isfinite(embeddings).all(axis=1)
    if usable.sum() < 4:
        raise InputError(f"{usable.sum()} embeddings can be used; a map needs 4 or more")
    places = _project(embeddings[usable], method, random_state)
    names = names[usable]
    shown = np.unique(names[names != ""]).tolist()
    colours = class_colours(shown, dark=False)
    figure = new_figure(7.2, 6.4)
    figure.suptitle(title)
    axes = figure.add_subplot()
    handles = []
    if (names == "").any():
        grey = {"color": "#BBBBBB" if shown else "#0072B2", "marker": "."}
        handles.append(_scatter(axes, places[names == ""], "no label", grey))
    for i, name in enumerate(shown):
        style = {"color": colours[name], "marker": marker(i)}
        handles.append(_scatter(axes, places[names == name], readable(name), style))
    axes.set_xticks([])
    axes.set_yticks([])
    if labels is not None:
        legend_below(figure, handles, columns=4, markerscale=2)
    return figure


def _scatter(
    axes: Axes, places: np.ndarray, label: str, style: Mapping[str, str]
) -> PathCollection:
    """One group of points."""
    return axes.scatter(*places.T, s=14, alpha=0.7, linewidths=0, label=label, **style)


def _project(vectors: np.ndarray, method: str, random_state: int) -> np.ndarray:
    """Two coordinates a vector."""
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30, (len(vectors) - 1) / 3)
        return TSNE(
            metric="cosine", init="random", perplexity=perplexity, random_state=random_state
        ).fit_transform(vectors)
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError as err:
            raise InputError(
                'method="umap" needs umap-learn: install it with pip install "gmc_astro[umap]", '
                'or use method="tsne"'
            ) from err
        neighbours = min(15, len(vectors) - 1)
        return UMAP(
            metric="cosine", n_neighbors=neighbours, random_state=random_state, n_jobs=1
        ).fit_transform(vectors)
    raise InputError(f"method={method!r} is not one of ('tsne', 'umap')")

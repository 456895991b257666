"""Labels as users have them, turned into class numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from gmc_astro._tables import is_missing
from gmc_astro.exceptions import InputError

__all__ = ["class_shares", "encode_labels"]


def class_shares(
    labels: ArrayLike, names: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn labels of any kind into the share of each class.

    Parameters
    ----------
    labels : array_like, shape (N,) or (N, K), or mapping, or Table
        Class names or integers, as for `encode_labels`; or vote fractions, a column a class, in
        the order of ``names`` or under them. A row of NaN, or masked, is not labelled.
    names : sequence of str, optional
        The classes. Default is what occurs.

    Returns
    -------
    shares : `~numpy.ndarray`, shape (N, K), dtype float64
        Rows of sum 1; NaN where a row is not labelled.
    names : tuple of str
        The classes.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If fractions are negative, sum to nothing, or are not one for each class; or as
        `encode_labels`.

    Examples
    --------
    >>> from gmc_astro.learning import class_shares
    >>> class_shares([[0.75, 0.25], [0.0, 4.0]], ["smooth", "featured"])[0].tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    >>> class_shares({"smooth": [1.0], "featured": [0.0]})
    (array([[1., 0.]]), ('smooth', 'featured'))
    """
    if isinstance(labels, Mapping) or hasattr(labels, "columns"):  # a Series has keys as well
        columns = list(labels.keys())
        names = tuple(columns if names is None else names)
        if missing := [name for name in names if name not in columns]:
            raise InputError(f"no vote fractions of {missing}; there are those of {columns}")
        labels = np.ma.stack([np.ma.asarray(labels[name]) for name in names], axis=1)
    array = np.ma.asarray(labels)
    if array.ndim != 2:
        targets, names = encode_labels(labels, names)
        if not names:
            raise InputError(f"all of {len(targets)} labels are empty or masked; give some")
        shares = np.full((len(targets), len(names)), np.nan)
        shares[targets >= 0] = np.eye(len(names))[targets[targets >= 0]]
        return shares, names
    if names is None:
        names = tuple(str(k) for k in range(array.shape[1]))
    return _from_fractions(array, tuple(names)), tuple(names)


def _from_fractions(array: np.ma.MaskedArray, names: tuple[str, ...]) -> np.ndarray:
    """Fractions of each class, made to sum to 1."""
    if array.dtype.kind not in "biuf" or array.shape[1] != len(names):
        raise InputError(
            f"labels of shape {array.shape} and dtype {array.dtype} are not vote fractions of "
            f"the {len(names)} classes {list(names)}; give a number for each"
        )
    shares = array.astype(float).filled(np.nan)
    unlabelled = np.isnan(shares).any(axis=1)
    total = shares.sum(axis=1, keepdims=True)
    if wrong := np.flatnonzero(
        ~unlabelled & ((shares < 0).any(axis=1) | (total[:, 0] <= 0))
    ).tolist():
        raise InputError(
            f"vote fractions {shares[wrong[0]].tolist()} of row {wrong[0]} are negative or all 0; "
            "use NaN for a row without votes"
        )
    shares = shares / np.where(total > 0, total, 1)
    shares[unlabelled] = np.nan
    return shares


def encode_labels(
    labels: ArrayLike, names: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn class names or integers into class numbers.

    Parameters
    ----------
    labels : array_like, shape (N,)
        Class names, or integers that index ``names``, also as whole floats or as False and True;
        they mean the names themselves where these are numbers. Masked, empty, None, NaN or
        pandas.NA: not labelled.
    names : sequence of str, optional
        The classes. Default is what occurs, sorted.

    Returns
    -------
    targets : `~numpy.ndarray` of int, shape (N,)
        Class number of each row, -1 where it is not labelled.
    names : tuple of str
        The classes.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If labels are neither names nor integers, or not among ``names``.

    Examples
    --------
    >>> from gmc_astro.learning import encode_labels
    >>> encode_labels(["spiral", "smooth", ""])
    (array([ 1,  0, -1]), ('smooth', 'spiral'))
    """
    array = np.ma.asarray(labels)
    if array.dtype.kind == "U":  # in a list of text NumPy has written NaN as "nan"
        array = np.ma.array(labels, dtype=object)
    values, missing = np.asarray(array.data), np.ma.getmaskarray(array).copy()
    if values.ndim != 1 or values.dtype.kind not in "biufUOS":
        raise InputError(
            f"labels have shape {values.shape} and dtype {values.dtype}; "
            "give one class name or integer a row"
        )
    if values.dtype.kind in "fO":
        missing |= np.array([is_missing(value) for value in values], bool)
    numbers = np.array([0 if m else v for v, m in zip(values.tolist(), missing, strict=True)])
    if numbers.dtype.kind == "f" and (wrong := np.flatnonzero(numbers % 1)).size:
        raise InputError(
            f"label {numbers[wrong[0]]} of row {wrong[0]} is not whole; give integers, class "
            "names, or a column of vote fractions for each class"
        )
    if numbers.dtype.kind in "biuf" and not missing.all():
        numbers = numbers.astype(int)
        if names is None and (numbers >= 0).all():
            names = tuple(np.unique(numbers[~missing]).astype(str).tolist())
        if names is None:
            row = int(numbers.argmin())
            raise InputError(
                f"label {numbers[row]} of row {row} is negative; mask rows without a label"
            )
        if not all(n.isdigit() and n == str(int(n)) for n in names):
            return _from_integers(numbers, missing, names)
        values = numbers.astype(str)
    values = np.array([_text(value) for value in values.tolist()])
    missing |= values == ""
    if names is None:
        names = tuple(np.unique(values[~missing]).tolist())
    unknown = sorted(set(values[~missing].tolist()) - set(names))
    if unknown:
        raise InputError(f"labels {unknown[:5]} are not among the classes {list(names)}")
    order = {name: k for k, name in enumerate(names)}
    targets = [-1 if m else order[v] for v, m in zip(values.tolist(), missing, strict=True)]
    return np.array(targets, dtype=int), tuple(names)


def _text(value: object) -> str:
    """Text of a label; HDF5 and FITS keep it as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _from_integers(
    values: np.ndarray, missing: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Integers index the classes."""
    wrong = ~missing & ((values < 0) | (values >= len(names)))
    if wrong.any():
        raise InputError(
            f"label {values[wrong][0]} of row {np.flatnonzero(wrong)[0]} is not "
            f"between 0 and {len(names) - 1}, the numbers of the classes {list(names)}; "
            "mask rows without a label"
        )
    return np.where(missing, -1, values).astype(int), tuple(names)

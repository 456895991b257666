"""The table of predictions: one row an input, in order, with everything needed to trust it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import MaskedColumn, QTable
from scipy.stats import entropy

from gmc_astro.exceptions import InputError
from gmc_astro.imaging import OK, is_ok

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["abstain", "document_hash", "package_versions", "predictions_table"]

#: Columns that are ours, whatever else was measured.
_OWN = ("coord", "id", "label", "probability", "probabilities", "entropy", "status")
_PACKAGES = ("gmc_astro", "torch", "open_clip_torch", "timm", "astropy", "photutils", "numpy")


def predictions_table(
    probabilities: np.ndarray,
    status: Sequence[str],
    class_names: Sequence[str],
    *,
    ids: np.ndarray | None = None,
    coords: SkyCoord | None = None,
    columns: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> QTable:
    """Build the table of predictions.

    Parameters
    ----------
    probabilities : `~numpy.ndarray`, shape (N, K)
        Class probabilities; NaN rows where there was no image.
    status : sequence of str, shape (N,)
        Status of each row.
    class_names : sequence of str, shape (K,)
        Names of the classes.
    ids : `~numpy.ndarray` of str, shape (N,), optional
        Name of each row.
    coords : `~astropy.coordinates.SkyCoord`, shape (N,), optional
        Position of each row.
    columns : mapping of str to array or Quantity, optional
        What was measured of each row, under names that the table does not have itself.
    meta : mapping, optional
        Put into the table's ``meta``.

    Returns
    -------
    table : `~astropy.table.QTable`
        Columns ``coord`` and/or ``id``, ``label`` (masked where there was no image),
        ``probability`` (of that label), ``probabilities``, ``entropy`` (nats, 0 to ln K),
        those measured, and ``status``.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If ``status``, ``ids``, ``coords`` or one of ``columns`` has another number of rows, or
        ``columns`` has a name that is the table's own.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import predictions_table
    >>> probabilities = np.array([[0.9, 0.1], [np.nan, np.nan]])
    >>> table = predictions_table(probabilities, ["ok", "timed out"], ["spiral", "smooth"])
    >>> table["label", "probability", "status"].pprint()
    label  probability   status
    ------ ----------- ---------
    spiral         0.9        ok
        --         nan timed out
    """
    probabilities = np.asarray(probabilities, np.float64)
    _must_fit(len(probabilities), {"status": status, "ids": ids, "coords": coords}, columns or {})
    status = np.asarray(status, dtype=str)
    bad = ~is_ok(status)
    probabilities = np.where(bad[:, None], np.nan, probabilities)
    best = np.where(bad[:, None], 0.0, probabilities).argmax(axis=1)

    table = QTable(meta={**(meta or {}), "class_names": list(class_names)})
    if coords is not None:
        table["coord"] = coords
    if ids is not None:
        table["id"] = np.asarray(ids, dtype=str)
    table["label"] = MaskedColumn(np.asarray(class_names, dtype=str)[best], mask=bad)
    table["probability"] = probabilities[np.arange(len(best)), best]
    table["probabilities"] = probabilities
    table["entropy"] = entropy(probabilities, axis=1) if len(best) else np.zeros(0)
    for name, values in (columns or {}).items():
        table[name] = values
    table["status"] = status
    return table


def _must_fit(n: int, given: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Refuse what has another number of rows, and columns that would take the place of ours."""
    if taken := [name for name in columns if name in _OWN]:
        raise InputError(f"columns= has {taken[0]!r}, which the table says itself; rename it")
    for name, values in {**given, **{f"columns[{k!r}]": v for k, v in columns.items()}}.items():
        if values is not None and np.shape(values)[:1] != (n,):
            raise InputError(f"{name} has shape {np.shape(values)} for {n} rows; give one a row")


def abstain(table: QTable, below: float) -> QTable:
    """Take the label away where no class is probable enough.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        Predictions.
    below : float
        Probability, 0 to 1, that the most probable class must reach.

    Returns
    -------
    table : `~astropy.table.QTable`
        A copy: ``label`` is masked in such rows, and their ``status`` says why.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If ``below`` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from gmc_astro.learning import abstain, predictions_table
    >>> probabilities = np.array([[0.9, 0.1], [0.55, 0.45]])
    >>> table = predictions_table(probabilities, ["ok", "ok"], ["spiral", "smooth"])
    >>> print(abstain(table, 0.6)["status"][1])
    ok (abstained: no class is 0.6 probable)
    """
    if not 0 <= below <= 1:
        raise InputError(f"abstain_below={below} is no probability; give a number from 0 to 1")
    table = table.copy()
    unsure = is_ok(table["status"]) & (np.asarray(table["probability"]) < below)
    label = np.ma.asarray(table["label"])
    table["label"] = MaskedColumn(label.data, mask=np.ma.getmaskarray(label) | unsure)
    status = np.asarray(table["status"], dtype=object)
    for row in np.flatnonzero(unsure):
        note = f"abstained: no class is {below:g} probable"
        before = status[row].removeprefix(OK).strip(" ()")
        status[row] = f"{OK} ({before}; {note})" if before else f"{OK} ({note})"
    table["status"] = status.astype(str)
    return table


def document_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 of plain values, whatever the order of their keys.

    Parameters
    ----------
    document : mapping
        What JSON can hold.

    Returns
    -------
    digest : str
        64 hexadecimal digits.

    Examples
    --------
    >>> from gmc_astro.learning import document_hash
    >>> document_hash({"a": 1, "b": 2}) == document_hash({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape a prediction.

    Returns
    -------
    versions : dict of str
        Version of each package; packages that are not installed are left out.

    Examples
    --------
    >>> from gmc_astro.learning import package_versions
    >>> "gmc_astro" in package_versions()
    True
    """
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions

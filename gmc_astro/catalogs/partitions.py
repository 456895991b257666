"""Catalogues in LSDB: predictions as columns beside the others, partition by partition."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.table import QTable

from gmc_astro.catalogs.job import embed_batch, table_of
from gmc_astro.catalogs.reading import stacked
from gmc_astro.catalogs.resident import resident
from gmc_astro.catalogs.shards import ranges_of
from gmc_astro.exceptions import InputError
from gmc_astro.imaging import ImageBatch, ImageSource, get_recipe
from gmc_astro.learning import read_ahead
from gmc_astro.sources import PictureSource
from gmc_astro.sources.files import DEFAULT_SIZE
from gmc_astro.sources.open import FETCH_OPTIONS
from gmc_astro.sources.parquet import IMAGE_COLUMNS
from gmc_astro.sources.positions import IDS

if TYPE_CHECKING:
    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = ["classify_partitions"]

#: Options of `~gmc_astro.sources.open_images` for pictures and positions alike.
OPENING = {"size", "framing", "recipe", "survey"}
#: Columns that are added, with their types.
ADDED = {
    "label": pd.ArrowDtype(pa.string()),
    "probability": np.dtype(float),
    "probabilities": pd.ArrowDtype(pa.list_(pa.float64())),
    "entropy": np.dtype(float),
    "status": pd.ArrowDtype(pa.string()),
}


def classify_partitions(
    classifier: GalaxyMorphologyClassifier,
    catalog: Any,
    *,
    images: str = "auto",
    rows_per_shard: int = 4096,
    **source: Any,
) -> Any:
    """Classify an LSDB catalogue, lazily: nothing is computed here.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        Predicts as its ``predict`` does. Each worker process loads the model once.
    catalog : lsdb.Catalog
        With a column of JPEG or PNG bytes, or else positions that are cut out of a survey. Its
        margin is left out: those rows are classified where they belong.
    images : str, optional
        The column with the pictures. ``"auto"``: the first of the usual names.
    rows_per_shard : int, optional
        Rows whose images are in memory together, at the most.
    **source
        Options of `~gmc_astro.sources.open_images`.

    Returns
    -------
    catalog : lsdb.Catalog
        With the columns ``label`` (missing where there was no image), ``probability``,
        ``probabilities``, ``entropy`` and ``status`` beside the others.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If it is no LSDB catalogue, or one of these columns is there already.

    Examples
    --------
    >>> import io
    >>> import lsdb
    >>> import numpy as np
    >>> import pandas as pd
    >>> from PIL import Image
    >>> from gmc_astro import GalaxyMorphologyClassifier
    >>> from gmc_astro.catalogs import classify_partitions
    >>> file = io.BytesIO()
    >>> Image.fromarray(np.zeros((96, 96, 3), np.uint8)).save(file, "JPEG")
    >>> jpeg = file.getvalue()
    >>> frame = pd.DataFrame({"ra": [184.85, 150.12], "dec": [5.79, 2.21], "jpeg": [jpeg, jpeg]})
    >>> catalog = lsdb.from_dataframe(frame, margin_threshold=None)
    >>> classifier = GalaxyMorphologyClassifier(device="cpu", views=1)
    >>> classified = classify_partitions(classifier, catalog)
    >>> sorted(set(classified.columns) - set(catalog.columns))
    ['entropy', 'label', 'probabilities', 'probability', 'status']
    """
    if not hasattr(catalog, "map_partitions") or not hasattr(catalog, "margin"):
        raise InputError(
            f"a {type(catalog).__name__} is no LSDB catalogue: give what lsdb.open_catalog() "
            "returned, or use classify_catalog() with the catalogue's path"
        )
    if unknown := sorted(set(source) - FETCH_OPTIONS - OPENING):
        raise InputError(f"{', '.join(unknown)} is no option here, nor one of open_images()")
    taken = sorted(set(ADDED) & set(catalog.meta.columns))
    if taken:
        raise InputError(f"the catalogue has columns {taken} already: rename or drop them")
    alone = copy(catalog)
    alone.margin = None
    info = catalog.hc_structure.catalog_info
    return alone.map_partitions(
        _classify_partition,
        classifier=classifier,
        token=hashlib.sha256(pickle.dumps(classifier)).hexdigest(),
        places=(info.ra_column, info.dec_column),
        images=images,
        rows_per_shard=rows_per_shard,
        source=source,
        meta=_with_columns(catalog.meta, None),
    )


def _classify_partition(
    frame: pd.DataFrame,
    *,
    classifier: GalaxyMorphologyClassifier,
    token: str,
    places: tuple[str, str],
    images: str,
    rows_per_shard: int,
    source: Mapping[str, Any],
) -> pd.DataFrame:
    """Classify one partition; an empty one costs nothing."""
    if not len(frame):
        return _with_columns(frame, None)
    with resident(classifier, token) as ready:
        opened = _open(ready, frame, places, images, source)
        return _with_columns(frame, _predict(ready, opened, rows_per_shard))


def _open(
    classifier: GalaxyMorphologyClassifier,
    frame: pd.DataFrame,
    places: tuple[str, str],
    images: str,
    options: Mapping[str, Any],
) -> ImageSource:
    """Pictures of a partition, or cutouts at its positions."""
    names = {name.lower(): name for name in frame.columns}
    table = QTable({"ra": np.asarray(frame[places[0]], float)})
    table["dec"] = np.asarray(frame[places[1]], float)
    found = next((names[name] for name in IDS if name in names), None)
    if found is not None:
        table["id"] = np.asarray(frame[found]).astype(str)
    if images != "auto" and images not in frame.columns:
        raise InputError(f"the catalogue has no column {images!r}; it has {list(frame.columns)}")
    usual = next((name for name in IMAGE_COLUMNS if name in frame.columns), None)
    column = usual if images == "auto" else images
    if column is None or "survey" in options:
        return classifier._open(table, options).quiet()
    if fetch := sorted(set(options) & FETCH_OPTIONS - OPENING):
        raise InputError(f"options {fetch} are for positions: give survey= with them")
    recipe = options.get("recipe")
    pictures = PictureSource(
        [_bytes(value) for value in frame[column]],
        size=options.get("size") or DEFAULT_SIZE,
        table=table,
        recipe=None if recipe is None else get_recipe(recipe),
    )
    return classifier._open(pictures, {})


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, Mapping):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else None


def _predict(
    classifier: GalaxyMorphologyClassifier, source: ImageSource, rows_per_shard: int
) -> QTable:
    """Predictions of all rows of a source."""
    batch_size = classifier.batch_size or classifier.encoder.default_batch_size
    tables = []
    for rows in ranges_of(source.cuts(rows_per_shard)):
        parts = []
        batches = source.iter_batches(batch_size, start=rows.start, stop=rows.stop)
        for batch in read_ahead(batches):
            vectors = embed_batch(classifier, batch, batch_size)
            parts.append((vectors, ImageBatch(batch.images[:0].copy(), batch.status, batch.start)))
        tables.append(table_of(classifier, source, rows, parts, {})[0])
    return stacked(tables)


def _with_columns(frame: pd.DataFrame, table: QTable | None) -> pd.DataFrame:
    """The frame with the predictions beside it; without a table it must be empty."""
    columns = {}
    for name, kind in ADDED.items():
        values = [] if table is None else _values(table[name])
        columns[name] = pd.Series(values, index=frame.index[: len(values)], dtype=kind)
    return frame.iloc[: len(columns["status"])].assign(**columns)


def _values(column: Any) -> list[Any]:
    """Plain values; None where masked."""
    return [None if value is np.ma.masked else value for value in column.tolist()]

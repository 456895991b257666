"""Catalogues of any size: restartable runs, on one machine or many, and what they leave behind."""

from gmc_astro.catalogs.embeddings import open_embeddings
from gmc_astro.catalogs.partitions import classify_partitions
from gmc_astro.catalogs.reading import find_rows, read_rows
from gmc_astro.catalogs.report import read_report
from gmc_astro.catalogs.run import classify_catalog, merge_catalog

__all__ = [
    "classify_catalog",
    "classify_partitions",
    "find_rows",
    "merge_catalog",
    "open_embeddings",
    "read_report",
    "read_rows",
]

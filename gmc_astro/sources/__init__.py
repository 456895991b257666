"""Sources: every kind of input as rows of images, through one door, `open_images`."""

from gmc_astro.imaging import ImageBatch, ImageSource
from gmc_astro.sources.arrays import ArraySource
from gmc_astro.sources.cutout_file import write_cutouts
from gmc_astro.sources.files import FileSource
from gmc_astro.sources.hdf5 import HDF5Source
from gmc_astro.sources.open import open_images
from gmc_astro.sources.parquet import ParquetSource, PictureSource
from gmc_astro.sources.selection import ConcatenatedSource
from gmc_astro.sources.tables import read_catalog

__all__ = [
    "ArraySource",
    "ConcatenatedSource",
    "FileSource",
    "HDF5Source",
    "ImageBatch",
    "ImageSource",
    "ParquetSource",
    "PictureSource",
    "open_images",
    "read_catalog",
    "write_cutouts",
]

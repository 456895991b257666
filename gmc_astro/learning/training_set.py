"""Training sets: tables of labelled images, read as one source and one table of votes."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from gmc_astro.exceptions import InputError, MeasurementError
from gmc_astro.imaging import OF_JPEG, ImageSource, grey, measure_galaxy
from gmc_astro.morphology import VoteTable
from gmc_astro.sources import FileSource, read_catalog
from gmc_astro.sources.tables import file_column

__all__ = ["TrainingSet", "measure_shapes", "split_tables"]


@dataclass(frozen=True)
class TrainingSet:
    """Files with what is known of them.

    Parameters
    ----------
    paths : tuple of str
        A file for each row.
    votes : `~gmc_astro.morphology.VoteTable`
        Votes or labels, one row a file.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from gmc_astro.learning import TrainingSet
    >>> from gmc_astro.morphology import VoteTable
    >>> votes = VoteTable.read(Table({"id": ["7", "8"], "label": ["edge_on", "elliptical"]}))
    >>> galaxies = TrainingSet(("7.jpg", "8.jpg"), votes)
    >>> galaxies.without(["8"]).paths
    ('7.jpg',)
    """

    paths: tuple[str, ...]
    votes: VoteTable

    @classmethod
    def read(cls, tables: Sequence[str | os.PathLike]) -> TrainingSet:
        """Read tables that name files and what is known of them.

        Parameters
        ----------
        tables : sequence of path-like
            Tables with a column of files and columns of votes or labels, in a layout that
            `~gmc_astro.morphology.VoteTable.read` knows; or folders with a ``labels.csv``.

        Returns
        -------
        training_set : `TrainingSet`
            All their rows, in order.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If a table is missing or names no files.
        gmc_astro.exceptions.VoteTableError
            If a table's layout is not known.
        """
        paths, votes = [], []
        for given in map(Path, tables):
            path = given / "labels.csv" if given.is_dir() else given
            table = read_catalog(path)
            paths += file_column(table, None, path.parent)
            votes.append(VoteTable.read(path))
        return cls(tuple(paths), VoteTable.concatenate(votes))

    @classmethod
    def concatenate(cls, sets: Sequence[TrainingSet]) -> TrainingSet:
        """Put training sets one behind the other.

        Parameters
        ----------
        sets : sequence of TrainingSet
            One or more.

        Returns
        -------
        training_set : `TrainingSet`
            All their rows, in order.

        Raises
        ------
        gmc_astro.exceptions.VoteTableError
            If there are none.
        """
        paths = tuple(path for part in sets for path in part.paths)
        return cls(paths, VoteTable.concatenate([part.votes for part in sets]))

    def __len__(self) -> int:
        return len(self.paths)

    def images(self, size: int) -> ImageSource:
        """Open the files.

        Parameters
        ----------
        size : int
            Side of the images in pixels.

        Returns
        -------
        source : `~gmc_astro.imaging.ImageSource`
            One row a file.
        """
        return FileSource(self.paths, size=size, ids=self.votes.ids)

    def split(self, share: float) -> tuple[TrainingSet, TrainingSet]:
        """Hold out rows by the hash of their id: the same rows on every machine.

        Parameters
        ----------
        share : float
            Share of the rows to hold out, 0 to 1.

        Returns
        -------
        training, held_out : `TrainingSet`
            Two parts with no id in common.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If ``share`` is not between 0 and 1.
        """
        if not 0 <= share < 1:
            raise InputError(f"holdout={share} is not between 0 and 1")
        hashes = np.array([zlib.crc32(name.encode()) for name in self.votes.ids.tolist()])
        held = hashes < share * 2**32
        return self._rows(~held), self._rows(held)

    def without(self, ids: Sequence[str]) -> TrainingSet:
        """Leave out galaxies, for example those that a test set shows as well.

        Parameters
        ----------
        ids : sequence of str
            Their ids.

        Returns
        -------
        training_set : `TrainingSet`
            The other rows.

        Raises
        ------
        gmc_astro.exceptions.InputError
            If an id is not in the set.
        """
        unknown = sorted(set(ids) - set(self.votes.ids.tolist()))
        if unknown:
            raise InputError(f"ids {unknown[:5]} to be left out are not in the training set")
        return self._rows(~np.isin(self.votes.ids, list(ids)))

    def _rows(self, mask: np.ndarray) -> TrainingSet:
        paths = tuple(path for path, kept in zip(self.paths, mask, strict=True) if kept)
        return TrainingSet(paths, self.votes[mask])


def split_tables(
    tables: Sequence[str | os.PathLike],
    *,
    holdout: float = 0.05,
    holdouts: Mapping[str, float] | None = None,
    repeats: Mapping[str, int] | None = None,
    exclude: Sequence[str] = (),
) -> tuple[TrainingSet, TrainingSet]:
    """Read tables into rows to train on and rows held out.

    Parameters
    ----------
    tables : sequence of path-like
        As for `TrainingSet.read`.
    holdout : float, optional
        Share of each table's rows to hold out, by the hash of their id.
    holdouts : mapping of str to float, optional
        Other shares, by the name of the table's file or folder.
    repeats : mapping of str to int, optional
        How often an epoch shows the rows of a table, by its name. Default is once.
    exclude : sequence of str, optional
        Ids of galaxies to leave out of both.

    Returns
    -------
    training, held_out : `TrainingSet`
        No id of a table is in both parts of it. Tables may number their galaxies each in its own
        way: a galaxy in two of them is found by its image (`~gmc_astro.learning.find_leaks`).

    Raises
    ------
    gmc_astro.exceptions.InputError
        If a name is not that of a table, an id is in none of them, or as `TrainingSet.read`.

    Examples
    --------
    >>> import tempfile
    >>> from gmc_astro.learning import split_tables
    >>> from gmc_astro.testing import write_training_galaxies
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = write_training_galaxies(f"{folder.name}/drawn", 3, pixels=32)
    >>> training, held_out = split_tables([table.parent], repeats={"drawn": 2}, holdout=0.4)
    >>> len(training) == 2 * (3 - len(held_out))
    True
    >>> folder.cleanup()
    """
    holdouts, repeats, left_out = holdouts or {}, repeats or {}, set(exclude)
    names = [Path(table).name for table in tables]
    sets = [TrainingSet.read([table]) for table in tables]
    if unknown := sorted((holdouts.keys() | repeats.keys()) - set(names)):
        raise InputError(f"holdouts or repeats name {unknown}; the tables are {names}")
    known = {name for part in sets for name in part.votes.ids.tolist()}
    if unknown := sorted(left_out - known):
        raise InputError(f"ids {unknown[:5]} to be left out are in none of the tables")
    training, held_out = [], []
    for name, part in zip(names, sets, strict=True):
        part = part.without(sorted(left_out & set(part.votes.ids.tolist())))
        kept, held = part.split(holdouts.get(name, holdout))
        training += [kept] * repeats.get(name, 1)
        held_out.append(held)
    return TrainingSet.concatenate(training), TrainingSet.concatenate(held_out)


def measure_shapes(source: ImageSource, *, progress: bool = False) -> dict[str, np.ndarray]:
    """Measure the shape of the galaxy in each image.

    Parameters
    ----------
    source : `~gmc_astro.imaging.ImageSource`
        N images on a display scale.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    shapes : dict of str to `~numpy.ndarray`, shape (N,)
        ``axis_ratio`` and ``core_contrast`` of `~gmc_astro.imaging.GalaxyShape`; NaN where
        nothing could be measured. Display scales lift faint light: contrasts of images in the
        same colours compare, others do not.

    Examples
    --------
    >>> from gmc_astro import open_images
    >>> from gmc_astro.imaging import make_rgb
    >>> from gmc_astro.learning import measure_shapes
    >>> from gmc_astro.testing import SimulatedGalaxy, render_galaxy
    >>> galaxy = SimulatedGalaxy(axis_ratio=0.4, bulge_share=0.0)
    >>> picture = make_rgb(render_galaxy(galaxy, pixels=128), recipe="GZ_DECALS")
    >>> shapes = measure_shapes(open_images(picture[None]))
    >>> float(shapes["axis_ratio"].round(1)[0])
    0.4
    """
    shapes = {name: np.full(len(source), np.nan) for name in ("axis_ratio", "core_contrast")}
    with tqdm(total=len(source), desc="shapes", unit="image", disable=not progress) as bar:
        for batch in source.iter_batches(64):
            for i in np.flatnonzero(batch.ok):
                try:
                    found = measure_galaxy(grey(batch.images[i]), isophote=OF_JPEG)
                except MeasurementError:
                    continue
                for name, values in shapes.items():
                    values[batch.start + i] = getattr(found, name)
            bar.update(len(batch))
    return shapes

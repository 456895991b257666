"""Who does the work: this process, one of several that were started together, or Dask workers."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gmc_astro.catalogs.job import Job, Report, work
from gmc_astro.catalogs.resident import resident
from gmc_astro.catalogs.shards import RowRange
from gmc_astro.exceptions import InputError, OutputError
from gmc_astro.models.device import pick_device, pick_precision

if TYPE_CHECKING:
    from distributed import Client

    from gmc_astro.classifier import GalaxyMorphologyClassifier

__all__ = [
    "Rank",
    "check_executor",
    "connected",
    "current_rank",
    "run_here",
    "run_on_dask",
]

POLL = 1.0  # seconds between looks at what other processes are doing
SEEN = 60.0  # seconds after which what others wrote must be seen here
GPU = "GPU"  # the resource that workers with a GPU declare


@dataclass(frozen=True)
class Rank:
    """One process among those that ``torchrun`` or ``srun`` started together.

    Parameters
    ----------
    rank, size : int, optional
        Number of this process, and of all.
    local : int, optional
        Number of this process on its machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """True for the process that waits for the others, merges and reports."""
        return self.rank == 0

    def order(self, ranges: Sequence[RowRange]) -> list[RowRange]:
        """All ranges, beginning with this process's part, so that few want the same one."""
        first = len(ranges) * self.rank // self.size
        return [*ranges[first:], *ranges[:first]]


def current_rank() -> Rank:
    """Read from the environment which of several processes this is.

    Returns
    -------
    rank : Rank
        By ``torchrun``'s variables, else by those of a step of SLURM; a single process where
        there are neither.
    """
    found = os.environ
    if "RANK" in found and "WORLD_SIZE" in found:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    elif "SLURM_PROCID" in found and "SLURM_STEP_ID" in found:
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
    else:
        return Rank()
    rank, size, local = (int(found.get(name, "0")) for name in names)
    return Rank(rank, max(size, 1), local)


def run_here(job: Job, rank: Rank, *, done: Report) -> None:
    """Work in this process until the run is complete, or nothing is left for it to take.

    Other processes may work on the same run. The first of a group, or a process on its own,
    waits for what they still have in hand, and takes it over from those that die.

    Parameters
    ----------
    job : Job
        The run.
    rank : Rank
        This process among others.
    done : callable
        Told the number of rows after each batch.
    """
    shards = job.shards()
    with job.claims() as claims:
        left = rank.order(job.ranges)
        while left:
            work(job, shards, claims, left, done=done)
            left = [rows for rows in left if not shards.is_finished(rows)]
            if not rank.leads:
                break
            if left:
                time.sleep(POLL)


def run_on_dask(job: Job, client: Client, *, done: Report) -> None:
    """Let Dask workers classify the ranges.

    The workers read the input and write the shards themselves, so both must lie on a disk that
    all of them see. Each worker process loads the model once. A worker that is lost costs its
    unfinished ranges, which others repeat.

    Parameters
    ----------
    job : Job
        The run.
    client : ``distributed.Client``
        The cluster. If a worker declares the resource ``GPU``, only such workers are used, a
        range a GPU at a time.
    done : callable
        Told the number of rows after each range.

    Raises
    ------
    gmc_astro.exceptions.OutputError
        If shards that workers wrote are not seen here, or a range kills one worker after another.
    """
    shards, attempt, unseen_since = job.shards(), 0, None
    left = [rows for rows in job.ranges if not shards.is_finished(rows)]
    while left:
        options: dict[str, Any] = {"resources": {GPU: 1}} if _have_gpus(client) else {}
        keys = [f"classify-{job.token[:16]}-{attempt}-{rows.name}" for rows in left]
        futures = client.map(_classify_range, left, job=job, key=keys, pure=False, **options)
        try:
            finished = _collect(futures, done)
        finally:
            client.cancel(futures)
        attempt, left = attempt + 1, [rows for rows in left if not shards.is_finished(rows)]
        if not finished & set(left):
            unseen_since = None
        elif unseen_since is None:
            unseen_since = time.monotonic()
        elif time.monotonic() - unseen_since > SEEN:
            raise OutputError(
                f"the workers wrote shards that are not in {job.folder}: give an output on a disk "
                "that this process and all workers see under the same path"
            )
        if left:  # in the hands of other processes, or on their way through a network's disk
            time.sleep(POLL)


def _collect(futures: Sequence[Any], done: Report) -> set[RowRange]:
    """Wait for ranges; return those that are finished, by what the workers see."""
    from distributed import KilledWorker, as_completed

    finished = set()
    try:
        for _, (rows, new, is_finished) in as_completed(futures, with_results=True):
            done(new)
            if is_finished:
                finished.add(RowRange(*rows))
    except KilledWorker as err:
        raise OutputError(
            f"a range killed one worker after another ({err.task}), perhaps for their memory: give "
            "them more, or a smaller batch_size"
        ) from err
    return finished


def _have_gpus(client: Client) -> bool:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(worker.get("resources", {}).get(GPU) for worker in workers)


def _classify_range(rows: RowRange, job: Job) -> tuple[RowRange, int, bool]:
    """Classify one range in a worker.

    Returns the range, how many rows were classified now, and whether it is finished.
    """
    rows = RowRange(*rows)
    with resident(job.classifier, job.token) as classifier, job.claims() as claims:
        shards = job.shards()  # what earlier tasks saw on the disk may have changed
        new = work(replace(job, classifier=classifier), shards, claims, [rows])
        return rows, new, shards.is_finished(rows)


def where_work_is_done(
    classifier: GalaxyMorphologyClassifier, executor: Client | None
) -> tuple[str, str]:
    """Device and number format that the network will run with, here or in the workers.

    Parameters
    ----------
    classifier : `~gmc_astro.classifier.GalaxyMorphologyClassifier`
        What says which are wanted.
    executor : ``distributed.Client`` or None
        The cluster.

    Returns
    -------
    device : str
        Kind of device: ``"cpu"``, ``"cuda"``.
    precision : {"fp32", "bf16"}
        Number format.
    """
    wanted = str(classifier.device), classifier.precision
    if executor is None:
        return _where(*wanted)
    options = {"resources": {GPU: 1}} if _have_gpus(executor) else {}
    return executor.submit(_where, *wanted, pure=False, **options).result()


def _where(device: str, precision: str) -> tuple[str, str]:
    found = pick_device(device)
    return found.type, pick_precision(precision, found)


@contextmanager
def local_workers(number: int) -> Iterator[Client]:
    """Start Dask workers on this machine, which share its cores and GPUs.

    Parameters
    ----------
    number : int
        Worker processes.

    Yields
    ------
    client : ``distributed.Client``
        For as long as the context lasts.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If Dask is not installed, or there is to be no worker.
    """
    if number < 1:
        raise InputError(f"{number} workers cannot do anything: give 1 or more")
    try:
        from distributed import Client, Nanny, Scheduler, SpecCluster
    except ImportError as err:
        raise InputError("workers need Dask: pip install 'gmc_astro[dask]'") from err
    import torch

    gpus = torch.cuda.device_count()
    threads = str(max((os.cpu_count() or 1) // number, 1))
    workers = {}
    for i in range(number):
        env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if gpus:
            env["CUDA_VISIBLE_DEVICES"] = str(i % gpus)
        quiet = {"silence_logs": logging.ERROR, "dashboard": False}
        workers[i] = {"cls": Nanny, "options": {"nthreads": 1, "env": env, **quiet}}
    local = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, **local}}
    with (
        SpecCluster(workers, scheduler, silence_logs=logging.ERROR) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(number)
        yield client


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Use a Dask cluster that runs already.

    Parameters
    ----------
    address : str
        Of its scheduler, for example ``"tcp://node1:8786"``.

    Yields
    ------
    client : ``distributed.Client``
        For as long as the context lasts.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If Dask is not installed, or nobody answers at that address.
    """
    try:
        from distributed import Client
    except ImportError as err:
        raise InputError("a scheduler needs Dask: pip install 'gmc_astro[dask]'") from err
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as err:
        raise InputError(f"no Dask scheduler answers at {address!r}: {err}") from err
    with client:
        yield client


def check_executor(executor: Any) -> None:
    """Refuse what is no Dask client.

    Parameters
    ----------
    executor : object
        What the user gave.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If it is neither None nor a ``distributed.Client``.
    """
    if executor is None:
        return
    kind = type(executor)
    if not any(c.__name__ == "Client" and "distributed" in c.__module__ for c in kind.__mro__):
        raise InputError(
            f"executor of type {kind.__name__} cannot be used: give a dask.distributed.Client "
            "(pip install 'gmc_astro[dask]'), or leave it out to work in this process"
        )

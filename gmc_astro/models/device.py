"""Where and in which number format the network runs."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import torch

from gmc_astro.exceptions import InputError

__all__ = [
    "PRECISIONS",
    "SIDE_BY_SIDE",
    "autocast",
    "device_name",
    "pick_device",
    "pick_precision",
    "seeded",
    "side_by_side",
]

#: Parts that a CPU works on at once at the most; more would wait for the interpreter's lock.
SIDE_BY_SIDE = 4
PRECISIONS = ("auto", "fp32", "bf16")


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Choose the device that ``device`` names.

    Parameters
    ----------
    device : str or `~torch.device`, optional
        ``"auto"`` (the GPU where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Returns
    -------
    device : `~torch.device`
        A device that this machine has.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If the device is unknown or this machine does not have it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
    except RuntimeError as err:
        raise InputError(f"device {device!r} is not a torch device: {err}") from err
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as err:  # the latter where torch was built without it
        reason = str(err).partition("\n")[0]
        raise InputError(
            f'device "{device}" is not on this machine ({reason}); use device="auto" or "cpu"'
        ) from err
    return device


def device_name(device: torch.device) -> str:
    """Name of the processor, as its maker gives it.

    Parameters
    ----------
    device : `~torch.device`
        A device that this machine has.

    Returns
    -------
    name : str
        For example ``"NVIDIA H200"`` or ``"x86_64, 2 threads"``.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def pick_precision(precision: str, device: torch.device) -> str:
    """Choose the number format of the network's arithmetic.

    Parameters
    ----------
    precision : {"auto", "fp32", "bf16"}
        ``"auto"`` is bfloat16 where the processor computes in it, else float32.
    device : `~torch.device`
        Where the network will run.

    Returns
    -------
    precision : {"fp32", "bf16"}
        The format to use.

    Raises
    ------
    gmc_astro.exceptions.InputError
        If ``precision`` is none of the three.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision={precision!r} is not one of {PRECISIONS}")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    """Tell whether this processor multiplies bfloat16 in hardware (emulation is slower)."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@contextmanager
def side_by_side(device: torch.device, parts: int) -> Iterator[Callable]:
    """Work on several parts at once where that is better than sharing each among all cores.

    Threads that share one part wait for each other hundreds of times in a network. On a CPU
    whose cores have other things to do as well (reading the next images, another user), each of
    those waits is for the slowest: with two of three busy cores, one part a thread was measured
    to be five times as fast.

    Parameters
    ----------
    device : `~torch.device`
        Where the network runs.
    parts : int
        Parts that there are.

    Yields
    ------
    map_over : callable
        As `map`: applies a function to the parts.
    """
    threads = torch.get_num_threads()
    workers = min(threads, parts, SIDE_BY_SIDE)
    if device.type != "cpu" or workers < 2:
        yield map
        return
    try:
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
        ) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)  # a part of that setting is everybody's


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Context in which the network computes in ``precision``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def seeded(random_state: int | None) -> Iterator[None]:
    """Random weights follow from a seed, and nothing outside changes.

    Parameters
    ----------
    random_state : int or None
        The seed; None leaves torch's generator as it is.
    """
    with torch.random.fork_rng([], enabled=random_state is not None):
        if random_state is not None:
            torch.manual_seed(random_state)
        yield

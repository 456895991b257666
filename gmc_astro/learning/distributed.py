"""Several processes that train one model, with the gradients that one process would have.

Each process embeds its share of a step's images and captions. All features are gathered, every
process computes the whole loss from them, and sends the gradient of its own share back through
its towers; the sum over processes is the gradient of the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["World", "current_world", "joined_processes", "shared_batch_norm"]

#: How long the processes wait for the first, which alone validates and saves.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Parameters
    ----------
    rank : int, optional
        Number of this process.
    size : int, optional
        Number of all.

    Examples
    --------
    >>> from gmc_astro.learning import World
    >>> World(rank=1, size=4).share(32)
    slice(8, 16, None)
    >>> World(rank=1, size=4).leads
    False
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True for the process that writes files and shows progress."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """Consecutive part of ``n`` things that this process computes.

        Parameters
        ----------
        n : int
            Number of things.

        Returns
        -------
        share : slice
            Of equal length for all processes but the last ones.
        """
        each = -(-n // self.size)
        return slice(min(self.rank * each, n), min((self.rank + 1) * each, n))

    def gather(self, part: Tensor, n: int) -> Tensor:
        """Join every process's share.

        Parameters
        ----------
        part : `~torch.Tensor`, shape (share, D)
            This process's.
        n : int
            Length of the whole.

        Returns
        -------
        whole : `~torch.Tensor`, shape (n, D)
            The same in every process.
        """
        if self.size == 1:
            return part
        each = -(-n // self.size)
        padded = part.new_zeros((each, *part.shape[1:]))
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat(parts)[:n]

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of all processes, in place.

        Parameters
        ----------
        parameters : sequence of `~torch.nn.Parameter`
            The same ones in every process; a gradient that no process has stays None.
        """
        if self.size == 1:
            return
        has = torch.stack([torch.tensor(float(p.grad is not None)) for p in parameters])
        flat = [has.to(parameters[0].device)]
        flat += [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        joined = torch.cat([part.reshape(-1) for part in flat])
        dist.all_reduce(joined)
        some, *sums = torch.split(joined, [part.numel() for part in flat])
        for parameter, total, found in zip(parameters, sums, some.tolist(), strict=True):
            # laid out in memory as the parameter, which the fused optimiser takes for granted
            laid_out = torch.empty_like(parameter.detach()).copy_(total.view(parameter.shape))
            parameter.grad = laid_out if found else None

    def start_alike(self, module: nn.Module) -> None:
        """Give every process the first one's weights: random ones may differ.

        Parameters
        ----------
        module : `~torch.nn.Module`
            The same architecture in every process; changed in place.
        """
        if self.size > 1:
            for value in module.state_dict().values():
                dist.broadcast(value, src=0)

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            dist.barrier()


def current_world() -> World:
    """Processes that this one belongs to.

    Returns
    -------
    world : `World`
        One process where none were started together.

    Examples
    --------
    >>> from gmc_astro.learning import current_world
    >>> current_world()
    World(rank=0, size=1)
    """
    if not dist.is_initialized():
        return World()
    return World(dist.get_rank(), dist.get_world_size())


@contextmanager
def joined_processes(device: str = "auto") -> Iterator[tuple[World, str]]:
    """Join the processes that ``torchrun`` started, for as long as the context lasts.

    Parameters
    ----------
    device : str, optional
        ``"auto"`` and ``"cuda"`` become this process's own GPU where there are GPUs.

    Yields
    ------
    world : `World`
        One process where ``torchrun`` did not start this one.
    device : str
        Device for this process.

    Examples
    --------
    >>> from gmc_astro.learning import joined_processes
    >>> with joined_processes("cpu") as (world, device):
    ...     print(world.size, device)
    1 cpu
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield current_world(), device
        return
    on_gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    if on_gpu:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield current_world(), device
    finally:
        dist.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


@contextmanager
def shared_batch_norm(network: nn.Module, world: World) -> Iterator[None]:
    """Let batch normalisation see the images of all processes, on any device.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Its layers of batch normalisation are changed for as long as the context lasts.
    world : `World`
        Nothing changes for a single process.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if world.size == 1:
        layers = []
    for layer in layers:
        layer.forward = partial(_normalise, layer, type(layer).forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _normalise(layer: nn.Module, alone: Callable[..., Tensor], x: Tensor) -> Tensor:
    """Normalise with the mean and variance over all processes."""
    if not layer.training:
        return alone(layer, x)
    dims = [d for d in range(x.ndim) if d != 1]
    shape = [1, -1] + [1] * (x.ndim - 2)
    values = x.float()
    count = _SumOverProcesses.apply(values.new_tensor(float(x.numel() // x.shape[1])))
    mean = _SumOverProcesses.apply(values.sum(dims)) / count
    centred = values - mean.view(shape)
    variance = _SumOverProcesses.apply(centred.square().sum(dims)) / count
    with torch.no_grad():
        layer.num_batches_tracked += 1
        layer.running_mean.lerp_(mean, layer.momentum)
        layer.running_var.lerp_(variance * (count / (count - 1)), layer.momentum)
    factor = torch.rsqrt(variance + layer.eps) * layer.weight
    result = (centred * factor.view(shape) + layer.bias.view(shape)).to(x.dtype)
    # timm's layers drop and activate in one go with the normalisation
    return layer.act(layer.drop(result)) if hasattr(layer, "drop") else result

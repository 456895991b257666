"""Learning rates over a training: a linear warm-up, then a cosine."""

from __future__ import annotations

import math

__all__ = ["warm_up_and_cosine"]


def warm_up_and_cosine(step: int, total: int, *, warmup: float, final: float = 0.0) -> float:
    """Share of the peak learning rate at a step.

    Parameters
    ----------
    step, total : int
        Number of the step, from 0, and of all steps.
    warmup : float
        Share of the steps in which the rate rises to its peak; one step at least.
    final : float, optional
        Share of the peak at the end.

    Returns
    -------
    share : float
        0 to 1.
    """
    warm = max(int(warmup * total), 1)
    if step < warm:
        return (step + 1) / warm
    phase = (step - warm) / max(total - warm, 1)
    return final + (1 - final) * (1 + math.cos(math.pi * phase)) / 2

"""Steps of a training: a learning rate that warms up, then falls as a cosine; no step astray."""

from __future__ import annotations

import math

from gmc_astro.exceptions import TrainingError

__all__ = ["check_loss", "warm_up_and_cosine"]


def check_loss(loss: float, step: int) -> float:
    """Stop a training whose loss is no number any more.

    Parameters
    ----------
    loss : float
        Loss of a step.
    step : int
        Number of the step, from 0.

    Returns
    -------
    loss : float
        The same.

    Raises
    ------
    gmc_astro.exceptions.TrainingError
        If it is infinite or NaN.
    """
    if not math.isfinite(loss):
        raise TrainingError(
            f"the training diverged: its loss is {loss} at step {step + 1}; "
            "take a smaller learning rate, or precision='fp32'"
        )
    return loss


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

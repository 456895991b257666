"""Averaged weights, by a moving average that also suits short trainings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["growing_average"]


def growing_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Moving average whose window grows with the steps taken, so that short runs have one too.

    Parameters
    ----------
    decay : float
        Decay of the average after many steps, 0 to 1.

    Returns
    -------
    update : callable
        For ``multi_avg_fn`` of `~torch.optim.swa_utils.AveragedModel`.
    """

    def update(averages: Any, values: Any, steps: Any) -> None:
        taken = int(steps)
        get_ema_multi_avg_fn(min(decay, (1 + taken) / (10 + taken)))(averages, values, steps)

    return update

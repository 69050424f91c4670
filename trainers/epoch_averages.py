"""The averages of a training epoch so far, which Lightning keeps in memory but not in checkpoints.

What is logged with `on_epoch=True` is summed batch by batch. Without these sums, a run that is resumed in the middle of
an epoch reports the average of the rest of it.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor

Sums = dict[str, tuple[Tensor, Tensor | None]]
"""Per logged value its sum (or maximum, or minimum) and, of an average, the number of samples in it."""


def running_sums(trainer: Trainer) -> Sums:
    """Return what this rank has logged in the present training epoch, on the CPU; torchmetrics objects are left out."""
    return {
        key: (result.value.cpu(), result.cumulated_batch_size.cpu() if result.meta.is_mean_reduction else None)
        for key, result in _results(trainer).items()
        if result.is_tensor and result.meta.on_epoch and not result.has_reset
    }


def add_sums(trainer: Trainer, earlier: Sums) -> Sums:
    """Put earlier sums before those of the present training epoch; return those of values not logged in it yet."""
    results, waiting = _results(trainer), {}
    for key, (value, samples) in earlier.items():
        result = results.get(key)
        if result is None or result.has_reset:
            waiting[key] = (value, samples)
            continue
        value = value.to(result.value)
        added_up = result.meta.is_mean_reduction or result.meta.is_sum_reduction
        result.value = value + result.value if added_up else result.meta.reduce_fx(value, result.value)
        if samples is not None:
            result.cumulated_batch_size = samples.to(result.cumulated_batch_size) + result.cumulated_batch_size
        result._computed = None
    return waiting


def _results(trainer: Trainer) -> dict[str, Any]:
    return trainer.fit_loop.epoch_loop._results

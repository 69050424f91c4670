"""Snapshot pairs: what every learner of dynamics is trained on, cut out of trajectories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datamodules import keys
from datamodules.dynamics.measures import Array
from datamodules.samples import TensorSamples


class SnapshotPairs(TensorSamples):
    """Pairs of snapshots in memory.

    Args:
        entries: see the section on dynamics of `datamodules.keys`; the index of each pair is added.
    """

    def __init__(self, entries: dict[str, Tensor]) -> None:
        super().__init__({**entries, keys.INDEX: torch.arange(len(entries[keys.STATE]))})


def delayed(trajectory: Array, delays: int) -> Array:
    """Stack every `delays` consecutive rows of a trajectory (T, d) to one, the oldest first.

    Returns:
        (T - delays + 1, delays * d).

    Raises:
        ValueError: the trajectory is shorter than the delays.
    """
    if len(trajectory) < delays:
        raise ValueError(f"it has {len(trajectory)} rows, fewer than delays={delays}")
    windows = np.lib.stride_tricks.sliding_window_view(trajectory, delays, axis=0)
    return windows.transpose(0, 2, 1).reshape(len(windows), -1)


def pairs_of(trajectory: Array, lag: int, delays: int = 1) -> tuple[Array, Array]:
    """Return all pairs (x_t, x_{t + lag}) of a trajectory (T, d), with delays.

    Returns:
        Two arrays (T - delays + 1 - lag, delays * d).

    Raises:
        ValueError: the trajectory is too short for one pair.
    """
    if len(trajectory) < lag + delays:
        raise ValueError(
            f"it has {len(trajectory)} rows; give at least {lag + delays} for lag={lag} and delays={delays}"
        )
    states = delayed(trajectory, delays)
    return states[:-lag], states[lag:]


def delayed_names(names: Sequence[str], delays: int) -> list[str]:
    """Return the names of the columns of `delayed`: "x[t-1]", "x[t]" for x with two delays."""
    if delays == 1:
        return list(names)
    ages = [f"[t-{age}]" if age else "[t]" for age in reversed(range(delays))]
    return [name + age for age in ages for name in names]

"""What the zoo's modules share whose answer follows in closed form from a sum over the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from tqdm.auto import tqdm

from zoo.checks import require
from zoo.module import ZooModule

SECONDS_WITHOUT_PROGRESS = 2.0


class Statistic(Protocol):
    """What can be summed over any shares of the data: accumulators of `zoo.spectral.accumulators`, and others."""

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""

    def copy(self) -> Self:
        """Return one that has seen the same and shares nothing with this one."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all that it knows, as tensors on the CPU whose shapes never change."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the result of `state_dict`, copying it."""


class ClosedForm(ZooModule):
    """Base of the modules that add up statistics, then solve.

    Subclasses define `new_statistics`, `accumulate` and `solve`, and register a buffer for each part of the solution,
    in the shape that follows from their hyper-parameters and in float64. Validation before the first solution sees the
    buffers as they were registered.

    The trainer's callback `trainers.statistics.SumOverData` merges the statistics of all processes, solves once and
    gives everyone the solution. What has nothing to train by gradients besides derives from `StatisticsModule`, and is
    done after one epoch; what has a network derives from `NetworkModule`, and is solved anew, in one more pass over the
    training data, before each epoch and each validation.

    Attributes:
        statistics: what has been added up so far in this process, by name.
        stale: whether something was added since the solution was found.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.statistics: dict[str, Any] = {}
        self.stale = False

    def new_statistics(self) -> dict[str, Any]:
        """Return fresh accumulators by name."""
        raise NotImplementedError(f"{type(self).__name__} must define new_statistics()")

    def accumulate(self, batch: Any, batch_idx: int = 0) -> None:
        """Add a batch to `self.statistics`.

        Args:
            batch: as the datamodule makes it; any number of samples.
            batch_idx: the batch's number in the epoch, the same on all processes that share it: what shards go by.
        """
        raise NotImplementedError(f"{type(self).__name__} must define accumulate()")

    def solve(self, statistics: dict[str, Any]) -> dict[str, Tensor]:
        """Return the solution, a tensor for each buffer that it fills; called on one process, changes nothing."""
        raise NotImplementedError(f"{type(self).__name__} must define solve()")

    def restart(self) -> None:
        """Forget what has been added up; the solution stays."""
        self.statistics = self.new_statistics()
        self.stale = False

    def take(self, solution: dict[str, Tensor]) -> None:
        """Fill the buffers with the result of `solve`.

        Raises:
            ValueError: a tensor has not the shape of its buffer.
        """
        for name, tensor in solution.items():
            shape, needed = tuple(tensor.shape), tuple(self.get_buffer(name).shape)
            require(shape == needed, f"solution[{name!r}].shape", shape, f"that of the buffer, {needed}")
        for name, tensor in solution.items():
            self.get_buffer(name).copy_(tensor)
        self.stale = False

    @torch.no_grad()
    def add_batches(self, batches: Iterable[Any]) -> None:
        """Add batches and solve, without a trainer; a progress bar is shown where it takes more than two seconds.

        Args:
            batches: what `accumulate` takes, for instance a `DataLoader`.
        """
        bar = tqdm(batches, desc=type(self).__name__, unit="batch", delay=SECONDS_WITHOUT_PROGRESS, leave=False)
        for index, batch in enumerate(bar):
            self.accumulate(batch, index)
        self.take(self.solve(self.statistics))

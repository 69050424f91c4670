"""What the zoo's modules share that are trained by a sum over the data instead of by gradients."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor
from tqdm.auto import tqdm

from zoo.checks import require
from zoo.module import ZooModule
from zoo.spectral.accumulators import RowAccumulator

SECONDS_WITHOUT_PROGRESS = 2.0


class StatisticsModule(ZooModule):
    """Base of the modules whose training is one pass over the data: add up statistics, then solve.

    Subclasses define `new_statistics`, `accumulate` and `solve`, and register a buffer for each part of the solution,
    in the shape that follows from their hyper-parameters and in float64. Nothing may be trainable: networks among them
    have `requires_grad_(False)`. Validation before the first solution sees the buffers as they were registered.

    The trainer's callback `trainers.statistics.SumOverData` merges the statistics of all processes, solves once and
    gives everyone the solution. Without a trainer, `fit_batches` does the same on one process.

    Attributes:
        statistics: what has been added up so far in this process, by name.
        stale: whether something was added since the solution was found.
        solved_by_trainer: whether the present trainer has that callback; it sets this itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.statistics: dict[str, RowAccumulator] = {}
        self.stale = False
        self.solved_by_trainer = False

    def new_statistics(self) -> dict[str, RowAccumulator]:
        """Return fresh accumulators by name."""
        raise NotImplementedError(f"{type(self).__name__} must define new_statistics()")

    def accumulate(self, batch: Any, batch_idx: int = 0) -> None:
        """Add a batch to `self.statistics`.

        Args:
            batch: as the datamodule makes it; any number of samples.
            batch_idx: the batch's number in the epoch, the same on all processes that share it: what shards go by.
        """
        raise NotImplementedError(f"{type(self).__name__} must define accumulate()")

    def solve(self, statistics: dict[str, RowAccumulator]) -> dict[str, Tensor]:
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
    def fit_batches(self, batches: Iterable[Any]) -> Self:
        """Train on some batches, without a trainer; a progress bar is shown where it takes more than two seconds.

        Args:
            batches: what `accumulate` takes, for instance a `DataLoader`.
        """
        self.eval()
        self.restart()
        bar = tqdm(batches, desc=type(self).__name__, unit="batch", delay=SECONDS_WITHOUT_PROGRESS, leave=False)
        for index, batch in enumerate(bar):
            self.accumulate(batch, index)
        self.take(self.solve(self.statistics))
        return self

    def training_step(self, batch: Any, batch_idx: int = 0) -> Tensor:
        """Add a batch to the statistics; what is returned only tells Lightning that something was done."""
        with torch.no_grad():
            self.accumulate(batch, batch_idx)
        self.stale = True
        return torch.zeros((), device=self.device)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there are no gradients."""

    def on_train_start(self) -> None:
        """Fix batch norms and dropout: all rows are those of one function.

        Raises:
            RuntimeError: the trainer lacks the callback that solves.
            ValueError: a parameter asks for gradients.
        """
        if not self.solved_by_trainer:
            raise RuntimeError(
                f"{type(self).__name__} needs the callback trainers.statistics.SumOverData; build the trainer with "
                "trainers.build_trainer, or give it to your own"
            )
        trainable = [name for name, parameter in self.named_parameters() if parameter.requires_grad]
        require(not trainable, "requires_grad", trainable, "parameters with requires_grad_(False): nothing trains them")
        self.eval()

    def configure_optimizers(self) -> None:
        """Return no optimiser."""
        # Both are as they should be.
        warnings.filterwarnings("ignore", message=".*this fit will run with no optimizer")
        warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode at the start of training")

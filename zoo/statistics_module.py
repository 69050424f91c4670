"""What the zoo's modules share that are trained by a sum over the data instead of by gradients."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor

from zoo.checks import require
from zoo.closed_form import ClosedForm


class StatisticsModule(ClosedForm):
    """Base of the modules whose training is one pass over the data: add up statistics, then solve.

    See `ClosedForm` for what subclasses define. Nothing may be trainable: networks among them have
    `requires_grad_(False)`. Without a trainer, `fit_batches` does the same on one process.

    Attributes:
        solved_by_trainer: whether the present trainer has the callback that solves; it sets this itself.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.solved_by_trainer = False

    def fit_batches(self, batches: Iterable[Any]) -> Self:
        """Train on some batches, without a trainer; a progress bar is shown where it takes more than two seconds.

        Args:
            batches: what `accumulate` takes, for instance a `DataLoader`.
        """
        self.eval()
        self.restart()
        self.add_batches(batches)
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

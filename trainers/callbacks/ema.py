"""Exponential moving average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor


class EMA(WeightAveraging):
    """Validate with, save and end with an exponential moving average of the weights.

    After each optimiser step, average <- decay average + (1 - decay) weights, starting from the weights after the first
    step. The `state_dict` of a checkpoint is the average; the weights that training continues from lie beside it.

    Args:
        decay: between 0 (no averaging) and 1, exclusive.

    Raises:
        ValueError: decay is out of its range.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay!r} is not allowed; give 0 <= decay < 1")
        self.decay = decay
        super().__init__(avg_fn=self._average)

    def _average(self, average: Tensor, current: Tensor, num_averaged: Tensor) -> Tensor:
        # Counters and indices cannot be averaged. lerp leaves equal values as they are, bit for bit: constants among
        # the buffers must not drift.
        return torch.lerp(average, current, 1 - self.decay) if average.is_floating_point() else current

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue the average when fitting; evaluation wants the average and has it already."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the average, which is now the module's: a later evaluation must not swap it in again."""
        self._average_model = None

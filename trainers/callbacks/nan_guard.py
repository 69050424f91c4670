"""Stop at the first number that is not finite."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer


class NonFiniteError(ArithmeticError):
    """The loss, a gradient or a parameter has become NaN or infinite; training on is of no use."""


class StopOnNaN(Callback):
    """Raise `NonFiniteError`, which names the first bad tensor, as soon as a step produces NaN or infinity.

    Looked at are the loss and the gradients before an optimiser step and the parameters after it. Under float16 loss
    scaling, infinite gradients are part of the method and only the parameters are judged.
    """

    def __init__(self) -> None:
        self._loss: Tensor | None = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Remember the loss: the other ranks enter the backward pass now, and must not be left alone in it."""
        self._loss = loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Judge loss and gradients."""
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return
        gradients = ((name, p.grad) for name, p in pl_module.named_parameters() if p.grad is not None)
        loss = [] if self._loss is None else [("loss", self._loss)]
        self._judge(trainer, [*loss, *((f"gradient of {name}", gradient) for name, gradient in gradients)])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Judge parameters."""
        self._judge(trainer, [(f"parameter {name}", p.detach()) for name, p in pl_module.named_parameters()])

    def _judge(self, trainer: Trainer, tensors: list[tuple[str, Tensor]]) -> None:
        # One number for all tensors: on a GPU this waits for the device once, not once per tensor.
        if torch.isfinite(get_total_norm([tensor for _, tensor in tensors], norm_type=math.inf)):
            return
        name, tensor = next((name, tensor) for name, tensor in tensors if not torch.isfinite(tensor).all())
        bad = int((~torch.isfinite(tensor)).sum())
        raise NonFiniteError(
            f"{name} is not finite in epoch {trainer.current_epoch}, step {trainer.global_step} "
            f"({bad} of {tensor.numel()} values); try a smaller learning rate, gradient_clip_val, or look at the data"
        )

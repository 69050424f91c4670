"""What the zoo's modules with a network share: built by name, trained by gradient descent on a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from zoo.checks import require, require_choice
from zoo.module import ZooModule
from zoo.registry import get_network_class

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "linear", "cosine"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
SCHEDULES = ("constant", "linear", "cosine")


class NetworkModule(ZooModule):
    """Base of the modules that train a network, built by name, by gradient descent.

    Args:
        network: name of a registered network, see `zoo.list_models()`.
        network_kwargs: its keyword arguments.
        optimizer: "adam", "adamw" or "sgd". Parameters named `*bias` are never decayed.
        lr: peak learning rate, > 0.
        weight_decay: L2 penalty (decoupled for adamw), >= 0.
        schedule: shape of the learning rate after the warm-up: "constant", or "linear" or "cosine" down to `final_lr`
            at the last step of the run.
        warmup_steps: optimiser steps of linear warm-up, >= 0.
        final_lr: learning rate at the last step, between 0 and `lr`.

    Raises:
        TypeError: see `ZooModule` and the network.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        network: str,
        network_kwargs: dict[str, Any] | None = None,
        optimizer: Optimizer = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        final_lr: float = 0.0,
    ) -> None:
        super().__init__()
        require_choice("optimizer", optimizer, OPTIMIZERS)
        require_choice("schedule", schedule, SCHEDULES)
        require(lr > 0, "lr", lr, "a number > 0")
        require(weight_decay >= 0, "weight_decay", weight_decay, "a number >= 0")
        require(warmup_steps >= 0, "warmup_steps", warmup_steps, "an integer >= 0")
        require(0 <= final_lr <= lr, "final_lr", final_lr, f"a number between 0 and lr={lr}")
        self.network = _build(network, network_kwargs or {})

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimiser, with weight decay on everything but biases, and its step-wise schedule."""
        named = [(name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for name, p in named if not name.endswith("bias")]},
            {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0},
        ]
        hparams = self.hparams
        optimizer = OPTIMIZERS[hparams["optimizer"]](groups, lr=hparams["lr"], weight_decay=hparams["weight_decay"])
        scheduler = LambdaLR(optimizer, self._lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _lr_factor(self, step: int) -> float:
        warmup, final = self.hparams["warmup_steps"], self.hparams["final_lr"] / self.hparams["lr"]
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.hparams["schedule"] == "constant":
            return 1.0
        total = self.trainer.estimated_stepping_batches
        progress = min(1.0, (step - warmup) / max(1.0, total - warmup))
        shape = 1 - progress if self.hparams["schedule"] == "linear" else (1 + math.cos(math.pi * progress)) / 2
        return final + (1 - final) * shape


def _build(network: str, kwargs: dict[str, Any]) -> nn.Module:
    network_class = get_network_class(network)
    try:
        return network_class(**kwargs)
    except (TypeError, ValueError) as error:
        raise type(error)(f"network_kwargs of {network!r}: {error}") from error

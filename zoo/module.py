"""What every LightningModule of the zoo shares: plain hyper-parameters, optimiser and schedule, metrics, packing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MetricCollection

from zoo.checks import require, require_choice
from zoo.registry import get_network_class

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "linear", "cosine"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
SCHEDULES = ("constant", "linear", "cosine")


class ZooModule(LightningModule):
    """Base of the zoo's LightningModules: a network built by name, trained by gradient descent, judged by metrics.

    Subclasses set `monitor` and `mode`, define `metrics()`, the steps, `pack` and `unpack`. The module is rebuilt
    exactly by `type(module)(**module.hparams)`.

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
        TypeError: an argument holds something else than numbers, strings, booleans, None, lists, tuples and dicts of
            these (a checkpoint with it could not be loaded in safe mode).
        ValueError: an argument is out of its range.
    """

    monitor: ClassVar[str]
    mode: ClassVar[Literal["min", "max"]] = "min"
    target_names: list[str]
    pretrained: bool = False
    """Whether the module has weights of its own without a checkpoint of the zoo."""

    not_exportable_because: str | None = None
    """Why the module cannot become a checkpoint, None if it can; set where it cannot be rebuilt by name."""

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
        # Lightning's command line adds keys of its own, which are no arguments of the class.
        self.save_hyperparameters(ignore=["_instantiator", "_class_path"])
        for name, value in self.hparams.items():
            _require_plain(name, value)
        require_choice("optimizer", optimizer, OPTIMIZERS)
        require_choice("schedule", schedule, SCHEDULES)
        require(lr > 0, "lr", lr, "a number > 0")
        require(weight_decay >= 0, "weight_decay", weight_decay, "a number >= 0")
        require(warmup_steps >= 0, "warmup_steps", warmup_steps, "an integer >= 0")
        require(0 <= final_lr <= lr, "final_lr", final_lr, f"a number between 0 and lr={lr}")
        self.network = _build(network, network_kwargs or {})
        self.val_metrics = self.metrics().clone(prefix="val/")
        self.test_metrics = self.metrics().clone(prefix="test/")

    @property
    def method(self) -> str:
        """The name of the method: its folder in `zoo`."""
        return type(self).__module__.split(".")[-2]

    def metrics(self) -> MetricCollection:
        """Return fresh metrics; `val/` and `test/` are put before their names."""
        raise NotImplementedError(f"{type(self).__name__} must define metrics()")

    def pack(self, batch: Any) -> dict[str, Tensor]:
        """Return the tensors of a batch by name, so that it can be stored beside the weights."""
        raise NotImplementedError(f"{type(self).__name__} must define pack()")

    def unpack(self, tensors: dict[str, Tensor]) -> Any:
        """Rebuild a batch from the result of `pack`."""
        raise NotImplementedError(f"{type(self).__name__} must define unpack()")

    def reference_output(self, batch: Any) -> Tensor:
        """Return what a checkpoint stores of a batch to recognise itself by: a continuous function of the weights.

        By default the prediction; methods whose predictions are no tensor, or hold decisions, say what stands for them.
        """
        return self.predict_step(batch)

    def tabulate(self, prediction: Any) -> dict[str, Any]:
        """Return the columns of a prediction for a table, a tensor or list with one value per sample each.

        Args:
            prediction: result of `predict_step`; by default (B, T) with a column for each of `target_names`.
        """
        return dict(zip(self.target_names, prediction.unbind(1), strict=True))

    def arrays(self, prediction: Any) -> dict[str, Tensor]:
        """Return what of a prediction is too large for a table, with one row per sample each: by default nothing."""
        return {}

    def figures(self) -> dict[str, Figure]:
        """Return figures of the last test epoch, by name; empty if there is nothing to show."""
        return {}

    # Metrics are computed in the epoch-end hooks, not by logging the objects in the steps: a rank that had no batch in
    # an unpadded evaluation still has to take part in the reduction.
    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, reduced over ranks."""
        self._log_metrics(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the test metrics, reduced over ranks."""
        self._log_metrics(self.test_metrics)

    def _log_metrics(self, metrics: MetricCollection) -> None:
        values = metrics.compute()
        metrics.reset()
        for name, value in values.items():
            # Equal on all ranks already; the mean over ranks only tells Lightning so.
            self.log(name, value, prog_bar=name == self.monitor, sync_dist=True)

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


def _require_plain(name: str, value: object) -> None:
    for path, leaf in _leaves(name, value):
        if leaf is not None and type(leaf) not in (bool, int, float, str):
            raise TypeError(
                f"{path} is a {type(leaf).__name__}; hyper-parameters must be numbers, strings, booleans, None, "
                "or lists, tuples and dicts of these"
            )


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if type(value) is dict:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if isinstance(key, str) else f"key {key!r} of {path}", item)
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):  # type: ignore[arg-type]
            yield from _leaves(f"{path}[{index}]", item)
    else:
        yield path, value

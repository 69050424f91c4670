"""Train SPE networks: graph regression with the L1 loss, targets standardised by the training set."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Batch
from torchmetrics import CatMetric, MeanAbsoluteError, MetricCollection

from zoo.network_module import NetworkModule, Optimizer, Schedule
from zoo.spe.figures import predicted_against_true

BATCH_KEYS = ("x", "edge_index", "edge_attr", "eigvals", "eigvecs", "num_eigs", "batch", "ptr")


class TargetErrors(MeanAbsoluteError):
    """Mean absolute error over all targets ("mae") and, where there are several, of each ("mae_<target>").

    Args:
        target_names: names of the columns of predictions and targets, each (B, T).
    """

    def __init__(self, target_names: list[str]) -> None:
        super().__init__(num_outputs=len(target_names))
        self.target_names = target_names
        self.set_dtype(torch.float64)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Return the errors by name."""
        errors = super().compute().reshape(-1)
        if len(self.target_names) == 1:
            return {"mae": errors[0]}
        return {"mae": errors.mean()} | {
            f"mae_{name}": error for name, error in zip(self.target_names, errors, strict=True)
        }


class SPEModule(NetworkModule):
    """Regression of graph properties by a network with stable and expressive positional encodings.

    The network predicts standardised targets; loss and metrics are in units of the training standard deviation (which a
    protocol with raw targets sets to 1), predictions in the user's units.

    Args:
        target_names: what is predicted, in the order of the columns of `y`.
        network: "spe-gine" or "spe-transformer".
        network_kwargs: its keyword arguments but for `num_targets`, which follows from `target_names`.
        optimizer: see `NetworkModule`.
        lr: see `NetworkModule`.
        weight_decay: see `NetworkModule`.
        schedule: see `NetworkModule`.
        warmup_steps: see `NetworkModule`.
        final_lr: see `NetworkModule`.

    Raises:
        ValueError: `target_names` is empty or repeats a name; or see `NetworkModule` and the network.
        TypeError: see `NetworkModule` and the network.
    """

    target_mean: Tensor
    target_std: Tensor

    monitor: ClassVar[str] = "val/mae"
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(
        self,
        target_names: list[str],
        network: str = "spe-gine",
        network_kwargs: dict[str, Any] | None = None,
        optimizer: Optimizer = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "linear",
        warmup_steps: int = 100,
        final_lr: float = 0.0,
    ) -> None:
        if not target_names or len(set(target_names)) < len(target_names):
            raise ValueError(f"target_names={target_names!r} is not allowed; give one or more distinct names")
        if "num_targets" in (network_kwargs or {}):
            raise ValueError("network_kwargs.num_targets is not allowed; it follows from target_names")
        self.target_names = list(target_names)
        super().__init__(
            network=network,
            network_kwargs={**(network_kwargs or {}), "num_targets": len(target_names)},
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup_steps=warmup_steps,
            final_lr=final_lr,
        )
        self.register_buffer("target_mean", torch.zeros(len(target_names)))
        self.register_buffer("target_std", torch.ones(len(target_names)))
        self.test_predictions, self.test_targets = CatMetric(), CatMetric()

    def metrics(self) -> MetricCollection:
        """Return the mean absolute errors in units of the training standard deviation."""
        return MetricCollection([TargetErrors(self.target_names)])

    def setup(self, stage: str) -> None:
        """Take the mean and standard deviation of the training targets from the datamodule.

        Loaders of the user's own, or a datamodule without statistics, leave the present ones: 0 and 1 at first.

        Raises:
            ValueError: the datamodule's targets are not the module's `target_names`.
        """
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        names = list(getattr(datamodule, "target_names", self.target_names))
        if names != self.target_names:
            raise ValueError(f"target_names={self.target_names!r} but the data has {names!r}; give the same")
        if stage == "fit" and hasattr(datamodule, "target_statistics"):
            mean, std = datamodule.target_statistics()
            self.target_mean.copy_(torch.as_tensor(mean))
            self.target_std.copy_(torch.as_tensor(std))

    def forward(self, batch: Batch) -> Tensor:
        """Predict the standardised targets of a batch of graphs: (B, T)."""
        return self.network(batch)

    def _errors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        # In the precision of the statistics: mixed precision would round targets by more than a good model errs.
        dtype = self.target_mean.dtype
        return self(batch).to(dtype), (batch.y.to(dtype) - self.target_mean) / self.target_std

    def training_step(self, batch: Batch, batch_idx: int = 0) -> Tensor:
        """Return the L1 loss of a batch."""
        loss = torch.nn.functional.l1_loss(*self._errors(batch))
        self.log(
            "train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=batch.num_graphs
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the validation metrics."""
        self.val_metrics.update(*self._errors(batch))

    def test_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the test metrics and to the figure."""
        predictions, targets = self._errors(batch)
        self.test_metrics.update(predictions, targets)
        self.test_predictions.update(self._raw(predictions))
        self.test_targets.update(self._raw(targets))

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> Tensor:
        """Return the predicted targets in the user's units: (B, T)."""
        return self._raw(self(batch))

    def _raw(self, standardised: Tensor) -> Tensor:
        return standardised * self.target_std + self.target_mean

    def figures(self) -> dict[str, Figure]:
        """Return predictions against true targets of the last test epoch."""
        if not self.test_targets.update_called:
            return {}
        predictions, targets = self.test_predictions.compute(), self.test_targets.compute()
        return {"predictions": predicted_against_true(predictions.cpu(), targets.cpu(), self.target_names)}

    def on_fit_start(self) -> None:
        """Forget the predictions of an earlier test, which figures would show as the present ones."""
        self._forget_predictions()

    def on_test_epoch_start(self) -> None:
        """Forget the predictions of an earlier test."""
        self._forget_predictions()

    def _forget_predictions(self) -> None:
        self.test_predictions.reset()
        self.test_targets.reset()

    def pack(self, batch: Batch) -> dict[str, Tensor]:
        """Return the tensors that the network reads, by name."""
        return {key: batch[key].cpu() for key in BATCH_KEYS}

    def unpack(self, tensors: dict[str, Tensor]) -> Batch:
        """Rebuild a batch of graphs from the result of `pack`."""
        return Batch(**tensors)

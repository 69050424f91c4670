"""Train latent spectral models, and networks to compare them with, by the relative L2 error of fields."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from matplotlib.figure import Figure
from torch import Tensor, distributed
from torchmetrics import MetricCollection

from zoo.batch_norm import synchronize
from zoo.checks import require, require_choice, require_positive
from zoo.lsm.batch_statistics import batch_statistics
from zoo.lsm.figures import ROWS, compared_fields
from zoo.lsm.losses import RelativeL2, relative_gradient_l2, relative_l2
from zoo.lsm.normalization import FieldNormalizer
from zoo.lsm.rollout import rollout
from zoo.network_module import NetworkModule, Optimizer, Schedule

Batch = dict[str, Tensor]

GIVEN = ("input", "mask", "positions", "code")


class LSMModule(NetworkModule):
    """From given fields to others, on a grid or at points, at once or frame by frame.

    Batches are dicts: `input` (B, *grid, C), or `positions` (B, N, 2) with or without `code` (B, K); the `target`; and
    `mask` where predictions outside of it are set to zero. Normalisation is part of the module: fields go in and come
    out in the user's units, in which the loss is taken too.

    Args:
        network: "lsm" or "lsm-points".
        network_kwargs: its keyword arguments.
        num_steps: frames that are predicted one after the other, each from the ones before, the predicted among them;
            gradients flow through all of them.
        teacher_forcing: in training, continue from the true frames instead.
        gradient_weight: of the relative error of the fields' derivatives in the loss, >= 0; on grids.
        reduction: of the loss over a batch: "sum" as published, with learning rates for batches of 20, or "mean".
        test_batch_statistics: also test with the batch norms' statistics of the test batches, as the published numbers
            for Navier-Stokes are; the metrics are called `test/batch_statistics_*`.
        optimizer: see `NetworkModule`.
        lr: see `NetworkModule`.
        weight_decay: see `NetworkModule`.
        decay_biases: decay biases too, as published.
        schedule: see `NetworkModule`.
        warmup_steps: see `NetworkModule`.
        final_lr: see `NetworkModule`.
        halving_epochs: halve the learning rate after every so many epochs, 100 as published; 0 for never.
        input_statistics: shape of the statistics that normalise the input, which training takes from the data; None
            for a single number.
        target_statistics: the same of the target.

    Raises:
        ValueError: an argument is out of its range; or see `NetworkModule` and the network.
        TypeError: see `NetworkModule` and the network.
    """

    monitor: ClassVar[str] = "val/relative_l2"
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(
        self,
        network: str = "lsm",
        network_kwargs: dict[str, Any] | None = None,
        num_steps: int = 1,
        teacher_forcing: bool = False,
        gradient_weight: float = 0.0,
        reduction: Literal["sum", "mean"] = "sum",
        test_batch_statistics: bool = False,
        optimizer: Optimizer = "adam",
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        decay_biases: bool = True,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        final_lr: float = 0.0,
        halving_epochs: int = 0,
        input_statistics: list[int] | None = None,
        target_statistics: list[int] | None = None,
    ) -> None:
        require_positive(num_steps=num_steps)
        for name, value in (
            ("teacher_forcing", teacher_forcing),
            ("test_batch_statistics", test_batch_statistics),
            ("decay_biases", decay_biases),
        ):
            require_choice(name, value, (True, False))
        require(gradient_weight >= 0, "gradient_weight", gradient_weight, "a number >= 0")
        require_choice("reduction", reduction, ("sum", "mean"))
        whole = type(halving_epochs) is int and halving_epochs >= 0
        require(whole, "halving_epochs", halving_epochs, "an integer >= 0")
        for name, shape in (("input_statistics", input_statistics), ("target_statistics", target_statistics)):
            sizes = shape is None or (isinstance(shape, (list, tuple)) and all(type(n) is int and n > 0 for n in shape))
            require(sizes, name, shape, "integers > 0, or None")
        super().__init__(
            network=network,
            network_kwargs=network_kwargs,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup_steps=warmup_steps,
            final_lr=final_lr,
        )
        synchronize(self.network)
        self.input_normalizer = FieldNormalizer(input_statistics or ())
        self.target_normalizer = FieldNormalizer(target_statistics or ())
        self.batch_statistics_metrics = self.metrics().clone(prefix="test/batch_statistics_")
        self._shown: tuple[Batch, Tensor] | None = None

    def metrics(self) -> MetricCollection:
        """Return the mean over samples of the relative L2 error."""
        return MetricCollection({"relative_l2": RelativeL2()})

    def setup(self, stage: str) -> None:
        """Take the statistics of the training fields from the datamodule, where it has any."""
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit" and hasattr(datamodule, "field_statistics"):
            statistics = datamodule.field_statistics()
            for name, normalizer in (("input", self.input_normalizer), ("target", self.target_normalizer)):
                if name in statistics:
                    normalizer.fit(*statistics[name])
                    # To be rebuilt by.
                    self.hparams[f"{name}_statistics"] = list(normalizer.mean.shape)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimiser and its schedule, with decay of biases where it is wanted."""
        configured = super().configure_optimizers()
        if self.hparams["decay_biases"]:
            for group in configured["optimizer"].param_groups:
                group["weight_decay"] = self.hparams["weight_decay"]
        return configured

    def _lr_factor(self, step: int) -> float:
        factor, halving = super()._lr_factor(step), self.hparams["halving_epochs"]
        if not halving or not step:  # at first the number of batches is not known yet
            return factor
        steps = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        return factor * 0.5 ** (step // (halving * max(1, steps)))

    def forward(self, batch: Batch, truth: Tensor | None = None) -> Tensor:
        """Predict the fields of a batch, in the user's units.

        Args:
            batch: see the class.
            truth: frames to continue from in place of the predicted ones.
        """
        if "positions" in batch:
            return self.target_normalizer.decode(self.network(batch["positions"], batch.get("code")))

        def step(fields: Tensor) -> Tensor:
            return self.target_normalizer.decode(self.network(self.input_normalizer.encode(fields)))

        prediction = rollout(step, batch["input"], self.hparams["num_steps"], truth)
        return prediction * batch["mask"] if "mask" in batch else prediction

    def _cast(self, batch: Batch) -> Batch:
        return {name: value.to(self.target_normalizer.mean.dtype) for name, value in batch.items()}

    def training_step(self, batch: Batch, batch_idx: int = 0) -> Tensor:
        """Return the loss of a batch: relative L2 errors, of frames one by one and summed over them."""
        batch, hparams = self._cast(batch), self.hparams
        target = batch["target"]
        prediction = self(batch, target if hparams["teacher_forcing"] else None)
        frames = zip(prediction.chunk(hparams["num_steps"], -1), target.chunk(hparams["num_steps"], -1), strict=True)
        errors = sum((relative_l2(*pair) for pair in frames), torch.zeros(()).to(target))
        if hparams["gradient_weight"] and "positions" not in batch:
            errors = errors + hparams["gradient_weight"] * relative_gradient_l2(prediction, target)
        self.log(
            "train/loss",
            errors.mean(),
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            sync_dist=True,
            batch_size=len(target),
        )
        if hparams["reduction"] == "mean":
            return errors.mean()
        # Gradients are averaged over processes, but the sum is over all of their samples.
        several = distributed.is_available() and distributed.is_initialized()
        return errors.sum() * (distributed.get_world_size() if several else 1)

    def validation_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the validation metrics."""
        batch = self._cast(batch)
        self.val_metrics.update(self(batch), batch["target"])

    def test_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the test metrics, and its first samples to the figure."""
        batch = self._cast(batch)
        prediction = self(batch)
        self.test_metrics.update(prediction, batch["target"])
        if self.hparams["test_batch_statistics"]:
            with batch_statistics(self.network):
                self.batch_statistics_metrics.update(self(batch), batch["target"])
        if batch_idx == 0:
            self._shown = {name: value[:ROWS].cpu() for name, value in batch.items()}, prediction[:ROWS].cpu()

    def on_test_epoch_end(self) -> None:
        """Log the test metrics, reduced over ranks."""
        super().on_test_epoch_end()
        if self.hparams["test_batch_statistics"]:
            self._log_metrics(self.batch_statistics_metrics)

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> Tensor:
        """Return the predicted fields in the user's units."""
        return self(self._cast(batch))

    def tabulate(self, prediction: Tensor) -> dict[str, Any]:
        """Return the root mean square of each predicted field."""
        return {"rms": prediction.flatten(1).square().mean(1).sqrt()}

    def arrays(self, prediction: Tensor) -> dict[str, Tensor]:
        """Return the predicted fields."""
        return {"prediction": prediction}

    def pack(self, batch: Batch) -> dict[str, Tensor]:
        """Return what the network is given, by name."""
        return {name: batch[name].cpu() for name in GIVEN if name in batch}

    def unpack(self, tensors: dict[str, Tensor]) -> Batch:
        """Rebuild a batch from the result of `pack`."""
        return dict(tensors)

    def figures(self) -> dict[str, Figure]:
        """Return the first fields of the last test epoch."""
        if self._shown is None:
            return {}
        batch, prediction = self._shown
        errors = relative_l2(prediction, batch["target"])
        return {
            "fields": compared_fields(batch.get("input"), batch["target"], prediction, errors, batch.get("positions"))
        }

    def on_fit_start(self) -> None:
        """Forget the fields of an earlier test, which figures would show as the present ones."""
        self._shown = None

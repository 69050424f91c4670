"""A tiny method that is a sum over the data: linear least squares by one of two statistics, and its benchmark."""

from typing import ClassVar, Literal

import torch
from torch import nn
from torchmetrics import MeanSquaredError, MetricCollection

from datamodules.module import ZooDataModule
from zoo.checks import require_choice, require_positive
from zoo.spectral.accumulators import GramAccumulator, RowAccumulator, TSQRAccumulator
from zoo.statistics_module import StatisticsModule

STATISTICS = {"gram": GramAccumulator, "tsqr": TSQRAccumulator}
SHARDS = 3


class LeastSquares(StatisticsModule):
    """Fit y = x B + b, with the scatter of B over shards left out.

    Eigenvectors with random signs stand for what only one process may decide.
    """

    monitor: ClassVar[str] = "val/mse"
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(self, num_features: int = 3, num_targets: int = 2, statistic: str = "gram") -> None:
        require_positive(num_features=num_features, num_targets=num_targets)
        require_choice("statistic", statistic, STATISTICS)
        super().__init__()
        self.target_names = [f"target_{index}" for index in range(num_targets)]
        self.register_buffer("coefficients", torch.zeros(num_features, num_targets, dtype=torch.float64))
        self.register_buffer("intercept", torch.zeros(num_targets, dtype=torch.float64))
        self.register_buffer("principal", torch.zeros(num_features, num_features, dtype=torch.float64))
        self.register_buffer("errors", torch.zeros(num_features, num_targets, dtype=torch.float64))
        self.seen: list[int] = []
        self.dropout = nn.Dropout(0.5)

    def metrics(self) -> MetricCollection:
        return MetricCollection({"mse": MeanSquaredError().set_dtype(torch.float64)})

    def new_statistics(self) -> dict[str, RowAccumulator]:
        width = self.hparams["num_features"] + self.hparams["num_targets"]
        return {"moments": STATISTICS[self.hparams["statistic"]](width, shards=SHARDS)}

    def accumulate(self, batch, batch_idx=0):
        x, y, index = batch
        self.seen += index.tolist()
        self.statistics["moments"].update(self.dropout(x), y, shard=batch_idx % SHARDS)

    def solve(self, statistics):
        moments, n = statistics["moments"], self.hparams["num_features"]
        mean, covariance, coefficients = self._regress(moments)
        others = torch.stack([self._regress(rest)[2] for rest in moments.leave_one_out()])
        signs = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
        return {
            "coefficients": coefficients,
            "intercept": mean[n:] - mean[:n] @ coefficients,
            "errors": others.std(0),
            "principal": torch.linalg.eigh(covariance[:n, :n]).eigenvectors * signs,
        }

    def _regress(self, moments: RowAccumulator):
        n = self.hparams["num_features"]
        mean = moments.sums / max(moments.weight, 1)
        covariance = moments.gram / max(moments.weight, 1) - torch.outer(mean, mean)
        return mean, covariance, torch.linalg.pinv(covariance[:n, :n], hermitian=True, rtol=1e-9) @ covariance[:n, n:]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.double() @ self.coefficients + self.intercept

    def predict_step(self, batch, batch_idx=0):
        return self(batch[0])

    def validation_step(self, batch, batch_idx=0):
        self.val_metrics.update(self.predict_step(batch), batch[1].double())

    def test_step(self, batch, batch_idx=0):
        self.test_metrics.update(self.predict_step(batch), batch[1].double())

    def pack(self, batch):
        return dict(zip(("x", "y", "index"), batch, strict=True))

    def unpack(self, tensors):
        return [tensors[name] for name in ("x", "y", "index")]


class Line(ZooDataModule):
    """Noisy values of a linear function."""

    target_names: ClassVar[list[str]] = ["target_0", "target_1"]

    def __init__(self, num_train: int = 37, batch_size: int = 8, num_workers: int = 0, seed: int = 0) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed)
        self.num_train = num_train

    def build_datasets(self):
        generator = torch.Generator().manual_seed(self.seed)
        sets = {}
        for split, length in {"train": self.num_train, "val": 11, "test": 11}.items():
            x = torch.randn(length, 3, generator=generator)
            y = x @ torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]]) + 5
            y = y + 0.1 * torch.randn(length, 2, generator=generator)
            sets[split] = [(x[index], y[index], torch.tensor(index)) for index in range(length)]
        return sets

    def collate(self, samples):
        return [torch.stack(parts) for parts in zip(*samples, strict=True)]

    def metadata(self):
        return {"source": "toy", "split": "train/val/test"}

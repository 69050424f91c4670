"""Tiny images and networks to test with."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import nn


def random_image(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return noise on a ramp, so that no part of the image looks like another."""
    noise = np.random.default_rng(seed).integers(0, 128, (height, width, 3))
    ramp = np.linspace(0, 64, width)[:, None] + np.linspace(0, 63, height)[:, None, None]
    return Image.fromarray((noise + ramp).astype(np.uint8))


class TinyClassifier(LightningModule):
    """Remembers the batches that it got."""

    monitor = None
    mode = "min"

    def __init__(self, num_classes: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(4, num_classes),
        )
        self.seen: dict[str, list[dict[str, torch.Tensor]]] = {"train": [], "val": [], "test": [], "predict": []}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.seen["train"].append(batch)
        return nn.functional.cross_entropy(self(batch["image"]), batch["label"])

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.seen["val"].append(batch)

    def test_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.seen["test"].append(batch)

    def predict_step(self, batch: dict[str, torch.Tensor], batch_idx: int = 0) -> torch.Tensor:
        self.seen["predict"].append(batch)
        return self(batch["image"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def quiet_trainer(folder: Any, **arguments: Any) -> Trainer:
    defaults: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", default_root_dir=folder, enable_model_summary=False, **{**defaults, **arguments})

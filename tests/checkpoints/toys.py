"""The smallest module that has what checkpoints ask of one, and complete arguments to save it with."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

import checkpoints


class Toy(LightningModule):
    """A linear map with a buffer of statistics, like the zoo's modules: plain hyper-parameters, pack and unpack."""

    method = "toy"
    not_exportable_because = None

    def __init__(self, width: int = 4, names: list[str] | None = None, scale: float = 1.0) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width={width} is not allowed; give an integer >= 1")
        self.save_hyperparameters()
        self.network = torch.nn.Linear(3, width)
        self.dropout = torch.nn.Dropout(0.5)
        self.scale = scale
        self.register_buffer("target_mean", torch.zeros(width))
        self.register_buffer("steps", torch.tensor(0))

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        return self.scale * self.dropout(self.network(batch["x"].to(self.target_mean.dtype))) + self.target_mean

    def reference_output(self, batch: dict[str, Tensor]) -> Tensor:
        return self.predict_step(batch)

    def pack(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return dict(batch)

    def unpack(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"x": tensors["x"]}


PROVENANCE = {
    "data": {"source": "random numbers", "seed": 0},
    "split": "80/10/10",
    "protocol": "none",
    "seeds": [0, 1],
    "hardware": "one core",
    "epochs": 3,
    "time": 5400.0,
    "commit": "0123abc",
    "licence": "MIT",
    "paper": [{"metric": "test/mae", "value": 0.0693, "source": "table 1"}],
    "command": "eigenzoo fit --recipe toy/numbers",
    "limits": "Knows nothing.",
}


def batch() -> dict[str, Tensor]:
    return {"x": torch.linspace(-1, 1, 6).reshape(2, 3)}


def trained_toy(**hparams: Any) -> Toy:
    """Return a toy whose every tensor differs from what its constructor makes."""
    toy = Toy(**hparams)
    with torch.no_grad():
        toy.network.weight.uniform_(-1, 1)
        toy.target_mean.uniform_(-1, 1)
        toy.steps += 17
    return toy


def save(toy: Toy, folder: Any, **changes: Any) -> Any:
    arguments = {
        "metrics": {"test/mae": 0.0725, "test/loss": 0.5},
        "provenance": PROVENANCE,
        "reference_batch": batch(),
        "recipe": "toy/numbers",
    }
    return checkpoints.save(toy, folder, **(arguments | changes))

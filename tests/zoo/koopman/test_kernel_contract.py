"""Kernel EDMD keeps the contract of every method."""

from typing import ClassVar

import torch

from datamodules.dynamics import LinearSlowManifold
from tests.contract.statistics import StatisticsContract


class TestKernelEDMD(StatisticsContract):
    method = "koopman/kernel"
    arguments: ClassVar = {
        "target_names": ["x1", "x2"],
        "kernel": "polynomial",
        "power": 2,
        "functions": 6,
        "max_snapshots": 50,
        "shards": 4,
    }
    bad_arguments: ClassVar = {
        "kernel": "cosine",
        "power": 0,
        "length_factor": 0.0,
        "functions": 51,
        "max_snapshots": 0,
        "cutoff": -1.0,
        "target_names": ["x1", "x1"],
        "delays": 0,
        "dt": 0.0,
        "horizon": 0,
        "shards": 0,
        "assumption": "smooth",
    }

    def datamodule(self):
        return LinearSlowManifold(num_train=40, num_val=20, num_test=24, batch_size=8)

    def separate(self, batch):
        return [{key: entry[index : index + 1] for key, entry in batch.items()} for index in range(len(batch["state"]))]

    def exportable(self, module, batch):
        return module.dictionary, (batch["state"],)

    def comparable(self, state):
        """Leave out what depends on the signs of the kernel matrix' eigenvectors."""
        return {name: value.abs() for name, value in state.items() if name in ("snapshots", "coefficients", "rank")}

    def is_less_exact(self, name):
        return True

    def property_error(self, module, batch):
        """Distance of the eigenvalues from the exact ones of polynomials, which the kernel's functions span."""
        if not module.is_fitted:
            datamodule = self.datamodule()
            datamodule.setup("fit")
            module.fit_batches([datamodule.entries("train")])
        exact = torch.tensor([1.0, 0.9, 0.9**2, 0.5], dtype=torch.complex128)
        return float((module.eigenvalues_[:, None] - exact).abs().amin(0).max())

    def break_property(self, module):
        """Shrink the eigenvalues by a tenth."""
        module.eigenvalues.mul_(0.9)

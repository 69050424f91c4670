"""Learned dictionaries keep the contract of every method, by the whitened residual and by the loss of EDMD-DL."""

from typing import ClassVar

import pytest

from datamodules.dynamics import LinearSlowManifold
from tests.contract.method import MethodContract
from zoo.koopman.certificate import TrainingDataWarning
from zoo.koopman.losses import whitened_residual
from zoo.koopman.residuals import mean_leak
from zoo.koopman.snapshots import Snapshots


class GradientContract(MethodContract):
    """What both learners with a network have in common."""

    not_exportable_because = None

    def separate(self, batch):
        return [{key: entry[index : index + 1] for key, entry in batch.items()} for index in range(len(batch["state"]))]

    def exportable(self, module, batch):
        return module.dictionary, (batch["state"],)

    def comparable(self, state):
        """Leave out eigenvectors, whose order and phases rest on the last digits of equal moduli.

        A triangular factor jumps where columns depend on each other, as the states do; its Gram matrix does not.
        """
        kept = {name: value for name, value in state.items() if name not in ("eigenvalues", "right", "modes")}
        return {**kept, "statistic": state["statistic"].mT @ state["statistic"]}

    def is_less_exact(self, name):
        return not name.startswith("dictionary.")

    def entries(self):
        datamodule = self.datamodule()
        datamodule.setup("fit")
        return datamodule.entries("train")

    def fitted(self, module):
        """Give a module the eigenpairs of its network as it is, and the trajectories, as a trainer does."""
        entries = self.entries()
        module._follow(entries["state"], entries["next_state"])
        module.train_on(Snapshots(entries["state"], entries["next_state"], entries["weight"]))
        return module.train()


class TestWhitenedResidual(GradientContract):
    method = "koopman/dictionary"
    arguments: ClassVar = {
        "target_names": ["x1", "x2"],
        "network_kwargs": {"outputs": 3, "width": 8, "depth": 1},
        "shards": 4,
        "condition_penalty": 1e-4,
    }
    bad_arguments: ClassVar = {
        "network": "koopman-tan",
        "network_kwargs": {"dim": 3},
        "loss": "residual",
        "ridge": 0.0,
        "distortion": -1.0,
        "condition_penalty": float("nan"),
        "forecast_weight": -1.0,
        "forecast_steps": 0,
        "optimizer": "lbfgs",
        "lr": 0.0,
        "weight_decay": -1.0,
        "schedule": "step",
        "warmup_steps": -1,
        "final_lr": 1.0,
        "target_names": ["x1", "x1"],
        "delays": 0,
        "dt": 0.0,
        "horizon": 0,
        "shards": 0,
        "assumption": "smooth",
    }

    def datamodule(self):
        return LinearSlowManifold(num_train=64, num_val=32, num_test=32, batch_size=16)

    def property_error(self, module, batch):
        """On the data of training a residual is a leak, and the mean leak is the loss."""
        if not module.is_fitted:
            self.fitted(module)
        entries = self.entries()
        with pytest.warns(TrainingDataWarning):
            found = module.certify_batch(entries, origin="training")
        loss = whitened_residual(*(module.dictionary(entries[name]) for name in ("state", "next_state")))
        return float((loss - mean_leak(module.factors)).abs() + (found.residual - found.leak).abs().max())

    def break_property(self, module):
        """Shrink the eigenvalues by a tenth."""
        module.eigenvalues.mul_(0.9)


class TestEDMDDL(TestWhitenedResidual):
    """With forecasts several lags ahead."""

    overfit_steps: ClassVar = 400

    arguments: ClassVar = {
        "target_names": ["x1", "x2"],
        "network_kwargs": {"outputs": 3, "width": 8, "depth": 1, "layers": "plain"},
        "loss": "edmd_dl",
        "forecast_weight": 0.1,
        "forecast_steps": 2,
        "shards": 4,
    }

    def datamodule(self):
        return LinearSlowManifold(num_train=32, num_val=16, num_test=16, num_steps=2, batch_size=16)

    def module(self, **changes):
        return self.fitted(super().module(**changes))

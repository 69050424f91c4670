"""EDMD keeps the contract of every method, by both statistics, real and complex."""

from typing import ClassVar

import pytest
import torch

from datamodules.dynamics import CircleRotation, LinearSlowManifold, OrnsteinUhlenbeck
from tests.contract.statistics import StatisticsContract
from zoo.koopman.certificate import TrainingDataWarning


class EDMDContract(StatisticsContract):
    method = "koopman"
    not_exportable_because = None

    def separate(self, batch):
        return [{key: entry[index : index + 1] for key, entry in batch.items()} for index in range(len(batch["state"]))]

    def exportable(self, module, batch):
        return module.dictionary, (batch["state"],)

    def comparable(self, state):
        """Leave out eigenvectors, whose order and phases rest on the last digits of equal moduli.

        Of dependent columns the triangular factor is not unique, its square is.
        """
        kept = {name: state[name] for name in ("matrix", "coefficients", "rank")}
        statistic = state["statistic"]
        if self.arguments.get("statistic") != "gram":
            statistic = statistic.mT @ statistic
        return {**kept, "statistic": statistic}

    def is_less_exact(self, name):
        return True


class TestMonomials(EDMDContract):
    arguments: ClassVar = {
        "target_names": ["x1", "x2"],
        "dictionary": "monomials",
        "dictionary_kwargs": {"degree": 2},
        "shards": 4,
    }
    bad_arguments: ClassVar = {
        "dictionary": "monomial",
        "dictionary_kwargs": {"degree": 0},
        "variant": "unitary",
        "target_names": ["x1", "x1"],
        "statistic": "covariance",
        "precision": "float16",
        "rank_tolerance": 0.0,
        "delays": 0,
        "dt": 0.0,
        "horizon": 0,
        "shards": 0,
        "assumption": "smooth",
    }

    def datamodule(self):
        return LinearSlowManifold(num_train=40, num_val=20, num_test=24, batch_size=8)

    def property_error(self, module, batch):
        """Distance of the eigenvalues from those of the invariant span of 1, x1, x2 and x1^2."""
        if not module.is_fitted:
            datamodule = self.datamodule()
            datamodule.setup("fit")
            entries = datamodule.entries("train")
            module.fit(entries["state"], entries["next_state"])
        exact = torch.tensor([1.0, 0.9, 0.9**2, 0.5], dtype=torch.complex128)
        nearest = (module.eigenvalues_[:, None] - exact).abs().amin(0)
        return float(nearest.max())

    def break_property(self, module):
        """Shrink the eigenvalues by a tenth."""
        module.eigenvalues.mul_(0.9)


class TestMeasurePreserving(EDMDContract):
    """On a rotation, with complex functions and their Gram matrix."""

    arguments: ClassVar = {
        "target_names": ["x"],
        "dictionary": "fourier",
        "dictionary_kwargs": {"degree": 2, "period": 1.0},
        "variant": "measure_preserving",
        "statistic": "gram",
        "assumption": "measure_preserving",
        "shards": 4,
    }
    bad_arguments: ClassVar = TestMonomials.bad_arguments

    def datamodule(self):
        return CircleRotation(num_train=40, num_val=20, num_test=24, quadrature="equispaced", batch_size=8)

    def property_error(self, module, batch):
        """Distance of the eigenvalues from e^(2 pi i k rotation), |k| <= 2."""
        datamodule = self.datamodule()
        if not module.is_fitted:
            datamodule.setup("fit")
            module.fit_batches([datamodule.entries("train")])
        exact = torch.polar(torch.ones(5).double(), 2 * torch.pi * datamodule.rotation * torch.arange(-2.0, 3).double())
        return float((module.eigenvalues_[:, None] - exact).abs().amin(0).max())

    def break_property(self, module):
        """Turn the eigenvalues out of place."""
        module.eigenvalues.mul_(-1)


class TestStochastic(EDMDContract):
    """Two successors of every state: the residual includes the variance."""

    arguments: ClassVar = {
        "target_names": ["x"],
        "dictionary": "hermite",
        "dictionary_kwargs": {"degree": 2},
        "variant": "stochastic",
        "shards": 4,
    }
    bad_arguments: ClassVar = TestMonomials.bad_arguments

    def datamodule(self):
        return OrnsteinUhlenbeck(num_train=40, num_val=20, num_test=24, batch_size=8)

    def property_error(self, module, batch):
        """On the data of training the residual is nothing but the leak."""
        datamodule = self.datamodule()
        datamodule.setup("fit")
        if not module.is_fitted:
            module.fit_batches([datamodule.entries("train")])
        with pytest.warns(TrainingDataWarning):
            found = module.certify_batch(datamodule.entries("train"), origin="training")
        return float((found.residual - found.leak).abs().max())

    def break_property(self, module):
        """Shrink the eigenvalues, which then have a projected part too."""
        module.eigenvalues.mul_(0.9)

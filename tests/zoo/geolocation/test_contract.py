"""The ensemble keeps the contract of every method; instead of gradient descent, Newton's method must have converged."""

from typing import ClassVar

import pytest
import torch
from torch import nn

from datamodules.earth import SyntheticEarth
from tests.contract.shared import SharedContract
from tests.tolerances import LINEAR_ALGEBRA, tolerance

PREDICTORS = {
    "view": {"kind": "point"},
    "prior": {"kind": "static", "source": "train_prior"},
    "cover": {"kind": "attribute", "size": 10},
    "population": {"kind": "attribute", "size": 6},
    "land": {"kind": "static", "pooled": False},
}


class Summed(nn.Module):
    """A pool that forgets to normalise."""

    def forward(self, maps, gates, log_base):
        return maps.sum(1)


class GeoEnsembleContract(SharedContract):
    method = "geolocation"
    epochs: ClassVar[int] = 3
    arguments: ClassVar = {
        "predictors": PREDICTORS,
        "nside": 8,
        "compare": {"base": {"view": 1.0, "prior": 1.0}},
        "strata": ["urban", "rural", "wild"],
    }
    bad_arguments: ClassVar = {
        "predictors": {"view": {"kind": "photograph"}},
        "nside": 0,
        "pooling": "quadratic",
        "weights": "vector",
        "gate": 3,
        "num_gates": 0,
        "bands": [4, 2],
        "compare": {"a/b": {"view": 1.0}},
        "strata": [],
        "min_area_km2": 0.0,
        "l2": -1.0,
        "floor": 1.0,
        "tolerance": 0.0,
    }

    def datamodule(self):
        return SyntheticEarth(
            nside=8, lmax=16, num_train=64, num_val=16, num_test=4, batch_size=16, overconfidence=2.0, train_set="mixed"
        )

    def separate(self, batch):
        return [{key: value[index : index + 1] for key, value in batch.items()} for index in range(len(batch["cell"]))]

    def exportable(self, module, batch):
        maps = module.log_maps(batch)
        return module.pool, (maps, module.rule.features(batch, len(maps), maps), module.predictors.log_base)

    def property_error(self, module, batch):
        """Largest change of a posterior when a constant is added to the maps of each image."""
        ready = {**batch, **module.predictors(batch, ["view", "cover"])}
        shifted = dict(ready)
        for name in ("view", "cover"):
            shifted[name] = ready[name] + torch.arange(len(ready[name]))[:, None]
        return float((module(ready) - module(shifted)).exp().sub(1).abs().max())

    def break_property(self, module):
        module.pool = Summed()
        module.predictors.floor = 0.0
        module.predictors._given = lambda name, values: values

    def fitted(self, tmp_path, **changes):
        module, datamodule = self.module(**changes), self.datamodule()
        self.trainer(tmp_path, max_epochs=60, precision="64-true").fit(module, datamodule)
        return module, datamodule

    def test_training_ends_at_the_optimum(self, tmp_path):
        module, datamodule = self.fitted(tmp_path)
        assert module.fit.converged
        assert self.gradient(module, datamodule) < 1e-4
        before = self.module().double()
        before.predictors.load_state_dict(module.predictors.state_dict())
        assert self.gradient(before, datamodule) > 1e-2

    def gradient(self, module, datamodule):
        """Return the largest derivative of the mean loss and penalty of all training images, by autograd."""
        datamodule.prepare_data()
        datamodule.setup("fit")
        batch = datamodule.dataset("train").__getitems__(list(range(64)))
        truth = module.truth(batch)
        coefficients = module.pool.coefficients.clone().requires_grad_()
        module.pool.coefficients = coefficients
        posterior = module(batch)
        start = module.rule.start(len(module.pooled))
        loss = -posterior.gather(1, truth[:, None]).mean()
        loss = loss + module.hparams["l2"] / 2 * ((coefficients - start) ** 2).sum()
        (gradient,) = torch.autograd.grad(loss, coefficients)
        module.pool.coefficients = coefficients.detach()
        return float(gradient.abs().max())

    def test_nothing_is_trained_by_gradients(self):
        module = self.module()
        assert list(module.parameters()) == []
        assert module.configure_optimizers() is None

    def test_training_is_better_than_none(self, tmp_path):
        module, datamodule = self.module(), self.datamodule()
        trainer = self.trainer(tmp_path, max_epochs=30)
        module.trainer = trainer
        trainer.fit(module, datamodule)
        (after,) = trainer.validate(module, datamodule, verbose=False)
        module.pool.coefficients.copy_(module.rule.start(len(module.pooled)))
        (before,) = trainer.validate(module, datamodule, verbose=False)
        assert after["val/bits"] > before["val/bits"] + 0.05

    def test_the_same_without_a_trainer(self, tmp_path):
        module, datamodule = self.fitted(tmp_path)
        alone = self.module().double()
        alone.predictors.load_state_dict(module.predictors.state_dict())
        dataset = datamodule.dataset("train")
        alone.fit_batches([dataset.__getitems__(list(range(32))), dataset.__getitems__(list(range(32, 64)))])
        torch.testing.assert_close(
            alone.pool.coefficients, module.pool.coefficients, **tolerance(torch.float64, LINEAR_ALGEBRA)
        )

    def test_epochs_that_leave_images_out_are_refused(self, tmp_path):
        datamodule = SyntheticEarth(nside=8, lmax=16, num_train=50, num_val=6, num_test=2, batch_size=16)
        with pytest.raises(ValueError, match="batch_size=16"):
            self.trainer(tmp_path, max_epochs=1).fit(self.module(), datamodule)


class TestScalar(GeoEnsembleContract):
    pass


@pytest.mark.slow
class TestStratum(GeoEnsembleContract):
    arguments: ClassVar = {**GeoEnsembleContract.arguments, "weights": "stratum", "gate": "bucket", "num_gates": 6}
    bad_arguments: ClassVar = {**GeoEnsembleContract.bad_arguments, "gate": None}


@pytest.mark.slow
class TestGated(GeoEnsembleContract):
    arguments: ClassVar = {**GeoEnsembleContract.arguments, "weights": "gated", "gate": "gate", "num_gates": 2}
    bad_arguments: ClassVar = {**GeoEnsembleContract.bad_arguments, "gate": None}


@pytest.mark.slow
class TestDegree(GeoEnsembleContract):
    arguments: ClassVar = {**GeoEnsembleContract.arguments, "weights": "degree", "bands": [2, 8]}

    def is_less_exact(self, name):
        # A view has no degrees above the first: the penalty alone decides on its exponents there.
        return name == "pool.coefficients"


@pytest.mark.slow
class TestLinear(GeoEnsembleContract):
    arguments: ClassVar = {**GeoEnsembleContract.arguments, "pooling": "linear"}

"""The contract of sums over data, kept by a toy, and what it says of modules that break it."""

from typing import ClassVar

import pytest
import torch

import zoo
from tests.contract.statistics import StatisticsContract
from tests.trainers.toy_statistics import LeastSquares, Line


class LeastSquaresContract(StatisticsContract):
    method = "trainers"  # the folder of the toy
    test_shipped_checkpoints_reproduce_their_reference = None

    @pytest.fixture(autouse=True)
    def closed_list(self, monkeypatch):
        monkeypatch.setattr(zoo, "get_module_class", lambda method: LeastSquares)

    def datamodule(self):
        return Line(num_train=40)

    def separate(self, batch):
        return [[part[index : index + 1] for part in batch] for index in range(len(batch[0]))]

    def comparable(self, state):
        return {name: tensor.abs() if name == "principal" else tensor for name, tensor in state.items()}

    def exportable(self, module, batch):
        return module, (batch[0],)

    def property_error(self, module, batch):
        """Distance from the prediction of a linear function to that of its sum."""
        x = batch[0].double()
        return float((module(2 * x) - 2 * module(x) + module(torch.zeros_like(x))).abs().max())

    def break_property(self, module):
        module.forward = lambda x: x.double() ** 2 @ module.coefficients.add(1)


class TestGram(LeastSquaresContract):
    arguments: ClassVar = {"num_features": 3, "num_targets": 2, "statistic": "gram"}
    bad_arguments: ClassVar = {"num_features": 0, "num_targets": 1.5, "statistic": "svd"}


class TestTSQR(LeastSquaresContract):
    arguments: ClassVar = {**TestGram.arguments, "statistic": "tsqr"}
    bad_arguments: ClassVar = TestGram.bad_arguments


class Local(LeastSquares):
    """Solves what its own process has seen, as if nothing were merged."""

    def solve(self, statistics):
        return super().solve(self.statistics)


class Cut(LeastSquares):
    """Depends on how the data is cut."""

    def accumulate(self, batch, batch_idx=0):
        super().accumulate([batch[0] * len(batch[0]), *batch[1:]], batch_idx)


class Forgetful(LeastSquares):
    """Counts only what this object has seen."""

    def solve(self, statistics):
        solution = super().solve(statistics)
        return solution | {"intercept": solution["intercept"] + len(self.seen)}


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Local, "test_two_processes_equal_one"),
        (Cut, "test_two_processes_equal_one"),
        (Local, "test_uneven_shares_are_exact"),
        (Forgetful, "test_resume_after_a_kill_in_mid_epoch"),
    ],
)
def test_negative_control(broken, test, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "get_module_class", lambda method: broken)
    with pytest.raises(AssertionError):
        getattr(TestGram(), test)(tmp_path)

"""What a method must pass whose training is a sum over the data: inherit `StatisticsContract`.

Its attributes and methods are those of `MethodContract` but for the network's; `comparable` takes out what is a matter
of choice, as signs and phases of eigenvectors, where process 0 chooses for all, but by the last digits of its sums.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils.data import DataLoader

from tests.contract.shared import SharedContract
from tests.tolerances import PARAMETERS_ACROSS_RANKS, tolerance
from trainers.samplers import CompleteBatches


class StatisticsContract(SharedContract):
    """What is asked of a sum over the data, beside `SharedContract`."""

    epochs: ClassVar[int] = 1

    def test_nothing_is_trainable(self):
        module = self.module()
        assert [name for name, parameter in module.named_parameters() if parameter.requires_grad] == []
        assert module.configure_optimizers() is None

    def test_one_epoch_is_better_than_none(self, tmp_path):
        module, datamodule = self.module(), self.datamodule()
        trainer = self.trainer(tmp_path, max_epochs=3)
        (before,) = trainer.validate(module, datamodule, verbose=False)
        trainer.fit(module, datamodule)
        (after,) = trainer.validate(module, datamodule, verbose=False)
        better = after[module.monitor] - before[module.monitor]
        assert better < 0 if module.mode == "min" else better > 0
        assert trainer.current_epoch == 1

    def test_the_same_without_a_trainer(self, tmp_path):
        module, datamodule = self.module(), self.datamodule()
        self.trainer(tmp_path, max_epochs=1).fit(module, datamodule)
        dataset = datamodule.dataset("train")
        batches = CompleteBatches(dataset, datamodule.batch_size)
        alone = self.module().fit_batches(DataLoader(dataset, batch_sampler=batches, collate_fn=datamodule.collate))
        self.assert_equal_states(alone.state_dict(), module.state_dict())

    def test_uneven_shares_are_exact(self, tmp_path):
        """One sample fewer, so that two processes cannot share evenly: none is repeated, none left out."""

        class OneFewer(Callback):
            def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
                datasets = trainer.datamodule.datasets
                datasets["train"] = [datasets["train"][index] for index in range(len(datasets["train"]) - 1)]

        states = []
        for preset in ("cpu", "ddp_sim"):
            module, datamodule = self.module(), self.datamodule()
            trainer = self.trainer(tmp_path / preset, preset=preset, max_epochs=1, callbacks=[OneFewer()])
            trainer.fit(module, datamodule)
            states.append(self.comparable(module.state_dict()))
        close = tolerance(torch.float64, PARAMETERS_ACROSS_RANKS)
        for name, value in states[0].items():
            allowed = tolerance(torch.float64) if self.is_less_exact(name) else close
            error = (states[1][name] - value).abs().max()
            assert error <= allowed["atol"] + allowed["rtol"] * value.abs().max(), f"{name}: {error:.3g}"

    def test_hyper_parameters_are_plain(self):
        super().test_hyper_parameters_are_plain()
        name = next(iter(self.arguments))
        with pytest.raises((TypeError, ValueError), match=name):
            self.module(**{name: torch.ones(2)})

    @staticmethod
    def assert_equal_states(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
        assert one.keys() == other.keys()
        assert [name for name in one if not torch.equal(one[name], other[name])] == []

"""What every method of the zoo must pass: inherit `MethodContract`, give it tiny arguments and data.

A method's test is one class:

    class TestSPE(MethodContract):
        method = "spe"
        arguments = {...}                  # tiny hyper-parameters
        bad_arguments = {...}              # one bad value per constructor argument

        def datamodule(self): ...          # tiny data
        def property_error(self, module): ...  # error of an exact property; the broken variant's must be large
        def break_property(self, module): ...
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from tests.contract.shared import SharedContract


class MethodContract(SharedContract):
    """What is asked of a network that gradients train, beside `SharedContract`."""

    overfit_steps: ClassVar[int] = 200
    overfit_fraction: ClassVar[float] = 0.1
    epochs: ClassVar[int] = 3
    # Not Adam: it blows rounding errors up to whole steps where gradients vanish, as those of biases before a norm.
    arguments_across_ranks: ClassVar[dict[str, Any]] = {"optimizer": "sgd"}

    def network_inputs(self, batch: Any) -> tuple[Any, ...]:
        """Return what the network is called with."""
        return (batch,)

    def exportable(self, module: Any, batch: Any) -> tuple[nn.Module, tuple[Any, ...]]:
        return module.network, self.network_inputs(batch)

    def is_less_exact(self, name: str) -> bool:
        # Running statistics are averages of activations, into which rounding errors of all layers below enter.
        return name not in {name for name, _ in self.module().named_parameters()}

    def test_overfits_one_batch(self):
        module, batch = self.module(schedule="constant", warmup_steps=0, lr=1e-2).train(), self.batch("train")
        module.log = lambda *args, **kwargs: None
        optimizer = module.configure_optimizers()["optimizer"]
        losses = []
        for _ in range(self.overfit_steps):
            loss = module.training_step(batch, 0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert min(losses[-10:]) < self.overfit_fraction * losses[0]

    def test_every_parameter_gets_a_gradient(self):
        module, batch = self.module(), self.batch("train")
        module.log = lambda *args, **kwargs: None
        module.training_step(batch, 0).backward()
        assert [name for name, parameter in module.named_parameters() if parameter.grad is None] == []

    def test_hyper_parameters_are_plain(self):
        super().test_hyper_parameters_are_plain()
        with pytest.raises(TypeError, match=r"network_kwargs\.width"):
            self.module(network_kwargs={"width": torch.tensor(3)})

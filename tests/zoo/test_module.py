import math
from types import SimpleNamespace

import pytest
import torch

from zoo.spe import SPEModule

TINY = {"width": 8, "num_layers": 1, "rho_layers": 1, "rho_width": 8, "phi_channels": 2, "num_eigs": 4}


def module(**arguments):
    return SPEModule(target_names=["a"], network_kwargs=TINY, **arguments)


def rates(steps: int, **arguments) -> list[float]:
    task = module(lr=0.1, **arguments)
    task._trainer = SimpleNamespace(estimated_stepping_batches=steps)
    return [0.1 * task._lr_factor(step) for step in range(steps + 1)]


def test_warmup_rises_linearly_to_the_peak():
    values = rates(20, schedule="constant", warmup_steps=4)
    assert values[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert values[5:] == pytest.approx([0.1] * 16)


def test_linear_schedule_ends_at_the_final_rate():
    values = rates(20, schedule="linear", warmup_steps=4, final_lr=0.01)
    assert values[4] == pytest.approx(0.1)
    assert values[12] == pytest.approx((0.1 + 0.01) / 2)
    assert values[20] == pytest.approx(0.01)


def test_cosine_schedule_is_a_half_cosine():
    values = rates(12, schedule="cosine", warmup_steps=4)
    assert values[6] == pytest.approx(0.1 * (1 + math.cos(math.pi / 4)) / 2)
    assert values[12] == pytest.approx(0.0, abs=1e-15)


def test_biases_are_not_decayed():
    task = module(weight_decay=0.1, schedule="constant")
    decayed, free = task.configure_optimizers()["optimizer"].param_groups
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    assert decayed["weight_decay"] == 0.1 and free["weight_decay"] == 0.0
    assert all(names[id(p)].endswith("bias") for p in free["params"])
    assert not any(names[id(p)].endswith("bias") for p in decayed["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(names)


@pytest.mark.parametrize("value", [torch.tensor(1.0), {1: object()}, [1, [print]]])
def test_only_plain_hyper_parameters(value):
    with pytest.raises(TypeError, match="network_kwargs"):
        SPEModule(target_names=["a"], network_kwargs={**TINY, "extra": value})


def test_hyper_parameters_rebuild_the_module():
    first = module(lr=0.01, optimizer="adamw")
    second = SPEModule(**first.hparams)
    assert first.state_dict().keys() == second.state_dict().keys()
    assert second.hparams == first.hparams

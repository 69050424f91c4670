"""LSM keeps the contract of every method."""

from typing import ClassVar

import torch

from datamodules.fields import Burgers
from tests.contract.method import MethodContract


class TestLSM(MethodContract):
    method = "lsm"
    arguments: ClassVar = {
        "network_kwargs": {"in_channels": 1, "out_channels": 1, "dim": 1, "width": 8, "basis": 4},
        "lr": 1e-3,
        "halving_epochs": 2,
    }
    bad_arguments: ClassVar = {
        "network": "lsm-4d",
        "network_kwargs": {"width": 0},
        "num_steps": 0,
        "teacher_forcing": "sometimes",
        "gradient_weight": -1.0,
        "reduction": "max",
        "test_batch_statistics": "perhaps",
        "optimizer": "lion",
        "lr": 0.0,
        "weight_decay": -1.0,
        "decay_biases": "some",
        "schedule": "step",
        "warmup_steps": -1,
        "final_lr": 1.0,
        "halving_epochs": -1,
        "input_statistics": [0],
        "target_statistics": [85, 85.0],
    }

    def datamodule(self):
        sizes = {"num_train": 32, "num_val": 12, "num_test": 12, "batch_size": 8}
        return Burgers(resolution=64, subsample=2, time_step=0.01, normalization="channel", **sizes)

    def network_inputs(self, batch):
        return (batch["input"],)

    def separate(self, batch):
        return [{name: value[row : row + 1] for name, value in batch.items()} for row in range(len(batch["target"]))]

    def property_error(self, module, batch):
        """Largest gradient of the weights of sin(0), and of what a shift of all keys changes: both are zero."""
        with torch.enable_grad():
            batch = {name: value.double() for name, value in batch.items()}
            module(batch).square().mean().backward()
        error = 0.0
        for block in module.network.unet.blocks:
            dead, keys = block.weights.grad[:, 0], block.encoder.bias.grad[0::2]
            error = max(error, float(dead.abs().max()), float(keys.abs().max()))
            block.zero_grad()
        return error

    def break_property(self, module):
        """Take the values, which are not invariant, for keys."""
        for block in module.network.unet.blocks:
            weight, bias = block.encoder.weight.data, block.encoder.bias
            bias.register_hook(lambda gradient: gradient.unflatten(0, (-1, 2)).flip(1).flatten())
            weight.copy_(weight.unflatten(0, (-1, 2)).flip(1).flatten(0, 1))

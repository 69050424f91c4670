"""The autoencoder keeps the contract of every method."""

from typing import ClassVar

import torch

from datamodules.dynamics import LinearSlowManifold
from tests.zoo.koopman import test_dictionary_contract


class TestAutoencoder(test_dictionary_contract.GradientContract):
    method = "koopman/autoencoder"
    arguments: ClassVar = {
        "target_names": ["x1", "x2"],
        "network_kwargs": {"pairs": 1, "real": 1, "widths": [12], "auxiliary_widths": [4]},
        "prediction_steps": 2,
        "linearity_steps": 3,
        "shards": 4,
        "horizon": 2,
    }
    bad_arguments: ClassVar = {
        **{
            name: value
            for name, value in test_dictionary_contract.TestWhitenedResidual.bad_arguments.items()
            if name not in ("loss", "ridge", "distortion", "condition_penalty", "forecast_weight", "forecast_steps")
        },
        "network": "koopman-tanh",
        "network_kwargs": {"dt": 1.0},
        "prediction_steps": 0,
        "linearity_steps": 1,
        "state_weight": -1.0,
        "largest_weight": float("inf"),
        "penalty": -1.0,
    }

    def datamodule(self):
        return LinearSlowManifold(num_train=24, num_val=8, num_test=16, num_steps=3, batch_size=18)

    def module(self, **changes):
        return self.fitted(super().module(**changes))

    def exportable(self, module, batch):
        return module.autoencoder, (batch["state"].float(),)

    def property_error(self, module, batch):
        """A forecast of the rates' own: every pair is multiplied by exp((mu + i omega) dt)."""
        y = module.autoencoder(batch["state"])
        rates = module.rates(batch["state"])
        z = torch.complex(y[:, [0, 2]], torch.stack([y[:, 1], torch.zeros_like(y[:, 0])], dim=1))
        turned = z * torch.exp(rates * module.dt)
        states = module.autoencoder.decoder(torch.stack([turned[:, 0].real, turned[:, 0].imag, turned[:, 1].real], 1))
        return float((module.forecast(batch["state"], 1)[:, 1] - states).abs().max())

    def break_property(self, module):
        """Advance by another time than the rates are of."""
        module.autoencoder.dt *= 2

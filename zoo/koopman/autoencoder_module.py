"""The autoencoder of Lusch, Kutz and Brunton, 2018, as a learner with certificates."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.checks import require, require_finite, require_positive
from zoo.koopman.autoencoder import LuschAutoencoder
from zoo.koopman.autoencoder_loss import autoencoder_errors, squared_weights
from zoo.koopman.certificate import Assumption
from zoo.koopman.closed_eigenpairs import Batch
from zoo.koopman.dictionaries import Dictionary
from zoo.koopman.gradient_learner import GradientLearner
from zoo.koopman.snapshots import Array, read_states
from zoo.network_module import Optimizer, Schedule


class LatentDictionary(Dictionary):
    """1 and the coordinates that an encoder gives.

    Args:
        network: with the encoder.
    """

    def __init__(self, network: LuschAutoencoder) -> None:
        pairs = [f"{part}(pair{i + 1})" for i in range(network.pairs) for part in ("Re", "Im")]
        super().__init__(network.dim, ["1", *pairs, *(f"real{i + 1}" for i in range(network.real))])
        self.network = network

    def values(self, x: Tensor) -> Tensor:
        """Return 1 and the coordinates at states (M, d), (M, 1 + size)."""
        return torch.cat([torch.ones_like(x[:, :1]), self.network(x)], dim=1)


class KoopmanAutoencoder(GradientLearner):
    """Autoencoder whose coordinates turn and grow at rates that depend on them (Lusch, Kutz and Brunton, 2018).

    Forecasts are the network's own: encode, advance, decode. Eigenpairs are those of EDMD with 1 and the network's
    coordinates as dictionary; their residuals say whether the coordinates span anything that the operator keeps. Where
    rates vary from orbit to orbit, as in a pendulum, no eigenpair but the constant has a small one; see `rates`.

    States should be of order one, as nothing is standardised. The published weights of the loss depend on it.

    Args:
        network: name of the network.
        network_kwargs: its keyword arguments but for `dim` and `dt`.
        prediction_steps: S, lags over which states are forecast in training.
        linearity_steps: T >= S, lags over which coordinates are.
        state_weight: alpha_1, of reconstruction and prediction.
        largest_weight: alpha_2, of the largest errors.
        penalty: alpha_3, of the sum of squared weights.
        optimizer: see `NetworkModule`.
        lr: see `NetworkModule`.
        weight_decay: see `NetworkModule`.
        schedule: see `NetworkModule`.
        warmup_steps: see `NetworkModule`.
        final_lr: see `NetworkModule`.
        target_names: names of the coordinates of a state; None takes those of the data.
        delays: consecutive snapshots that make up a state, the oldest first; with a datamodule, its `delays`.
        dt: time between the states of a pair; None takes that of the data.
        horizon: lags that `predict_step` forecasts.
        shards: stretches of held-out data that the intervals of a certificate come from.
        assumption: what is known of the system, see `zoo.koopman.certificate.certify`.

    Raises:
        ValueError: an argument is out of its range.
        TypeError: see `NetworkModule` and the network.
    """

    dictionary: LatentDictionary
    from_data: ClassVar[tuple[str, ...]] = ("dim", "dt")

    def __init__(
        self,
        network: str = "koopman-autoencoder",
        network_kwargs: dict[str, Any] | None = None,
        prediction_steps: int = 30,
        linearity_steps: int = 50,
        state_weight: float = 0.1,
        largest_weight: float = 1e-7,
        penalty: float = 1e-15,
        optimizer: Optimizer = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        final_lr: float = 0.0,
        target_names: list[str] | None = None,
        delays: int = 1,
        dt: float | None = None,
        horizon: int = 1,
        shards: int = 8,
        assumption: Assumption = "continuous",
    ) -> None:
        require_positive(prediction_steps=prediction_steps, linearity_steps=linearity_steps)
        least = f"at least prediction_steps={prediction_steps}"
        require(linearity_steps >= prediction_steps, "linearity_steps", linearity_steps, least)
        factors = {"state_weight": state_weight, "largest_weight": largest_weight, "penalty": penalty}
        require_finite(**factors)
        for name, factor in factors.items():
            require(factor >= 0, name, factor, "a number >= 0")
        super().__init__(
            network,
            network_kwargs,
            target_names,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup_steps=warmup_steps,
            final_lr=final_lr,
        )

    def make_dictionary(self, dim: int) -> LatentDictionary:
        """Return 1 and the network's coordinates."""
        network = self.make_network(dim=dim, dt=self.dt)
        kind = type(network).__name__
        require(isinstance(network, LuschAutoencoder), "network", kind, "an autoencoder, as 'koopman-autoencoder'")
        return LatentDictionary(network)  # type: ignore[arg-type]

    def setup(self, stage: str) -> None:
        """See `GradientLearner.setup`; rates are per unit of time."""
        super().setup(stage)
        self.autoencoder.dt = self.dt

    @property
    def autoencoder(self) -> LuschAutoencoder:
        """The network."""
        return self.dictionary.network

    @property
    def steps_ahead(self) -> int:
        """Number of lags of the linearity term."""
        return self.hparams["linearity_steps"]

    def loss(self, batch: Batch) -> Tensor:
        """Return the published loss of the trajectories that begin with the states of a batch, as long as they last."""
        hparams, state = self.hparams, batch["state"]
        following, known = self.futures(batch)
        weights = torch.cat([torch.ones_like(known[:, :1]), known], dim=1).double()
        if "weight" in batch:
            weights = weights * batch["weight"][:, None]
        states = torch.cat([state[:, None], following], dim=1).to(self.training_dtype)
        errors = autoencoder_errors(self.autoencoder, states, hparams["prediction_steps"], weights)
        total = errors.total(hparams["state_weight"], hparams["largest_weight"])
        return total + hparams["penalty"] * squared_weights(self.autoencoder)

    def forecast(self, states: Tensor, n_steps: int) -> Tensor:
        """Return the network's forecast from states (B, dim): (B, n_steps + 1, d); after no lag the autoencoder's."""
        return self.autoencoder.forecast(states, n_steps)[..., -len(self.target_names) :]

    @torch.no_grad()
    def rates(self, x: Array) -> Tensor:
        """Return the continuous eigenvalues mu + i omega of the network at states (M, dim): (M, pairs + real)."""
        states = read_states(x, len(self.hparams["target_names"]), self.hparams["delays"])
        pairs, real = self.autoencoder.rates(self.autoencoder(states))
        return torch.cat([torch.complex(pairs[..., 1], pairs[..., 0]), torch.complex(real, torch.zeros_like(real))], 1)

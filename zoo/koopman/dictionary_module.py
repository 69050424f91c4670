"""Learned dictionaries: a network makes the functions, a loss of their span trains it, EDMD finds the eigenpairs."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from zoo.checks import require, require_above, require_choice, require_finite, require_positive
from zoo.koopman import losses
from zoo.koopman.certificate import Assumption
from zoo.koopman.closed_eigenpairs import Batch
from zoo.koopman.gradient_learner import GradientLearner
from zoo.koopman.network_dictionary import NetworkDictionary
from zoo.network_module import Optimizer, Schedule

LossName = Literal["whitened_residual", "edmd_dl", "eigenpair_residual", "vamp2", "dpnet", "spectral_contrastive"]


class DeepDictionary(GradientLearner):
    """EDMD with a learned dictionary [1, x, network(x)]: residual-trained, EDMD-DL, ResKoopNet, VAMPnet, DPNet.

    The losses are those of `zoo.koopman.losses`; the default makes the residuals of the eigenpairs small whatever the
    scale of the network's outputs. Batches need many times as many pairs as there are functions. The losses "dpnet" and
    "spectral_contrastive" train the network's outputs alone, without 1 and x.

    Args:
        network: name of a registered network.
        network_kwargs: its keyword arguments but for `dim`.
        loss: "whitened_residual"; "edmd_dl", the one-step error with the matrix of the epoch's beginning;
            "eigenpair_residual", that of ResKoopNet, normalised; "vamp2"; "dpnet"; or "spectral_contrastive".
        ridge: added to the mean Gram matrix by "edmd_dl" and "eigenpair_residual", > 0.
        distortion: factor of the metric distortion of "dpnet".
        condition_penalty: factor of the logarithm of the dictionary's condition number, added to the loss.
        forecast_weight: factor of the error of forecasts, in units of the variance of the states, added to the loss:
            residuals alone buy spectra, not forecasts.
        forecast_steps: number of lags of these forecasts; unused if their weight is 0.
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

    Example:
        >>> import torch
        >>> from zoo.koopman import DeepDictionary, certify
        >>> _ = torch.manual_seed(0)
        >>> x, new = 2 * torch.rand(2, 500, 1) - 1
        >>> learner = DeepDictionary("koopman-tanh", {"outputs": 3, "width": 16}).fit(x, x**2, epochs=50)
        >>> certify(learner, new, new**2).residual.shape
        torch.Size([5])
    """

    dictionary: NetworkDictionary

    def __init__(
        self,
        network: str = "koopman-tanh",
        network_kwargs: dict[str, Any] | None = None,
        loss: LossName = "whitened_residual",
        ridge: float = 1e-5,
        distortion: float = 1.0,
        condition_penalty: float = 0.0,
        forecast_weight: float = 0.0,
        forecast_steps: int = 10,
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
        require_choice("loss", loss, get_args(LossName))
        require_above(0, ridge=ridge)
        factors = {
            "distortion": distortion,
            "condition_penalty": condition_penalty,
            "forecast_weight": forecast_weight,
        }
        require_finite(**factors)
        for name, factor in factors.items():
            require(factor >= 0, name, factor, "a number >= 0")
        require_positive(forecast_steps=forecast_steps)
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

    def make_dictionary(self, dim: int) -> NetworkDictionary:
        """Return 1, the state and the network's outputs."""
        network = self.make_network(dim=dim)
        outputs = network(torch.zeros(1, dim, dtype=next(network.parameters()).dtype)).shape[1]
        return NetworkDictionary(network, dim, outputs)

    @property
    def steps_ahead(self) -> int:
        """Number of lags that the loss forecasts."""
        return self.hparams["forecast_steps"] if self.hparams["forecast_weight"] > 0 else 1

    @property
    def needs_matrix(self) -> bool:
        """EDMD-DL holds its matrix for an epoch."""
        return self.hparams["loss"] == "edmd_dl"

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of the hyper-parameters, with its penalties."""
        hparams, weights = self.hparams, batch.get("weight")
        states = torch.cat([batch["state"], batch["next_state"]]).to(self.training_dtype)
        psi_x, psi_y = self.dictionary(states).chunk(2)
        value = self._loss_of_span(psi_x, psi_y, weights)
        if hparams["condition_penalty"] > 0:
            value = value + hparams["condition_penalty"] * losses.log_condition(psi_x, weights)
        if hparams["forecast_weight"] > 0:
            value = value + hparams["forecast_weight"] * self._forecast_error(batch, psi_x, psi_y, weights)
        return value

    def _loss_of_span(self, psi_x: Tensor, psi_y: Tensor, weights: Tensor | None) -> Tensor:
        hparams = self.hparams
        outputs = slice(1 + self.dictionary.dim, None)
        match hparams["loss"]:
            case "whitened_residual":
                return losses.whitened_residual(psi_x, psi_y, weights)
            case "edmd_dl":
                return losses.one_step_error(psi_x, psi_y, self._held_matrix(), weights)
            case "eigenpair_residual":
                return losses.eigenpair_residual(psi_x, psi_y, hparams["ridge"], weights)
            case "vamp2":
                return losses.vamp2(psi_x, psi_y, weights)
            case "dpnet":
                return losses.dpnet(psi_x[:, outputs], psi_y[:, outputs], hparams["distortion"], weights)
            case _:
                return losses.spectral_contrastive(psi_x[:, outputs], psi_y[:, outputs], weights)

    def _held_matrix(self) -> Tensor:
        """Return (G + ridge 1)^-1 A of the training data, with the network as it was in the last closed form."""
        if not self.is_fitted:
            raise RuntimeError("the loss 'edmd_dl' needs eigenpairs to begin with: train with a trainer, or by fit")
        size = self.num_features
        here, there = self.statistic[:, :size], self.statistic[:, size : 2 * size]
        gram = here.mT @ here
        total = gram[0, 0]  # the first function is 1
        ridge = self.hparams["ridge"] * torch.eye(size, dtype=gram.dtype, device=gram.device)
        return torch.linalg.solve(gram / total + ridge, here.mT @ there / total)

    def _forecast_error(self, batch: Batch, psi_x: Tensor, psi_y: Tensor, weights: Tensor | None) -> Tensor:
        states, known = self.futures(batch)
        observed = len(self.target_names)
        newest = slice(1 + self.dictionary.dim - observed, 1 + self.dictionary.dim)
        deviation = self.dictionary.standardization.deviation[-observed:]
        coefficients = torch.eye(self.num_features, dtype=torch.float64, device=states.device)[:, newest] / deviation
        every = known.double() if weights is None else weights[:, None] * known
        matrix = losses.edmd_matrix(psi_x, psi_y, weights)
        return losses.forecast_error(psi_x, states[..., -observed:] / deviation, matrix, coefficients, every)

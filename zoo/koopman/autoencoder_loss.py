"""The loss of the autoencoder of Lusch, Kutz and Brunton, 2018, on trajectories.

    alpha_1 (reconstruction + prediction) + linearity + alpha_2 (largest errors) + alpha_3 sum of squared weights

with, for states x_0 .. x_T one step apart, encoder phi and advance K,

    reconstruction   mean of |x_0 - phi^-1(phi(x_0))|^2
    prediction       mean over steps k = 1 .. S of |x_k - phi^-1(K^k phi(x_0))|^2
    linearity        mean over steps k = 1 .. T of |phi(x_k) - K^k phi(x_0)|^2
    largest errors   of any coordinate of any state, of the reconstruction and of the prediction one step ahead

where squares are means over coordinates too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.checks import require
from zoo.koopman.autoencoder import LuschAutoencoder
from zoo.koopman.ranks import largest_over_ranks, shares, sum_over_ranks


@dataclass(frozen=True)
class AutoencoderErrors:
    """The terms of the loss but for the squared weights, scalars of the global batch.

    Attributes:
        reconstruction: mean squared error of the autoencoder.
        prediction: mean squared error of forecasts of the state.
        linearity: mean squared error of forecasts of the coordinates.
        largest: sum of the largest errors of reconstruction and one-step prediction.
    """

    reconstruction: Tensor
    prediction: Tensor
    linearity: Tensor
    largest: Tensor

    def total(self, state_weight: float, largest_weight: float) -> Tensor:
        """Return alpha_1 (reconstruction + prediction) + linearity + alpha_2 largest."""
        return state_weight * (self.reconstruction + self.prediction) + self.linearity + largest_weight * self.largest


def autoencoder_errors(
    network: LuschAutoencoder, states: Tensor, prediction_steps: int, weights: Tensor | None = None
) -> AutoencoderErrors:
    """Return the terms of the loss on trajectories.

    Args:
        network: with the time of one step.
        states: x_0 .. x_T, (M, T + 1, d).
        prediction_steps: S, 1 <= S <= T; the authors use 30 of 50.
        weights: (M,) of the trajectories, or (M, T + 1) of every state, 0 where it is not known.

    Raises:
        ValueError: shapes do not fit.
    """
    fits = states.ndim == 3 and states.shape[2] == network.dim and states.shape[1] >= 2
    require(fits, "states", tuple(states.shape), f"(M, T + 1, {network.dim}) with T >= 1")
    steps = states.shape[1] - 1
    require(1 <= prediction_steps <= steps, "prediction_steps", prediction_steps, f"an integer from 1 to {steps}")
    if weights is None:
        weights = torch.ones(len(states), dtype=torch.float64, device=states.device)
    if weights.ndim == 1:
        weights = weights[:, None].expand(states.shape[:2])
    known = weights > 0
    states = states.where(known[..., None], 0)
    coordinates = network.encoder(states)
    rows = [coordinates[:, 0]]
    for step in range(1, steps + 1):
        # Nothing is forecast beyond what is known: it might grow out of all bounds.
        rows.append(network.advance(rows[-1].where(known[:, step, None], 0)))
    forecast = torch.stack(rows, dim=1)
    decoded = network.decoder(forecast[:, : prediction_steps + 1])
    state_errors, coordinate_errors = decoded - states[:, : prediction_steps + 1], forecast - coordinates
    return AutoencoderErrors(
        reconstruction=_mean_square(state_errors[:, :1], weights[:, :1]),
        prediction=_mean_square(state_errors[:, 1:], weights[:, 1 : prediction_steps + 1]),
        linearity=_mean_square(coordinate_errors[:, 1:], weights[:, 1:]),
        largest=_largest(state_errors[:, 0], known[:, 0]) + _largest(state_errors[:, 1], known[:, 1]),
    )


def squared_weights(network: nn.Module) -> Tensor:
    """Return the sum of the squares of all parameters but biases."""
    matrices = [parameter for name, parameter in network.named_parameters() if not name.endswith("bias")]
    return torch.stack([(matrix**2).sum() for matrix in matrices]).sum()


def _mean_square(errors: Tensor, weights: Tensor) -> Tensor:
    rows = (errors**2).mean(2).reshape(-1, 1)
    return sum_over_ranks((shares(rows, weights.reshape(-1)) * rows).sum())


def _largest(errors: Tensor, known: Tensor) -> Tensor:
    return largest_over_ranks((errors.abs() * known[:, None]).amax())

"""The fit of a pool's coefficients: sums over images, over processes, and a step of Newton's method."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from zoo.geolocation.newton import DampedNewton
from zoo.geolocation.pooling import Moments


class CoefficientFit:
    """Minimises the mean loss of images plus a penalty, a pass over the images at a time.

    Args:
        start: (F, K) float64, where coefficients begin and the penalty is zero.
        l2: the penalty is l2 / 2 of the squared distance from there.
        tolerance: see `DampedNewton`.

    Attributes:
        loss: mean of -log(density at the truth / uniform density) in nats before the last step, without the penalty.
        begun: whether images have been added since the last step, by any process.
    """

    def __init__(self, start: Tensor, l2: float, tolerance: float) -> None:
        self._start, self._l2 = start, l2
        self._newton = DampedNewton(start.flatten(), tolerance)
        self.loss = float("nan")
        self.begun = False
        self._sums = self._zeros()

    @property
    def converged(self) -> bool:
        """Whether the coefficients are the solution."""
        return self._newton.converged

    def add(self, moments: Moments, gates: Tensor, log_uniform: Tensor) -> None:
        """Add images.

        Args:
            moments: of B images.
            gates: (B, F), what their weights are linear in.
            log_uniform: (B,), log mass of the cell of the truth under the uniform density, which the loss is against.
        """
        loss, gradient, hessian = (part.to(torch.float64) for part in moments)
        gates = gates.to(torch.float64)
        numbers = loss.new_tensor([len(loss), float((loss + log_uniform).sum())])
        gradients = torch.einsum("bf,bk->fk", gates, gradient).flatten()
        hessians = torch.einsum("bf,bg,bkl->fkgl", gates, gates, hessian).flatten()
        self._sums = self._sums.to(loss.device) + torch.cat([numbers, gradients, hessians])
        self.begun = True

    def step(self, device: torch.device | str = "cpu") -> Tensor:
        """Take a step from the images of all processes, and return the next coefficients (F, K).

        Args:
            device: where the process group communicates from.
        """
        sums, size = self.total(device), self._start.numel()
        self._sums, self.begun = self._zeros(), False
        number = float(sums[0])
        distance = self._newton.point - self._start.flatten()
        self.loss = float(sums[1]) / number
        value = self.loss + self._l2 / 2 * float(distance @ distance)
        gradient = sums[2 : 2 + size] / number + self._l2 * distance
        hessian = (sums[2 + size :] / number).reshape(size, size) + self._l2 * torch.eye(size, dtype=torch.float64)
        return self._newton.advance(value, gradient, (hessian + hessian.T) / 2).reshape(self._start.shape)

    def total(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the sums of all processes; every one of them calls it."""
        total = self._sums.to(device, copy=True)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(total)
        return total.cpu()

    def _zeros(self) -> Tensor:
        size = self._start.numel()
        return torch.zeros(2 + size + size**2, dtype=torch.float64)

    def state_dict(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Return all that the next step depends on, of all processes; every one of them calls it."""
        return {**self._newton.state_dict(), "sums": self.total(device)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the result of `state_dict`; the sums go to the first process alone."""
        self._newton.load_state_dict(state)
        first = not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0
        self._sums = state["sums"].clone() if first else self._zeros()
        self.begun = bool(state["sums"][0] > 0)

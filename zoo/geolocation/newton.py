"""Newton's method for a function that is a sum over the data: one pass, one step.

Each pass over the data gives value, gradient and Hessian at one point. The step is taken if it lowers the value as
Armijo's rule asks; otherwise the next pass looks at half of it. Directions of negative curvature, which no convex
function has, are followed downhill.
"""

from __future__ import annotations

import torch
from torch import Tensor

SUFFICIENT = 1e-4
"""Share of the decrease that the gradient promises which a step must bring."""

SLACK = 1e-7
"""Relative rounding of the value, for which no step is refused."""

SHORTEST = 2.0**-20
"""Share of a Newton step below which there is nothing to be gained."""


class DampedNewton:
    """A sequence of points (P,) at which a function wants to be known.

    Args:
        start: (P,) float64, the first point.
        tolerance: half the squared Newton decrement, about the distance from the least value, at which to stop.

    Attributes:
        point: (P,), where value, gradient and Hessian are wanted next; after convergence, the solution.
        converged: whether it is.
    """

    def __init__(self, start: Tensor, tolerance: float = 1e-10) -> None:
        self.point = start.clone()
        self.tolerance = tolerance
        self.converged = False
        self._accepted = start.clone()
        self._direction = torch.zeros_like(start)
        self._numbers = torch.tensor([torch.inf, 0.0, 0.0], dtype=start.dtype)  # accepted value, slope, step

    def advance(self, value: float, gradient: Tensor, hessian: Tensor) -> Tensor:
        """Take what is known at `point`, and return the next point.

        Args:
            value: of the function.
            gradient: (P,).
            hessian: (P, P), symmetric.
        """
        best, slope, step = self._numbers.tolist()
        if value <= best + SUFFICIENT * step * slope + SLACK * (1 + abs(value)):
            self._accepted = self.point.clone()
            self._direction = _downhill(gradient, hessian)
            slope, step = float(gradient @ self._direction), 1.0
            self._numbers = torch.tensor([value, slope, step], dtype=self.point.dtype)
            self.converged = -slope / 2 <= self.tolerance
            self.point = self._accepted if self.converged else self._accepted + self._direction
        else:
            step /= 2
            self._numbers[2] = step
            self.converged = step < SHORTEST
            self.point = self._accepted if self.converged else self._accepted + step * self._direction
        return self.point

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that the next step depends on."""
        return {
            "point": self.point.clone(),
            "accepted": self._accepted.clone(),
            "direction": self._direction.clone(),
            "numbers": self._numbers.clone(),
            "converged": torch.tensor(self.converged),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the result of `state_dict`."""
        self.point, self._accepted = state["point"].clone(), state["accepted"].clone()
        self._direction, self._numbers = state["direction"].clone(), state["numbers"].clone()
        self.converged = bool(state["converged"])


def _downhill(gradient: Tensor, hessian: Tensor) -> Tensor:
    """Return minus the gradient over the absolute values of the curvatures."""
    curvatures, axes = torch.linalg.eigh(hessian)
    least = torch.finfo(hessian.dtype).eps * len(gradient) * curvatures.abs().max().clamp(min=1e-300)
    return -axes @ ((axes.T @ gradient) / curvatures.abs().clamp(min=float(least)))

"""Delays of observables: the dictionary that needs nothing but a trajectory."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.koopman.dictionaries import Dictionary


class Delays(Dictionary):
    """Coordinates at n successive times: the functions g, K g, ..., K^(n-1) g of every coordinate g (Hankel, Krylov).

    A state is a window (n d,) that `embed` cuts out of a trajectory, earliest time first.

    Args:
        dim: coordinates d of a trajectory.
        delays: n.
        spacing: steps between the times.
    """

    def __init__(self, dim: int, delays: int, spacing: int = 1) -> None:
        require_positive(dim=dim, delays=delays, spacing=spacing)
        times = [f"(t+{n * spacing})" if n else "(t)" for n in range(delays)]
        super().__init__(dim * delays, [f"x{i + 1}{time}" for time in times for i in range(dim)])
        self.delays, self.spacing = delays, spacing

    def embed(self, trajectory: Tensor) -> Tensor:
        """Return the windows of a trajectory (T, d), (T - (n - 1) spacing, n d).

        Raises:
            ValueError: the trajectory is shorter than a window or has other coordinates.
        """
        coordinates = self.dim // self.delays
        span = (self.delays - 1) * self.spacing
        require(
            trajectory.ndim == 2 and trajectory.shape[1] == coordinates,
            "trajectory",
            tuple(trajectory.shape),
            f"a matrix (T, {coordinates})",
        )
        count = len(trajectory) - span
        require(
            count >= 1, "trajectory", f"{len(trajectory)} steps", f"more than (delays - 1) * spacing = {span} steps"
        )
        starts = range(0, span + 1, self.spacing)
        return torch.cat([trajectory[start : start + count] for start in starts], dim=1)

    def values(self, x: Tensor) -> Tensor:
        """Return the windows themselves."""
        return x


class DelayedFunctions(Dictionary):
    """Any functions at n successive times, of states that are windows: g, K g, ..., K^(n-1) g, complex ones too.

    Args:
        dictionary: the functions g of one snapshot.
        delays: n.
    """

    def __init__(self, dictionary: Dictionary, delays: int) -> None:
        require_positive(delays=delays)
        times = [f"(t+{n})" if n else "(t)" for n in range(delays)]
        super().__init__(dictionary.dim * delays, [f"{name}{time}" for time in times for name in dictionary.names])
        self.dictionary, self.delays = dictionary, delays

    def adapt(self, x: Tensor) -> None:
        """Place the functions where all snapshots of the windows (M, n d) are."""
        self.dictionary.adapt(x.reshape(-1, self.dictionary.dim))

    def values(self, x: Tensor) -> Tensor:
        """Return the functions at windows (M, n d), the earliest time first, (M, n N)."""
        return self.dictionary(x.reshape(-1, self.dictionary.dim)).reshape(len(x), -1)

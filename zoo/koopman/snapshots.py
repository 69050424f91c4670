"""Pairs of snapshots from what users have: arrays of states, trajectories, or both ends of every pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.checks import require, require_positive

Array = Any
"""Anything that `torch.as_tensor` understands: arrays, tensors, nested lists of numbers."""


@dataclass(frozen=True)
class Snapshots:
    """Pairs of states, one lag apart.

    Attributes:
        x: states, (M, d) float64.
        y: states one lag later, (M, d).
        weights: (M,) float64, of sum 1.
        second: further successors that are independent of `y`, (M, d), of stochastic systems; None without.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    second: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.x)


def read_snapshots(
    x: Array | Sequence[Array], y: Array | None = None, lag: int = 1, delays: int = 1, weights: Array | None = None
) -> Snapshots:
    """Return the pairs that a learner is trained on or judged by.

    Args:
        x: a trajectory (T, d), or (T,) of one coordinate; a list of trajectories of any lengths; or, with `y`, the
            states (M, d) themselves.
        y: successors (M, d) of the states, or two independent ones of each, (2, M, d); then neither `lag` nor `delays`
            is used.
        lag: steps between the states of a pair, >= 1.
        delays: consecutive snapshots that make up a state, the oldest first, >= 1.
        weights: (M,) of all pairs, >= 0 and not all zero, for instance of a quadrature; equal ones if None. Only their
            ratios count.

    Raises:
        ValueError: an entry is not finite (the message names the row), a trajectory is too short, shapes do not fit, or
            a number is out of range.
    """
    second = None
    if y is not None:
        states = _matrix("X", x)
        two = np.ndim(y) == 3
        require(not two or len(y) == 2, "Y.shape", np.shape(y), "(M, d), or (2, M, d) for two successors of each state")
        successors, *more = [_matrix("Y", one) for one in (y if two else [y])]
        second = more[0] if more else None
        shape = tuple(states.shape)
        require(successors.shape == states.shape, "Y.shape", tuple(successors.shape), f"that of X, {shape}")
    else:
        require_positive(lag=lag, delays=delays)
        several = isinstance(x, list | tuple) and len(x) > 0 and np.ndim(x[0]) > 0 and _is_trajectories(x)
        flat = several and any(np.ndim(one) != 2 for one in x)
        require(not flat, "X", "a list of arrays (T,)", "trajectories (T, d), one row per time, also where d is 1")
        trajectories = [_matrix(f"X[{i}]", one) for i, one in enumerate(x)] if several else [_matrix("X", x)]
        widths = sorted({one.shape[1] for one in trajectories})
        require(len(widths) == 1, "X", f"trajectories of {widths} coordinates", "trajectories of the same coordinates")
        parts = [_cut(f"X[{i}]" if several else "X", one, lag, delays) for i, one in enumerate(trajectories)]
        states, successors = (torch.cat(side) for side in zip(*parts, strict=True))
    return Snapshots(states, successors, _weights(weights, len(states)), second)


def read_states(x: Array, dim: int, delays: int = 1) -> Tensor:
    """Return states (M, d) float64 to predict from: rows of `dim` coordinates, or one row.

    Raises:
        ValueError: the number of coordinates is another, or an entry is not finite.
    """
    given = torch.as_tensor(np.asarray(x) if isinstance(x, list) else x)
    states = _matrix("x", given[None] if given.ndim == 1 else given)
    made_of = f", {delays} snapshots of {dim // delays} coordinates each, the oldest first" if delays > 1 else ""
    require(states.shape[1] == dim, "x.shape", tuple(given.shape), f"({dim},) or (M, {dim}){made_of}")
    return states


def windows(trajectory: Tensor, delays: int) -> Tensor:
    """Return all windows of consecutive rows of a trajectory (T, d): (T - delays + 1, delays d), the oldest first."""
    return torch.cat([trajectory[start : len(trajectory) - delays + 1 + start] for start in range(delays)], dim=1)


def _is_trajectories(x: Sequence[Array]) -> bool:
    # A nested list of numbers is one trajectory; a list of matrices, or of sequences of rows, is several.
    return all(np.ndim(one) == 2 or isinstance(one, Tensor | np.ndarray) for one in x)


def _cut(name: str, trajectory: Tensor, lag: int, delays: int) -> tuple[Tensor, Tensor]:
    least = lag + delays
    require(len(trajectory) >= least, name, f"{len(trajectory)} rows", f"at least lag + delays = {least} rows")
    states = windows(trajectory, delays)
    return states[:-lag], states[lag:]


def _matrix(name: str, values: Array) -> Tensor:
    matrix = torch.as_tensor(np.asarray(values) if isinstance(values, list | tuple) else values)
    require(not matrix.is_complex(), f"{name}.dtype", matrix.dtype, "real states (observables may be complex)")
    matrix = matrix.detach().to(torch.float64)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    require(matrix.ndim == 2 and matrix.numel() > 0, f"{name}.shape", tuple(matrix.shape), "(T, d), one row per time")
    bad = (~torch.isfinite(matrix).all(dim=1)).nonzero()[:, 0]
    if len(bad):
        rows = ", ".join(map(str, bad[:5].tolist())) + (", ..." if len(bad) > 5 else "")
        raise ValueError(f"{name} has NaN or infinite entries in row {rows}; give finite numbers")
    return matrix


def _weights(weights: Array | None, number: int) -> Tensor:
    if weights is None:
        return torch.full((number,), 1 / number, dtype=torch.float64)
    given = torch.as_tensor(weights).detach().to(torch.float64)
    require(tuple(given.shape) == (number,), "weights.shape", tuple(given.shape), f"({number},), one for each pair")
    allowed = bool((torch.isfinite(given) & (given >= 0)).all() and given.sum() > 0)
    require(allowed, "weights", weights, "finite numbers >= 0, not all zero")
    return given / given.sum()

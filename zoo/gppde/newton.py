"""Newton's iteration, whatever a step is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

State = TypeVar("State")

STEPS = 30


class NotConvergedError(RuntimeError):
    """An iteration ended without an answer."""


def newton(
    step: Callable[[State], tuple[State, float]], start: State, tolerance: float, stagnation: float, name: str
) -> State:
    """Return where the iteration stands still.

    Args:
        step: from one state to the next, and the size of the step relative to the solution.
        start: the first state.
        tolerance: size of a step below which it has converged.
        stagnation: size below which steps that no longer shrink are rounding errors.
        name: what messages call the equation.

    Raises:
        NotConvergedError: it did not converge.
    """
    state, size = start, math.inf
    for _ in range(STEPS):
        previous = size
        state, size = step(state)
        if size <= tolerance or (size <= stagnation and size > previous / 2):
            return state
    raise NotConvergedError(
        f"Newton's iteration for {name} did not converge in {STEPS} steps; the last changed the solution by {size:.2g} "
        "of its size"
    )


def relative_size(change: Tensor, values: Tensor) -> float:
    """Return the largest entry of a change over the largest of the values."""
    return float(change.abs().max() / values.abs().max().clamp_min(1e-300))

"""Autonomous differential equations, sampled at equal times.

Many trajectories are integrated as one system by the Runge-Kutta method of order 8 of Dormand and Prince (DOP853), from
one sampling time to the next, so that no state is interpolated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from scipy.integrate import DOP853
from tqdm.auto import trange

from datamodules.dynamics.generated import PATIENCE, GeneratedDynamics
from datamodules.dynamics.measures import Array
from zoo.checks import require_above

TOLERANCE = 1e-12  # relative and absolute, of the mean square over trajectories that are integrated together

Velocity = Callable[[Array], Array]


def integrate(velocity: Velocity, state: Array, time: float, tolerance: float = TOLERANCE) -> Array:
    """Solve x' = velocity(x).

    Args:
        velocity: from states (M, d) to (M, d).
        state: initial states (M, d).
        time: > 0.
        tolerance: relative and absolute error of a step.

    Returns:
        The states (M, d) after that time.

    Raises:
        ArithmeticError: the step size has become too small, because a solution explodes.
    """
    shape = state.shape

    def flat(_: float, values: Array) -> Array:
        return velocity(values.reshape(shape)).ravel()

    solver = DOP853(flat, 0.0, state.ravel(), time, rtol=tolerance, atol=tolerance)
    while solver.status == "running":
        message = solver.step()
    if solver.status == "failed":
        raise ArithmeticError(f"no solution up to time {time}: {message}")
    return solver.y.reshape(shape)


class Flow(GeneratedDynamics):
    """Base of systems given by a differential equation; subclasses define `velocity`, and `wrap` for angles.

    Args:
        time_step: time of one step, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    chunk: ClassVar[int] = 256

    def __init__(self, time_step: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        require_above(0, time_step=time_step)
        self.time_step = time_step

    @property
    def dt(self) -> float:
        """Time of one lag."""
        return self.lag * self.time_step

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, d)."""
        raise NotImplementedError(f"{type(self).__name__} must define velocity()")

    def wrap(self, state: Array) -> Array:
        """Return states (M, d) with angles in their range."""
        return state

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, d) after one time step."""
        return self.wrap(integrate(self.velocity, state, self.time_step))


class Attractor(Flow):
    """Base of systems with an attractor; subclasses define `start`, from where states settle on it.

    The reference measure is the physical one on the attractor; one long trajectory samples it, hence the defaults. Many
    shorter ones are integrated together, which takes much less time for the same number of pairs.

    Args:
        time_step: time of one step, > 0.
        burn_in: time for which trajectories settle before their first state, > 0.
        num_train: see `GeneratedDynamics`.
        num_val: see `GeneratedDynamics`.
        num_test: see `GeneratedDynamics`.
        num_steps: see `GeneratedDynamics`.
        **options: see `GeneratedDynamics`; `quadrature` must be "random".

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    quadratures: ClassVar[tuple[str, ...]] = ("random",)

    def __init__(
        self,
        time_step: float = 0.05,
        burn_in: float = 100.0,
        num_train: int = 1,
        num_val: int = 1,
        num_test: int = 1,
        num_steps: int = 10000,
        **options: Any,
    ) -> None:
        super().__init__(
            time_step, num_train=num_train, num_val=num_val, num_test=num_test, num_steps=num_steps, **options
        )
        require_above(0, burn_in=burn_in)
        self.burn_in = burn_in

    def start(self, number: int, generator: np.random.Generator) -> Array:
        """Return random states (number, d) in the basin of the attractor."""
        raise NotImplementedError(f"{type(self).__name__} must define start()")

    def sample(self, number: int, generator: np.random.Generator) -> Array:
        """Return states (number, d) on the attractor."""
        state = self.start(number, generator)
        steps = int(np.ceil(self.burn_in / self.time_step))
        for _ in trange(steps, desc=f"{type(self).__name__}, settling", delay=PATIENCE):
            state = self.step(state)
        return state

"""A problem on its regular grid, as what the methods take: nodes, sides, functionals, frequencies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zoo.checks import require
from zoo.gppde.conditions import Condition, double, observation_rows, side_conditions, side_rows
from zoo.gppde.domain import Box, mesh
from zoo.gppde.functionals import Part, Rows
from zoo.gppde.operators import Index, Operator
from zoo.gppde.periodogram import Peaks, solution_peaks

Source = float | Tensor | Callable[[Tensor], Tensor]


class Problem:
    """A problem on its regular grid.

    Args:
        operator: see `zoo.gppde.solver.solve`, as are the others.
        box: its domain.
        conditions: that determine a solution.
        source: f.
        num_points: of the grid.
        source_noise: standard deviation of f.

    Attributes:
        grids: the coordinates, (N_j,).
        points: (N_1, .., N_d, d).
        source: (..., N_1, .., N_d).
        sides: the conditions on sides.
        known_rows: all conditions and observations as functionals.
        equation_points: where the equation holds, (N, d).
        equation_values: f there, (..., N).

    Raises:
        ValueError: a shape does not fit, or a value is not finite.
    """

    def __init__(
        self,
        operator: Operator,
        box: Box,
        conditions: Sequence[Condition],
        source: Source,
        num_points: int | Sequence[int],
        source_noise: float | None,
    ) -> None:
        self.operator, self.box, self.conditions, self.source_noise = operator, box, list(conditions), source_noise
        self.grids = box.grids(num_points)
        self.points = mesh(self.grids)
        self.source = source_values(source, self.points)
        self.sides = side_conditions(box, self.grids, operator, conditions)
        self.known_rows = [*side_rows(self.sides, self.points), *observation_rows(operator, conditions)]
        # The equation holds on the sides too, beside the conditions.
        self.equation_points = self.points.reshape(-1, box.dimensions)
        self.equation_values = self.source.flatten(self.source.ndim - box.dimensions)

    def peaks(self) -> list[Peaks]:
        """Return the frequencies along each coordinate."""
        start = self.operator.with_coefficients(
            {u.name: torch.tensor(u.start, dtype=torch.float64) for u in self.operator.unknowns}
        )
        known = [self._lines(j) for j in range(self.box.dimensions)]
        return solution_peaks(start, self.points, self.grids, self.source, known)

    def _lines(self, along: int) -> list[Tensor]:
        """Return values on sides as lines along a coordinate."""
        lines = []
        for side in self.sides:
            if side.order == 0 and not side.periodic and side.dimension != along:
                others = [j for j in range(self.box.dimensions) if j != side.dimension]
                moved = side.values.movedim(others.index(along) - len(others), -1)
                lines.append(moved.reshape(-1, moved.size(-1)))
        return lines

    def rows(self, coefficients: dict[str, Tensor]) -> list[Rows]:
        """Return all data of a linear problem, given its unknown coefficients."""
        operator = self.operator.with_coefficients(coefficients) if coefficients else self.operator
        terms = {index: c.flatten() if c.ndim else c for index, c in operator.coefficients(self.points).items()}
        part = Part(self.equation_points, terms)
        return [Rows("equation", (part,), self.equation_values, self.source_noise), *self.known_rows]

    def linearized_rows(self, values: dict[Index, Tensor]) -> list[Rows]:
        """Return the data of Newton's linear problem at a function, from its derivatives at the equation's points."""
        terms, offset = self.operator.linearized(self.equation_points, values)
        part = Part(self.equation_points, terms)
        right = self.equation_values + offset
        return [Rows("equation", (part,), right, self.source_noise), *self.known_rows]


def source_values(source: Source, points: Tensor) -> Tensor:
    """Return f at points (N_1, .., N_d, d), (..., N_1, .., N_d) float64.

    Raises:
        ValueError: the shape does not fit, or a value is not finite.
    """
    shape = points.shape[:-1]
    values = double("source", source(points) if callable(source) else source)
    values = values.expand(shape) if values.ndim == 0 else values
    fits = values.ndim >= len(shape) and values.shape[values.ndim - len(shape) :] == shape
    require(fits, "shape of source", tuple(values.shape), f"a number, or values (..., {', '.join(map(str, shape))})")
    require(bool(values.isfinite().all()), "source", source, "finite values")
    return values

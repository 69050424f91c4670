"""What is known of a solution besides its equation: on sides of the box, at its start, at scattered points.

Values are numbers, tensors with an entry for each node, or functions of points (n, d) with values (n,). Leading
dimensions of a tensor's values are many instances of one problem.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checks import require
from zoo.gppde.domain import Box, Side, mesh
from zoo.gppde.functionals import Part, Rows
from zoo.gppde.operators import Index, Operator, require_index, unit

Value = float | Tensor | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Dirichlet:
    """u = g on sides.

    Attributes:
        value: g.
        sides: pairs of a dimension and "lower" or "upper"; None for all of the box.
        noise: standard deviation of the values; None lets the evidence find it.
    """

    value: Value = 0.0
    sides: Sequence[Side] | None = None
    noise: float | None = 0.0


@dataclass(frozen=True)
class Neumann:
    """The derivative of u along the outward normal equals g on sides; see `Dirichlet`."""

    value: Value = 0.0
    sides: Sequence[Side] | None = None
    noise: float | None = 0.0


@dataclass(frozen=True)
class Periodic:
    """u, and its derivative where the operator is of second order, are equal at both ends of a coordinate."""

    dimension: int = 0


@dataclass(frozen=True)
class Initial:
    """u, or its first derivative by time, at the lower end of the last coordinate.

    Attributes:
        value: see `Dirichlet`.
        order: 0 for u, 1 for u_t.
        noise: see `Dirichlet`.
    """

    value: Value = 0.0
    order: int = 0
    noise: float | None = 0.0


@dataclass(frozen=True)
class Observations:
    """Values of u, or of a derivative, at scattered points.

    Attributes:
        points: (n, d).
        values: (..., n).
        noise: see `Dirichlet`.
        index: multi-index of the derivative; None for u itself.
    """

    points: Tensor
    values: Tensor
    noise: float | None = 0.0
    index: Index | None = None


Condition = Dirichlet | Neumann | Periodic | Initial | Observations


@dataclass(frozen=True)
class SideCondition:
    """A condition on a side of a grid: u, or its first derivative along the coordinate that ends there.

    Attributes:
        label: what messages call it.
        dimension: the coordinate j that ends at the side.
        end: 0 at the lower end of the coordinate, -1 at the upper.
        order: 0 for u, 1 for the derivative along coordinate j.
        periodic: whether the same at the other end is subtracted.
        slot: position along coordinate j whose equation it takes the place of, where there is one for each node.
        values: over the other coordinates, (..., *shape without j), in the direction of the coordinate.
        noise: standard deviation; None if unknown.
    """

    label: str
    dimension: int
    end: int
    order: int
    periodic: bool
    slot: int
    values: Tensor
    noise: float | None


def values_at(value: Value, points: Tensor, name: str) -> Tensor:
    """Return a condition's values at points (n, d), (..., n) float64.

    Raises:
        ValueError: their number does not fit the points, or one is not finite.
    """
    values = double(name, value(points) if callable(value) else value)
    values = values.expand(len(points)) if values.ndim == 0 else values
    require(
        values.size(-1) == len(points),
        f"shape of {name}",
        tuple(values.shape),
        f"a number, or values (..., {len(points)}) for the points",
    )
    require(bool(values.isfinite().all()), name, value, "finite values")
    return values


def double(name: str, value: Tensor | float) -> Tensor:
    """Return values in float64, with a warning where they come in fewer digits."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float64:
        warnings.warn(f"{name} is promoted from {value.dtype} to float64, without the digits it lacks", stacklevel=2)
    return torch.as_tensor(value, dtype=torch.float64)


def side_conditions(
    box: Box, grids: Sequence[Tensor], operator: Operator, conditions: Sequence[Condition]
) -> list[SideCondition]:
    """Return the conditions on sides, values before derivatives, otherwise in the order given.

    Raises:
        ValueError: a condition's argument is out of its range.
    """
    points, dimensions = mesh(grids), box.dimensions
    valued = {side for condition in conditions for side, order in _held(condition, box) if order == 0}
    result = []

    def add(label: str, side: Side, order: int, slot: int, value: Value, noise: float | None) -> None:
        j, end = side[0], 0 if side[1] == "lower" else -1
        on_side = points.select(j, end)
        values = values_at(value, on_side.reshape(-1, dimensions), f"value of {label}")
        values = values.reshape((*values.shape[:-1], *on_side.shape[:-1]))
        result.append(SideCondition(label, j, end, order, False, slot, values, noise))

    for condition in conditions:
        if isinstance(condition, Dirichlet | Neumann):
            for side, _ in _held(condition, box):
                if isinstance(condition, Dirichlet):
                    add("Dirichlet", side, 0, 0 if side[1] == "lower" else -1, condition.value, condition.noise)
                else:
                    inwards = int(side in valued)  # beside a value, the slope takes the next layer
                    slot = inwards if side[1] == "lower" else -1 - inwards
                    add("Neumann", side, 1, slot, _outward(condition.value, side), condition.noise)
        elif isinstance(condition, Initial):
            require(condition.order in (0, 1), "order of Initial", condition.order, "0 for u or 1 for u_t")
            add(
                "Initial", (dimensions - 1, "lower"), condition.order, condition.order, condition.value, condition.noise
            )
        elif isinstance(condition, Periodic):
            j = condition.dimension
            require(type(j) is int and 0 <= j < dimensions, "dimension of Periodic", j, f"0 .. {dimensions - 1}")
            zero = torch.zeros(points.select(j, 0).shape[:-1], dtype=torch.float64)
            for order in range(operator.order(j)):
                result.append(SideCondition("Periodic", j, -order, order, True, -order, zero, 0.0))
    return sorted(result, key=lambda condition: condition.order)


def side_rows(sides: Sequence[SideCondition], points: Tensor) -> list[Rows]:
    """Return the conditions on sides as functionals.

    Where two conditions meet at a corner, the first in the list holds.

    Args:
        sides: from `side_conditions`.
        points: of the grid, (M_1, .., M_d, d).
    """
    dimensions = points.size(-1)
    taken = torch.zeros(points.shape[:-1], dtype=torch.bool)
    result = []
    for side in sides:
        slots = taken.select(side.dimension, side.slot)
        free = ~slots
        slots |= True
        if not bool(free.any()):
            continue
        index = unit(dimensions, side.dimension, side.order)
        one = torch.ones((), dtype=torch.float64)
        parts = [Part(points.select(side.dimension, side.end)[free], {index: one})]
        if side.periodic:
            parts.append(Part(points.select(side.dimension, -1 - side.end)[free], {index: -one}))
        result.append(Rows(side.label, tuple(parts), side.values[..., free], side.noise))
    return result


def _outward(value: Value, side: Side) -> Value:
    """Return the derivative along the coordinate from that along the outward normal."""
    if side[1] == "upper":
        return value
    return (lambda points: -value(points)) if callable(value) else -value


def observation_rows(operator: Operator, conditions: Sequence[Condition]) -> list[Rows]:
    """Return the functionals of scattered observations.

    Raises:
        ValueError: a shape does not fit.
    """
    rows = []
    for condition in conditions:
        if isinstance(condition, Observations):
            points = torch.as_tensor(condition.points, dtype=torch.float64)
            points = points[:, None] if points.ndim == 1 and operator.dimensions == 1 else points
            fits = points.ndim == 2 and points.size(-1) == operator.dimensions and len(points) > 0
            require(fits, "points of Observations", tuple(points.shape), f"(n, {operator.dimensions}) with n > 0")
            index = operator.zero if condition.index is None else condition.index
            require_index("index of Observations", index, operator.dimensions)
            values = values_at(condition.values, points, "values of Observations")
            part = Part(points, {index: torch.ones((), dtype=torch.float64)})
            rows.append(Rows("observations", (part,), values, condition.noise))
    return rows


def require_determined(operator: Operator, box: Box, conditions: Sequence[Condition]) -> None:
    """Raise a ValueError that says what is missing, if the conditions do not determine the solution.

    Observations stand for any condition: where there are some, only their number is looked at, in one dimension.

    Raises:
        ValueError: the dimensions of operator and box differ, noise is negative, or something is missing.
    """
    require(box.dimensions == operator.dimensions, "domain", box, f"a box of {operator.dimensions} dimensions")
    for condition in conditions:
        require(
            isinstance(condition, Condition),
            "conditions",
            condition,
            "Dirichlet, Neumann, Periodic, Initial, Observations",
        )
        noise = getattr(condition, "noise", 0.0)
        require(noise is None or noise >= 0, "noise", noise, "a standard deviation >= 0, or None to find it")
        at_ends = box.dimensions == 1 and not isinstance(condition, Observations)
        require(not at_ends or noise is not None, "noise", noise, "a number: the ends' two values cannot tell it")
    held = dict.fromkeys(one for condition in conditions for one in _held(condition, box))  # twice the same is one
    observed = sum(len(c.points) for c in conditions if isinstance(c, Observations))
    missing = []
    for dimension in range(box.dimensions):
        needed = operator.order(dimension)
        ends = [side for side, _ in held if side[0] == dimension]
        absent = [end for end in ("lower", "upper") if (dimension, end) not in ends]
        if observed == 0 or box.dimensions == 1:
            count = len(ends) + (observed if box.dimensions == 1 else 0)
            if count < needed:
                missing.append(
                    f"{needed - count} more condition{'s' if needed - count > 1 else ''} along coordinate {dimension}, "
                    f"for instance at its {' and '.join(absent) or 'ends'} end"
                )
    pinned = observed or any(isinstance(c, Dirichlet) or (isinstance(c, Initial) and c.order == 0) for c in conditions)
    if not pinned and operator.is_linear and operator.zero not in operator.terms:
        missing.append("a value of u somewhere: any constant could be added")
    require(
        not missing, "conditions", conditions, f"what determines the solution of {operator.name}: " + "; ".join(missing)
    )


def _held(condition: Condition, box: Box) -> list[tuple[Side, int]]:
    """Return what a condition holds: sides, and the order of the derivative on each.

    Raises:
        ValueError: the box has no such side.
    """
    if isinstance(condition, Dirichlet | Neumann):
        sides = box.sides if condition.sides is None else condition.sides
        for side in sides:
            require(side in box.sides, f"sides of {type(condition).__name__}", side, f"pairs among {box.sides}")
        return [(side, int(isinstance(condition, Neumann))) for side in sides]
    if isinstance(condition, Initial):
        return [((box.dimensions - 1, "lower"), condition.order)]
    if isinstance(condition, Periodic):
        return [((condition.dimension, "lower"), 0), ((condition.dimension, "upper"), 0)]
    return []

import math

import pytest
import torch

from zoo.gppde import solve
from zoo.gppde.bases import ChebyshevBasis
from zoo.gppde.conditions import (
    Dirichlet,
    Initial,
    Neumann,
    Observations,
    Periodic,
    observation_rows,
    require_determined,
    side_conditions,
    side_rows,
)
from zoo.gppde.domain import Box, mesh
from zoo.gppde.functionals import Part
from zoo.gppde.operators import Advection, Heat, Helmholtz, Linear, Poisson

SQUARE, LINE = Box((0, 0), (1, 2)), Box((0,), (1,))


def rows_of(box, counts, operator, conditions):
    grids = box.grids(counts)
    return side_rows(side_conditions(box, grids, operator, conditions), mesh(grids))


def test_every_node_of_the_boundary_is_taken_once():
    rows = rows_of(SQUARE, (4, 5), Poisson(2), [Dirichlet(lambda p: p[:, 0] + 10 * p[:, 1])])
    points = torch.cat([group.parts[0].points for group in rows])
    assert len(points) == len(points.unique(dim=0)) == 2 * (4 + 5) - 4
    values = torch.cat([group.values for group in rows])
    torch.testing.assert_close(values, points[:, 0] + 10 * points[:, 1])


def test_values_take_corners_before_derivatives():
    conditions = [Neumann(1.0, sides=[(0, "lower")]), Dirichlet(0.0, sides=[(1, "lower"), (1, "upper"), (0, "upper")])]
    rows = rows_of(SQUARE, (4, 5), Poisson(2), conditions)
    (slope,) = [group for group in rows if group.label == "Neumann"]
    assert len(slope) == 3 and list(slope.parts[0].terms) == [(1, 0)]
    torch.testing.assert_close(slope.values, -torch.ones(3).double())  # the outward normal points down


def test_periodic_ends_are_differences():
    rows = rows_of(LINE, 5, Helmholtz(-1.0), [Periodic()])
    assert [list(part.terms) for group in rows for part in group.parts] == [[(0,)], [(0,)], [(1,)], [(1,)]]
    assert [float(next(iter(part.terms.values()))) for part in rows[0].parts] == [1.0, -1.0]
    rows = rows_of(SQUARE, (4, 4), Advection(1.0), [Periodic(), Initial(0.0)])
    assert sum(map(len, rows)) == 16 - 9


def test_an_initial_slope_takes_the_second_layer():
    wave = Linear({(0, 2): 1.0, (2, 0): -1.0})
    sides = [(0, "lower"), (0, "upper")]
    rows = rows_of(SQUARE, (5, 5), wave, [Initial(1.0), Initial(2.0, order=1), Dirichlet(sides=sides)])
    slope = next(group for group in rows if list(group.parts[0].terms) == [(0, 1)])
    assert slope.parts[0].points[:, 1].eq(0).all() and len(slope) == 3
    assert sum(map(len, rows)) == 25 - 9


def test_instances_are_leading_dimensions():
    rows = rows_of(LINE, 5, Poisson(), [Dirichlet(torch.tensor([[1.0], [2.0]]).double(), sides=[(0, "lower")])])
    assert rows[0].values.tolist() == [[1.0], [2.0]]


def test_observations_are_functionals():
    observed = Observations(torch.tensor([0.2, 0.4]).double(), torch.ones(2).double(), noise=None, index=(1,))
    (rows,) = observation_rows(Poisson(), [observed])
    assert rows.noise is None and list(rows.parts[0].terms) == [(1,)] and rows.parts[0].points.shape == (2, 1)


@pytest.mark.parametrize(
    ("operator", "box", "conditions", "missing"),
    [
        (Poisson(), LINE, [], "2 more conditions along coordinate 0"),
        (Poisson(), LINE, [Dirichlet(sides=[(0, "lower")])], "at its upper end"),
        (Poisson(), LINE, [Dirichlet(sides=[(0, "lower")]), Dirichlet(sides=[(0, "lower")])], "at its upper end"),
        (Poisson(), LINE, [Neumann()], "any constant could be added"),
        (Poisson(2), SQUARE, [Periodic(0), Periodic(1)], "any constant"),
        (Poisson(2), SQUARE, [Dirichlet(sides=[(0, "lower"), (0, "upper")])], "along coordinate 1"),
        (Heat(), SQUARE, [Dirichlet(sides=[(0, "lower"), (0, "upper")])], "coordinate 1, for instance at its lower"),
        (Heat(), SQUARE, [Initial()], "2 more conditions along coordinate 0"),
        (Advection(1.0), SQUARE, [Initial()], "1 more condition along coordinate 0"),
        (Poisson(), LINE, [Observations(torch.tensor([0.3]), torch.tensor([1.0]))], "1 more condition"),
    ],
)
def test_what_is_missing_is_said(operator, box, conditions, missing):
    with pytest.raises(ValueError, match=missing):
        require_determined(operator, box, conditions)


@pytest.mark.parametrize(
    ("operator", "box", "conditions"),
    [
        (Poisson(), LINE, [Dirichlet()]),
        (Helmholtz(-1.0), LINE, [Neumann()]),
        (Poisson(), LINE, [Neumann(sides=[(0, "upper")]), Dirichlet(sides=[(0, "lower")])]),
        (Poisson(), LINE, [Neumann(sides=[(0, "upper")]), Dirichlet(sides=[(0, "upper")])]),
        (Heat(), SQUARE, [Periodic(0), Initial()]),
        (Poisson(), LINE, [Observations(torch.tensor([0.3, 0.4]).double(), torch.zeros(2).double())]),
    ],
)
def test_what_determines_a_solution_is_taken(operator, box, conditions):
    """No polynomial but zero meets the equation at all nodes and the conditions."""
    require_determined(operator, box, conditions)
    bases = [ChebyshevBasis(lower, upper, 8) for lower, upper in zip(box.lower, box.upper, strict=True)]
    nodes = [basis.nodes for basis in bases]
    points = mesh(nodes)
    equation = Part(points.reshape(-1, box.dimensions), operator.coefficients(points))
    rows = side_rows(side_conditions(box, nodes, operator, conditions), points)
    parts = [(equation,), *(group.parts for group in [*rows, *observation_rows(operator, conditions)])]
    matrix = torch.cat([torch.stack([functional_matrix(part, bases) for part in group]).sum(0) for group in parts])
    matrix = matrix / matrix.norm(dim=1, keepdim=True)
    assert torch.linalg.svdvals(matrix)[-1] > 1e-3
    # Without the conditions there is one.
    assert torch.linalg.svdvals(matrix[: len(equation.points)])[-1] < 1e-7


def functional_matrix(part, bases):
    """The matrix from nodal values to functionals of them, (n, N)."""
    total = 0.0
    for index, coefficient in part.terms.items():
        product = torch.ones(len(part.points), 1, dtype=torch.float64)
        for j, basis in enumerate(bases):
            own = basis.evaluation(part.points[:, j], index[j])
            product = (product[:, :, None] * own[:, None, :]).flatten(1)
        total = total + coefficient * product
    return total


def test_many_observations_stand_for_any_condition():
    points = torch.rand(9, 2, dtype=torch.float64)
    conditions = [Observations(points, points.sum(-1))]
    require_determined(Poisson(2), SQUARE, conditions)
    with pytest.raises(ValueError, match="along coordinate 0"):
        require_determined(Poisson(2), SQUARE, [])


def test_a_slope_beside_a_value_is_a_condition_of_its_own():
    for end, slope in (("lower", -3.0), ("upper", 3.0)):
        conditions = [Neumann(slope, [(0, end)]), Dirichlet(1.0, [(0, end)])]
        rows = rows_of(LINE, 5, Poisson(), conditions)
        assert [(list(group.parts[0].terms), group.values.tolist()) for group in rows] == [
            ([(0,)], [1.0]),
            ([(1,)], [3.0]),
        ]
        # u = 1 + 3 (x - x_end) + (x - x_end)^2
        x = torch.tensor([0.2, 0.9], dtype=torch.float64) - float(end == "upper")
        for method in ("direct", "spectral"):
            solution = solve(Poisson(), LINE, conditions, 2.0, 12, method=method)
            torch.testing.assert_close(solution.predict(x + float(end == "upper")), 1 + 3 * x + x**2, rtol=0, atol=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="sides of Dirichlet"):
        rows_of(LINE, 5, Poisson(), [Dirichlet(sides=[(1, "lower")])])
    with pytest.raises(ValueError, match="dimension of Periodic"):
        rows_of(LINE, 5, Poisson(), [Periodic(1)])
    with pytest.raises(ValueError, match="order of Initial"):
        rows_of(LINE, 5, Poisson(), [Initial(order=2)])
    with pytest.raises(ValueError, match="finite values"):
        rows_of(LINE, 5, Poisson(), [Dirichlet(math.nan)])
    with pytest.raises(ValueError, match="shape of value of Dirichlet"):
        rows_of(LINE, 5, Poisson(), [Dirichlet(torch.zeros(3).double())])
    with pytest.warns(UserWarning, match="promoted from torch.float32"):
        rows_of(LINE, 5, Poisson(), [Dirichlet(torch.zeros(1))])
    with pytest.raises(ValueError, match="points of Observations"):
        observation_rows(Poisson(2), [Observations(torch.rand(4), torch.rand(4))])
    with pytest.raises(ValueError, match="noise=-1"):
        require_determined(Poisson(), LINE, [Dirichlet(noise=-1)])
    with pytest.raises(ValueError, match="domain"):
        require_determined(Poisson(), SQUARE, [Dirichlet()])
    with pytest.raises(ValueError, match="conditions='left'"):
        require_determined(Poisson(), LINE, ["left"])
    for lower, upper in [((), ()), ((0,), (0,)), ((0,), (math.inf,)), ((0, 0), (1,))]:
        with pytest.raises(ValueError, match="upper"):
            Box(lower, upper)
    with pytest.raises(ValueError, match="num_points"):
        LINE.grids(2)

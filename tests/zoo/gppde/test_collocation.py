import math

import pytest
import torch

from zoo.gppde.bases import ChebyshevBasis, FourierBasis, GPBasis
from zoo.gppde.collocation import Collocation
from zoo.gppde.conditions import Dirichlet, Initial, Neumann, Periodic, side_conditions
from zoo.gppde.domain import Box, mesh
from zoo.gppde.grid_prior import along
from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.newton import NotConvergedError
from zoo.gppde.operators import Advection, AllenCahn, Heat, Helmholtz, Linear, Poisson, SteadyBurgers
from zoo.gppde.separable import solver_of_sum


def chebyshev(box, count):
    counts = [count] * box.dimensions if isinstance(count, int) else count
    return [ChebyshevBasis(*ends) for ends in zip(box.lower, box.upper, counts, strict=True)]


def solve(operator, box, bases, conditions, source):
    nodes = [basis.nodes for basis in bases]
    return Collocation(operator, bases, side_conditions(box, nodes, operator, conditions)).solve(source(mesh(nodes)))


def error(values, bases, exact):
    truth = exact(mesh([basis.nodes for basis in bases]))
    return float((values - truth).abs().max() / truth.abs().max())


@pytest.mark.parametrize(
    "basis", [ChebyshevBasis(-1.0, 2.0, 24), FourierBasis(-1.0, 2.0, 24), FourierBasis(-1.0, 2.0, 25)]
)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_bases_differentiate_and_evaluate(basis, order):
    omega = 2 * math.pi / 3

    def function(x, order):
        return omega**order * torch.sin(omega * x + order * math.pi / 2)

    points = torch.cat([torch.linspace(-1, 2, 9, dtype=torch.float64), basis.nodes[[3]]])
    values = function(basis.nodes, 0)
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(basis.differentiation(order) @ values, function(basis.nodes, order), **close)
    torch.testing.assert_close(basis.evaluation(points, order) @ values, function(points, order), **close)


def test_gp_bases_differentiate_their_own_kernel():
    kernel = SpectralMixture("stm", *torch.tensor([[0.0], [0.0], [0.5]]).double())
    basis = GPBasis(kernel, torch.linspace(0, 2, 9).double())
    columns = kernel.derivatives(basis.nodes[:, None] - basis.nodes, [0, 2])
    torch.testing.assert_close(basis.differentiation(2) @ columns[0], columns[2], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(basis.evaluation(basis.nodes, 1), basis.differentiation(1))
    torch.testing.assert_close(basis.differentiation(0), torch.eye(9).double())


@pytest.mark.parametrize("sizes", [(7,), (6, 5), (4, 5, 3)])
def test_sums_of_matrices_are_inverted(sizes):
    generator = torch.Generator().manual_seed(1)
    matrices = [torch.randn(n, n, dtype=torch.float64, generator=generator) + 5 * torch.eye(n) for n in sizes]
    right = torch.randn(2, *sizes, dtype=torch.float64, generator=generator)
    solution = solver_of_sum(matrices)(right)
    applied = sum(along(matrix, solution, j, len(sizes)) for j, matrix in enumerate(matrices))
    torch.testing.assert_close(applied, right, rtol=1e-11, atol=1e-11)


def test_dependent_eigenvectors_are_left_to_schur_forms_or_refused():
    jordan = torch.eye(5).double() + torch.diag(torch.ones(4), 1).double()
    right = torch.randn(5, 5).double()
    solution = solver_of_sum([jordan, jordan])(right)
    torch.testing.assert_close(jordan @ solution + solution @ jordan.mT, right, rtol=1e-10, atol=1e-10)
    with pytest.raises(NotConvergedError, match="nearly dependent"):
        solver_of_sum([jordan] * 3)(torch.randn(5, 5, 5).double())


def wave(*omegas):
    return lambda p: torch.stack([torch.sin(w * p[..., j] + 0.3) for j, w in enumerate(omegas)]).prod(0)


SIDES = [(0, "lower"), (0, "upper")]
WAVE = Linear({(0, 2): 1.0, (2, 0): -4.0})
SQUARE, CUBE = Box((0, 0), (1, 1)), Box((0, 0, 0), (1, 1, 1))


def decaying(p):
    return torch.sin(4 * p[..., 0] + 0.3) * torch.exp(-8 * p[..., 1])


def moving(p):
    return torch.sin(4 * (p[..., 0] - 2 * p[..., 1]))


def standing(p):
    return torch.sin(3 * p[..., 0]) * torch.cos(6 * p[..., 1])


@pytest.mark.parametrize(
    ("operator", "box", "count", "exact", "factor", "conditions"),
    [
        (Poisson(), Box((0,), (2,)), 40, wave(9), -81, lambda u: [Dirichlet(u)]),
        (Helmholtz(30.0), Box((0,), (2,)), 40, wave(9), -51, lambda u: [Dirichlet(u)]),
        (Poisson(2), SQUARE, 20, wave(4, 6), -52, lambda u: [Dirichlet(u)]),
        (Poisson(3), CUBE, 14, wave(3, 2, 4), -29, lambda u: [Dirichlet(u)]),
        (Helmholtz(7.0, 3), CUBE, (14, 13, 15), wave(3, 2, 4), -22, lambda u: [Dirichlet(u)]),
        (Heat(0.5), SQUARE, 18, decaying, 0, lambda u: [Initial(u), Dirichlet(u, SIDES)]),
        (Advection(2.0), SQUARE, 22, moving, 0, lambda u: [Initial(u), Dirichlet(u, SIDES[:1])]),
        (WAVE, SQUARE, 24, standing, 0, lambda u: [Initial(u), Initial(0.0, 1), Dirichlet(u, SIDES)]),
    ],
)
def test_linear_equations_converge_spectrally(operator, box, count, exact, factor, conditions):
    bases = chebyshev(box, count)
    values = solve(operator, box, bases, conditions(exact), lambda p: factor * exact(p))
    assert error(values, bases, exact) < 1e-9


@pytest.mark.parametrize("count", [16, 50])
def test_coefficients_that_vary_and_mixed_derivatives(count):
    """50 points are too many for one factorisation: GMRES."""
    operator = Linear({(2, 0): lambda p: 1 + 0.3 * p[..., 1], (0, 2): 1.0, (1, 1): 0.2, (0, 0): lambda p: -p[..., 0]})
    exact = wave(4, 3)

    def source(p):
        x, y = p.unbind(-1)
        mixed = 12 * torch.cos(4 * x + 0.3) * torch.cos(3 * y + 0.3)
        return (-16 * (1 + 0.3 * y) - 9 - x) * exact(p) + 0.2 * mixed

    bases = chebyshev(SQUARE, count)
    assert error(solve(operator, SQUARE, bases, [Dirichlet(exact)], source), bases, exact) < 1e-8


def test_neumann_and_periodic_conditions():
    line = Box((0,), (1,))
    exact = wave(5)
    bases = chebyshev(line, 30)
    conditions = [Dirichlet(exact, [(0, "lower")]), Neumann(5 * math.cos(5.3), [(0, "upper")])]
    assert error(solve(Poisson(), line, bases, conditions, lambda p: -25 * exact(p)), bases, exact) < 1e-9
    period = wave(4 * math.pi)
    for basis, sides in ((ChebyshevBasis(0.0, 1.0, 40), [Periodic()]), (FourierBasis(0.0, 1.0, 12), [])):
        values = solve(Helmholtz(-1.0), line, [basis], sides, lambda p: -(16 * math.pi**2 + 1) * period(p))
        assert error(values, [basis], period) < 1e-9


@pytest.mark.parametrize(("box", "count"), [(Box((0,), (1,)), 30), (SQUARE, 16), (SQUARE, 46)])
def test_newton_solves_allen_cahn(box, count):
    exact, dimensions = (wave(6), 1) if box.dimensions == 1 else (wave(4, 5), 2)
    square = 36 if dimensions == 1 else 41
    bases = chebyshev(box, count)
    values = solve(
        AllenCahn(dimensions), box, bases, [Dirichlet(exact)], lambda p: -square * exact(p) + exact(p) ** 3 - exact(p)
    )
    assert error(values, bases, exact) < 1e-9


def test_newton_resolves_a_layer():
    """u = -tanh(x / 2 nu) solves u u' = nu u''."""
    nu, line = 0.1, Box((-1,), (1,))
    exact = lambda p: -torch.tanh(p[..., 0] / (2 * nu))  # noqa: E731
    bases = chebyshev(line, 80)
    assert (
        error(solve(SteadyBurgers(nu), line, bases, [Dirichlet(exact)], lambda p: 0 * p[..., 0]), bases, exact) < 1e-8
    )


def test_sources_are_instances():
    exact = wave(4, 3)
    bases = chebyshev(SQUARE, 16)
    both = solve(
        Poisson(2), SQUARE, bases, [Dirichlet()], lambda p: torch.stack([exact(p), 2 * exact(p), torch.ones(16, 16)])
    )
    torch.testing.assert_close(both[1], 2 * both[0], rtol=1e-12, atol=1e-12)
    for number, basis in enumerate((exact, None, lambda p: torch.ones(16, 16).double())):
        if basis is not None:
            torch.testing.assert_close(both[number], solve(Poisson(2), SQUARE, bases, [Dirichlet()], basis))


@pytest.mark.parametrize(("box", "count", "shift"), [(Box((0,), (1,)), 30, 9), (SQUARE, 26, 8), (CUBE, 16, 3)])
def test_resonances_are_refused(box, count, shift):
    """k^2 is an eigenvalue of the box: 9 pi^2, (4 + 4) pi^2, (1 + 1 + 1) pi^2."""
    operator = Helmholtz(shift * math.pi**2, box.dimensions)
    with pytest.raises(ValueError, match="resonance"):
        solve(operator, box, chebyshev(box, count), [Dirichlet()], lambda p: torch.ones(p.shape[:-1]).double())

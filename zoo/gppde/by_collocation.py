"""Methods that collocate the equation on a grid: a mean only, but of large grids too."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from zoo.checks import require
from zoo.gppde.bases import Basis, ChebyshevBasis, FourierBasis, GPBasis
from zoo.gppde.collocation import Collocation
from zoo.gppde.conditions import Condition, Periodic, side_conditions
from zoo.gppde.domain import Box, mesh
from zoo.gppde.functionals import Kernels
from zoo.gppde.gaussian import NotPositiveDefiniteError
from zoo.gppde.operators import Operator
from zoo.gppde.periodogram import Peaks, kernel_of_peaks
from zoo.gppde.problem import Problem, Source, source_values
from zoo.gppde.solution import GridSolution

# Length scales relative to the domain; the first whose matrices can be factorised.
COLLOCATION_LENGTHS = (3.0, 1.0, 0.3, 0.1)


def collocated(problem: Problem, kernels: Kernels | None) -> GridSolution:
    """Collocate conditional means on the grid.

    Args:
        problem: what is solved, without noise or unknown coefficients.
        kernels: one for each coordinate; None takes them from the frequencies of the data.
    """
    bases = [GPBasis(k, g) for k, g in zip(kernels, problem.grids, strict=True)] if kernels is not None else []
    if kernels is None:
        for own, grid, size in zip(problem.peaks(), problem.grids, problem.box.lengths, strict=True):
            bases.append(_longest_basis(own, grid, size))
    values = Collocation(problem.operator, bases, problem.sides).solve(problem.source)
    return GridSolution("direct", problem.box, [basis.kernel for basis in bases], bases=bases, values=values)


def _longest_basis(peaks: Peaks, grid: Tensor, size: float) -> GPBasis:
    """Return the Matern basis of the longest length scale that can be factorised."""
    for length in COLLOCATION_LENGTHS[:-1]:
        try:
            return GPBasis(kernel_of_peaks(peaks, "stm", length * size), grid)
        except NotPositiveDefiniteError:
            continue
    return GPBasis(kernel_of_peaks(peaks, "stm", COLLOCATION_LENGTHS[-1] * size), grid)


def spectral(
    operator: Operator, box: Box, conditions: Sequence[Condition], source: Source, num_points: int | Sequence[int]
) -> GridSolution:
    """Collocate polynomials, and trigonometric ones along periodic coordinates; see `zoo.gppde.solver.solve`.

    Raises:
        ValueError: the source is known on an equispaced grid only, or there is no single solution.
        NotConvergedError: an iteration did not converge.
    """
    require(
        not isinstance(source, Tensor) or source.ndim == 0,
        "source",
        "a tensor",
        "a function with method='spectral', whose nodes are not equispaced",
    )
    counts = [len(grid) for grid in box.grids(num_points)]
    periodic = {c.dimension for c in conditions if isinstance(c, Periodic)}
    bases: list[Basis] = [
        (FourierBasis if j in periodic else ChebyshevBasis)(lower, upper, count)
        for j, (lower, upper, count) in enumerate(zip(box.lower, box.upper, counts, strict=True))
    ]
    nodes = [basis.nodes for basis in bases]
    others = [c for c in conditions if not isinstance(c, Periodic)]
    sides = side_conditions(box, nodes, operator, others)
    values = Collocation(operator, bases, sides).solve(source_values(source, mesh(nodes)))
    return GridSolution("spectral", box, [], bases=bases, values=values)

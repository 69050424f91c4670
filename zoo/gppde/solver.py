"""Solve a PDE on a box: one function, five methods.

    "direct"     no training: frequencies from the periodogram of the data, then one factorisation (default)
    "marginal"   the kernel by the evidence, from the published comb of frequencies
    "joint-map"  the published optimisation of everything at once by Adam
    "varpro"     the same objective, with the grid values eliminated
    "spectral"   the classical limit: Chebyshev collocation, Fourier along periodic coordinates

"direct" conditions a Gaussian process on all data, with its standard deviation, in one dimension and on small grids; on
larger ones it collocates conditional means (`zoo.gppde.collocation`), which has none. Everything is in float64.

Where solutions are smooth and data exact, the classical method is the more accurate: use the process for noisy or
scattered data, unknown coefficients, missing conditions, and uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from zoo.checks import require, require_choice, require_positive
from zoo.gppde.bases import Basis, ChebyshevBasis, FourierBasis, GPBasis
from zoo.gppde.collocation import Collocation, NotConvergedError
from zoo.gppde.conditioning import Posterior, condition
from zoo.gppde.conditions import (
    Condition,
    Observations,
    Periodic,
    SideCondition,
    double,
    observation_rows,
    require_determined,
    side_conditions,
    side_rows,
)
from zoo.gppde.domain import Box, mesh
from zoo.gppde.elimination import train_eliminated
from zoo.gppde.evidence import Evidence, maximise_evidence
from zoo.gppde.functionals import Covariances, Kernels, Part, Rows
from zoo.gppde.gaussian import NotPositiveDefiniteError
from zoo.gppde.joint_map import BOUNDARY_WEIGHT, JITTER, JointMAP, train
from zoo.gppde.kernels import Kind, SpectralMixture
from zoo.gppde.operators import Operator
from zoo.gppde.periodogram import Peaks, kernel_of_peaks, solution_peaks
from zoo.gppde.solution import ConditionedSolution, GridSolution, Solution

Method = Literal["direct", "marginal", "joint-map", "varpro", "spectral"]
METHODS = get_args(Method)

# Kernels that the evidence chooses among, with length scales relative to the domain.
CANDIDATES: tuple[tuple[Kind, float], ...] = tuple(
    (kind, length) for kind in ("stm", "gm") for length in (0.03, 0.1, 0.3, 1.0, 3.0)
)
# Of collocation, the first whose matrices can be factorised.
COLLOCATION_LENGTHS = (3.0, 1.0, 0.3, 0.1)

CONDITIONED_NODES = 1200  # of a grid in two and more dimensions
NEWTON_STEPS = 30
NEWTON_TOLERANCE = 1e-10
NEWTON_STAGNATION = 1e-4  # the nugget is noise that grows with the amplitude
SETTLED = 0.05  # size of a step below which the kernels stay

Source = float | Tensor | Callable[[Tensor], Tensor]


def solve(
    operator: Operator,
    domain: Box,
    conditions: Sequence[Condition],
    source: Source = 0.0,
    num_points: int | Sequence[int] = 200,
    method: Method = "direct",
    kernels: SpectralMixture | Sequence[SpectralMixture] | None = None,
    source_noise: float | None = 0.0,
    kind: Kind = "stm",
    num_components: int = 30,
    largest_frequency: float = 20.0,
    boundary_weight: float = BOUNDARY_WEIGHT,
    steps: int = 100,
) -> Solution:
    """Solve N[u] = f on a box.

    Args:
        operator: N, see `zoo.gppde.operators`; unknown coefficients are found by the evidence ("direct", "marginal").
        domain: the box.
        conditions: on its sides, at its start, at scattered points, see `zoo.gppde.conditions`.
        source: f: a number, a function of points (..., d), or values on the grid (..., N_1, .., N_d), leading
            dimensions being many instances, which share one factorisation.
        num_points: of the grid along each coordinate, or one for all; both ends are on it.
        method: see the top of this file.
        kernels: used by "direct" as they are, for each coordinate; None lets the data choose.
        source_noise: standard deviation of f at each node, None to find it ("direct" and "marginal").
        kind: of the kernels of "marginal", "joint-map" and "varpro".
        num_components: of theirs.
        largest_frequency: where their comb of frequencies ends, in cycles per unit length.
        boundary_weight: of "joint-map" and "varpro".
        steps: of the optimiser of "marginal" (L-BFGS), "joint-map" and "varpro" (Adam).

    Returns:
        The solution; `predict` evaluates it and its derivatives anywhere.

    Raises:
        ValueError: the conditions do not determine a solution (the message says what is missing), an argument is out of
            its range, or the method cannot take the problem.
        NotPositiveDefiniteError: no kernel has a covariance matrix that can be factorised.
        NotConvergedError: Newton's iteration did not converge.

    Example:
        >>> import torch
        >>> from zoo.gppde import Box, Dirichlet, Poisson, solve
        >>> solution = solve(Poisson(), Box((0,), (1,)), [Dirichlet()], lambda x: -400 * torch.sin(20 * x[..., 0]))
        >>> mean, deviation = solution.predict(torch.tensor([0.3]), return_std=True)
        >>> exact = math.sin(6.0) - 0.3 * math.sin(20.0)
        >>> bool((mean - exact).abs() < 1e-6)
        True
    """
    require_choice("method", method, METHODS)
    require_positive(steps=steps, num_components=num_components)
    require_determined(operator, domain, conditions)
    require(
        source_noise is None or source_noise >= 0, "source_noise", source_noise, "a number >= 0, or None to find it"
    )
    noisy = source_noise != 0 or any(getattr(c, "noise", 0.0) != 0 or isinstance(c, Observations) for c in conditions)
    if method not in ("direct", "marginal"):
        require(not noisy, "method", method, "'direct' or 'marginal' where there is noise or are observations")
        require(not operator.unknowns, "method", method, "'direct' or 'marginal' where a coefficient is unknown")
    if method == "spectral":
        return _spectral(operator, domain, conditions, source, num_points)
    problem = _Problem(operator, domain, conditions, source, num_points, source_noise)
    if method in ("joint-map", "varpro"):
        return _joint(problem, method, kind, num_components, largest_frequency, boundary_weight, steps)
    if method == "marginal":
        comb = SpectralMixture.comb(kind, num_components, largest_frequency)
        return _marginal(problem, [comb] * domain.dimensions, steps)
    given = [kernels] * domain.dimensions if isinstance(kernels, SpectralMixture) else kernels
    if given is not None:
        require(len(given) == domain.dimensions, "kernels", len(given), f"{domain.dimensions}, one for each coordinate")
    dense = domain.dimensions == 1 or problem.points[..., 0].numel() <= CONDITIONED_NODES
    if dense or noisy or operator.unknowns:
        require(
            dense,
            "num_points",
            num_points,
            f"at most {CONDITIONED_NODES} nodes where there is noise, are observations or unknown coefficients",
        )
        return _conditioned(problem, given)
    return _collocated(problem, given)


class _Problem:
    """A problem on its regular grid."""

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

    def linearized_rows(self, values: dict[tuple[int, ...], Tensor]) -> list[Rows]:
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


def _conditioned(problem: _Problem, kernels: Kernels | None) -> Solution:
    """Condition on everything; of nonlinear equations, on Newton's linear ones in turn."""
    operator = problem.operator
    covariances = Covariances()
    start = {u.name: torch.tensor(u.start, dtype=torch.float64) for u in operator.unknowns}
    peaks = problem.peaks() if kernels is None else []

    def best(rows: Sequence[Rows]) -> Posterior:
        if kernels is not None:
            return condition(kernels, rows, covariances)
        return _by_evidence(peaks, problem.box, rows, covariances)

    if operator.is_linear:
        posterior = best(problem.rows(start))
        if operator.unknowns:
            return _marginal(problem, posterior.kernels, 100, "weights")
        return ConditionedSolution("direct", problem.box, posterior.kernels, posterior=posterior)
    require(
        torch.broadcast_shapes(*(row.values.shape[:-1] for row in problem.linearized_rows(_zeros(problem)))) == (),
        "source",
        tuple(problem.source.shape),
        "one instance at a time of a nonlinear equation",
    )
    require(not operator.unknowns, "operator", operator.name, "known coefficients in a nonlinear operator")
    posterior = _newton(problem, best, covariances)
    return ConditionedSolution("direct", problem.box, posterior.kernels, posterior=posterior)


def _zeros(problem: _Problem) -> dict[tuple[int, ...], Tensor]:
    zero = torch.zeros(len(problem.equation_points), dtype=torch.float64)
    return {index: zero for index in problem.operator.indices}


def _newton(problem: _Problem, best: Callable[[Sequence[Rows]], Posterior], covariances: Covariances) -> Posterior:
    """Return the posterior at the solution of a nonlinear equation; large steps choose the kernels anew."""
    operator, points, previous = problem.operator, problem.equation_points, math.inf
    values = _zeros(problem)
    posterior = best(problem.linearized_rows(values))
    for _ in range(NEWTON_STEPS):
        updated = {index: posterior.mean(points, index) for index in operator.indices}
        size = _relative_change(updated[operator.zero], values[operator.zero])
        values = updated
        # Small steps that no longer shrink are rounding errors.
        if size <= NEWTON_TOLERANCE or (size <= NEWTON_STAGNATION and size > previous / 2):
            return posterior
        previous = size
        rows = problem.linearized_rows(values)
        posterior = best(rows) if size > SETTLED else condition(posterior.kernels, rows, covariances)
    raise NotConvergedError(
        f"Newton's iteration for {operator.name} did not converge in {NEWTON_STEPS} steps; the last changed the "
        f"solution by {size:.2g} of its size"
    )


def _relative_change(new: Tensor, old: Tensor) -> float:
    return float((new - old).abs().max() / new.abs().max().clamp_min(1e-300))


def _by_evidence(peaks: Sequence[Peaks], box: Box, rows: Sequence[Rows], covariances: Covariances) -> Posterior:
    """Return the posterior of the candidate with the largest evidence."""
    best: Posterior | None = None
    failure = NotPositiveDefiniteError("no kernel was tried")
    for kind, length in CANDIDATES:
        kernels = [kernel_of_peaks(own, kind, length * size) for own, size in zip(peaks, box.lengths, strict=True)]
        try:
            candidate = condition(kernels, rows, covariances)
        except NotPositiveDefiniteError as error:
            failure = error
            continue
        if best is None or candidate.log_evidence.sum() > best.log_evidence.sum():
            best = candidate
    if best is None:
        raise failure
    return best


def _marginal(
    problem: _Problem, kernels: Kernels, steps: int, what: Literal["all", "weights"] = "all"
) -> ConditionedSolution:
    """Maximise the evidence, then condition."""
    operator, box = problem.operator, problem.box
    require(operator.is_linear, "operator", operator.name, "a linear operator with method='marginal'")
    nodes = len(problem.equation_points)
    require(
        box.dimensions == 1 or nodes <= CONDITIONED_NODES,
        "num_points",
        nodes,
        f"a grid of at most {CONDITIONED_NODES} nodes with method='marginal'",
    )
    evidence = Evidence(kernels, problem.rows, operator.unknowns, what)
    fitted = maximise_evidence(evidence, steps, credible_widths=what == "all")

    def posterior_at(coefficients: dict[str, float]) -> Posterior:
        rows = problem.rows({name: torch.tensor(c, dtype=torch.float64) for name, c in coefficients.items()})
        known = [Rows(r.label, r.parts, r.values, noise) for r, noise in zip(rows, fitted.noise, strict=True)]
        return condition(fitted.kernels, known)

    shifted = []
    for name, deviation in fitted.deviations.items():
        moved = [{**fitted.coefficients, name: fitted.coefficients[name] + sign * deviation} for sign in (-1, 1)]
        shifted.append((posterior_at(moved[0]), posterior_at(moved[1])))
    return ConditionedSolution(
        "marginal" if what == "all" else "direct",
        box,
        fitted.kernels,
        fitted.coefficients,
        fitted.deviations,
        fitted.frequency_deviations,
        posterior=posterior_at(fitted.coefficients),
        shifted=shifted,
    )


def _collocated(problem: _Problem, kernels: Kernels | None) -> GridSolution:
    """Collocate conditional means on the grid."""
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


def _joint(
    problem: _Problem,
    method: Method,
    kind: Kind,
    num_components: int,
    largest_frequency: float,
    boundary_weight: float,
    steps: int,
) -> GridSolution:
    """Optimise the published objective."""
    model = JointMAP(
        problem.operator,
        problem.grids,
        problem.source,
        _published_boundary(problem.box, problem.sides, problem.source),
        kind,
        num_components,
        largest_frequency,
        boundary_weight,
    )
    (train if method == "joint-map" else train_eliminated)(model, steps)
    kernels = [
        SpectralMixture(k.kind, k.log_weight.detach(), k.log_scale.detach(), k.frequency.detach())
        for k in model.kernels
    ]
    bases = [GPBasis(kernel, grid, jitter=JITTER) for kernel, grid in zip(kernels, problem.grids, strict=True)]
    return GridSolution(method, problem.box, kernels, bases=bases, values=model.solution.detach())


def _published_boundary(box: Box, sides: Sequence[SideCondition], source: Tensor) -> Tensor:
    """Return values on all sides in the order of `side_values`."""
    by_side = {
        (side.dimension, side.end): side.values for side in reversed(sides) if side.order == 0 and not side.periodic
    }
    lead = source.shape[: source.ndim - box.dimensions]
    parts = []
    for dimension, end in box.sides:
        values = by_side.get((dimension, 0 if end == "lower" else -1))
        require(
            values is not None, "conditions", (dimension, end), "values on all sides, as the published objective has"
        )
        assert values is not None
        flat = values.reshape(*values.shape[: values.ndim - box.dimensions + 1], -1)
        parts.append(flat.expand(*lead, flat.size(-1)))
    return torch.cat(parts, dim=-1)


def _spectral(
    operator: Operator, box: Box, conditions: Sequence[Condition], source: Source, num_points: int | Sequence[int]
) -> GridSolution:
    """Collocate polynomials, and trigonometric ones along periodic coordinates."""
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

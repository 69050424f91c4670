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

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from zoo.checks import require, require_choice, require_positive
from zoo.gppde.by_collocation import collocated, spectral
from zoo.gppde.by_conditioning import CONDITIONED_NODES, by_evidence, conditioned
from zoo.gppde.conditions import Condition, Observations, SideCondition, require_determined
from zoo.gppde.domain import Box
from zoo.gppde.elimination import train_eliminated
from zoo.gppde.joint_map import BOUNDARY_WEIGHT, JointMAP, train
from zoo.gppde.kernels import Kind, SpectralMixture
from zoo.gppde.operators import Operator
from zoo.gppde.problem import Problem, Source
from zoo.gppde.solution import GridSolution, Solution

Method = Literal["direct", "marginal", "joint-map", "varpro", "spectral"]
METHODS = get_args(Method)


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
        kernels: used by "direct" as they are but for their amplitude, for each coordinate; None lets the data choose.
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
        NotConvergedError: Newton's iteration, or GMRES within it, did not converge.

    Example:
        >>> import math
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
        return spectral(operator, domain, conditions, source, num_points)
    problem = Problem(operator, domain, conditions, source, num_points, source_noise)
    if method in ("joint-map", "varpro"):
        return _joint(problem, method, kind, num_components, largest_frequency, boundary_weight, steps)
    if method == "marginal":
        comb = SpectralMixture.comb(kind, num_components, largest_frequency)
        return by_evidence(problem, [comb] * domain.dimensions, steps)
    given = [kernels] * domain.dimensions if isinstance(kernels, SpectralMixture) else kernels
    if given is not None:
        require(len(given) == domain.dimensions, "kernels", len(given), f"{domain.dimensions}, one for each coordinate")
    dense = domain.dimensions == 1 or problem.points[..., 0].numel() <= CONDITIONED_NODES
    if dense:
        return conditioned(problem, given)
    require(
        not noisy and not operator.unknowns,
        "num_points",
        num_points,
        f"at most {CONDITIONED_NODES} nodes where there is noise, are observations or unknown coefficients",
    )
    return collocated(problem, given)


def _joint(
    problem: Problem,
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
    bases = model.bases()
    kernels = [basis.kernel for basis in bases]
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

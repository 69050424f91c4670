"""Methods that condition a process on all data at once, with its standard deviation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zoo.checks import require
from zoo.gppde.conditioning import Posterior, condition
from zoo.gppde.domain import Box
from zoo.gppde.evidence import Evidence, Train, maximise_evidence
from zoo.gppde.functionals import Covariances, Kernels, Rows
from zoo.gppde.gaussian import NotPositiveDefiniteError
from zoo.gppde.kernels import Kind
from zoo.gppde.newton import newton, relative_size
from zoo.gppde.operators import Index
from zoo.gppde.periodogram import Peaks, kernel_of_peaks
from zoo.gppde.problem import Problem
from zoo.gppde.solution import ConditionedSolution

# Kernels that the evidence chooses among, with length scales relative to the domain.
CANDIDATES: tuple[tuple[Kind, float], ...] = tuple(
    (kind, length) for kind in ("stm", "gm") for length in (0.03, 0.1, 0.3, 1.0, 3.0)
)

CONDITIONED_NODES = 1200  # of a grid in two and more dimensions
COEFFICIENT_STEPS = 100  # of the search for unknown coefficients
NEWTON_TOLERANCE = 1e-10
NEWTON_STAGNATION = 1e-4  # the nugget is noise that grows with the amplitude
SETTLED = 0.05  # size of a step below which the kernels stay


def conditioned(problem: Problem, kernels: Kernels | None) -> ConditionedSolution:
    """Condition on everything; of nonlinear equations, on Newton's linear ones in turn.

    Args:
        problem: what is solved; its unknown coefficients are found by the evidence.
        kernels: one for each coordinate, used as they are but for their amplitude; None lets the evidence choose.

    Raises:
        ValueError: a nonlinear equation has many instances or an unknown coefficient.
        NotPositiveDefiniteError: no kernel has a covariance matrix that can be factorised.
        NotConvergedError: Newton's iteration did not converge.
    """
    operator = problem.operator
    covariances = Covariances()
    start = {u.name: torch.tensor(u.start, dtype=torch.float64) for u in operator.unknowns}
    peaks = problem.peaks() if kernels is None else []

    def best(rows: Sequence[Rows]) -> Posterior:
        if kernels is not None:
            return condition(kernels, rows, covariances)
        return _likeliest(peaks, problem.box, rows, covariances)

    if operator.is_linear:
        if operator.unknowns and kernels is not None:
            return by_evidence(problem, kernels, COEFFICIENT_STEPS, "nothing")
        posterior = best(problem.rows(start))
        if operator.unknowns:
            return by_evidence(problem, posterior.kernels, COEFFICIENT_STEPS, "weights")
        return ConditionedSolution("direct", problem.box, posterior.kernels, posterior=posterior)
    require(not operator.unknowns, "operator", operator.name, "known coefficients in a nonlinear operator")
    data = [problem.equation_values, *(row.values for row in problem.known_rows)]
    require(
        all(values.ndim == 1 for values in data),
        "source",
        tuple(problem.source.shape),
        "one instance at a time of a nonlinear equation",
    )
    posterior = _newton(problem, best, covariances)
    return ConditionedSolution("direct", problem.box, posterior.kernels, posterior=posterior)


def _zeros(problem: Problem) -> dict[Index, Tensor]:
    zero = torch.zeros(len(problem.equation_points), dtype=torch.float64)
    return {index: zero for index in problem.operator.indices}


def _newton(problem: Problem, best: Callable[[Sequence[Rows]], Posterior], covariances: Covariances) -> Posterior:
    """Return the posterior at the solution of a nonlinear equation; large steps choose the kernels anew."""
    operator, points = problem.operator, problem.equation_points
    posterior: Posterior | None = None
    size = math.inf

    def step(values: dict[Index, Tensor]) -> tuple[dict[Index, Tensor], float]:
        nonlocal posterior, size
        rows = problem.linearized_rows(values)
        if posterior is None or size > SETTLED:
            posterior = best(rows)
        else:
            posterior = condition(posterior.kernels, rows, covariances)
        updated = {index: posterior.mean(points, index) for index in operator.indices}
        new = updated[operator.zero]
        size = relative_size(new - values[operator.zero], new)
        return updated, size

    newton(step, _zeros(problem), NEWTON_TOLERANCE, NEWTON_STAGNATION, operator.name)
    assert posterior is not None
    return posterior


def _likeliest(peaks: Sequence[Peaks], box: Box, rows: Sequence[Rows], covariances: Covariances) -> Posterior:
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


def by_evidence(problem: Problem, kernels: Kernels, steps: int, train: Train = "all") -> ConditionedSolution:
    """Maximise the evidence, then condition.

    Args:
        problem: of a linear equation.
        kernels: where the search starts, one for each coordinate.
        steps: of L-BFGS at most, > 0.
        train: what of the kernels is searched, see `zoo.gppde.evidence.Evidence`.

    Raises:
        ValueError: the equation is nonlinear, the grid too large, or the first kernels cannot be factorised.
    """
    operator, box = problem.operator, problem.box
    require(operator.is_linear, "operator", operator.name, "a linear operator with method='marginal'")
    nodes = len(problem.equation_points)
    require(
        box.dimensions == 1 or nodes <= CONDITIONED_NODES,
        "num_points",
        nodes,
        f"a grid of at most {CONDITIONED_NODES} nodes with method='marginal'",
    )
    evidence = Evidence(kernels, problem.rows, operator.unknowns, train)
    fitted = maximise_evidence(evidence, steps, credible_widths=train == "all")

    def posterior_at(coefficients: dict[str, float]) -> Posterior:
        rows = problem.rows({name: torch.tensor(c, dtype=torch.float64) for name, c in coefficients.items()})
        known = [Rows(r.label, r.parts, r.values, noise) for r, noise in zip(rows, fitted.noise, strict=True)]
        return condition(fitted.kernels, known)

    shifted = []
    for name, deviation in fitted.deviations.items():
        moved = [{**fitted.coefficients, name: fitted.coefficients[name] + sign * deviation} for sign in (-1, 1)]
        shifted.append((posterior_at(moved[0]), posterior_at(moved[1])))
    return ConditionedSolution(
        "marginal" if train == "all" else "direct",
        box,
        fitted.kernels,
        fitted.coefficients,
        fitted.deviations,
        fitted.frequency_deviations,
        posterior=posterior_at(fitted.coefficients),
        shifted=shifted,
    )

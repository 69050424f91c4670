"""Hyper-parameters by the evidence: one problem by L-BFGS, or many small ones at once by BFGS.

Parameters are unconstrained; `zoo.rvgp.kernels.constrained` makes them positive. The evidence is nearly flat along
curves of nu, kappa and sigma_f: compare predictions and evidences, never hyper-parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import scipy.optimize
import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.rvgp.inference import Problem
from zoo.rvgp.kernels import SpectralKernel, constrained, unconstrained
from zoo.rvgp.single_evidence import SingleEvidence

BATCH = 256
"""Problems whose matrices are factorised at once."""

ARMIJO = 1e-4
"""Part of the predicted decrease that a step must achieve."""

MOST_HALVINGS = 25


@dataclass(frozen=True)
class Optimum:
    """Where the search ended.

    Attributes:
        values: (..., p) hyper-parameters, in the order of `SpectralKernel.names`.
        objective: (...) negative log evidence.
        iterations: number of iterations, the largest of many problems.
    """

    values: Tensor
    objective: Tensor
    iterations: int


def objective(kernel: SpectralKernel, problem: Problem, free: Tensor) -> Tensor:
    """Return the negative log evidence (...) of unconstrained hyper-parameters (..., p)."""
    values = constrained(free)
    return problem.negative_log_evidence(kernel.log_weights(values), values[..., -1].log())


def minimize(kernel: SpectralKernel, problem: Problem, start: Tensor, iterations: int = 1000) -> Optimum:
    """Search from one start (p,) by SciPy's L-BFGS-B, as the published code does.

    Raises:
        ValueError: the start is not positive, or there are no iterations.
    """
    _check(kernel, start, iterations)
    evaluate = SingleEvidence(kernel, problem)
    first = unconstrained(start.double()).numpy()
    found = scipy.optimize.minimize(evaluate, first, jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    value = torch.tensor(found.fun, dtype=torch.float64)
    return Optimum(constrained(torch.from_numpy(found.x)), value, int(found.nit))


def minimize_many(kernel: SpectralKernel, problem: Problem, start: Tensor, iterations: int = 200) -> Optimum:
    """Search for many optima at once, each with its own step and its own approximate Hessian.

    Args:
        kernel: what all problems share.
        problem: one problem, to be started from each row of `start`; or as many as `start` has rows.
        start: (B, p) hyper-parameters > 0.
        iterations: at most so many.

    Raises:
        ValueError: the start is not positive, or there are no iterations.
    """
    _check(kernel, start, iterations)
    parts = []
    for rows in torch.arange(len(start)).split(BATCH):
        part = problem.select(rows) if problem.projections.ndim == 3 else problem
        parts.append(_bfgs(kernel, part, unconstrained(start[rows].double()), iterations))
    values = torch.cat([part.values for part in parts])
    return Optimum(values, torch.cat([part.objective for part in parts]), max(part.iterations for part in parts))


def _check(kernel: SpectralKernel, start: Tensor, iterations: int) -> None:
    require_positive(iterations=iterations)
    fits = start.shape[-1] == len(kernel.names) and bool((start > 0).all())
    require(fits, "start", start.tolist(), f"numbers > 0 for {', '.join(kernel.names)}")


def _bfgs(kernel: SpectralKernel, problem: Problem, point: Tensor, iterations: int) -> Optimum:
    number, width = point.shape
    separate = problem.projections.ndim == 3
    identity = torch.eye(width, dtype=torch.float64).repeat(number, 1, 1)
    inverse_hessian = identity.clone()
    value, gradient = _evaluate(kernel, problem, point)
    first = torch.ones(number, dtype=torch.bool)
    active = torch.ones(number, dtype=torch.bool)
    iteration = 0
    while iteration < iterations and active.any():
        iteration += 1
        rows = active.nonzero()[:, 0]
        part = problem.select(rows) if separate else problem
        direction = -(inverse_hessian[rows] @ gradient[rows, :, None])[..., 0]
        slope = (direction * gradient[rows]).sum(-1)
        uphill = slope >= 0
        direction[uphill], slope[uphill] = -gradient[rows][uphill], -(gradient[rows][uphill] ** 2).sum(-1)
        # A first step of length 1 at most: nothing is known of the curvature yet.
        step = torch.where(first[rows], 1 / direction.norm(dim=-1).clamp(min=1.0), 1.0)
        moved, new_value, new_gradient = point[rows], value[rows], gradient[rows]
        searching = torch.ones(len(rows), dtype=torch.bool)
        for _ in range(MOST_HALVINGS):
            left = searching.nonzero()[:, 0]
            if not len(left):
                break
            trial = point[rows[left]] + step[left, None] * direction[left]
            trial_value, trial_gradient = _evaluate(kernel, part.select(left) if separate else part, trial)
            good = trial_value <= value[rows[left]] + ARMIJO * step[left] * slope[left]
            taken = left[good]
            moved, new_value, new_gradient = moved.clone(), new_value.clone(), new_gradient.clone()
            moved[taken], new_value[taken] = trial[good], trial_value[good]
            new_gradient[taken] = trial_gradient[good]
            searching[taken] = False
            step[left[~good]] /= 2
        shift, change = moved - point[rows], new_gradient - gradient[rows]
        _update(inverse_hessian, identity, rows, shift, change, first)
        decrease = value[rows] - new_value
        point[rows], value[rows], gradient[rows] = moved, new_value, new_gradient
        scale = new_value.abs().clamp(min=1.0)
        done = searching | ((decrease <= 1e-12 * scale) & (new_gradient.abs().amax(-1) <= 1e-4 * scale))
        done |= new_gradient.abs().amax(-1) <= 1e-6
        active[rows[done]] = False
    return Optimum(constrained(point), value, iteration)


def _update(
    inverse_hessian: Tensor, identity: Tensor, rows: Tensor, shift: Tensor, change: Tensor, first: Tensor
) -> None:
    curvature = (shift * change).sum(-1)
    usable = curvature > 1e-12 * shift.norm(dim=-1) * change.norm(dim=-1)
    rows, shift, change, curvature = rows[usable], shift[usable], change[usable], curvature[usable]
    fresh = first[rows]
    scaled = (curvature / (change**2).sum(-1))[fresh]
    inverse_hessian[rows[fresh]] = scaled[:, None, None] * identity[rows[fresh]]
    first[rows] = False
    left = identity[rows] - shift[:, :, None] * change[:, None, :] / curvature[:, None, None]
    outer = shift[:, :, None] * shift[:, None, :] / curvature[:, None, None]
    inverse_hessian[rows] = left @ inverse_hessian[rows] @ left.mT + outer


def _evaluate(kernel: SpectralKernel, problem: Problem, point: Tensor) -> tuple[Tensor, Tensor]:
    free = point.clone().requires_grad_()
    with torch.enable_grad():
        value = objective(kernel, problem, free)
        (gradient,) = torch.autograd.grad(value.sum(), free)
    return value.detach(), gradient

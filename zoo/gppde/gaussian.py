"""Gaussian log-densities of large precision: Cholesky factors with a nugget on record, gradients by formula.

Gradients of log det K and K^-1 u are those of the formulas, from one inverse, instead of those of the factorisation's
steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NUGGETS = (1e-12, 1e-11, 1e-10, 1e-9, 1e-8)


class NotPositiveDefiniteError(ValueError):
    """A covariance matrix has no Cholesky factor, with the largest nugget that is allowed."""


class _LogDetAndSolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        factor = cholesky(matrix)
        solution = torch.cholesky_solve(right, factor)
        ctx.save_for_backward(factor, solution)
        return 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1), solution

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_logdet: Tensor, grad_solution: Tensor) -> tuple[Tensor, Tensor]:
        factor, solution = ctx.saved_tensors
        inverse = torch.cholesky_inverse(factor)
        grad_right = inverse @ grad_solution
        return grad_logdet[..., None, None] * inverse - grad_right @ solution.mT, grad_right


def logdet_and_solve(matrix: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return log det K and K^-1 B, differentiable once in both.

    Args:
        matrix: K, (..., n, n) symmetric and positive definite.
        right: B, (..., n, m).

    Raises:
        NotPositiveDefiniteError: K has no Cholesky factor.
    """
    return _LogDetAndSolve.apply(matrix, right)


def cholesky(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor of (..., n, n).

    Raises:
        NotPositiveDefiniteError: there is none.
    """
    factor, info = torch.linalg.cholesky_ex(matrix)
    if bool(info.any()):
        raise NotPositiveDefiniteError(
            f"a covariance matrix of {matrix.size(-1)} rows is not positive definite in {matrix.dtype}: points or "
            "conditions repeat, the length scale is long for their number, or the jitter is too small"
        )
    return factor


def cholesky_with_nugget(correlation: Tensor, nuggets: tuple[float, ...] = NUGGETS) -> tuple[Tensor, float]:
    """Return the Cholesky factor of C + nugget I, with the smallest nugget that gives one.

    Args:
        correlation: C, (n, n) with a diagonal near 1.
        nuggets: to try, ascending.

    Returns:
        The lower factor and the nugget.

    Raises:
        NotPositiveDefiniteError: there is none with the largest nugget.
    """
    for nugget in nuggets:
        shifted = correlation.clone()
        shifted.diagonal().add_(nugget)
        factor, info = torch.linalg.cholesky_ex(shifted)
        if int(info) == 0:
            return factor, nugget
    raise NotPositiveDefiniteError(
        f"a covariance matrix of {len(correlation)} rows is not positive definite, with a nugget of {nuggets[-1]:g} of "
        "its diagonal: take fewer points or a shorter length scale, or remove repeated conditions"
    )

"""The published objective with the grid values eliminated: variable projection.

For a linear equation in one dimension the joint objective is quadratic in u at fixed hyper-parameters. With boundary
selector B, u = K a solves

    (K + lambda_b tau K B^T B K + v A^T A) a = lambda_b tau K B^T g + v A^T f,    A = sum_alpha c_alpha K^(alpha),

the normal equations of |W (M a - y)|; they are solved as least squares. Only the hyper-parameters are left to search,
and at the minimising u the gradient by them is the partial one, since that by u vanishes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import require
from zoo.gppde.joint_map import JointMAP, descend
from zoo.gppde.lags import toeplitz


def best_solution(model: JointMAP) -> Tensor:
    """Return the grid values that minimise the objective at its present hyper-parameters, (..., N).

    Args:
        model: of a linear operator in one dimension.

    Raises:
        ValueError: the operator is nonlinear, or has more dimensions.
    """
    operator = model.operator
    require(operator.is_linear and operator.dimensions == 1, "operator", operator.name, "a linear one in one dimension")
    with torch.no_grad():
        (kernel,), (lags,) = model.kernels, model.lags
        at_lags = kernel.derivatives(lags, {0, *(index[0] for index in operator.indices)})
        identity = torch.eye(len(lags), dtype=torch.float64)
        k = toeplitz(at_lags[0]) + model.jitter * identity
        equation = torch.zeros_like(k)
        for (order,), coefficient in operator.coefficients(model.points).items():
            # What acts on u itself takes u = K a with the jitter, as the objective does.
            matrix = k if order == 0 else toeplitz(at_lags[order], odd=order == 1)
            equation = equation + coefficient.expand(len(lags))[:, None] * matrix
        # Rows of the least-squares problem: a^T K a = |L^T a|^2, the boundary, the equation; the unknown is L^T a.
        factor = torch.linalg.cholesky(k)
        weights = (model.boundary_weight * model.log_boundary_precision.exp()).sqrt()[..., None, None]
        boundary = weights * factor[..., [0, -1], :]
        precision = (model.log_equation_precision / 2).exp()[..., None, None]
        rows = precision * torch.linalg.solve_triangular(factor, equation.mT, upper=False).mT
        source, edge = model.source, model.boundary
        if model.background is not None:
            known = {i: c.expand(len(lags)) for i, c in operator.coefficients(model.points).items()}
            source = source - sum(c * model.background[i] for i, c in known.items())
            edge = edge - model.background[operator.zero][..., [0, -1]]
        lead = model.source.shape[:-1]
        matrix = torch.cat([identity.expand(*lead, -1, -1), boundary.expand(*lead, -1, -1), rows], dim=-2)
        zeros = torch.zeros(*lead, len(lags), 1, dtype=torch.float64)
        right = torch.cat([zeros, weights * edge[..., None], precision * source[..., None]], dim=-2)
        q, r = torch.linalg.qr(matrix)
        white = torch.linalg.solve_triangular(r, q.mT @ right, upper=True)
        return (factor @ white)[..., 0]


def train_eliminated(model: JointMAP, steps: int, lr: float = 1e-2) -> None:
    """Train the hyper-parameters by Adam, with u at its minimum in every step; the last u is that of the last ones.

    Args:
        model: is changed; of a linear operator in one dimension.
        steps: number of steps, > 0.
        lr: learning rate, > 0.
    """

    def eliminate() -> None:
        with torch.no_grad():
            model.solution.copy_(best_solution(model))

    parameters = [p for name, p in model.named_parameters() if name != "solution" and p.requires_grad]
    descend(model, parameters, steps, lr, before_step=eliminate)
    eliminate()

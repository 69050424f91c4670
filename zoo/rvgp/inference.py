r"""Exact Gaussian process regression with a kernel of rank k, from sums over the data.

With :math:`y = \Phi w + e`, prior :math:`w \sim N(0, diag(s))` and noise
:math:`e \sim N(0, \sigma^2)`, all follows from

.. math:: A = \Phi^T \Phi, \quad b = \Phi^T y, \quad c = y^T y, \quad m \text{ rows},

whatever m is. With r = sqrt(s) and B = 1 + diag(r) A diag(r) / sigma^2 = L L^T,

    u = B^-1 (r b) / sigma^2          w = r u, the posterior mean           S = diag(r) B^-1 diag(r), its covariance
    a = L^-1 (r b) / sigma^2          -log p(y) = 1/2 [m log(2 pi sigma^2) + 2 sum log diag L + c / sigma^2 - a^T a]

    d/d log s      = 1/2 [1 - diag(B^-1) - u^2]
    d/d log sigma^2 = 1/2 [m - |y - Phi w|^2 / sigma^2 - k + tr(B^-1)],  |y - Phi w|^2 = c - sigma^2 (a^T a + u^T u)

An evaluation costs O(k^3). Several fields y with common hyper-parameters, the C columns of b, cost no more. All in
float64: the differences above cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.checks import require, require_positive
from zoo.spectral.accumulators import GramAccumulator


class Moments:
    """The sums A, b, c and m over any amount of labelled vectors; sums of parts are those of the whole.

    Args:
        width: number of eigenfields k.
        fields: number of fields C that are observed at the same points.

    Attributes:
        projections: b, (k, C) float64.
        squares: c, (C,) float64.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, width: int, fields: int = 1) -> None:
        require_positive(width=width, fields=fields)
        self.width, self.fields = width, fields
        self.projections = torch.zeros(width, fields, dtype=torch.float64)
        self.squares = torch.zeros(fields, dtype=torch.float64)
        self._gram = GramAccumulator(width)

    @torch.no_grad()
    def update(self, features: Tensor, values: Tensor) -> Self:
        """Add rows.

        Args:
            features: (m, k), rows of Phi.
            values: (m, C), the components y.

        Raises:
            ValueError: shapes do not fit, or an entry is not finite.
        """
        features, values = features.double(), values.double()
        shape, needed = tuple(values.shape), (len(features), self.fields)
        require(shape == needed, "values.shape", shape, f"{needed}, a row for each row of features")
        require(bool(torch.isfinite(values).all()), "values", "NaN or infinity", "finite numbers; leave others out")
        self._gram.update(features)
        self.projections = self.projections.to(features.device) + features.T @ values
        self.squares = self.squares.to(features.device) + (values**2).sum(0)
        return self

    @property
    def count(self) -> int:
        """The number of rows m."""
        return self._gram.count

    @property
    def gram(self) -> Tensor:
        """A, (k, k) float64."""
        return self._gram.gram

    def merge(self, other: Self) -> None:
        """Add what another one has seen.

        Raises:
            ValueError: its shape is another.
        """
        shape, needed = (other.width, other.fields), (self.width, self.fields)
        require(shape == needed, "other", shape, f"the shape {needed}")
        self._gram.merge(other._gram)
        self.projections = self.projections + other.projections.to(self.projections.device)
        self.squares = self.squares + other.squares.to(self.squares.device)

    def copy(self) -> Self:
        """Return one that has seen the same and shares nothing with this one."""
        twin = type(self)(self.width, self.fields)
        twin.load_state_dict(self.state_dict())
        return twin

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all that it knows, as tensors on the CPU."""
        own = {"projections": self.projections.cpu().clone(), "squares": self.squares.cpu().clone()}
        return {**self._gram.state_dict(), **own}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the result of `state_dict`, copying it.

        Raises:
            ValueError: it is of another shape.
        """
        own = self.state_dict()
        require(state.keys() == own.keys(), "state", sorted(state), f"the entries {', '.join(own)}")
        for name in ("projections", "squares"):
            shape, needed = tuple(state[name].shape), tuple(own[name].shape)
            require(shape == needed, name, shape, f"the shape {needed}")
        extra = {"projections", "squares"}
        self._gram.load_state_dict({name: tensor for name, tensor in state.items() if name not in extra})
        self.projections, self.squares = state["projections"].clone(), state["squares"].clone()

    def problem(self, separate: bool = False) -> Problem:
        """Return what the evidence is computed from.

        Args:
            separate: one problem for each field, with hyper-parameters of its own, along a leading dimension; else
                one for all fields together.
        """
        if separate:
            columns = self.projections.T[:, :, None]
            return Problem(self.gram, columns, self.squares, self.count, 1)
        projections = self.projections
        if self.fields > self.width:
            # Only b b^T matters: a triangle instead of many columns.
            projections = torch.linalg.qr(projections.T, mode="r").R.T
        return Problem(self.gram, projections, self.squares.sum(), self.count, self.fields)


@dataclass(frozen=True)
class Problem:
    """One or many regressions with the same points: A (k, k), b (..., k, C'), c (...), m, and the number of fields."""

    gram: Tensor
    projections: Tensor
    squares: Tensor
    count: int
    fields: int

    def negative_log_evidence(self, log_weights: Tensor, log_noise: Tensor) -> Tensor:
        """Return -log p(y) summed over fields, (...), with the gradients in closed form.

        Args:
            log_weights: log s, (..., k) float64.
            log_noise: log sigma^2, (...) float64.
        """
        return _NegativeLogEvidence.apply(log_weights, log_noise, self)

    def select(self, index: Tensor) -> Problem:
        """Return some of many regressions, whose b has a leading dimension."""
        return Problem(self.gram, self.projections[index], self.squares[index], self.count, self.fields)


class _NegativeLogEvidence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, log_weights: Tensor, log_noise: Tensor, problem: Problem) -> Tensor:
        root = (log_weights / 2).exp()
        factor, a, noise = _solve(problem.gram, problem.projections, root, log_noise.exp())
        squares = (a**2).sum((-2, -1))
        ctx.save_for_backward(factor, a, noise, squares)
        ctx.problem = problem
        log_determinant = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        fields, rows = problem.fields, problem.count * problem.fields
        gaussian = rows * (math.log(2 * math.pi) + log_noise) + fields * log_determinant
        # Where a search has strayed so far that the matrix overflows it is told so, and turns back.
        return torch.nan_to_num((gaussian + problem.squares / noise - squares) / 2, nan=math.inf)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        factor, a, noise, squares = ctx.saved_tensors
        problem = ctx.problem
        u = torch.linalg.solve_triangular(factor.mT, a, upper=True)
        inverse = torch.cholesky_inverse(factor).diagonal(dim1=-2, dim2=-1)
        powers = (u**2).sum(-1)
        weights = (problem.fields * (1 - inverse) - powers) / 2
        residual = problem.squares / noise - squares - powers.sum(-1)
        width = factor.shape[-1]
        rows = problem.fields * (problem.count - width + inverse.sum(-1))
        finite = torch.isfinite(squares)
        weights = torch.where(finite[..., None], weights, 0.0)
        return grad[..., None] * weights, grad * torch.where(finite, (rows - residual) / 2, 0.0), None


def _solve(gram: Tensor, projections: Tensor, root: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    matrix = root[..., :, None] * gram * root[..., None, :] / noise[..., None, None]
    matrix = matrix + torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    factor = torch.where((failed > 0)[..., None, None], math.nan, factor)
    right = root[..., None] * projections / noise[..., None, None]
    return factor, torch.linalg.solve_triangular(factor, right, upper=False), noise


class Posterior:
    """The posterior of the coefficients of the eigenfields, for one set of hyper-parameters.

    Args:
        moments: the data.
        weights: s, (k,) > 0.
        noise: sigma^2 > 0.

    Raises:
        ValueError: weights over noise overflow.

    Attributes:
        coefficients: w, (k, C) float64.
        spread: (k, k) float64, a root of the covariance: S = spread^T spread.
    """

    def __init__(self, moments: Moments, weights: Tensor, noise: float) -> None:
        self.noise = float(noise)
        root = weights.double().sqrt()
        factor, a, _ = _solve(moments.gram, moments.projections, root, torch.tensor(self.noise, dtype=torch.float64))
        require(bool(torch.isfinite(a).all()), "weights", weights, "weights and noise that a float64 can hold")
        self.coefficients = root[:, None] * torch.linalg.solve_triangular(factor.T, a, upper=True)
        self.spread = torch.linalg.solve_triangular(factor, torch.diag(root), upper=False)

    def mean(self, features: Tensor) -> Tensor:
        """Return the posterior mean, (..., C), for rows of Phi (..., k)."""
        return features @ self.coefficients

    def covariance(self, features: Tensor) -> Tensor:
        """Return the covariance of the components at each point, without noise: (n, p, p) for features (n, p, k)."""
        spread = features @ self.spread.T
        return spread @ spread.mT

    def sample(self, features: Tensor, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Return samples of the first field, without noise: (number, ...) for features (..., k)."""
        require_positive(number=number)
        noise = torch.randn(number, len(self.spread), dtype=torch.float64, generator=generator)
        coefficients = self.coefficients[:, 0] + noise @ self.spread
        return torch.einsum("...k,sk->s...", features, coefficients)

    def leave_one_out(self, features: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict each labelled point from all others, in O(k^2) each.

        Args:
            features: (n, p, k), of labelled points that the posterior has seen, once each.
            values: (n, p), the first field there.

        Returns:
            Means (n, p), covariances without noise (n, p, p), and log densities of the observed vectors (n,).
        """
        covariance = self.covariance(features)
        identity = torch.eye(values.shape[1], dtype=torch.float64)
        kept = identity - covariance / self.noise
        residual = values - features @ self.coefficients[:, 0]
        left_out = torch.linalg.solve(kept, residual[..., None])[..., 0]
        covariance = torch.linalg.solve(kept, covariance)
        covariance = (covariance + covariance.mT) / 2
        density = torch.distributions.MultivariateNormal(
            torch.zeros_like(values), covariance + self.noise * identity, validate_args=False
        )
        return values - left_out, covariance, density.log_prob(left_out)

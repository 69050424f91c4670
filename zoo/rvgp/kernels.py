r"""Kernels as functions of eigenvalues: how much variance a prior gives to each eigenfield.

With fields :math:`\Phi` (rows: components of vectors at points, columns: eigenfields) and eigenvalues
:math:`\lambda_a`, a kernel is :math:`K = \Phi\,diag(s)\,\Phi^T` with :math:`s_a \propto g(\lambda_a)`:

    "matern"   g = (lambda + 2 nu / kappa^2)^(-nu)      smooth up to nu; kappa is a length in units of 1 / sqrt(lambda)
    "se"       g = exp(-lambda kappa^2 / 2)             squared exponential: heat for a time kappa^2 / 2
    "free"     any g that does not increase             log g is piecewise linear between quantiles of the eigenvalues

The exponent is -nu, as is usual on graphs; on continuous manifolds of dimension d it is -nu - d/2. Two normalisations:

    "variance"    s = sigma_f g / sum(g): sigma_f is the mean prior variance of each tangent component
    "reference"   s = sigma_f g R / sum(g) with R the number of rows of Phi, n D, as published: the mean prior variance
                  of each tangent component is then n D sigma_f

Eigenfields enter scaled to u^T u = n d. Everything is computed from logarithms: powers of small numbers overflow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from zoo.checks import require, require_choice

Kind = Literal["matern", "se", "free"]
Normalization = Literal["variance", "reference"]

KNOTS = 8
"""Number of slopes of a free spectrum."""

LEAST_NOISE = 1e-6
"""Lower bound of the noise variance, as in the published code."""

KINDS: dict[str, tuple[str, ...]] = {
    "matern": ("nu", "kappa"),
    "se": ("kappa",),
    "free": tuple(f"slope_{index}" for index in range(KNOTS)),
}
"""The hyper-parameters of each kernel, all > 0; amplitude and noise come on top."""


def log_matern(eigvals: Tensor, nu: Tensor, kappa: Tensor) -> Tensor:
    """Return log g of the Matern kernel, (..., k), for eigenvalues (k,) and hyper-parameters (...)."""
    return -nu[..., None] * torch.log(eigvals + (2 * nu / kappa**2)[..., None])


def log_squared_exponential(eigvals: Tensor, kappa: Tensor) -> Tensor:
    """Return log g of the squared exponential kernel, (..., k), for eigenvalues (k,) and kappa (...)."""
    return -eigvals * (kappa**2 / 2)[..., None]


def log_free(eigvals: Tensor, slopes: Tensor) -> Tensor:
    """Return log g of a free spectrum, (..., k): minus a sum of ramps, one between each two quantiles.

    Args:
        eigvals: (k,) ascending.
        slopes: (..., KNOTS), >= 0: by how much log g falls between two neighbouring quantiles.
    """
    return -slopes @ ramps(eigvals, slopes.shape[-1]).T


def ramps(eigvals: Tensor, number: int) -> Tensor:
    """Return functions that rise from 0 to 1 between neighbouring quantiles of the eigenvalues (k,): (k, number)."""
    quantiles = torch.quantile(eigvals, torch.linspace(0, 1, number + 1, dtype=eigvals.dtype))
    start, width = quantiles[:-1], quantiles.diff().clamp(min=torch.finfo(eigvals.dtype).tiny)
    return ((eigvals[:, None] - start) / width).clamp(0, 1)


@dataclass(frozen=True)
class SpectralKernel:
    """A kernel on given eigenfields, as a function of its hyper-parameters.

    Attributes:
        kind: "matern", "se" or "free".
        eigvals: (k,) float64, >= 0.
        powers: (k,) float64, mean square of each eigenfield per tangent component; ones for orthonormal ones.
        normalization: "variance" or "reference".
        rows: number of rows n D of all eigenfields, for "reference".
    """

    kind: Kind
    eigvals: Tensor
    powers: Tensor
    normalization: Normalization = "variance"
    rows: int = 1

    def __post_init__(self) -> None:
        """Check the arguments.

        Raises:
            ValueError: a name is unknown, or an eigenvalue negative.
        """
        require_choice("kind", self.kind, KINDS)
        require_choice("normalization", self.normalization, ("variance", "reference"))
        least = float(self.eigvals.min())
        require(least >= 0, "eigvals", least, "eigenvalues >= 0")

    @property
    def names(self) -> tuple[str, ...]:
        """The hyper-parameters in order: those of the kernel, then `sigma_f` and `noise`."""
        return (*KINDS[self.kind], "sigma_f", "noise")

    def log_weights(self, values: Tensor) -> Tensor:
        """Return log s, (..., k), for hyper-parameters (..., p) > 0 in the order of `names`."""
        if self.kind == "matern":
            shape = log_matern(self.eigvals, values[..., 0], values[..., 1])
        elif self.kind == "se":
            shape = log_squared_exponential(self.eigvals, values[..., 0])
        else:
            shape = log_free(self.eigvals, values[..., :KNOTS])
        total = torch.logsumexp(shape + self.powers.log(), dim=-1, keepdim=True)
        amplitude = values[..., -2, None].log()
        if self.normalization == "reference":
            amplitude = amplitude + math.log(self.rows)
        return shape - total + amplitude

    def weights(self, values: Tensor) -> Tensor:
        """Return s, (..., k), for hyper-parameters (..., p) > 0 in the order of `names`."""
        return self.log_weights(values).exp()


def constrained(free: Tensor) -> Tensor:
    """Return hyper-parameters (..., p) > 0 of unconstrained ones: softplus, and a least noise, which is the last."""
    values = softplus(free)
    return torch.cat([values[..., :-1], values[..., -1:] + LEAST_NOISE], dim=-1)


def unconstrained(values: Tensor) -> Tensor:
    """Return what `constrained` turns into these hyper-parameters (..., p)."""
    values = torch.cat([values[..., :-1], (values[..., -1:] - LEAST_NOISE).clamp(min=1e-12)], dim=-1)
    return values + torch.log(-torch.expm1(-values))

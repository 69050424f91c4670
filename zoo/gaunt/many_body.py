r"""`GauntManyBody`: powers of functions on the sphere, with weights by element, channel and degree.

    B = sum_{n=1}^nu  w_{n, z, c, l} (P_L f^n)_lm

is what MACE's symmetric contraction does with Clebsch-Gordan coefficients. On a grid that is exact for polynomials of
degree nu L_in + L_out a power is nu - 1 pointwise products.

With `normalize`, f is scaled to unit variance at each point and each (n, l) to unit second moment, for features of
independent normal entries. Then f(r), f(r') are normal with correlation rho = sum_l (2l + 1) P_l(r . r') / d(L), and by
Wick's theorem and the Funk-Hecke formula

    E[f^n(r) f^n(r')] = sum_{k = n, n-2, ..} k! [C(n, k) (n - k - 1)!!]^2 rho^k,
    E[(f^n)_lm^2]     = 2 pi int_-1^1 E[f^n f'^n](t) P_l(t) dt.

Source: Luo, Chen, Krishnapriyan, ICLR 2024, arXiv 2401.10216, section 3.3. Its divide and conquer is needed in
Fourier space only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.checks import require_positive
from zoo.gaunt.constants import ConstantModule
from zoo.gaunt.convolution import zonal_functions
from zoo.gaunt.harmonics import degrees, dim, require_degree, spherical_harmonics
from zoo.gaunt.quadrature import gauss_legendre_nodes
from zoo.gaunt.sampling import smallest_rule


class GauntManyBody(ConstantModule):
    """Features of correlation order nu, exact to rounding.

    Args:
        lmax_in: degree of the features.
        lmax_out: degree of the result.
        correlation: nu >= 1, the largest power.
        channels: number C of channels.
        num_elements: number of kinds of nodes with weights of their own.
        normalize: see the top of this file; without it powers are summed as they are.

    Attributes:
        weight: (nu, num_elements, C, L_out + 1), normal at first, of variance 1 / nu.

    Raises:
        ValueError: an argument is out of its range.
    """

    samples: Tensor
    projection: Tensor
    scales: Tensor
    degrees_out: Tensor

    def __init__(
        self,
        lmax_in: int,
        lmax_out: int,
        correlation: int,
        channels: int,
        num_elements: int,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        require_degree(lmax_in=lmax_in, lmax_out=lmax_out)
        require_positive(correlation=correlation, channels=channels, num_elements=num_elements)
        self.lmax_in, self.lmax_out, self.correlation = lmax_in, lmax_out, correlation
        rule = smallest_rule(correlation * lmax_in + lmax_out)
        samples = spherical_harmonics(lmax_in, rule.points).T
        scales = torch.ones(correlation, 1, 1, lmax_out + 1, dtype=torch.float64)
        if normalize:
            samples = samples * math.sqrt(4 * math.pi / dim(lmax_in))
            moments = power_moments(lmax_in, lmax_out, correlation)
            scales = torch.where(moments > 1e-12, moments, 1.0).rsqrt()[:, None, None]
        self.register_constant("samples", samples.contiguous())
        self.register_constant("projection", rule.weights[:, None] * spherical_harmonics(lmax_out, rule.points))
        self.register_constant("scales", scales)
        self.register_buffer("degrees_out", degrees(lmax_out), persistent=False)
        self.weight = nn.Parameter(torch.randn(correlation, num_elements, channels, lmax_out + 1) / correlation**0.5)

    def forward(self, features: Tensor, elements: Tensor) -> Tensor:
        """Return the weighted sum of the projected powers.

        Args:
            features: (N, C, d(L_in)).
            elements: kind of each node, (N,) int64.

        Returns:
            (N, C, d(L_out)).
        """
        weights = (self.weight * self.scales)[:, elements]  # (nu, N, C, L_out + 1)
        with torch.autocast(features.device.type, enabled=False):
            values = features @ self.samples
            if self.lmax_out == 0:  # one weight for all coefficients: sum before projecting
                total = weights[-1] * values
                for weight in reversed(weights[:-1].unbind()):
                    total = (total + weight) * values
                return total @ self.projection
            powers = [values]
            for _ in range(self.correlation - 1):
                powers.append(powers[-1] * values)
            projected = torch.stack(powers) @ self.projection
            return (projected * weights[..., self.degrees_out]).sum(0)


def power_moments(lmax_in: int, lmax_out: int, correlation: int) -> Tensor:
    """Return E[(f^n)_lm^2] of a normal f of unit variance: (correlation, L_out + 1) float64."""
    cosines, weights, _ = gauss_legendre_nodes(correlation * lmax_in + lmax_out)
    rho = zonal_functions(lmax_in, cosines).sum(0) * (4 * math.pi / dim(lmax_in))
    polynomials = zonal_functions(lmax_out, cosines) * (4 * math.pi / (2 * torch.arange(lmax_out + 1)[:, None] + 1))
    rows = []
    for power in range(1, correlation + 1):
        moment = torch.zeros_like(rho)
        for k in range(power, -1, -2):
            pairings = math.comb(power, k) * math.prod(range(power - k - 1, 0, -2))
            moment = moment + math.factorial(k) * pairings**2 * rho**k
        rows.append(2 * math.pi * (polynomials * weights * moment).sum(1))
    return torch.stack(rows)

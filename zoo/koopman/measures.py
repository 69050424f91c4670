"""Spectral measures of isometries: smoothed densities by rational kernels, and distances between measures.

Colbrook and Townsend, 2024, arXiv 2111.14889. With z_j = e^(i theta) (1 + epsilon delta_j) outside of the unit circle,
where the resolvent of an isometry can be computed, and I_j = (A - z_j G)^-1 G f,

    nu(theta) = -1 / (2 pi) sum_j Re[ c_j conj(z_j) I_j* G f + d_j (A* f)* I_j ],

which has the mass ||f||^2 and, where the density is smooth, the error O(epsilon^m log(1 / epsilon)) for a kernel of
order m; m = 1 is the Poisson kernel. epsilon must not fall below the gaps of the truncated spectrum: N epsilon > 20 is
a rule of thumb for m = 6, and higher orders need more. N tends to infinity first, epsilon to zero after it.

The convention of angles is that of e^(i theta) in the spectrum: with moments mu_n = <K^n f, f> the density is
(mu_0 + 2 Re sum_n mu_n e^(-i n theta)) / (2 pi).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.factors import Factors
from zoo.koopman.rational_kernels import circle_kernel
from zoo.koopman.resolvent import Resolvent


def isometry_density(factors: Factors, coefficients: Tensor, angles: Tensor, epsilon: float, order: int = 2) -> Tensor:
    """Return the smoothed density of the spectral measure of f = Psi c, (P,) float64.

    Args:
        factors: of a dictionary on data of an isometry (a measure-preserving system).
        coefficients: c, (N,).
        angles: theta, (P,).
        epsilon: smoothing length > 0.
        order: m, 1 .. 8.

    Raises:
        ValueError: epsilon is not positive or the order not 1 .. 8.
    """
    delta, first, second = circle_kernel(order, epsilon)
    resolvent = Resolvent(factors)
    vector = factors.coordinates.to(torch.complex128) @ coefficients.to(torch.complex128)
    adjoint = factors.compression.to(torch.complex128).mH @ vector
    density = torch.zeros_like(angles, dtype=torch.float64)
    for pole, c, d in zip(delta.tolist(), first.tolist(), second.tolist(), strict=True):
        points = torch.polar(torch.ones_like(density), angles.double()) * (1 + epsilon * pole)
        solution = resolvent.solve(points, vector)
        terms = c * points.conj() * (solution.conj().mT @ vector) + d * (adjoint.conj() @ solution)
        density -= terms.real / (2 * math.pi)
    return density


def wasserstein(angles: Tensor, masses: Tensor, other_angles: Tensor, other_masses: Tensor) -> float:
    """Return W1 = integral over [-pi, pi] of |F_1 - F_2| of two discrete measures, by their distribution functions.

    Angles are wrapped to (-pi, pi] first. The interval is cut at -pi: masses on both sides of the cut count as far.

    Raises:
        ValueError: shapes differ, or the measures have other masses than each other (up to 1e-8).
    """
    for name, values, weights in (("masses", angles, masses), ("other_masses", other_angles, other_masses)):
        require(values.shape == weights.shape, name, tuple(weights.shape), f"one for each angle, {tuple(values.shape)}")
    totals = float(masses.sum()), float(other_masses.sum())
    require(abs(totals[0] - totals[1]) <= 1e-8 * abs(totals[0]), "other_masses", totals[1], f"mass {totals[0]}")
    points = wrap(torch.cat([angles, other_angles]))
    signed = torch.cat([masses, -other_masses])
    order = points.argsort()
    difference = signed[order].cumsum(0)[:-1]
    return float((difference.abs() * points[order].diff()).sum())


def wrap(angles: Tensor) -> Tensor:
    """Return angles modulo 2 pi in (-pi, pi]."""
    return math.pi - torch.remainder(math.pi - angles.double(), 2 * math.pi)

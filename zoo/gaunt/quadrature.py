"""Quadrature on the sphere: rules that integrate all polynomials up to a degree exactly, and no larger than needed.

    gauss_legendre    floor(D/2) + 1 nodes in cos t times D + 1 uniform nodes in p: about (D + 1)^2 / 2 points
    lebedev           octahedral rules: about (D + 1)^2 / 3 points, up to degree 131

A product of functions of degrees L1 and L2, projected onto degree L3, is a polynomial of degree L1 + L2 + L3. Fewer
points than that asks for break equivariance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import lebedev_rule
from torch import Tensor

from zoo.checks import require
from zoo.gaunt.harmonics import require_degree

# Orders that have been constructed; those with negative weights are exact too, but lose digits.
LEBEDEV_ORDERS = (
    3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 29, 31, 35, 41, 47, 53, 59, 65, 71, 77, 83, 89, 95, 101, 107, 113, 119, 125,
    131,
)  # fmt: skip


@dataclass(frozen=True)
class Quadrature:
    """Points on the unit sphere (N, 3) and their weights (N,), which sum to 4 pi; float64."""

    points: Tensor
    weights: Tensor


def gauss_legendre_nodes(degree: int) -> tuple[Tensor, Tensor, int]:
    """Return the nodes in cos t, their weights (of sum 2), and the number of uniform nodes in p, exact for a degree."""
    require_degree(degree=degree)
    nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    return torch.from_numpy(nodes), torch.from_numpy(weights), degree + 1


def gauss_legendre(degree: int) -> Quadrature:
    """Return the product rule that is exact for polynomials of a degree >= 0, p fastest."""
    cosines, weights, num_azimuths = gauss_legendre_nodes(degree)
    return product_rule(cosines, weights, num_azimuths)


def product_rule(cosines: Tensor, weights: Tensor, num_azimuths: int) -> Quadrature:
    """Return the product of a rule in cos t and uniform nodes in p, p fastest."""
    azimuths = azimuth_nodes(num_azimuths)
    sines = (1 - cosines.square()).sqrt()
    columns = (
        sines[:, None] * azimuths.sin(),
        cosines[:, None].expand(-1, num_azimuths),
        sines[:, None] * azimuths.cos(),
    )
    points = torch.stack([column.flatten() for column in columns], dim=1)
    return Quadrature(points, weights.repeat_interleave(num_azimuths) * (2 * math.pi / num_azimuths))


def azimuth_nodes(number: int) -> Tensor:
    """Return uniform nodes in [0, 2 pi): (number,) float64."""
    return 2 * math.pi / number * torch.arange(number, dtype=torch.float64)


def lebedev(degree: int) -> Quadrature:
    """Return the smallest Lebedev rule with positive weights that is exact for polynomials of a degree.

    Antipodes are both points of the rule, with the same weight.

    Raises:
        ValueError: the degree is negative or above 131, where no rule is known.
    """
    require(
        type(degree) is int and 0 <= degree <= LEBEDEV_ORDERS[-1],
        "degree",
        degree,
        f"an integer from 0 to {LEBEDEV_ORDERS[-1]}, or take a Gauss-Legendre grid",
    )
    order = next(order for order in LEBEDEV_ORDERS if order >= degree)
    points, weights = lebedev_rule(order)
    points = torch.from_numpy(points.T.copy())
    return Quadrature(points / torch.linalg.vector_norm(points, dim=1, keepdim=True), torch.from_numpy(weights))


def antipodal_half(rule: Quadrature) -> Quadrature:
    """Return one point of each antipodal pair of a rule that consists of such pairs, with the weight of one."""
    tiny = 1e-9
    x, y, z = rule.points.unbind(1)
    upper = (y > tiny) | (y.abs() <= tiny) & ((z > tiny) | (z.abs() <= tiny) & (x > 0))
    return Quadrature(rule.points[upper], rule.weights[upper])

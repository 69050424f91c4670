r"""Gaunt coefficients, coefficients of the Poisson bracket, and their factors over Clebsch-Gordan coefficients.

    int Y_1 Y_2 Y_3 dOmega      = g(l1, l2, l3) W[m1, m2, m3],  zero unless l1 + l2 + l3 is even
    int Y_3 {Y_1, Y_2} dOmega   = b(l1, l2, l3) W[m1, m2, m3],  zero unless l1 + l2 + l3 is odd

    g = sqrt((2 l1 + 1)(2 l2 + 1)(2 l3 + 1) / 4 pi) |(l1 l2 l3; 0 0 0)|
    b = sqrt((2 l1 + 1)(2 l2 + 1)(2 l3 + 1) / 4 pi) sqrt(l1 (l1 + 1) l2 (l2 + 1)) |(l1 l2 l3; 1 -1 0)|

W is e3nn's `o3.wigner_3j`, of unit Frobenius norm; with its choice of signs both factors are positive. The bracket is
{f1, f2} = r . (grad f1 x grad f2). Together the two integrals give W at any degree, also where e3nn stops (11).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from zoo.gaunt.harmonics import spherical_harmonics, tangential_gradients
from zoo.gaunt.quadrature import gauss_legendre


def three_j(l1: int, l2: int, l3: int, m1: int, m2: int) -> float:
    """Return the 3j symbol (l1 l2 l3; m1 m2 -m1-m2) by Racah's formula, in exact arithmetic up to the last root."""
    m3 = -m1 - m2
    if not in_triangle(l1, l2, l3) or abs(m1) > l1 or abs(m2) > l2 or abs(m3) > l3:
        return 0.0
    factorial = math.factorial
    triangle = Fraction(
        factorial(l1 + l2 - l3) * factorial(l1 - l2 + l3) * factorial(-l1 + l2 + l3), factorial(l1 + l2 + l3 + 1)
    )
    orders = math.prod(factorial(j + m) * factorial(j - m) for j, m in ((l1, m1), (l2, m2), (l3, m3)))
    total = Fraction(0)
    for t in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2) + 1):
        terms = (t, l3 - l2 + t + m1, l3 - l1 + t - m2, l1 + l2 - l3 - t, l1 - t - m1, l2 - t + m2)
        total += Fraction((-1) ** t, math.prod(factorial(term) for term in terms))
    magnitude = math.sqrt(triangle * orders * total**2)
    return math.copysign(magnitude, (-1) ** (l1 - l2 - m3) * total)


def in_triangle(l1: int, l2: int, l3: int) -> bool:
    """Tell whether degrees couple: |l1 - l2| <= l3 <= l1 + l2."""
    return abs(l1 - l2) <= l3 <= l1 + l2


def gaunt_factor(l1: int, l2: int, l3: int) -> float:
    """Return g(l1, l2, l3), zero where l1 + l2 + l3 is odd or the triangle fails."""
    return _root(l1, l2, l3) * abs(three_j(l1, l2, l3, 0, 0)) if (l1 + l2 + l3) % 2 == 0 else 0.0


def bracket_factor(l1: int, l2: int, l3: int) -> float:
    """Return b(l1, l2, l3), zero where l1 + l2 + l3 is even or the triangle fails."""
    return math.sqrt(l1 * (l1 + 1) * l2 * (l2 + 1)) * scaled_bracket_factor(l1, l2, l3)


def scaled_bracket_factor(l1: int, l2: int, l3: int) -> float:
    """Return b(l1, l2, l3) of arguments that are divided by sqrt(l (l + 1)) first."""
    return _root(l1, l2, l3) * abs(three_j(l1, l2, l3, 1, -1)) if (l1 + l2 + l3) % 2 else 0.0


def factor_table(factor: Callable[[int, int, int], float], lmax1: int, lmax2: int, lmax3: int) -> Tensor:
    """Return the factors of all degrees: (L1 + 1, L2 + 1, L3 + 1) float64."""
    degrees1, degrees2, degrees3 = range(lmax1 + 1), range(lmax2 + 1), range(lmax3 + 1)
    rows = [[[factor(l1, l2, l3) for l3 in degrees3] for l2 in degrees2] for l1 in degrees1]
    return torch.tensor(rows, dtype=torch.float64)


def unit_variance_scales(factors: Tensor) -> Tensor:
    """Return what scales results to unit variance, on average over m, for arguments of independent unit entries.

    Args:
        factors: the coefficients of the 3j tensors in a bilinear map (L1 + 1, L2 + 1, L3 + 1) float64.

    Returns:
        (L3 + 1,); 1 where nothing arrives.
    """
    variances = factors.square().sum((0, 1)) / (2 * torch.arange(factors.size(2)) + 1)
    return torch.where(variances > 0, variances, 1.0).rsqrt()


def _root(l1: int, l2: int, l3: int) -> float:
    return math.sqrt((2 * l1 + 1) * (2 * l2 + 1) * (2 * l3 + 1) / (4 * math.pi))


def gaunt_tensor(lmax1: int, lmax2: int, lmax3: int) -> Tensor:
    """Return int Y_i Y_j Y_k dOmega: (d(L1), d(L2), d(L3)) float64."""
    rule = gauss_legendre(lmax1 + lmax2 + lmax3)
    first, second, third = (spherical_harmonics(lmax, rule.points) for lmax in (lmax1, lmax2, lmax3))
    return torch.einsum("gi,gj,gk->ijk", first, second, rule.weights[:, None] * third)


def bracket_tensor(lmax1: int, lmax2: int, lmax3: int) -> Tensor:
    """Return int Y_k {Y_i, Y_j} dOmega: (d(L1), d(L2), d(L3)) float64."""
    rule = gauss_legendre(lmax1 + lmax2 + lmax3)
    first, second = (tangential_gradients(lmax, rule.points) for lmax in (lmax1, lmax2))
    third = rule.weights[:, None] * spherical_harmonics(lmax3, rule.points)
    forth, back = (
        torch.einsum("gi,gj,gk->ijk", a, b, third) for a, b in ((first[0], second[1]), (first[1], second[0]))
    )
    return forth - back


@lru_cache(maxsize=64)
def wigner_3j(lmax1: int, lmax2: int, lmax3: int) -> Tensor:
    """Return e3nn's 3j tensors of all degrees at once: (d(L1), d(L2), d(L3)) float64, zero where degrees do not couple.

    The result is cached; do not change it.
    """
    even, odd = gaunt_tensor(lmax1, lmax2, lmax3), bracket_tensor(lmax1, lmax2, lmax3)
    tensor = torch.zeros_like(even)
    for l1 in range(lmax1 + 1):
        for l2 in range(lmax2 + 1):
            for l3 in range(lmax3 + 1):
                if in_triangle(l1, l2, l3):
                    block = tuple(slice(degree**2, (degree + 1) ** 2) for degree in (l1, l2, l3))
                    if (l1 + l2 + l3) % 2 == 0:
                        tensor[block] = even[block] / gaunt_factor(l1, l2, l3)
                    else:
                        tensor[block] = odd[block] / bracket_factor(l1, l2, l3)
    return tensor

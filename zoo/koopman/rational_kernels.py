"""Rational kernels of high order: they smooth spectral measures by sums of resolvents.

Weights r of nodes p that satisfy sum_j r_j p_j^k = 1 for k = 0 and 0 for k = 1 .. m - 1 are the Lagrange basis at zero,
r_j = prod_(i != j) p_i / (p_i - p_j): exact to rounding where a Vandermonde system is not.

Source: Colbrook, Horning and Townsend, 2021, SIAM Review 63; Colbrook and Townsend, 2024, arXiv 2111.14889; Colbrook,
Drysdale and Horning, 2024, arXiv 2405.00782.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from zoo.checks import require, require_choice

Poles = Literal["equi", "roots", "cheb", "extrap"]

MAX_ORDER = 8


def moment_weights(nodes: Tensor) -> Tensor:
    """Return r with sum_j r_j p_j^k = 1 (k = 0) or 0 (0 < k < m) for distinct nodes p (m,), (m,) complex128."""
    nodes = nodes.to(torch.complex128)
    others = ~torch.eye(len(nodes), dtype=torch.bool)
    ratios = nodes / torch.where(others, nodes - nodes[:, None], 1.0)  # [j, i] = p_i / (p_i - p_j)
    return torch.where(others, ratios, 1.0).prod(dim=1)


def half_plane_kernel(order: int, kind: Poles = "equi") -> tuple[Tensor, Tensor]:
    """Return poles p_j in the upper half plane and residues r_j of a kernel of order m, (m,) complex128 each.

    "equi" p_j = i + 2j / (m + 1) - 1; "roots" exp(i pi (j - 1/2) / m); "cheb" i + Chebyshev points of the first kind,
    ascending; "extrap" i 2^(1-j); j = 1 .. m.

    Raises:
        ValueError: the order is not 1 .. 8, or the kind is unknown.
    """
    check_order(order)
    require_choice("kind", kind, get_args(Poles))
    j = torch.arange(1, order + 1, dtype=torch.float64)
    poles = {
        "equi": lambda: torch.complex(2 * j / (order + 1) - 1, torch.ones_like(j)),
        "roots": lambda: torch.polar(torch.ones_like(j), math.pi * (j - 0.5) / order),
        "cheb": lambda: torch.complex(torch.sin(math.pi * (2 * j - 1 - order) / (2 * order)), torch.ones_like(j)),
        "extrap": lambda: torch.complex(torch.zeros_like(j), 2.0 ** (1 - j)),
    }[kind]()
    return poles, moment_weights(poles)


def circle_kernel(order: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return delta_j, c_j and d_j of the kernel of order m for isometries, (m,) complex128 each.

    delta_j = 1 + i (2j / (m + 1) - 1) and sigma_j = -conj(delta_j) / (1 + epsilon conj(delta_j)); c are the moment
    weights of sigma, d those of delta.

    Raises:
        ValueError: the order is not 1 .. 8, or epsilon is not positive.
    """
    check_order(order)
    require(epsilon > 0, "epsilon", epsilon, "a number > 0")
    j = torch.arange(1, order + 1, dtype=torch.float64)
    delta = torch.complex(torch.ones_like(j), 2 * j / (order + 1) - 1)
    sigma = -delta.conj() / (1 + epsilon * delta.conj())
    return delta, moment_weights(sigma), moment_weights(delta)


def check_order(order: int) -> None:
    """Raise a ValueError unless a kernel's order is 1 .. 8."""
    require(type(order) is int and 1 <= order <= MAX_ORDER, "order", order, f"an integer 1 .. {MAX_ORDER}")

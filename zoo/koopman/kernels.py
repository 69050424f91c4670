"""Kernel EDMD and ResDMD: dictionaries of as many functions as snapshots, known by a kernel alone.

With training pairs x_i, y_i = F(x_i), i = 1 .. M, as rows,

    G^_ij = k(x_i, x_j),    A^_ij = k(y_i, x_j),    L^_ij = k(y_i, y_j),

where k is conjugate-linear in its second argument's features (k(x, y) = <x, y> = sum_a x_a conj(y_a) for the linear
kernel), G^ = U D U*, UU = U_N D_N^-1/2 of the N largest eigenvalues, and in the reproducing kernel Hilbert space (RKHS)
basis Psi = k(., X) UU,

    K = UU* A^ UU,    L = UU* L^ UU,    G = 1.

Two residuals, not to be confused:

    RKHS    of left eigenvectors w* K = lambda w*: R^2 = w* L w / w* w - |lambda|^2 = ||(K* - conj(lambda)) w||^2. It is
            an identity (K* k_x = k_F(x)), without a quadrature and its limit;
    L^2     of right eigenvectors by `zoo.koopman.residuals` from Psi on FRESH pairs: on its own training points a
            kernel interpolates, and the residual is falsely zero.

Source: Colbrook and Townsend, 2024, arXiv 2111.14889; Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from zoo.checks import require, require_choice, require_positive
from zoo.koopman.edmd import fix_phases, order_of
from zoo.koopman.gram import double

KernelName = Literal["gaussian", "laplacian", "lorentzian", "polynomial", "linear", "poly_exp", "poly_exp2"]


@dataclass(frozen=True)
class Kernel:
    """A kernel with its length d.

    With r = ||x - y|| and s = <x, y>: "gaussian" exp(-r^2 / d^2), "laplacian" exp(-r / d), "lorentzian"
    1 / (1 + r^2 / d^2), "polynomial" (s / d^2 + 1)^p, "linear" s, "poly_exp2" laplacian * polynomial and "poly_exp"
    (gaussian + laplacian) * polynomial.

    Attributes:
        name: which.
        length: d, a number or a tensor without dimensions.
        power: p.
    """

    name: KernelName
    length: float | Tensor
    power: int = 20

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return k(x_i, y_j), (M, M'), of states (M, d) and (M', d)."""
        products = x @ y.mH
        if self.name == "linear":
            return products
        polynomial = (products / self.length**2 + 1) ** self.power if "poly" in self.name else None
        if self.name == "polynomial":
            assert polynomial is not None
            return polynomial
        squares = squared_distances(x, y) / self.length**2
        radial = {
            "gaussian": lambda: torch.exp(-squares),
            "laplacian": lambda: torch.exp(-squares.sqrt()),
            "lorentzian": lambda: 1 / (1 + squares),
            "poly_exp2": lambda: torch.exp(-squares.sqrt()),
            "poly_exp": lambda: torch.exp(-squares) + torch.exp(-squares.sqrt()),
        }[self.name]()
        return radial if polynomial is None else radial * polynomial


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return ||x_i - y_j||^2, (M, M') float64, exactly zero for equal real states."""
    if x.is_complex() or y.is_complex():
        return squared_distances(x.real, y.real) + squared_distances(_imag(x), _imag(y))
    # Differences and not inner products: these would leave 1e-8 in distances of nearly equal states.
    return torch.cdist(x.contiguous(), y.contiguous(), compute_mode="donot_use_mm_for_euclid_dist") ** 2


def _imag(x: Tensor) -> Tensor:
    return x.imag if x.is_complex() else torch.zeros_like(x)


def make_kernel(name: KernelName, x: Tensor, power: int = 20, factor: float = 1.0) -> Kernel:
    """Return a kernel with the authors' length for training states (M, d).

    d is the mean of ||x - mean x||, for "polynomial" the mean of ||x||.

    Args:
        name: see `Kernel`.
        x: training states.
        power: of polynomials.
        factor: multiplies d; the authors' sea-ice computations use 0.9 with the Gaussian.

    Raises:
        ValueError: unknown name, or a number that is not positive.
    """
    require_choice("name", name, get_args(KernelName))
    require_positive(power=power)
    require(factor > 0, "factor", factor, "a number > 0")
    centered = x if name == "polynomial" else x - x.mean(dim=0)
    return Kernel(name, factor * float(torch.linalg.vector_norm(centered, dim=1).mean()), power)


@dataclass(frozen=True)
class KernelEDMD:
    """Kernel EDMD of training pairs, in a basis orthonormal in the RKHS.

    Attributes:
        kernel: k.
        x: training states, (M, d).
        basis: UU, (M, N): functions k(., x) UU.
        matrix: K, (N, N).
        shifted: L, (N, N).
        psi_x: values of the functions at x, (M, N).
        psi_y: values at y.
    """

    kernel: Kernel
    x: Tensor
    basis: Tensor
    matrix: Tensor
    shifted: Tensor
    psi_x: Tensor
    psi_y: Tensor

    def functions(self, x: Tensor) -> Tensor:
        """Return the N functions at any states (M', d), (M', N)."""
        return self.kernel(x.to(self.x.dtype), self.x) @ self.basis


@dataclass(frozen=True)
class KernelEigenpairs:
    """Eigenpairs of kernel EDMD by ascending RKHS residual.

    Attributes:
        eigenvalues: (N,) complex128.
        right: V, (N, N): eigenfunctions Psi V.
        left: W, (N, N): w* K = lambda w*, of norm one.
        residuals: RKHS residuals R of the left eigenvectors, (N,), clamped at zero.
        squares: R^2 before clamping, (N,); negative ones tell the size of rounding.
    """

    eigenvalues: Tensor
    right: Tensor
    left: Tensor
    residuals: Tensor
    squares: Tensor


def kernel_edmd(x: Tensor, y: Tensor, kernel: Kernel, functions: int | None = None, cutoff: float = 0.0) -> KernelEDMD:
    """Return kernel EDMD from training pairs.

    Args:
        x: states, (M, d), real or complex.
        y: states one step later.
        kernel: see `make_kernel`.
        functions: how many functions N to keep at most; all with a positive eigenvalue if None.
        cutoff: times ||G^||, added to the diagonal of G^ for stability.

    Raises:
        ValueError: shapes differ, entries are not finite, or a number is out of range.
    """
    x, y = double("x", x), double("y", y)
    require(x.ndim == 2, "x", tuple(x.shape), "a matrix (M, d), one row for each state")
    require(y.shape == x.shape, "y", tuple(y.shape), f"the shape of x, {tuple(x.shape)}")
    require(cutoff >= 0, "cutoff", cutoff, "a number >= 0")
    functions = len(x) if functions is None else functions
    require_positive(functions=functions)
    gram, cross, shifted = kernel(x, x), kernel(y, x), kernel(y, y)
    gram, shifted = (gram + gram.mH) / 2, (shifted + shifted.mH) / 2
    identity = torch.eye(len(x), dtype=gram.dtype, device=gram.device)
    eigvals, eigvecs = torch.linalg.eigh(gram + cutoff * torch.linalg.matrix_norm(gram, 2) * identity)
    kept = eigvals.argsort(descending=True)[: min(functions, int((eigvals > 0).sum()))]
    basis = eigvecs[:, kept] / eigvals[kept].sqrt()
    return KernelEDMD(
        kernel, x, basis, basis.mH @ cross @ basis, basis.mH @ shifted @ basis, gram @ basis, cross @ basis
    )


def kernel_eigenpairs(model: KernelEDMD) -> KernelEigenpairs:
    """Return the eigenpairs of kernel EDMD with the RKHS residuals of their left eigenvectors."""
    eigvals, left, right = scipy.linalg.eig(model.matrix.cpu().numpy(), left=True, right=True)
    order = order_of(eigvals)
    values, left, right = (
        torch.from_numpy(np.asarray(part, np.complex128)).to(model.x.device)
        for part in (eigvals[order], left[:, order], right[:, order])
    )
    left, right = fix_phases(left), fix_phases(right)
    squares = (left.conj() * (model.shifted.to(left.dtype) @ left)).sum(dim=0).real - values.abs() ** 2
    rank = squares.argsort(stable=True)
    return KernelEigenpairs(
        values[rank], right[:, rank], left[:, rank], squares[rank].clamp(min=0).sqrt(), squares[rank]
    )


def knee(values: Tensor) -> int:
    """Return the index of the knee of a curve (n,): two straight lines meet there with the least total deviation.

    Each line is the least-squares fit of its part of the curve, the knee belonging to both; the sum of the absolute
    deviations is minimised, the first of equal ones wins.

    Raises:
        ValueError: fewer than 3 values.
    """
    require(values.ndim == 1 and len(values) >= 3, "values", tuple(values.shape), "at least 3 values")
    y = values.double().cpu().numpy()
    x = np.arange(len(y), dtype=float)

    def deviation(part: slice) -> float:
        slope, offset = np.polyfit(x[part], y[part], 1)
        return float(np.abs(slope * x[part] + offset - y[part]).sum())

    errors = [deviation(slice(0, k + 1)) + deviation(slice(k, None)) for k in range(1, len(y) - 1)]
    return 1 + int(np.argmin(errors))

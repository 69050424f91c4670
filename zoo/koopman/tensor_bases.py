"""Dictionaries of products of functions of single coordinates: polynomials, Hermite functions, Fourier functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.dictionaries import Dictionary
from zoo.koopman.multi_indices import IndexSet, multi_indices


class TensorBasis(Dictionary):
    """Products of functions of single coordinates.

    Args:
        dim: number of coordinates.
        degree: bound of the multi-indices.
        kind: which multi-indices, see `zoo.koopman.multi_indices`.
        signed: whether indices are signed.
    """

    indices: Tensor

    def __init__(self, dim: int, degree: int, kind: IndexSet = "total", signed: bool = False) -> None:
        indices = multi_indices(dim, degree, kind, signed)
        super().__init__(dim, [self.name_of(index) for index in indices.tolist()])
        self.degree = degree
        self.register_buffer("indices", indices)

    @property
    def orders(self) -> Tensor:
        """The largest entry of every multi-index, (N,) int64."""
        return self.indices.abs().amax(dim=1)

    def name_of(self, index: list[int]) -> str:
        """Return the name of the function of a multi-index."""
        factors = [self.factor_name(k, f"x{i + 1}") for i, k in enumerate(index) if k]
        return " ".join(factors) or "1"

    def factor_name(self, k: int, coordinate: str) -> str:
        """Return the name of function k != 0 of one coordinate."""
        raise NotImplementedError

    def univariate(self, x: Tensor) -> list[Tensor]:
        """Return functions 0 .. degree of every coordinate, (M, d) each."""
        raise NotImplementedError

    def values(self, x: Tensor) -> Tensor:
        """Return the products at states (M, d), (M, N)."""
        # Column by column in memory: products of long rows, which accumulators take over without transposing them.
        columns = x.mT.contiguous().mT
        factors = torch.stack([functions.mT for functions in self.univariate(columns)])  # (degree + 1, d, M)
        product = factors[:, 0].index_select(0, self.indices[:, 0])
        for coordinate in range(1, self.dim):
            product *= factors[:, coordinate].index_select(0, self.indices[:, coordinate])
        return product.mT


class Monomials(TensorBasis):
    """Monomials x^k; badly conditioned beyond degree 8 or so."""

    def factor_name(self, k: int, coordinate: str) -> str:
        """Return x1^2 and the like."""
        return coordinate if k == 1 else f"{coordinate}^{k}"

    def univariate(self, x: Tensor) -> list[Tensor]:
        """Return 1, x, x^2, ..."""
        powers = [torch.ones_like(x)]
        for _ in range(self.degree):
            powers.append(powers[-1] * x)
        return powers


class Chebyshev(TensorBasis):
    """Chebyshev polynomials T_k of coordinates scaled from a box to [-1, 1].

    Args:
        dim: number of coordinates.
        degree: bound of the multi-indices.
        kind: which multi-indices.
        low: lower ends of the box, one for all coordinates or one for each.
        high: upper ends.

    Raises:
        ValueError: an end of the box is not below the other.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        dim: int,
        degree: int,
        kind: IndexSet = "total",
        low: float | list[float] = -1.0,
        high: float | list[float] = 1.0,
    ) -> None:
        super().__init__(dim, degree, kind)
        for name, value in (("low", low), ("high", high)):
            ends = torch.as_tensor(value, dtype=torch.float64)
            require(ends.ndim == 0 or ends.shape == (dim,), name, value, f"a number or {dim} numbers")
            self.register_buffer(name, ends.expand(dim).clone())
        require(bool((self.low < self.high).all()), "low", low, f"numbers below high={high!r}")

    def factor_name(self, k: int, coordinate: str) -> str:
        """Return T2(x1) and the like."""
        return f"T{k}({coordinate})"

    def univariate(self, x: Tensor) -> list[Tensor]:
        """Return T_0, T_1, ... by the three-term recursion."""
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        x = (2 * x - low - high) / (high - low)
        functions = [torch.ones_like(x), x]
        while len(functions) <= self.degree:
            functions.append(2 * x * functions[-1] - functions[-2])
        return functions


class Hermite(TensorBasis):
    """Hermite polynomials He_k(x / scale) / sqrt(k!), orthonormal for the normal distribution of that scale.

    Args:
        dim: number of coordinates.
        degree: bound of the multi-indices.
        kind: which multi-indices.
        scale: standard deviation of the distribution.
    """

    def __init__(self, dim: int, degree: int, kind: IndexSet = "total", scale: float = 1.0) -> None:
        super().__init__(dim, degree, kind)
        require(scale > 0, "scale", scale, "a number > 0")
        self.scale = scale

    def factor_name(self, k: int, coordinate: str) -> str:
        """Return He2(x1) and the like."""
        return f"He{k}({coordinate})"

    def univariate(self, x: Tensor) -> list[Tensor]:
        """Return the normalised polynomials by their three-term recursion."""
        x = x / self.scale
        return _three_terms(torch.ones_like(x), x, self.degree)


class HermiteFunctions(TensorBasis):
    """Hermite functions of x / scale, orthonormal on the line for scale 1: they vanish at infinity.

    Args:
        dim: number of coordinates.
        degree: bound of the multi-indices.
        kind: which multi-indices.
        scale: width of function 0.
    """

    def __init__(self, dim: int, degree: int, kind: IndexSet = "total", scale: float = 1.0) -> None:
        super().__init__(dim, degree, kind)
        require(scale > 0, "scale", scale, "a number > 0")
        self.scale = scale

    def name_of(self, index: list[int]) -> str:
        """Return h0(x1) h2(x2) and the like: function 0 is not constant."""
        return " ".join(f"h{k}(x{i + 1})" for i, k in enumerate(index))

    def univariate(self, x: Tensor) -> list[Tensor]:
        """Return h_0 = pi^-1/4 exp(-x^2 / 2), h_1, ... by their three-term recursion, which does not overflow."""
        x = x / self.scale
        return _three_terms(math.pi**-0.25 * torch.exp(-(x**2) / 2), math.sqrt(2) * x, self.degree)


def _three_terms(first: Tensor, slope: Tensor, degree: int) -> list[Tensor]:
    """Return f_0 = first, f_1 = slope f_0, f_(k+1) = (slope f_k - sqrt(k) f_(k-1)) / sqrt(k+1)."""
    functions = [first]
    previous = torch.zeros_like(first)
    for k in range(degree):
        current = functions[-1]
        functions.append((slope * current - math.sqrt(k) * previous) / math.sqrt(k + 1))
        previous = current
    return functions


class Fourier(TensorBasis):
    """Trigonometric functions exp(2 pi i k x / period) on a torus, complex.

    Args:
        dim: number of angles.
        degree: bound of the frequencies |k|.
        kind: which multi-indices, of either sign.
        period: of every coordinate.
    """

    def __init__(self, dim: int, degree: int, kind: IndexSet = "full", period: float = 2 * math.pi) -> None:
        super().__init__(dim, degree, kind, signed=True)
        require(period > 0, "period", period, "a number > 0")
        self.period = period

    def name_of(self, index: list[int]) -> str:
        """Return e(1,-2) and the like."""
        return f"e({','.join(map(str, index))})"

    def values(self, x: Tensor) -> Tensor:
        """Return the functions at angles (M, d), (M, N)."""
        phase = (2 * math.pi / self.period) * x @ self.indices.to(x.dtype).mT
        return torch.polar(torch.ones_like(phase), phase)

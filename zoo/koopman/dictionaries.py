"""Dictionaries: the functions whose span a Koopman learner looks into.

Each is a module without trainable parameters (except for a network of one's own) that maps states (M, d) to values
(M, N) in the precision of the states, real or complex, and knows the names of its N functions.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import scipy.cluster.vq
import torch
from torch import Tensor, nn

from zoo.checks import require, require_choice, require_positive
from zoo.koopman.multi_indices import IndexSet, multi_indices


class Dictionary(nn.Module):
    """Functions psi_1 .. psi_N of a state.

    Args:
        dim: number of coordinates d of a state.
        names: of the functions.
    """

    def __init__(self, dim: int, names: list[str]) -> None:
        super().__init__()
        self.dim = dim
        self.names = names

    @property
    def size(self) -> int:
        """Number of functions N."""
        return len(self.names)

    def forward(self, x: Tensor) -> Tensor:
        """Return the functions at states (M, d), (M, N).

        Raises:
            ValueError: the states have another number of coordinates.
        """
        require(
            x.ndim == 2 and x.shape[1] == self.dim, "x", tuple(x.shape), f"states (M, {self.dim}), one row for each"
        )
        return self.values(x)

    def values(self, x: Tensor) -> Tensor:
        """Return the functions at states of the right shape."""
        raise NotImplementedError


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
        factors = torch.stack(self.univariate(x))  # (degree + 1, M, d)
        product = factors[self.indices[:, 0], :, 0]
        for coordinate in range(1, self.dim):
            product = product * factors[self.indices[:, coordinate], :, coordinate]
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


RadialKernel = Literal["gaussian", "laplacian", "thin_plate"]


class RadialFunctions(Dictionary):
    """Radial functions around centres: exp(-(factor r / scale)^2), exp(-factor r / scale), or r^2 log(r + 1e-4).

    Args:
        centers: (N, d), for instance from `kmeans_centers`.
        kernel: "gaussian", "laplacian" (the authors' choice for oscillators, with factor 2) or "thin_plate".
        scale: of distances, such as the mean distance of the data from their mean; unused by "thin_plate".
        factor: multiplies r / scale.
    """

    centers: Tensor

    def __init__(
        self, centers: Tensor, kernel: RadialKernel = "laplacian", scale: float = 1.0, factor: float = 1.0
    ) -> None:
        require_choice("kernel", kernel, get_args(RadialKernel))
        require(centers.ndim == 2, "centers", tuple(centers.shape), "a matrix (N, d)")
        require(scale > 0, "scale", scale, "a number > 0")
        super().__init__(centers.shape[1], [f"{kernel}{i + 1}" for i in range(len(centers))])
        self.kernel, self.scale, self.factor = kernel, scale, factor
        self.register_buffer("centers", centers.to(torch.float64))

    def values(self, x: Tensor) -> Tensor:
        """Return the functions at states (M, d), (M, N)."""
        # Differences and not inner products: these would leave 1e-8 where a state is a centre.
        mode = "donot_use_mm_for_euclid_dist"
        distance = torch.cdist(x, self.centers.to(x.dtype), compute_mode=mode)
        if self.kernel == "thin_plate":
            return distance**2 * torch.log(distance + 1e-4)
        exponent = self.factor * distance / self.scale
        return torch.exp(-(exponent**2 if self.kernel == "gaussian" else exponent))


def kmeans_centers(x: Tensor, count: int, seed: int = 0, iterations: int = 50) -> Tensor:
    """Return centres of clusters of states (M, d), (count, d) float64, by Lloyd's algorithm from distinct states.

    Raises:
        ValueError: there are fewer states than centres.
    """
    require_positive(count=count)
    require(count <= len(x), "count", count, f"at most {len(x)}, the number of states")
    states = x.detach().cpu().double().numpy()
    start = states[np.random.default_rng(seed).choice(len(states), count, replace=False)]
    centers, _ = scipy.cluster.vq.kmeans2(states, start, iter=iterations, minit="matrix", missing="warn")
    return torch.from_numpy(centers)


def mean_radius(x: Tensor) -> float:
    """Return the mean distance of states (M, d) from their mean, the length unit of kernels and radial functions."""
    return float(torch.linalg.vector_norm(x - x.mean(dim=0), dim=1).mean())


class Delays(Dictionary):
    """Coordinates at n successive times: the functions g, K g, ..., K^(n-1) g of every coordinate g (Hankel, Krylov).

    A state is a window (n d,) that `embed` cuts out of a trajectory, earliest time first.

    Args:
        dim: coordinates d of a trajectory.
        delays: n.
        spacing: steps between the times.
    """

    def __init__(self, dim: int, delays: int, spacing: int = 1) -> None:
        require_positive(dim=dim, delays=delays, spacing=spacing)
        times = [f"(t+{n * spacing})" if n else "(t)" for n in range(delays)]
        super().__init__(dim * delays, [f"x{i + 1}{time}" for time in times for i in range(dim)])
        self.delays, self.spacing = delays, spacing

    def embed(self, trajectory: Tensor) -> Tensor:
        """Return the windows of a trajectory (T, d), (T - (n - 1) spacing, n d).

        Raises:
            ValueError: the trajectory is shorter than a window or has other coordinates.
        """
        coordinates = self.dim // self.delays
        span = (self.delays - 1) * self.spacing
        require(
            trajectory.ndim == 2 and trajectory.shape[1] == coordinates,
            "trajectory",
            tuple(trajectory.shape),
            f"a matrix (T, {coordinates})",
        )
        count = len(trajectory) - span
        require(
            count >= 1, "trajectory", f"{len(trajectory)} steps", f"more than (delays - 1) * spacing = {span} steps"
        )
        starts = range(0, span + 1, self.spacing)
        return torch.cat([trajectory[start : start + count] for start in starts], dim=1)

    def values(self, x: Tensor) -> Tensor:
        """Return the windows themselves."""
        return x


class Product(Dictionary):
    """All products of the functions of two dictionaries of different coordinates, the first's functions outermost.

    Args:
        first: dictionary of the first coordinates.
        second: dictionary of the others.
        cross: keep products of orders with max(1, |j|) max(1, |k|) <= cross only (hyperbolic cross), where the order of
            a function is the largest entry of its multi-index; all if None.

    Raises:
        ValueError: a hyperbolic cross is wanted of dictionaries without multi-indices, or it is empty.
    """

    kept: Tensor

    def __init__(self, first: Dictionary, second: Dictionary, cross: int | None = None) -> None:
        kept = torch.ones(first.size, second.size, dtype=torch.bool)
        if cross is not None:
            orders = []
            for name, factor in (("first", first), ("second", second)):
                require(isinstance(factor, TensorBasis), name, type(factor).__name__, "one with multi-indices")
                assert isinstance(factor, TensorBasis)
                orders.append(factor.indices.abs().amax(dim=1).clamp(min=1))
            kept = orders[0][:, None] * orders[1] <= cross
            require(bool(kept.any()), "cross", cross, "an integer >= 1")
        pairs = kept.nonzero().tolist()
        second_names = [_shift_names(name, second.dim, first.dim) for name in second.names]
        super().__init__(first.dim + second.dim, [f"{first.names[j]} * {second_names[k]}" for j, k in pairs])
        self.first, self.second = first, second
        self.register_buffer("kept", torch.tensor(pairs))

    def values(self, x: Tensor) -> Tensor:
        """Return the products at states (M, d1 + d2), (M, N)."""
        left, right = self.first(x[:, : self.first.dim]), self.second(x[:, self.first.dim :])
        return left[:, self.kept[:, 0]] * right[:, self.kept[:, 1]]


def _shift_names(name: str, dim: int, by: int) -> str:
    for coordinate in range(dim, 0, -1):
        name = name.replace(f"x{coordinate}", f"x{coordinate + by}")
    return name


class Concatenation(Dictionary):
    """The functions of several dictionaries of the same states, one after the other.

    Raises:
        ValueError: their states differ.
    """

    def __init__(self, *parts: Dictionary) -> None:
        require(len({part.dim for part in parts}) == 1, "parts", [part.dim for part in parts], "one kind of states")
        super().__init__(parts[0].dim, [name for part in parts for name in part.names])
        self.parts = nn.ModuleList(parts)

    def values(self, x: Tensor) -> Tensor:
        """Return all functions at states (M, d), (M, N)."""
        values = [part(x) for part in self.parts]
        dtype = torch.complex(x[:0], x[:0]).dtype if any(value.is_complex() for value in values) else x.dtype
        return torch.cat([value.to(dtype) for value in values], dim=1)


class ModuleDictionary(Dictionary):
    """A network's outputs as functions, after 1 and the state: Psi = [1, x, network(x)] needs no decoder.

    Args:
        module: maps (M, d) to (M, outputs).
        dim: d.
        outputs: number of the network's outputs.
        with_state: put 1 and x before them.
    """

    def __init__(self, module: nn.Module, dim: int, outputs: int, with_state: bool = True) -> None:
        state = ["1", *(f"x{i + 1}" for i in range(dim))] if with_state else []
        super().__init__(dim, state + [f"network{i + 1}" for i in range(outputs)])
        self.module, self.outputs, self.with_state = module, outputs, with_state

    def values(self, x: Tensor) -> Tensor:
        """Return 1, the state, and the network's outputs, (M, N).

        Raises:
            ValueError: the network has another number of outputs.
        """
        outputs = self.module(x)
        require(outputs.shape == (len(x), self.outputs), "module", tuple(outputs.shape), f"outputs (M, {self.outputs})")
        return torch.cat([torch.ones_like(x[:, :1]), x, outputs], dim=1) if self.with_state else outputs

r"""Products of functions on the sphere by samples: z = C^T [(A1 x) * (A2 y)], exact to rounding.

A1 and A2 (N, d) sample the two functions, C (N, d) projects a product onto degrees up to L3. Any A1, A2, C with

    sum_g A1[g, i] A2[g, j] C[g, k] = int Y_i Y_j Y_k dOmega

do. Those of a quadrature rule of degree L1 + L2 + L3 are A[g, i] = Y_i(r_g), C[g, k] = w_g Y_k(r_g). Here they are
applied as they are ("dense"), at half the multiplications by the symmetry of antipodes ("antipodal"), and as a
Legendre transform followed by a Fourier transform ("separable", O(L^3) where "dense" is O(L^4)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.gaunt.constants import ConstantModule
from zoo.gaunt.harmonics import degrees, dim, legendre, spherical_harmonics
from zoo.gaunt.quadrature import (
    LEBEDEV_ORDERS,
    Quadrature,
    antipodal_half,
    azimuth_nodes,
    gauss_legendre,
    gauss_legendre_nodes,
    lebedev,
)


class Sampling(ConstantModule):
    """Base of the ways to sample two functions and to project a product of samples.

    Args:
        lmax_in1: degree L1 of the first function.
        lmax_in2: degree L2 of the second function.
        lmax_out: degree L3 of the result.
    """

    def __init__(self, lmax_in1: int, lmax_in2: int, lmax_out: int) -> None:
        super().__init__()
        self.lmax_in1, self.lmax_in2, self.lmax_out = lmax_in1, lmax_in2, lmax_out

    @property
    def degree(self) -> int:
        """The degree of the polynomials that have to be integrated exactly."""
        return self.lmax_in1 + self.lmax_in2 + self.lmax_out

    def sample1(self, x: Tensor) -> Tensor:
        """Return samples (..., N) of the functions with coefficients (..., d(L1))."""
        raise NotImplementedError(f"{type(self).__name__} must define sample1()")

    def sample2(self, y: Tensor) -> Tensor:
        """Return samples (..., N) of the functions with coefficients (..., d(L2))."""
        raise NotImplementedError(f"{type(self).__name__} must define sample2()")

    def project(self, values: Tensor) -> Tensor:
        """Return the coefficients (..., d(L3)) of the projection of products of samples (..., N)."""
        raise NotImplementedError(f"{type(self).__name__} must define project()")


def smallest_rule(degree: int) -> Quadrature:
    """Return the rule with the fewest points that is exact for a degree: Lebedev's where there is one."""
    if degree > LEBEDEV_ORDERS[-1]:
        return gauss_legendre(degree)
    return min(lebedev(degree), gauss_legendre(degree), key=lambda rule: len(rule.weights))


class MatrixSampling(Sampling):
    """Three matrix products.

    Args:
        lmax_in1: see `Sampling`.
        lmax_in2: see `Sampling`.
        lmax_out: see `Sampling`.
        samples: A1 and A2, columns beyond their degrees included (N, >= d) float64.
        projection: C, likewise.
    """

    samples1: Tensor
    samples2: Tensor
    projection: Tensor

    def __init__(self, lmax_in1: int, lmax_in2: int, lmax_out: int, samples: Tensor, projection: Tensor) -> None:
        super().__init__(lmax_in1, lmax_in2, lmax_out)
        self.register_constant("samples1", samples[:, : dim(lmax_in1)].T.contiguous())
        self.register_constant("samples2", samples[:, : dim(lmax_in2)].T.contiguous())
        self.register_constant("projection", projection[:, : dim(lmax_out)].contiguous())

    def sample1(self, x: Tensor) -> Tensor:
        """See `Sampling`."""
        return x @ self.samples1

    def sample2(self, y: Tensor) -> Tensor:
        """See `Sampling`."""
        return y @ self.samples2

    def project(self, values: Tensor) -> Tensor:
        """See `Sampling`."""
        return values @ self.projection


class DenseSampling(MatrixSampling):
    """Matrix products with the harmonics at the points of a rule.

    Args:
        lmax_in1: see `Sampling`.
        lmax_in2: see `Sampling`.
        lmax_out: see `Sampling`.
        rule: a quadrature rule; by default the smallest that is exact.
    """

    def __init__(self, lmax_in1: int, lmax_in2: int, lmax_out: int, rule: Quadrature | None = None) -> None:
        rule = smallest_rule(lmax_in1 + lmax_in2 + lmax_out) if rule is None else rule
        harmonics = spherical_harmonics(max(lmax_in1, lmax_in2, lmax_out), rule.points)
        super().__init__(lmax_in1, lmax_in2, lmax_out, harmonics, rule.weights[:, None] * harmonics)


class AntipodalSampling(Sampling):
    """`DenseSampling` on antipodal pairs: f(+-r) = e(r) +- o(r), with e and o of even and odd degrees.

    Args:
        lmax_in1: see `Sampling`.
        lmax_in2: see `Sampling`.
        lmax_out: see `Sampling`.
    """

    even_out: Tensor
    odd_out: Tensor
    order_out: Tensor

    def __init__(self, lmax_in1: int, lmax_in2: int, lmax_out: int) -> None:
        super().__init__(lmax_in1, lmax_in2, lmax_out)
        rule = antipodal_half(lebedev(self.degree))
        for name, lmax in (("in1", lmax_in1), ("in2", lmax_in2), ("out", lmax_out)):
            harmonics = spherical_harmonics(lmax, rule.points)
            even = degrees(lmax) % 2 == 0
            order = torch.cat([even.nonzero().flatten(), (~even).nonzero().flatten()])
            matrices = {"even": harmonics[:, even], "odd": harmonics[:, ~even]}
            for parity, matrix in matrices.items():
                value = rule.weights[:, None] * matrix if name == "out" else matrix.T.contiguous()
                self.register_constant(f"{parity}_{name}", value)
            # For inputs, which coefficients are even; for the output, where each coefficient is found.
            self.register_buffer(f"order_{name}", order.argsort() if name == "out" else order, persistent=False)

    def _sample(self, x: Tensor, name: str) -> Tensor:
        even, odd, order = (getattr(self, f"{part}_{name}") for part in ("even", "odd", "order"))
        e, o = x[..., order].split([len(even), len(odd)], dim=-1)
        e, o = e @ even, o @ odd
        return torch.cat([e + o, e - o], dim=-1)

    def sample1(self, x: Tensor) -> Tensor:
        """See `Sampling`."""
        return self._sample(x, "in1")

    def sample2(self, y: Tensor) -> Tensor:
        """See `Sampling`."""
        return self._sample(y, "in2")

    def project(self, values: Tensor) -> Tensor:
        """See `Sampling`."""
        upper, lower = values.chunk(2, dim=-1)
        parts = [(upper + lower) @ self.even_out, (upper - lower) @ self.odd_out]
        return torch.cat(parts, dim=-1)[..., self.order_out]


class SeparableSampling(Sampling):
    """A Legendre transform for each order m, then a Fourier transform for each latitude; and back.

    Args:
        lmax_in1: see `Sampling`.
        lmax_in2: see `Sampling`.
        lmax_out: see `Sampling`.
    """

    waves_out: Tensor
    latitudes_out: Tensor
    place_out: Tensor

    def __init__(self, lmax_in1: int, lmax_in2: int, lmax_out: int) -> None:
        super().__init__(lmax_in1, lmax_in2, lmax_out)
        cosines, weights, num_azimuths = gauss_legendre_nodes(self.degree)
        self.num_latitudes, self.num_azimuths = len(cosines), num_azimuths
        for name, lmax in (("in1", lmax_in1), ("in2", lmax_in2), ("out", lmax_out)):
            latitudes, waves = latitude_functions(lmax, cosines), azimuth_functions(lmax, num_azimuths)
            if name == "out":
                latitudes = (latitudes * weights * (2 * math.pi / num_azimuths)).transpose(1, 2)
                waves = waves.T
            self.register_constant(f"latitudes_{name}", latitudes.contiguous())
            self.register_constant(f"waves_{name}", waves.contiguous())
        self.register_buffer("index_in1", order_major_index(lmax_in1), persistent=False)
        self.register_buffer("index_in2", order_major_index(lmax_in2), persistent=False)
        self.register_buffer("place_out", degree_major_index(lmax_out), persistent=False)

    def _sample(self, x: Tensor, name: str) -> Tensor:
        index, latitudes, waves = (getattr(self, f"{part}_{name}") for part in ("index", "latitudes", "waves"))
        padded = torch.nn.functional.pad(x.reshape(-1, x.size(-1)), (0, 1))
        orders = padded[:, index].transpose(0, 1)  # (2L + 1, B, L + 1)
        values = (orders @ latitudes).permute(1, 2, 0) @ waves  # (B, latitudes, azimuths)
        return values.reshape(*x.shape[:-1], -1)

    def sample1(self, x: Tensor) -> Tensor:
        """See `Sampling`."""
        return self._sample(x, "in1")

    def sample2(self, y: Tensor) -> Tensor:
        """See `Sampling`."""
        return self._sample(y, "in2")

    def project(self, values: Tensor) -> Tensor:
        """See `Sampling`."""
        rows = values.reshape(-1, self.num_latitudes, self.num_azimuths) @ self.waves_out  # (B, latitudes, 2L + 1)
        orders = rows.permute(2, 0, 1) @ self.latitudes_out  # (2L + 1, B, L + 1)
        coefficients = orders.transpose(0, 1).flatten(1)[:, self.place_out]
        return coefficients.reshape(*values.shape[:-1], -1)


def order_major_index(lmax: int) -> Tensor:
    """Return where (m, l) is among d(L) coefficients: (2L + 1, L + 1) int64, d(L) where there is none."""
    order, degree = torch.arange(-lmax, lmax + 1)[:, None], torch.arange(lmax + 1)[None]
    return torch.where(degree >= order.abs(), degree**2 + degree + order, dim(lmax))


def degree_major_index(lmax: int) -> Tensor:
    """Return where each of d(L) coefficients is in a flattened (2L + 1, L + 1) table of (m, l): (d(L),) int64."""
    degree = degrees(lmax)
    order = torch.arange(dim(lmax)) - degree**2 - degree
    return (order + lmax) * (lmax + 1) + degree


def latitude_functions(lmax: int, cosines: Tensor) -> Tensor:
    """Return Q_l|m| at cos t (n,): (2L + 1, L + 1, n) by m and l."""
    return polar_functions(lmax, cosines, (1 - cosines.square()).sqrt())


def polar_functions(lmax: int, cosines: Tensor, sines: Tensor) -> Tensor:
    """Return Q_l|m| at any points (cos t, sin t) of the circle (n,) each: (2L + 1, L + 1, n) by m and l."""
    powers = torch.stack([sines**m for m in range(lmax + 1)], dim=1)  # (n, m)
    q = legendre(lmax, cosines) * powers[:, None]  # (n, l, m)
    return q[:, :, torch.arange(-lmax, lmax + 1).abs()].permute(2, 1, 0)


def azimuth_functions(lmax: int, num_azimuths: int) -> Tensor:
    """Return the functions of p in Y_lm at uniform nodes: (2L + 1, num_azimuths) by m."""
    angles = azimuth_nodes(num_azimuths)
    rows = [
        math.sqrt(2) * (m * angles).cos() if m > 0 else math.sqrt(2) * (-m * angles).sin() if m < 0 else angles * 0 + 1
        for m in range(-lmax, lmax + 1)
    ]
    return torch.stack(rows)

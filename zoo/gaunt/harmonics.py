r"""Real spherical harmonics of any degree, in the conventions of e3nn, and how coefficients are laid out.

The polar axis is y: r = (x, y, z) = (sin t sin p, cos t, sin t cos p). With s = sin t, c = cos t and no Condon-Shortley
sign, orthonormal ("integral") harmonics are

    Y_lm = Q_l|m|(t) * { sqrt(2) cos(m p), m > 0;  1, m = 0;  sqrt(2) sin(|m| p), m < 0 },

    Q_00 = 1 / sqrt(4 pi),    Q_mm = s sqrt((2m + 1) / 2m) Q_{m-1,m-1},    Q_{m+1,m} = sqrt(2m + 3) c Q_mm,
    Q_lm = a (c Q_{l-1,m} - b Q_{l-2,m}),    a^2 = (4 l^2 - 1) / (l^2 - m^2),   b^2 = ((l-1)^2 - m^2) / (4 (l-1)^2 - 1).

The coefficients of a function of degree L are a vector of d(L) = (L + 1)^2 entries; (l, m) is at l^2 + l + m, so that
those of degree 1 are (x, y, z). Features are (..., C, d(L)): C channels with all degrees each.

On vectors, s^m cos(m p) and s^m sin(m p) are the real and the imaginary part of (z + i x)^m and Q_lm / s^m is a
polynomial in y: nothing is singular anywhere on the sphere, in no derivative.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require, require_choice

NORMALIZATIONS = ("integral", "component", "norm")


def dim(lmax: int) -> int:
    """Return the number d(L) = (L + 1)^2 of coefficients up to degree L."""
    return (lmax + 1) ** 2


def degrees(lmax: int) -> Tensor:
    """Return the degree l of each of the d(L) coefficients: (d(L),) int64."""
    return torch.cat([torch.full((2 * degree + 1,), degree) for degree in range(lmax + 1)])


def require_degree(**values: int) -> None:
    """Raise a ValueError that names the argument unless each value is an integer >= 0."""
    for name, value in values.items():
        require(type(value) is int and value >= 0, name, value, "a degree, an integer >= 0")


def legendre(lmax: int, cosines: Tensor) -> Tensor:
    """Return Q_lm / s^m, polynomials in c = cos t.

    Args:
        lmax: largest degree L.
        cosines: c, (...).

    Returns:
        (..., L + 1, L + 1), indexed by l and m >= 0; zero where m > l.
    """
    zero = torch.zeros_like(cosines)
    columns = []
    start = torch.full_like(cosines, 1 / math.sqrt(4 * math.pi))
    for m in range(lmax + 1):
        if m > 0:
            start = start * math.sqrt((2 * m + 1) / (2 * m))
        values = [zero] * m + [start]
        if m < lmax:
            values.append(math.sqrt(2 * m + 3) * cosines * start)
        for degree in range(m + 2, lmax + 1):
            a = math.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
            b = math.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1))
            values.append(a * (cosines * values[-1] - b * values[-2]))
        columns.append(torch.stack(values, dim=-1))
    return torch.stack(columns, dim=-1)


def spherical_harmonics(lmax: int, vectors: Tensor, normalization: str = "integral", normalize: bool = True) -> Tensor:
    """Return the real spherical harmonics of all degrees up to L, any L.

    Args:
        lmax: largest degree L.
        vectors: (..., 3), any length but zero.
        normalization: "integral" for orthonormal functions; "component", times sqrt(4 pi), so that |Y_l|^2 = 2l + 1;
            or "norm", |Y_l| = 1.
        normalize: divide the vectors by their lengths first; without it they must be unit vectors.

    Returns:
        (..., d(L)), in the dtype of the vectors, differentiable any number of times.

    Raises:
        ValueError: an argument is out of its range.
    """
    require_degree(lmax=lmax)
    require_choice("normalization", normalization, NORMALIZATIONS)
    if normalize:
        vectors = vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    x, y, z = vectors.unbind(-1)
    q = legendre(lmax, y)
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)  # (z + i x)^m
    waves = [(cosine, sine)]
    for _ in range(lmax):
        cosine, sine = cosine * z - sine * x, cosine * x + sine * z
        waves.append((cosine, sine))
    columns = []
    for degree in range(lmax + 1):
        scale = {
            "integral": 1.0,
            "component": math.sqrt(4 * math.pi),
            "norm": math.sqrt(4 * math.pi / (2 * degree + 1)),
        }[normalization]
        for m in range(-degree, degree + 1):
            factor = scale * (math.sqrt(2) if m else 1.0)
            wave = waves[abs(m)][1 if m < 0 else 0]
            columns.append(factor * q[..., degree, abs(m)] * wave)
    return torch.stack(columns, dim=-1)


def tangential_gradients(lmax: int, points: Tensor) -> Tensor:
    """Return the surface gradients of the orthonormal harmonics in an oriented frame (e1, e2, r) of each point.

    Args:
        lmax: largest degree L.
        points: unit vectors r (N, 3), float64.

    Returns:
        (2, N, d(L)): derivatives along e1 and e2, with e1 x e2 = r.
    """
    # Any extension of Y beyond the sphere has the right derivatives along it.
    jacobian = torch.func.vmap(torch.func.jacfwd(lambda point: spherical_harmonics(lmax, point, normalize=False)))
    gradients = jacobian(points)  # (N, d, 3)
    axis = torch.eye(3, dtype=points.dtype)[points.abs().argmin(-1)]
    first = torch.linalg.cross(axis, points)
    first = first / torch.linalg.vector_norm(first, dim=-1, keepdim=True)
    second = torch.linalg.cross(points, first)
    return torch.stack([torch.einsum("ndk,nk->nd", gradients, frame) for frame in (first, second)])

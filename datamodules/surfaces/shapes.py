"""Surfaces whose geometry is known: points on them, and the tangent planes where a formula is short.

All return float64 arrays; nothing is random unless a generator is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from zoo.checks import require, require_above, require_positive

Array = NDArray[np.float64]


def sphere(n: int) -> Array:
    """Return the n points of the Fibonacci lattice on the unit sphere, (n, 3): nearly uniform, all different."""
    require_positive(n=n)
    index = np.arange(n)
    height = 1 - (2 * index + 1) / n
    azimuth = math.pi * (1 + math.sqrt(5)) * (index + 0.5)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)


def sphere_frames(points: Array) -> Array:
    """Return right-handed tangent frames (n, 3, 2) of points on the unit sphere: first, second, outward normal."""
    # Duff et al., "Building an orthonormal basis, revisited", JCGT 6 (2017): continuous but at one point.
    x, y, z = points.T
    sign = np.where(z < 0, -1.0, 1.0)
    a, b = -1 / (sign + z), -x * y / (sign + z)
    first = np.stack([1 + sign * x**2 * a, sign * b, -sign * x], axis=1)
    second = np.stack([b, sign + y**2 * a, -y], axis=1)
    return np.stack([first, second], axis=2)


def clifford_torus(columns: int, rows: int) -> Array:
    """Return the flat torus (cos u, sin u, r cos v, r sin v) on a grid, (columns * rows, 4), r = rows / columns.

    Spacing is the same along both circles to leading order. With 8 neighbours of each point the transports are
    trivial, and the connection Laplacian has the eigenvalues of `clifford_eigvals`.
    """
    require_positive(columns=columns, rows=rows)
    u, v = _grid(2 * math.pi * np.arange(columns) / columns, 2 * math.pi * np.arange(rows) / rows)
    radius = rows / columns
    return np.stack([np.cos(u), np.sin(u), radius * np.cos(v), radius * np.sin(v)], axis=1)


def clifford_frames(points: Array) -> Array:
    """Return the exact tangent frames (n, 4, 2) of points on a flat torus: along u, along v."""
    zero = np.zeros(len(points))
    radius = np.hypot(points[:, 2], points[:, 3])
    along_u = np.stack([-points[:, 1], points[:, 0], zero, zero], axis=1)
    along_v = np.stack([zero, zero, -points[:, 3] / radius, points[:, 2] / radius], axis=1)
    return np.stack([along_u, along_v], axis=2)


def clifford_eigvals(columns: int, rows: int) -> Array:
    """Return all 2 * columns * rows eigenvalues of the connection Laplacian of a flat torus with 8 neighbours."""
    a, b = _grid(2 * math.pi * np.arange(columns) / columns, 2 * math.pi * np.arange(rows) / rows)
    single = 8 - 2 * np.cos(a) - 2 * np.cos(b) - 4 * np.cos(a) * np.cos(b)
    return np.sort(np.repeat(single, 2))


def torus(n: int, major: float = 1.0, minor: float = 0.4, seed: int = 0) -> Array:
    """Return about n points on the torus of revolution around z, (n, 3): uniform in area, jittered against ties."""
    require_positive(n=n)
    require_above(0, minor=minor)
    require_above(minor, major=major)
    # Equal areas: the angle v of the tube has a density proportional to major + minor cos v.
    index = np.arange(n) + 0.5
    share = np.modf(index * (math.sqrt(5) - 1) / 2)[0]
    v = _inverse_cumulative(share, lambda angle: angle + minor / major * np.sin(angle))
    u = 2 * math.pi * index / n + 1e-3 * np.random.default_rng(seed).standard_normal(n) / math.sqrt(n)
    ring = major + minor * np.cos(v)
    return np.stack([ring * np.cos(u), ring * np.sin(u), minor * np.sin(v)], axis=1)


def torus_frames(points: Array, major: float = 1.0) -> Array:
    """Return the exact tangent frames (n, 3, 2) of points on a torus around z: around the axis, around the tube."""
    x, y, z = points.T
    ring = np.hypot(x, y)
    around = np.stack([-y / ring, x / ring, np.zeros_like(x)], axis=1)
    outward = np.stack([x / ring, y / ring, np.zeros_like(x)], axis=1)
    minor = np.hypot(ring - major, z)
    cosine, sine = (ring - major) / minor, z / minor
    tube = -sine[:, None] * outward + cosine[:, None] * np.array([0.0, 0.0, 1.0])
    return np.stack([around, tube], axis=2)


def ellipsoid(n: int, axes: tuple[float, float, float] = (1.0, 0.8, 0.6)) -> Array:
    """Return n points on an ellipsoid, (n, 3): the Fibonacci lattice of the sphere, stretched."""
    require(len(axes) == 3 and min(axes) > 0, "axes", axes, "three lengths > 0")
    return sphere(n) * np.array(axes)


def ellipsoid_frames(points: Array, axes: tuple[float, float, float] = (1.0, 0.8, 0.6)) -> Array:
    """Return tangent frames (n, 3, 2) of points on an ellipsoid."""
    normal = points / np.array(axes) ** 2
    return sphere_frames(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def moebius_strip(n: int, half_width: float = 0.4) -> Array:
    """Return n points on the Moebius strip, (n, 3), whose frames cannot be oriented."""
    require_positive(n=n)
    require_above(0, half_width=half_width)
    u, v = _lattice(n)
    u, v = 2 * math.pi * u, half_width * (2 * v - 1)
    ring = 1 + v * np.cos(u / 2)
    return np.stack([ring * np.cos(u), ring * np.sin(u), v * np.sin(u / 2)], axis=1)


def klein_bottle(n: int) -> Array:
    """Return n points on the Klein bottle in four dimensions, (n, 4), whose frames cannot be oriented."""
    require_positive(n=n)
    u, v = _lattice(n)
    u, v = 2 * math.pi * u, 2 * math.pi * v
    ring, height = 1 + 0.4 * np.cos(v), 0.4 * np.sin(v)
    coordinates = [ring * np.cos(u), ring * np.sin(u), height * np.cos(u / 2), height * np.sin(u / 2)]
    return np.stack(coordinates, axis=1)


def _grid(first: Array, second: Array) -> tuple[Array, Array]:
    a, b = np.meshgrid(first, second, indexing="ij")
    return a.ravel(), b.ravel()


def _lattice(n: int) -> tuple[Array, Array]:
    """Return n points that fill the unit square evenly."""
    index = np.arange(n) + 0.5
    return index / n, np.modf(index * (math.sqrt(5) - 1) / 2)[0]


def _inverse_cumulative(share: Array, cumulative: Callable[[Array], Array]) -> Array:
    table = np.linspace(0, 2 * math.pi, 4097)
    return np.interp(2 * math.pi * share, cumulative(table), table)

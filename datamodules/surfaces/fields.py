"""Vector fields that are known at every point of a surface, and their singularities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datamodules.surfaces.shapes import Array
from zoo.checks import require_choice, require_positive


@dataclass(frozen=True)
class SphereField:
    """A field on the unit sphere with known singularities.

    Attributes:
        vectors: from points (n, 3) to tangent vectors (n, 3).
        positions: (S, 3), where it vanishes.
        index: (S,) int64, the Poincare-Hopf indices there; their sum is 2.
    """

    vectors: Callable[[Array], Array]
    positions: Array
    index: np.ndarray


def _rotation(points: Array) -> Array:
    return np.stack([-points[:, 1], points[:, 0], np.zeros(len(points))], axis=1)


def _dipole(points: Array) -> Array:
    return np.array([0.0, 0.0, 1.0]) - points[:, 2:] * points


def _saddles(points: Array) -> Array:
    x, y, _ = points.T
    return np.stack([y, x, np.zeros_like(x)], axis=1) - 2 * (x * y)[:, None] * points


def _spiral(points: Array) -> Array:
    return _rotation(points) + _dipole(points)


_POLES = np.array([[0.0, 0, 1], [0, 0, -1]])
_DIAGONALS = np.array([[1.0, 1, 0], [-1, -1, 0], [1, -1, 0], [-1, 1, 0]]) / np.sqrt(2)

SINGULAR_FIELDS = {
    "rotation": SphereField(_rotation, _POLES, np.array([1, 1])),
    "dipole": SphereField(_dipole, _POLES, np.array([1, 1])),
    "spiral": SphereField(_spiral, _POLES, np.array([1, 1])),
    "saddles": SphereField(_saddles, np.concatenate([_DIAGONALS, _POLES]), np.array([1, 1, 1, 1, -1, -1])),
}
"""Rotation about z; source and sink at the poles, alone and with a rotation; the gradient of x y."""


def singular_field(name: str) -> SphereField:
    """Return one of `SINGULAR_FIELDS`.

    Raises:
        ValueError: the name is unknown.
    """
    require_choice("name", name, SINGULAR_FIELDS)
    return SINGULAR_FIELDS[name]


def smooth_ambient_field(points: Array, frames: Array, seed: int, waves: int = 6, frequency: float = 1.5) -> Array:
    """Return the tangent part of a random smooth field of the surrounding space: (n, D), of mean square 1.

    A sum of waves, whose frequencies are in units of the extent of the points: it knows nothing of any Laplacian.

    Args:
        points: (n, D).
        frames: (n, D, d) tangent frames.
        seed: of the waves.
        waves: how many.
        frequency: standard deviation of the angular frequency, in units of 2 / extent.
    """
    require_positive(waves=waves)
    generator = np.random.default_rng(seed)
    dim = points.shape[1]
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - (low + high) / 2) / ((high - low).max() / 2)
    wave = frequency * generator.standard_normal((waves, dim))
    phase = generator.uniform(0, 2 * np.pi, waves)
    amplitude = generator.standard_normal((waves, dim))
    ambient = np.cos(scaled @ wave.T + phase) @ amplitude
    tangent = np.einsum("npd,nqd,nq->np", frames, frames, ambient)
    return tangent / np.sqrt((tangent**2).sum(1).mean())

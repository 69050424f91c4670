r"""Diffusion of vector fields by the heat semigroup of a Laplacian, without its eigenpairs.

:math:`e^{-tL} v` by Chebyshev polynomials of L: their coefficients are Bessel functions, and about
:math:`\sqrt{t \lambda_{max}}` products with L give it to rounding (Bergamaschi and Vianello, 2000).
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse
from scipy.special import ive

from zoo.checks import require_above
from zoo.spectral.connection import ConnectionLaplacian
from zoo.spectral.point_graph import Array

NEGLIGIBLE = 1e-17
"""Coefficients below this are left out."""


def diffuse(matrix: scipy.sparse.csr_matrix, values: Array, time: float, lowest: float = 0.0) -> Array:
    """Return exp(-t (L - lowest)) v: the smallest eigenvalue, given as `lowest`, keeps fields from vanishing.

    Args:
        matrix: L, (N, N) symmetric, positive semi-definite.
        values: v, (N,) or (N, C).
        time: t > 0, in units of 1 / L.
        lowest: at most the smallest eigenvalue.

    Raises:
        ValueError: the time is not > 0.
    """
    require_above(0, time=time)
    # Gershgorin's bound; the spectrum of L - lowest lies in [0, 2 radius].
    largest = float(abs(matrix).sum(axis=1).max())
    radius = max((largest - lowest) / 2, np.finfo(np.float64).tiny)
    scaled = ((matrix - (lowest + radius) * scipy.sparse.identity(matrix.shape[0])) / radius).tocsr()
    coefficients = _coefficients(time * radius)
    previous, current = values, scaled @ values
    result = coefficients[0] * previous + coefficients[1] * current
    for coefficient in coefficients[2:]:
        previous, current = current, 2 * (scaled @ current) - previous
        result = result + coefficient * current
    return result


def _coefficients(time: float) -> Array:
    """Return the coefficients of exp(-time (1 + y)) in Chebyshev polynomials of y in [-1, 1]."""
    number = 20 + int(10 * math.sqrt(time) + min(time, 100))
    orders = np.arange(number)
    coefficients = np.where(orders == 0, 1, 2) * (-1.0) ** orders * ive(orders, time)
    needed = np.flatnonzero(np.abs(coefficients) > NEGLIGIBLE)
    return coefficients[: max(2, needed[-1] + 1)]


def smooth_vector_field(geometry: ConnectionLaplacian, vectors: Array, time: float) -> Array:
    """Return a vector field diffused in direction and in length, the smoothing of the published experiments.

    The direction comes from the connection Laplacian, the length from the graph Laplacian: with v the tangent part,
    out = e^{-tL_c} v, scaled to the length e^{-tL} |v|.

    Args:
        geometry: the points and both Laplacians.
        vectors: (n, D); their normal parts are dropped.
        time: > 0, in units of 1 / L.

    Returns:
        (n, D) tangent vectors.
    """
    tangent = np.einsum("npd,np->nd", geometry.frames, vectors)
    direction = diffuse(geometry.matrix, tangent.ravel(), time, float(geometry.eigvals[0])).reshape(tangent.shape)
    length = diffuse(geometry.scalar_matrix, np.linalg.norm(tangent, axis=1), time)
    norm = np.linalg.norm(direction, axis=1)
    scale = length / np.where(norm > 0, norm, 1.0)
    return np.einsum("npd,nd->np", geometry.frames, direction * scale[:, None])


def random_vector_field(geometry: ConnectionLaplacian, seed: int = 0) -> Array:
    """Return unit tangent vectors (n, D): uniform in [-1/2, 1/2]^D, projected and normalised."""
    ambient = np.random.default_rng(seed).uniform(-0.5, 0.5, geometry.points.shape)
    tangent = np.einsum("npd,nqd,nq->np", geometry.frames, geometry.frames, ambient)
    return tangent / np.linalg.norm(tangent, axis=1, keepdims=True)

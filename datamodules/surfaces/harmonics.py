r"""Vector spherical harmonics: all eigenfields of the Laplacians of vector fields on the unit sphere, exactly.

With :math:`Y_{lm}` the real spherical harmonics, orthonormal,

.. math:: \Psi_{lm} = \nabla Y_{lm} / \sqrt{l(l+1)}, \qquad \Xi_{lm} = x \times \Psi_{lm}, \qquad l \ge 1,

are orthonormal; :math:`\Psi` is curl-free, :math:`\Xi` divergence-free. The Bochner (connection) Laplacian has the
eigenvalue :math:`l(l+1) - 1` on both, the Hodge Laplacian :math:`l(l+1)`. A harmonic polynomial p of degree l, for
which :math:`Y = p` on the sphere, has there the gradient :math:`\nabla p - l\,p\,x`: there are no poles.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.surfaces.shapes import Array
from zoo.checks import require_above, require_positive

STEP = 1e-20
"""Of derivatives along the imaginary axis."""


def solid_harmonics(points: NDArray[Any], lmax: int) -> NDArray[Any]:
    """Return the harmonic polynomials (n, (lmax + 1)^2) that are orthonormal on the unit sphere.

    Degree l takes the columns l^2 to (l + 1)^2, of orders m = -l to l: sines first, then cosines.

    Args:
        points: (n, 3), anywhere, real or complex.
        lmax: the largest degree.
    """
    x, y, z = points.T
    square = x**2 + y**2 + z**2
    cosines, sines = [np.ones_like(x)], [np.zeros_like(x)]
    for _ in range(lmax):
        cosine, sine = cosines[-1], sines[-1]
        cosines.append(x * cosine - y * sine)
        sines.append(x * sine + y * cosine)
    columns = np.empty(((lmax + 1) ** 2, len(points)), dtype=points.dtype)
    for m in range(lmax + 1):
        older, newer = np.zeros_like(z), np.full_like(z, float(math.prod(range(1, 2 * m, 2))))
        for l in range(m, lmax + 1):  # noqa: E741 # the name of a degree
            if l > m:
                older, newer = newer, ((2 * l - 1) * z * newer - (l + m - 1) * square * older) / (l - m)
            norm = math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m))
            norm *= 1 if m == 0 else math.sqrt(2)
            columns[l * (l + 1) + m] = norm * newer * cosines[m]
            if m:
                columns[l * (l + 1) - m] = norm * newer * sines[m]
    return columns.T


def vector_harmonics(points: Array, lmax: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return Psi and Xi, (n, 3, K) each, and the degrees l of the K = lmax (lmax + 2) pairs.

    Args:
        points: (n, 3) on the unit sphere.
        lmax: the largest degree, >= 1.
    """
    require_positive(lmax=lmax)
    partial = [_derivative(points, axis, lmax) for axis in np.eye(3)]
    degrees = np.repeat(np.arange(lmax + 1), 2 * np.arange(lmax + 1) + 1)
    values = solid_harmonics(points, lmax)
    gradients = np.stack(partial, axis=1)
    gradients = gradients - degrees * points[:, :, None] * values[:, None, :]
    psi = gradients[:, :, 1:] / np.sqrt(degrees[1:] * (degrees[1:] + 1.0))
    return psi, np.cross(points[:, :, None], psi, axis=1), degrees[1:]


def _derivative(points: Array, axis: Array, lmax: int) -> Array:
    # A complex step: the imaginary part of a polynomial is its derivative, without a difference that cancels.
    return solid_harmonics(points + 1j * STEP * axis, lmax).imag / STEP


def random_sphere_field(points: Array, lmax: int, seed: int, nu: float = 1.5, kappa: float = 0.7) -> Array:
    """Return a field drawn from a Matern process on the sphere, (n, 3), of mean square about 1.

    Coefficients of Psi and Xi have the variance (l (l + 1) - 1 + 2 nu / kappa^2)^(-nu - 1), up to a common factor. The
    coefficients depend on the seed alone: the field is the same at any points.

    Args:
        points: (n, 3) on the unit sphere.
        lmax: the largest degree.
        seed: of the coefficients.
        nu: smoothness.
        kappa: length, in units of the radius.
    """
    require_above(0, nu=nu, kappa=kappa)
    psi, xi, degrees = vector_harmonics(points, lmax)
    variance = (degrees * (degrees + 1) - 1 + 2 * nu / kappa**2) ** (-nu - 1)
    variance = variance * 4 * math.pi / (2 * variance.sum())
    coefficients = np.sqrt(variance) * np.random.default_rng(seed).standard_normal((2, len(degrees)))
    return psi @ coefficients[0] + xi @ coefficients[1]

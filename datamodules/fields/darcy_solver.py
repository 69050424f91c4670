"""Flow in a porous square: -div(a grad u) = f with u = 0 on the boundary.

Five-point scheme with arithmetic means of the coefficient on the faces, of second order; conjugate gradients,
preconditioned by the Laplacian with constant coefficients, which sine transforms invert: the condition number is at
most max(a) / min(a), on any grid.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dstn, idstn

from datamodules.fields.arrays import Array
from datamodules.fields.random_fields import neumann_field

HIGH, LOW = 12.0, 3.0  # coefficients of the two phases
MAX_ITERATIONS = 1000


def solve_darcy(a: Array, f: Array | float = 1.0, tolerance: float = 1e-10) -> Array:
    """Solve Darcy's problem on the unit square, for a batch of coefficients.

    Args:
        a: positive coefficients on the nodes, the boundary included, (B, s, s) float64.
        f: right-hand side on the nodes, of the same shape or one number.
        tolerance: relative residual at which to stop.

    Returns:
        u on the nodes, (B, s, s), zero on the boundary.

    Raises:
        RuntimeError: the iteration does not converge.
    """
    s = a.shape[-1]
    faces_x = (a[:, 1:, 1:-1] + a[:, :-1, 1:-1]) / 2 * (s - 1) ** 2
    faces_y = (a[:, 1:-1, 1:] + a[:, 1:-1, :-1]) / 2 * (s - 1) ** 2
    waves = 4 * (s - 1) ** 2 * np.sin(np.pi * np.arange(1, s - 1) / (2 * (s - 1))) ** 2
    eigenvalues = waves[:, None] + waves

    def operator(u: Array) -> Array:
        padded = np.pad(u, [(0, 0), (1, 1), (1, 1)])
        flux_x = faces_x * np.diff(padded[:, :, 1:-1], axis=1)
        flux_y = faces_y * np.diff(padded[:, 1:-1], axis=2)
        return -np.diff(flux_x, axis=1) - np.diff(flux_y, axis=2)

    def precondition(r: Array) -> Array:
        return idstn(dstn(r, type=1, axes=(1, 2)) / eigenvalues, type=1, axes=(1, 2))

    def inner(v: Array, w: Array) -> Array:
        return np.einsum("bij,bij->b", v, w)[:, None, None]

    r = np.broadcast_to(np.asarray(f, dtype=np.float64), a.shape)[:, 1:-1, 1:-1].copy()
    u = np.zeros_like(r)
    enough = tolerance**2 * inner(r, r)
    direction = z = precondition(r)
    rz = inner(r, z)
    for _ in range(MAX_ITERATIONS):
        if (inner(r, r) <= enough).all():
            return np.pad(u, [(0, 0), (1, 1), (1, 1)])
        image = operator(direction)
        # Samples that have converged exactly have nothing left to divide.
        curvature = inner(direction, image)
        step = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)
        u += step * direction
        r -= step * image
        z = precondition(r)
        rz, before = inner(r, z), rz
        direction = z + np.divide(rz, before, out=np.zeros_like(rz), where=before > 0) * direction
    raise RuntimeError(f"Darcy's problem has not converged to {tolerance:g} in {MAX_ITERATIONS} iterations")


def darcy_samples(generators: list[np.random.Generator], resolution: int, subsample: int) -> dict[str, Array]:
    """Draw coefficients of two phases and solve for the pressure.

    The coefficient is 12 where a Gaussian field with the covariance (-Laplacian + 9)^-2 is positive, else 3.

    Args:
        generators: of the samples, n of them.
        resolution: nodes along each axis on which the problem is solved.
        subsample: every so many-th node is kept.

    Returns:
        `input` a, and `target` u, (n, s, s, 1) float32.
    """
    noise = np.stack([generator.standard_normal((resolution, resolution)) for generator in generators])
    a = np.where(neumann_field(noise) >= 0, HIGH, LOW)
    kept = (slice(None), slice(None, None, subsample), slice(None, None, subsample), None)
    return {"input": a[kept].astype(np.float32), "target": solve_darcy(a)[kept].astype(np.float32)}

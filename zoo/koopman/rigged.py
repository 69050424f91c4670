"""Rigged DMD: generalised eigenfunctions of measure-preserving systems, also where the spectrum is continuous.

Colbrook, Drysdale and Horning, 2024, arXiv 2405.00782. From the eigenpairs lambda, V of mpEDMD, c = V* G g, poles p_j
and residues r_j of a rational kernel, E_j = e^(i theta - i epsilon p_j) and E'_j = e^(i theta - i epsilon conj(p_j)):

    g_theta = -1 / (4 pi) V c sum_j [r_j (lambda + E_j) / (lambda - E_j) - conj(r_j) (lambda + E'_j) / (lambda - E'_j)]
    xi(theta) = -1 / (2 pi) Re sum_j r_j sum_k |c_k|^2 (lambda_k + E_j) / (lambda_k - E_j)

g_theta is a wave packet of spectrum around e^(i theta), K g_theta ~ e^(i theta) g_theta, with g as the integral over
theta; xi is the smoothed spectral measure of g. As always N tends to infinity first, then epsilon to zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.mpedmd import MeasurePreserving
from zoo.koopman.rational_kernels import Poles, half_plane_kernel


def _kernel_values(
    eigenvalues: Tensor, angles: Tensor, epsilon: float, order: int, kind: Poles
) -> tuple[Tensor, Tensor]:
    """Return sum_j r_j (lambda + E_j) / (lambda - E_j), and the same with conjugate poles and residues, (r, P) each."""
    require(epsilon > 0, "epsilon", epsilon, "a number > 0")
    poles, residues = half_plane_kernel(order, kind)
    angles = angles.to(eigenvalues)
    sums = []
    for p, r in ((poles, residues), (poles.conj(), residues.conj())):
        total = torch.zeros(len(eigenvalues), len(angles), dtype=torch.complex128, device=eigenvalues.device)
        for pole, residue in zip(p.tolist(), r.tolist(), strict=True):
            point = torch.exp(1j * (angles - epsilon * pole))
            total += residue * (eigenvalues[:, None] + point) / (eigenvalues[:, None] - point)
        sums.append(total)
    return sums[0], sums[1]


def generalized_eigenfunctions(
    model: MeasurePreserving,
    coefficients: Tensor,
    angles: Tensor,
    epsilon: float,
    order: int = 2,
    poles: Poles = "equi",
) -> Tensor:
    """Return the coefficients of the wave packets g_theta of g = Psi c in the dictionary, (N, P) complex128.

    Args:
        model: from `zoo.koopman.mpedmd.mpedmd`.
        coefficients: of g, (N,), for instance from `zoo.koopman.edmd.observable_coefficients`.
        angles: theta, (P,).
        epsilon: smoothing length > 0.
        order: of the kernel, 1 .. 8.
        poles: where its poles lie.

    Raises:
        ValueError: epsilon, order or poles are not allowed.
    """
    plus, minus = _kernel_values(model.eigenvalues, angles, epsilon, order, poles)
    return -model.right @ (model.components(coefficients)[:, None] * (plus - minus)) / (4 * math.pi)


def smoothed_measure(
    model: MeasurePreserving,
    coefficients: Tensor,
    angles: Tensor,
    epsilon: float,
    order: int = 2,
    poles: Poles = "equi",
) -> Tensor:
    """Return xi, the smoothed spectral measure of g = Psi c at angles, (P,) float64; arguments as above."""
    plus, _ = _kernel_values(model.eigenvalues, angles, epsilon, order, poles)
    masses = model.components(coefficients).abs() ** 2
    return -(masses @ plus.real) / (2 * math.pi)


def generalized_modes(
    model: MeasurePreserving,
    coefficients: Tensor,
    angles: Tensor,
    epsilon: float,
    order: int = 2,
    poles: Poles = "equi",
) -> Tensor:
    """Return the modes of d observables at angles, (r, d, P) complex128: wave packets in eigenfunction coordinates.

    Rows follow the eigenvalues by ascending |arg lambda|, as `angle_order` gives them.

    Args:
        model: as above.
        coefficients: of the observables, (N, d).
        angles: as above.
        epsilon: as above.
        order: as above.
        poles: as above.
    """
    plus, minus = _kernel_values(model.eigenvalues, angles, epsilon, order, poles)
    modes = -model.components(coefficients)[:, :, None] * (plus - minus)[:, None, :] / (4 * math.pi)
    return modes[angle_order(model)]


def angle_order(model: MeasurePreserving) -> Tensor:
    """Return the order of eigenvalues by ascending distance of their angle from 0, (r,) int64."""
    return model.angles.abs().argsort(stable=True)

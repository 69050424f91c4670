"""Measure-preserving EDMD (mpEDMD): the unitary matrix nearest to the compression of the Koopman operator.

Colbrook, 2023, SIAM J. Numer. Anal. 61, arXiv 2209.02244. In the orthonormal form A~ = V S U* (singular values), and

    K~ = V U*,    the minimiser of ||C - Q K~||_F over unitary matrices (Q = W^1/2 Psi_X T, C = W^1/2 Psi_Y T).

A Schur decomposition K~ = Z D Z* gives orthonormal eigenvectors also where eigenvalues cluster. The eigenvalues lie on
the unit circle whatever the system: on a dissipative one they look plausible and mean nothing, hence verify them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from zoo.koopman.edmd import fix_phases
from zoo.koopman.factors import Factors

# Directions with singular values of A~ below this are mapped by what rounding and noise decide.
POLAR_FLOOR = 1e-8

# Angles this close to -pi are pi.
ANGLE_TOLERANCE = 1e-12


class PolarFactorWarning(UserWarning):
    """The compression has two or more vanishing singular values: part of the nearest unitary matrix is arbitrary."""


@dataclass(frozen=True)
class MeasurePreserving:
    """A unitary Koopman matrix and its spectral measure, eigenvalues by ascending angle in (-pi, pi].

    Attributes:
        eigenvalues: (r,) complex128 on the unit circle.
        right: V, (N, r) complex128, V* G V = 1: orthonormal eigenfunctions Psi V.
        schur_vectors: Z, (r, r) complex128 unitary: V in coordinates of the orthonormal form.
        matrix: K_mp, (N, N), K_mp* G K_mp = G; real for real dictionaries.
        arbitrary_directions: number of singular values of A~ near 0. One leaves a single phase open, as delays of one
            function always nearly do; the spectral measures of the others converge for each phase. Two or more
            make part of the spectrum arbitrary.
        factors: of the data it came from.
    """

    eigenvalues: Tensor
    right: Tensor
    schur_vectors: Tensor
    matrix: Tensor
    arbitrary_directions: int
    factors: Factors

    @property
    def angles(self) -> Tensor:
        """Angles of the eigenvalues, (r,) float64 in (-pi, pi]."""
        return angles_of(self.eigenvalues)

    def components(self, coefficients: Tensor) -> Tensor:
        """Return V* G c, the coefficients of functions Psi c in the eigenfunctions, (r, ...) for c of (N, ...)."""
        coordinates = self.factors.coordinates.to(torch.complex128) @ coefficients.to(torch.complex128)
        return self.schur_vectors.mH @ coordinates

    def measure(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spectral measure of g = Psi c: angles (r,) and weights |v_j* G c|^2 (r,), of total mass c* G c."""
        return self.angles, self.components(coefficients).abs() ** 2

    def apply(self, transform: Tensor, coefficients: Tensor) -> Tensor:
        """Return the coefficients of phi(K) g, (N,), for values phi(theta_j) (r,) of a function of the angle."""
        return self.right @ (transform * self.components(coefficients))


def angles_of(eigenvalues: Tensor) -> Tensor:
    """Return the angles of complex numbers in (-pi, pi]; what rounding moved from pi to -pi is moved back."""
    angles = eigenvalues.angle()
    return torch.where(angles <= -math.pi + ANGLE_TOLERANCE, math.pi, angles)


def mpedmd(factors: Factors) -> MeasurePreserving:
    """Return the measure-preserving EDMD of a dictionary from the orthonormal form of its data.

    Whether the factors came from a Gram matrix or from a QR factor decides which of the paper's two forms it is.
    """
    left, singular_values, right = torch.linalg.svd(factors.compression)
    arbitrary = int((singular_values < POLAR_FLOOR).sum())
    if arbitrary > 1:
        warnings.warn(
            f"the dictionary loses {arbitrary} dimensions in one step (singular values below {POLAR_FLOOR}): the "
            "nearest unitary matrix is not unique, and part of its eigenvalues are arbitrary",
            PolarFactorWarning,
            stacklevel=2,
        )
    unitary = left @ right
    triangle, vectors = scipy.linalg.schur(unitary.cpu().numpy(), output="complex")
    eigvals, columns = (torch.from_numpy(np.array(part, np.complex128)) for part in (np.diag(triangle), vectors))
    order = angles_of(eigvals).argsort(stable=True)
    schur_vectors = fix_phases(columns[:, order]).to(unitary.device)
    return MeasurePreserving(
        eigenvalues=eigvals[order].to(unitary.device),
        right=factors.basis.to(torch.complex128) @ schur_vectors,
        schur_vectors=schur_vectors,
        matrix=factors.basis @ unitary @ factors.coordinates,
        arbitrary_directions=arbitrary,
        factors=factors,
    )

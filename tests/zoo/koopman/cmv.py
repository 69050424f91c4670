"""A unitary operator with a smooth spectral measure: the CMV matrix of the Rogers-Szegő polynomials."""

import math

import numpy as np
import torch

from zoo.koopman.factors import factorize

Q = 0.95


def cmv_factors(size):
    """Return the orthonormal form of the first unit vectors: Verblunsky coefficients (-1)^k q^((k+1)/2)."""

    def a(k):
        return (-1) ** k * Q ** ((k + 1) / 2)

    def rho(k):
        return math.sqrt(1 - a(k) ** 2)

    matrix = np.zeros((size + 6, size + 6))
    matrix[0, :3] = a(0), a(1) * rho(0), rho(1) * rho(0)
    matrix[1, :3] = rho(0), -a(1) * a(0), -rho(1) * a(0)
    for j in range(1, (size + 4) // 2):
        k = 2 * j
        matrix[k, k - 1 : k + 3] = a(k) * rho(k - 1), -a(k) * a(k - 1), a(k + 1) * rho(k), rho(k) * rho(k + 1)
        matrix[k + 1, k - 1 : k + 3] = (
            rho(k) * rho(k - 1),
            -rho(k) * a(k - 1),
            -a(k + 1) * a(k),
            -rho(k + 1) * a(k),
        )
    tall = matrix[: size + 4, :size]
    assert np.abs(tall.T @ tall - np.eye(size)).max() < 1e-14
    identity = np.vstack([np.eye(size), np.zeros((4, size))])
    return factorize(torch.from_numpy(np.hstack([identity, tall])))


def wrapped_gaussian(angles):
    """Return the density of the spectral measure of the first unit vector."""
    variance = math.log(1 / Q)
    shifted = angles.numpy()[:, None] - 2 * math.pi * np.arange(-3, 4)
    return torch.from_numpy(np.exp(-(shifted**2) / (2 * variance)).sum(axis=1) / math.sqrt(2 * math.pi * variance))


def cat_map_moments(count):
    """Return <K^n g, g> of g = sin x + sin(2x + y) / 2 + i sin(5x + 3y) / 4 under the cat map, n = 0 .. count."""
    moments = torch.zeros(count + 1, dtype=torch.complex128)
    moments[:3] = torch.tensor([21 / 32, 1 / 4 - 1j / 16, -1j / 8], dtype=torch.complex128)
    return moments


def krylov_gram(moments, size):
    """Return H of the dictionary g, K g, ..., K^(size - 1) g of an isometry from its moments."""
    lags = torch.arange(size) - torch.arange(size)[:, None]  # <K^k g, K^j g> = mu_(k - j)

    def toeplitz(shift):
        n = lags + shift
        values = moments[n.abs()]
        return torch.where(n >= 0, values, values.conj())

    gram, cross = toeplitz(0), toeplitz(1)
    return torch.cat([torch.cat([gram, cross], dim=1), torch.cat([cross.mH, gram], dim=1)])


def trigonometric(moments, angles):
    """Return (mu_0 + 2 Re sum mu_n e^(-i n theta)) / (2 pi)."""
    n = torch.arange(1, len(moments)).double()
    terms = torch.exp(-1j * angles[:, None] * n) @ moments[1:]
    return (moments[0].real + 2 * terms.real) / (2 * math.pi)

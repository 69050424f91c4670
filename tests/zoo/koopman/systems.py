"""Snapshots with known truth, small enough to be made in a test."""

import math

import numpy as np
import torch


def random_snapshots(functions=6, snapshots=40, seed=0, dtype=torch.complex128):
    """Return psi_x, psi_y and weights of nothing in particular: every identity must hold for them."""
    generator = torch.Generator().manual_seed(seed)
    psi_x, psi_y = (torch.randn(snapshots, functions, dtype=dtype, generator=generator) for _ in range(2))
    weights = torch.rand(snapshots, dtype=torch.float64, generator=generator) + 0.1
    return psi_x, 0.6 * psi_y + 0.5 * psi_x, weights / weights.sum()


def rotation(omega, modes, snapshots):
    """Return the Fourier dictionary e^{ikx}, |k| <= modes, at equispaced x and x + 2 pi omega, and its eigenvalues."""
    k = torch.arange(-modes, modes + 1).double()
    x = 2 * math.pi * torch.arange(snapshots, dtype=torch.float64) / snapshots
    return (
        torch.exp(1j * k * x[:, None]),
        torch.exp(1j * k * (x[:, None] + 2 * math.pi * omega)),
        torch.exp(2j * math.pi * omega * k),
    )


def slow_manifold(snapshots=50, decay=0.9, fast=0.5, curvature=0.7, seed=0):
    """Return snapshots (M, 2) of x1' = lambda x1, x2' = mu x2 + (lambda^2 - mu) c x1^2: {1,x1,x2,x1^2} is invariant."""
    x = np.random.default_rng(seed).uniform(-1, 1, (snapshots, 2))
    y = np.stack([decay * x[:, 0], fast * x[:, 1] + (decay**2 - fast) * curvature * x[:, 0] ** 2], axis=1)
    return torch.from_numpy(x), torch.from_numpy(y)


def quadratic(x):
    """Return the dictionary {1, x1, x2, x1^2}, (M, 4)."""
    return torch.stack([torch.ones(len(x), dtype=x.dtype), x[:, 0], x[:, 1], x[:, 0] ** 2], dim=1)


def orthogonal_functions(size, seed=0):
    """Return a random real invertible matrix (size, size), of condition about 30."""
    generator = torch.Generator().manual_seed(seed)
    left, right = (
        torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator)).Q for _ in range(2)
    )
    return left @ torch.diag(torch.logspace(0, 1.5, size, dtype=torch.float64)) @ right


def fourier_map(step, modes, points):
    """Return the two-dimensional Fourier dictionary |k|, |l| <= modes on a torus grid and after a map of angles."""
    axis = 2 * math.pi * torch.arange(points, dtype=torch.float64) / points
    x, y = (part.flatten() for part in torch.meshgrid(axis, axis, indexing="ij"))
    k, m = (part.flatten() for part in torch.meshgrid(*[torch.arange(-modes, modes + 1).double()] * 2, indexing="ij"))

    def dictionary(x, y):
        return torch.exp(1j * (x[:, None] * k + y[:, None] * m))

    return dictionary(x, y), dictionary(*step(x, y))


def duffing(initial=400, steps=3, lag=0.3, damping=0.3, seed=0):
    """Return snapshots (M, 2) of x'' = -damping x' + x - x^3 from uniform initial values in [-2, 2]^2, by RK4."""
    state = np.random.default_rng(seed).uniform(-2, 2, (initial, 2))

    def slope(s):
        return np.stack([s[:, 1], -damping * s[:, 1] + s[:, 0] - s[:, 0] ** 3], axis=1)

    states, substeps = [state], 30
    h = lag / substeps
    for _ in range(steps):
        for _ in range(substeps):
            a = slope(state)
            b = slope(state + h / 2 * a)
            c = slope(state + h / 2 * b)
            state = state + h / 6 * (a + 2 * b + 2 * c + slope(state + h * c))
        states.append(state)
    return torch.from_numpy(np.concatenate(states[:-1])), torch.from_numpy(np.concatenate(states[1:]))


def radial(x, centers, scale=2.0):
    """Return exp(-r / scale) around centres (N, d), (M, N)."""
    return torch.exp(-torch.cdist(x, centers) / scale)


def match(found, expected):
    """Return the largest distance between two sets of complex numbers of one size, matched by assignment."""
    from scipy.optimize import linear_sum_assignment

    cost = np.abs(np.asarray(found)[:, None] - np.asarray(expected)[None])
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].max())

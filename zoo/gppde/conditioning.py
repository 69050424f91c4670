"""A Gaussian process conditioned on linear functionals: the equation, its conditions, observations, all at once.

With data y = functionals of u + noise and G their covariance matrix under the kernel,

    mean = q^T G^-1 y,    variance = s^2 (k - q^T G^-1 q),    s^2 = y^T G^-1 y / n,

q the covariances of the data with what is predicted, and s^2 the amplitude that maximises the evidence; with noise, s^2
and unknown noise are found together. Rows are scaled to a unit diagonal before the factorisation: fourth derivatives of
a fast kernel are many orders above its values. What is predicted may be any derivative.

The standard deviation presumes that u is a path of the process. Smooth solutions are far smoother than paths of the
Matern kernel: with "stm" the standard deviation is a safe upper bound, hundreds of times the error where the data hold
no noise; with "gm" it is closer.

Source: Raissi, Perdikaris and Karniadakis, 2017, arXiv 1701.02440; Chen, Hosseini, Owhadi and Stuart, 2021,
arXiv 2103.12959; Pfoertner, Steinwart, Hennig and Wenger, 2022, arXiv 2212.12474.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from zoo.gppde.functionals import Covariances, Kernels, Rows, evaluation, prior_variance
from zoo.gppde.gaussian import NUGGETS, cholesky_with_nugget, logdet_and_solve
from zoo.gppde.operators import Index

CHUNK = 4096  # points predicted at a time
TINY = 1e-300
NOISE_STEPS = 40


@dataclass(frozen=True, eq=False)
class Posterior:
    """A process after the data.

    Attributes:
        kernels: one for each coordinate, of the prior with amplitude 1.
        rows: the data.
        scale: square roots of the diagonal of the covariance matrix, (n,).
        factor: lower Cholesky factor of the scaled matrix with noise and nugget, (n, n).
        weights: G^-1 y, (..., n), scaled.
        amplitude: s^2, (...), a number for each instance.
        noise: standard deviation of each group of rows.
        nugget: relative to the diagonal; the smallest of 1e-12, 1e-11, .. 1e-8 that the factorisation needed.
        log_evidence: of each instance, (...).
    """

    kernels: Kernels
    rows: tuple[Rows, ...]
    scale: Tensor
    factor: Tensor
    weights: Tensor
    amplitude: Tensor
    noise: tuple[float, ...]
    nugget: float
    log_evidence: Tensor

    def mean(self, points: Tensor, index: Index) -> Tensor:
        """Return the posterior mean of u^(alpha) at points (m, d), (..., m)."""
        return torch.cat([self.weights @ self._cross(part, index).mT for part in points.split(CHUNK)], dim=-1)

    def standard_deviation(self, points: Tensor, index: Index) -> Tensor:
        """Return the posterior standard deviation of u^(alpha) at points (m, d), (..., m)."""
        prior = prior_variance(self.kernels, index)
        parts = []
        for part in points.split(CHUNK):
            explained = torch.linalg.solve_triangular(self.factor, self._cross(part, index).mT, upper=False)
            parts.append(prior - explained.square().sum(0))
        # Differences of nearly equal numbers can fall below zero by their rounding errors.
        variance = torch.cat(parts).clamp_min(0.0)
        return (self.amplitude[..., None] * variance).sqrt()

    def covariance(self, points: Tensor, index: Index) -> Tensor:
        """Return the posterior covariance matrix of u^(alpha) at points (m, d), (..., m, m)."""
        at = evaluation(points, index)
        explained = torch.linalg.solve_triangular(self.factor, self._cross(points, index).mT, upper=False)
        covariance = Covariances().between(self.kernels, at, at) - explained.mT @ explained
        return self.amplitude[..., None, None] * covariance

    def sample(self, points: Tensor, index: Index, number: int, generator: torch.Generator) -> Tensor:
        """Return joint samples of u^(alpha) at points (m, d), (number, ..., m)."""
        eigvals, eigvecs = torch.linalg.eigh(self.covariance(points, index))
        root = eigvecs * eigvals.clamp_min(0.0).sqrt()[..., None, :]
        shape = (number, *self.amplitude.shape, len(points), 1)
        draws = torch.randn(shape, dtype=torch.float64, generator=generator)
        return self.mean(points, index) + (root @ draws)[..., 0]

    def _cross(self, points: Tensor, index: Index) -> Tensor:
        """Return the scaled covariances of u^(alpha) at points with the data, (m, n)."""
        at, covariances = evaluation(points, index), Covariances()
        return torch.cat([covariances.between(self.kernels, at, rows) for rows in self.rows], 1) / self.scale


def condition(kernels: Kernels, rows: Sequence[Rows], covariances: Covariances | None = None) -> Posterior:
    """Return the process after the data, with the amplitude and the noise that maximise the evidence.

    With noise, all instances share amplitude and noise; without, each has an amplitude of its own.

    Args:
        kernels: one for each coordinate; their common amplitude is fitted.
        rows: the data; values (..., n) with equal leading dimensions or none.
        covariances: keeps tables of lags between calls.

    Raises:
        NotPositiveDefiniteError: the covariance matrix has no factor with the largest nugget.
    """
    rows, covariances = tuple(rows), covariances or Covariances()
    gram = covariances.gram(kernels, rows)
    scale = gram.diagonal().sqrt()
    correlation = gram / scale / scale[:, None]
    values = stacked_values(rows) / scale
    lead, n = values.shape[:-1], values.size(-1)
    right = values.reshape(-1, n).mT
    if all(group.noise == 0 for group in rows):
        noise, shared = (0.0,) * len(rows), None
    else:
        noise, shared = _fit_noise(correlation, right, scale, rows)
        correlation = correlation + torch.diag(_per_row(noise, rows).square() / scale.square() / shared)
    factor, nugget = cholesky_with_nugget(correlation)
    white = torch.linalg.solve_triangular(factor, right, upper=False)
    square = white.square().sum(0)
    # Data that vanish say nothing of the amplitude.
    amplitude = (square / n).clamp_min(TINY) if shared is None else torch.full_like(square, shared)
    log_root_det = factor.diagonal().log().sum() + scale.log().sum()
    log_evidence = -(square / amplitude + n * (2 * math.pi * amplitude).log()) / 2 - log_root_det
    weights = torch.linalg.solve_triangular(factor.mT, white, upper=True).mT.reshape(values.shape)
    return Posterior(
        kernels, rows, scale, factor, weights, amplitude.reshape(lead), noise, nugget, log_evidence.reshape(lead)
    )


def stacked_values(rows: Sequence[Rows]) -> Tensor:
    """Return the values of all rows, (..., n)."""
    lead = torch.broadcast_shapes(*(group.values.shape[:-1] for group in rows))
    return torch.cat([group.values.expand(*lead, len(group)) for group in rows], dim=-1)


def _per_row(per_group: Sequence[float], rows: Sequence[Rows]) -> Tensor:
    return torch.tensor(per_group, dtype=torch.float64).repeat_interleave(torch.tensor([len(group) for group in rows]))


def _fit_noise(
    correlation: Tensor, right: Tensor, scale: Tensor, rows: Sequence[Rows]
) -> tuple[tuple[float, ...], float]:
    """Return the noise of each group and the amplitude s^2 that maximise the evidence of all instances together."""
    n, instances = right.shape
    unknown = [number for number, group in enumerate(rows) if group.noise is None]
    given = torch.tensor([group.noise or 0.0 for group in rows], dtype=torch.float64)
    group_of_row = torch.arange(len(rows)).repeat_interleave(torch.tensor([len(group) for group in rows]))
    spread = [float(group.values.square().mean().sqrt()) or 1.0 for group in rows]

    def variances(parameters: Tensor) -> Tensor:
        return given.square().index_copy(0, torch.tensor(unknown, dtype=torch.int64), parameters[1:].exp())

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = torch.tensor(flat, dtype=torch.float64, requires_grad=True)
        amplitude = parameters[0].exp()
        ratios = variances(parameters)[group_of_row] / scale.square() / amplitude
        logdet, solution = logdet_and_solve(correlation + torch.diag(ratios + NUGGETS[-1]), right)
        loss = instances / 2 * (n * parameters[0] + logdet) + (right * solution).sum() / (2 * amplitude)
        loss.backward()
        return loss.item(), parameters.grad.numpy()  # type: ignore[union-attr] # it was asked for

    start = [math.log(float(right.square().mean())), *(2 * math.log(0.1 * spread[number]) for number in unknown)]
    result = minimize(
        objective,
        np.array(start),
        jac=True,
        method="L-BFGS-B",
        bounds=[(c - 30, c + 30) for c in start],
        options={"maxiter": NOISE_STEPS},
    )
    best = torch.from_numpy(result.x)
    return tuple(variances(best).sqrt().tolist()), math.exp(result.x[0])

"""One evidence and its gradient as fast as a processor can: LAPACK in place, no graph of operations.

The formulas are those of `zoo.rvgp.inference`, whose torch functions serve batches, GPUs and differentiation; for one
problem of a hundred eigenfields they spend most of the time on bookkeeping.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import lapack
from scipy.special import expit

from zoo.rvgp.inference import Problem
from zoo.rvgp.kernels import KNOTS, LEAST_NOISE, SpectralKernel, ramps
from zoo.spectral.point_graph import Array


class SingleEvidence:
    """The negative log evidence of one problem as a function of unconstrained hyper-parameters.

    Args:
        kernel: the kernel.
        problem: one problem, not many.
    """

    def __init__(self, kernel: SpectralKernel, problem: Problem) -> None:
        self.kernel = kernel
        self.eigvals, self.powers = kernel.eigvals.numpy(), kernel.powers.numpy()
        self.ramps = ramps(kernel.eigvals, KNOTS).numpy() if kernel.kind == "free" else np.empty((0, 0))
        self.gram = np.asfortranarray(problem.gram.numpy())
        self.projections = np.asfortranarray(problem.projections.numpy())
        self.squares, self.count, self.fields = float(problem.squares), problem.count, problem.fields

    def __call__(self, free: Array) -> tuple[float, Array]:
        """Return the value and its gradient at unconstrained hyper-parameters (p,); infinity where it overflows."""
        values = np.logaddexp(0, free)
        values[-1] += LEAST_NOISE
        slopes = expit(free)
        with np.errstate(all="ignore"):
            log_weights, jacobian = self.log_weights(values)
            found = self.evidence(log_weights, float(values[-1]))
            if found is None:
                return math.inf, np.zeros_like(free)
            value, by_weight, by_noise = found
            gradient = np.empty_like(values)
            gradient[:-2] = jacobian @ by_weight
            gradient[-2] = by_weight.sum() / values[-2]
            gradient[-1] = by_noise / values[-1]
        return value, gradient * slopes

    def log_weights(self, values: Array) -> tuple[Array, Array]:
        """Return log s (k,), and its derivatives (p - 2, k) by the hyper-parameters of the shape."""
        if self.kernel.kind == "matern":
            nu, kappa = values[0], values[1]
            sums = self.eigvals + 2 * nu / kappa**2
            shape = -nu * np.log(sums)
            rate = 2 * nu / (kappa**2 * sums)
            jacobian = np.stack([-np.log(sums) - rate, 2 * nu / kappa * rate])
        elif self.kernel.kind == "se":
            shape = -self.eigvals * values[0] ** 2 / 2
            jacobian = -self.eigvals[None] * values[0]
        else:
            shape = -values[:KNOTS] @ self.ramps.T
            jacobian = -self.ramps.T
        powers = shape + np.log(self.powers)
        top = powers.max()
        share = np.exp(powers - top)
        total = share.sum()
        amplitude = math.log(values[-2]) if values[-2] > 0 else -math.inf
        if self.kernel.normalization == "reference":
            amplitude += math.log(self.kernel.rows)
        jacobian = jacobian - (jacobian @ share / total)[:, None]
        return shape - (top + math.log(total)) + amplitude, jacobian

    def evidence(self, log_weights: Array, noise: float) -> tuple[float, Array, float] | None:
        """Return -log p(y) and its derivatives by log s and log sigma^2; None where the matrix overflows."""
        width = len(log_weights)
        root = np.exp(log_weights / 2)
        scaled = root / math.sqrt(noise)
        matrix = np.multiply(self.gram, scaled)
        matrix *= scaled[:, None]
        matrix.flat[:: width + 1] += 1
        factor, failed = lapack.dpotrf(matrix, lower=1, overwrite_a=1)
        if failed:
            return None
        log_determinant = 2 * float(np.log(factor.diagonal()).sum())
        a = lapack.dtrtrs(factor, root[:, None] * self.projections / noise, lower=1)[0]
        u = lapack.dtrtrs(factor, a, lower=1, trans=1)[0]
        inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].diagonal()
        squares, powers = float((a * a).sum()), (u * u).sum(axis=1)
        rows = self.count * self.fields
        data = self.squares / noise - squares
        value = (rows * math.log(2 * math.pi * noise) + self.fields * log_determinant + data) / 2
        if not math.isfinite(value):
            return None
        by_weight = (self.fields * (1 - inverse) - powers) / 2
        effective = self.fields * (self.count - width + float(inverse.sum()))
        return value, by_weight, (effective - data + float(powers.sum())) / 2

r"""The Matern process without eigenpairs: a sparse precision matrix, no truncation.

For integer nu the Matern prior with covariance :math:`\gamma\,(L + \tau)^{-\nu}` has the sparse precision
:math:`Q = (L + \tau)^\nu / \gamma`, :math:`\tau = 2\nu / \kappa^2` (Lindgren, Rue and Lindstrom, JRSS B 73, 2011). With
H the diagonal 0-1 matrix of labelled components, m of them,

.. math:: u = (Q + H/\sigma^2)^{-1} H y / \sigma^2, \qquad
          2 \log p(y) = -m \log 2\pi\sigma^2 + \log|Q| - \log|Q + H/\sigma^2| - (y^T y - y^T H u) / \sigma^2.

Everything is in coordinates of the tangent frames; two sparse factorisations make an evaluation. With
:math:`Q' = (L + \tau)^\nu` and the ratio :math:`c = \sigma^2/\gamma`, the best :math:`\sigma^2` is
:math:`(y^T y - y^T H u)/m` and u depends on tau and c alone, over which the evidence is searched.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
import scipy.sparse
import scipy.sparse.linalg

from zoo.checks import require, require_above, require_positive
from zoo.spectral.connection import ConnectionLaplacian
from zoo.spectral.eigensolver import factorize
from zoo.spectral.point_graph import Array, Indices

EVALUATIONS = 60
"""Evidences in a search over tau and c."""

LEAST = 1e-6
"""Smallest tau, in units of the mean degree, and smallest c, in units of its power nu: below is only rounding."""


class SparsePrecision:
    """A Matern process of integer smoothness on a point cloud, conditioned on labelled vectors.

    Args:
        geometry: the surface; its eigenpairs are not used.
        nu: the smoothness, an integer >= 1.

    Attributes:
        tau: 2 nu / kappa^2, after `fit`.
        gamma: scale of the prior covariance, after `fit`.
        noise: sigma^2, after `fit`.
        negative_log_evidence: -log p(y), after `fit`.
        mean: (n, d) posterior mean in the tangent frames, after `fit`.

    Raises:
        ValueError: nu is no integer >= 1.
    """

    def __init__(self, geometry: ConnectionLaplacian, nu: int = 2) -> None:
        require_positive(nu=nu)
        self.geometry, self.nu = geometry, nu
        self.tau = self.gamma = self.noise = self.negative_log_evidence = math.nan
        self.mean: Array = np.zeros((geometry.num_points, geometry.dim))

    def fit(self, tangent: Array, labelled: Indices) -> SparsePrecision:
        """Choose tau, gamma and the noise by the evidence, and condition on the labels.

        Args:
            tangent: (m, d) vectors in the tangent frames.
            labelled: (m,) their points, all different.

        Raises:
            ValueError: shapes do not fit, or all vectors are 0.
        """
        self._check(tangent, labelled)

        degree = float(self.geometry.degree.mean())
        least = np.array([LEAST * degree, LEAST * degree**self.nu])

        def evaluate(logarithms: Array) -> float:
            return self._profile(tangent, labelled, *np.maximum(np.exp(logarithms), least))[0]

        starts = [np.log([degree * share, (degree * share) ** self.nu]) for share in (3e-3, 3e-2)]
        start = min(starts, key=evaluate)
        simplex = start + np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
        options = {"maxfev": EVALUATIONS, "xatol": 1e-2, "fatol": 1e-3, "initial_simplex": simplex}
        found = scipy.optimize.minimize(evaluate, start, method="Nelder-Mead", options=options)
        tau, ratio = np.maximum(np.exp(found.x), least)
        _, noise = self._profile(tangent, labelled, tau, ratio)
        return self.condition(tangent, labelled, float(tau), noise / float(ratio), noise)

    def condition(self, tangent: Array, labelled: Indices, tau: float, gamma: float, noise: float) -> SparsePrecision:
        """Condition on labels with given hyper-parameters.

        Raises:
            ValueError: shapes do not fit, or a hyper-parameter is not > 0.
        """
        require_above(0, tau=tau, gamma=gamma, noise=noise)
        self._check(tangent, labelled)
        self.tau, self.gamma, self.noise = tau, gamma, noise
        indicator, right = self._labels(tangent, labelled)
        ratio = noise / gamma
        base, factor = self._factors(tau, ratio, indicator)
        solution = factor.solve(right)
        quadratic = float((tangent**2).sum() - right @ solution) / noise
        gain = _log_determinant(factor) - self.nu * _log_determinant(base) - right.size * math.log(ratio)
        self.negative_log_evidence = _evidence(tangent.size, noise, quadratic, gain)
        self.mean = solution.reshape(self.mean.shape)
        self._factor = factor
        self._indicator = indicator
        return self

    def sample(self, number: int, seed: int = 0) -> Array:
        """Return posterior samples (number, n, d) in the tangent frames: mean plus solutions with a random right side.

        A vector of covariance Q + H / sigma^2 on the right gives one of its inverse on the left.
        """
        require_positive(number=number)
        generator = np.random.default_rng(seed)
        size = self.mean.size
        shifted = self._shifted(self.tau)
        if self.nu % 2:
            # A root of L + tau: differences along edges, and the fields themselves.
            root = _incidence(self.geometry, self.tau)
            noise = root.T @ generator.standard_normal((root.shape[0], number))
        else:
            noise = generator.standard_normal((size, number))
        for _ in range(self.nu // 2):
            noise = shifted @ noise
        noise = noise / math.sqrt(self.gamma)
        noise += self._indicator[:, None] * generator.standard_normal((size, number)) / math.sqrt(self.noise)
        deviations = self._factor.solve(self.noise * noise)
        return self.mean + deviations.T.reshape(number, *self.mean.shape)

    def _check(self, tangent: Array, labelled: Indices) -> None:
        needed = (len(labelled), self.geometry.dim)
        require(tangent.shape == needed, "tangent.shape", tangent.shape, f"{needed}, a vector for each label")
        require(len(labelled) > 0, "labelled", "no point", "at least one")
        require(bool((tangent != 0).any()), "tangent", "vectors that are all 0", "some that are not")
        distinct = len(np.unique(labelled)) == len(labelled)
        require(distinct, "labelled", "points that repeat", "different points; average the vectors at one")

    def _shifted(self, tau: float) -> scipy.sparse.csc_matrix:
        matrix = self.geometry.matrix
        return (matrix + tau * scipy.sparse.identity(matrix.shape[0])).tocsc()

    def _labels(self, tangent: Array, labelled: Indices) -> tuple[Array, Array]:
        indicator, right = np.zeros_like(self.mean), np.zeros_like(self.mean)
        indicator[labelled], right[labelled] = 1.0, tangent
        return indicator.ravel(), right.ravel()

    def _factors(
        self, tau: float, ratio: float, indicator: Array
    ) -> tuple[scipy.sparse.linalg.SuperLU, scipy.sparse.linalg.SuperLU]:
        shifted = self._shifted(tau)
        power = shifted
        for _ in range(self.nu - 1):
            power = power @ shifted
        return factorize(shifted), factorize(ratio * power + scipy.sparse.diags(indicator))

    def _profile(self, tangent: Array, labelled: Indices, tau: float, ratio: float) -> tuple[float, float]:
        """Return -log p(y) at the best noise, and that noise."""
        indicator, right = self._labels(tangent, labelled)
        base, factor = self._factors(tau, ratio, indicator)
        squares = float((tangent**2).sum() - right @ factor.solve(right))
        noise = max(squares / tangent.size, 1e-12 * float((tangent**2).mean()))
        gain = _log_determinant(factor) - self.nu * _log_determinant(base) - right.size * math.log(ratio)
        return _evidence(tangent.size, noise, squares / noise, gain), noise


def _evidence(rows: int, noise: float, quadratic: float, gain: float) -> float:
    # |covariance of y| = sigma^(2m) |c Q' + H| / |c Q'|, whose logarithm is the gain.
    return (rows * math.log(2 * math.pi * noise) + gain + quadratic) / 2


def _log_determinant(factor: scipy.sparse.linalg.SuperLU) -> float:
    return float(np.log(np.abs(factor.U.diagonal())).sum())


def _incidence(geometry: ConnectionLaplacian, tau: float) -> scipy.sparse.csr_matrix:
    """Return B with B^T B = L + tau: a row for each component of each edge and of each point."""
    source, target = geometry.edge_index
    half = np.flatnonzero(source < target)
    dim, size = geometry.dim, geometry.num_points * geometry.dim
    roots = np.sqrt(geometry.weights[half])[:, None, None]
    data = np.stack([roots * np.eye(dim), -roots * geometry.transports[half]], axis=1).reshape(-1, dim, dim)
    columns = np.stack([source[half], target[half]], axis=1).ravel()
    starts = 2 * np.arange(len(half) + 1)
    edges = scipy.sparse.bsr_matrix((data, columns, starts), shape=(dim * len(half), size))
    return scipy.sparse.vstack([edges, math.sqrt(tau) * scipy.sparse.identity(size)]).tocsr()

"""Eigenfunctions of a Gaussian kernel of the surrounding space, by the method of Nystrom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.spatial.distance import cdist

from zoo.spectral.point_graph import Array

LANDMARKS = 1500
"""Points whose Gaussian kernel is decomposed; of larger clouds, a random part."""

LEAST_EIGENVALUE = 1e-11
"""Of a Gaussian kernel, in units of the largest: smaller ones are rounding."""


@dataclass(frozen=True)
class GaussianFunctions:
    """Eigenfunctions of a Gaussian kernel, that can be read anywhere.

    Attributes:
        landmarks: (p, D).
        width: standard deviation of the kernel, a length.
        eigvals: (k,), -log of the kernel's eigenvalues in units of the largest: the weights exp(-eigval) of "se" with
            kappa = sqrt(2) give the kernel back.
        vectors: (p, k), values of the eigenfunctions are the kernel to the landmarks times these.
    """

    landmarks: Array
    width: float
    eigvals: Array
    vectors: Array

    def at(self, points: Array) -> Array:
        """Return the eigenfunctions at points (m, D): (m, k)."""
        return _kernel(points, self.landmarks, self.width) @ self.vectors


def gaussian_functions(cloud: Array, number: int, lengthscale: float) -> GaussianFunctions:
    """Return eigenfunctions of a Gaussian kernel, those of its largest eigenvalues.

    Args:
        cloud: (n, D).
        number: at most so many.
        lengthscale: of the kernel, in units of the standard deviation of the points.
    """
    order = np.random.default_rng(0).permutation(len(cloud))[:LANDMARKS]
    landmarks = cloud[np.sort(order)]
    width = lengthscale * float(np.sqrt(cloud.var(axis=0).sum()))
    gram = _kernel(landmarks, landmarks, width)
    number = min(number, len(landmarks))
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=[len(gram) - number, len(gram) - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > LEAST_EIGENVALUE * values[0]
    values, vectors = values[kept], vectors[:, kept]
    return GaussianFunctions(landmarks, width, np.log(values[0] / values), np.sqrt(len(landmarks)) * vectors / values)


def _kernel(first: Array, second: Array, width: float) -> Array:
    return np.exp(-cdist(first, second, "sqeuclidean") / (2 * width**2))

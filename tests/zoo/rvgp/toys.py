"""A small surface with labelled vectors, and regression with the dense kernel for comparison."""

import numpy as np
import torch

from datamodules.surfaces import shapes
from zoo.rvgp.bases import field_basis
from zoo.rvgp.inference import Moments
from zoo.spectral.connection import connection_laplacian

GEOMETRY = connection_laplacian(shapes.torus(220), 24, snap_k=True)
BASIS = field_basis(GEOMETRY)
LABELLED = np.random.default_rng(0).permutation(220)[:70]
UNLABELLED = np.setdiff1d(np.arange(220), LABELLED)


def swirl(points):
    """A tangent field on a torus around the z axis: along the ring, stronger on one side."""
    x, y, _ = points.T
    return np.stack([-y, x, np.zeros_like(x)], axis=1) * (1 + 0.5 * x[:, None])


FIELD = swirl(GEOMETRY.points)
VECTORS = FIELD + 0.05 * np.random.default_rng(1).standard_normal(FIELD.shape)


def observations(labelled=LABELLED, observation="ambient"):
    """Rows of Phi (m, k) and of y (m, 1)."""
    values = torch.from_numpy(VECTORS[labelled])[:, :, None]
    if observation == "tangent":
        features, values = BASIS.tangent[labelled], BASIS.frames[labelled].mT @ values
    else:
        features = BASIS.ambient[labelled]
    return features.flatten(0, 1), values.flatten(0, 1)


def moments(labelled=LABELLED, observation="ambient"):
    return Moments(BASIS.size).update(*observations(labelled, observation))


def dense_posterior(rows, values, features, weights, noise):
    """-log p(y), mean and covariance of a process with kernel Phi s Phi^T, by the matrices of all rows."""
    kernel = rows * weights @ rows.T + noise * torch.eye(len(rows), dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(torch.zeros(len(rows), dtype=torch.float64), kernel)
    cross = features * weights @ rows.T
    mean = cross @ torch.linalg.solve(kernel, values)
    covariance = features * weights @ features.T - cross @ torch.linalg.solve(kernel, cross.T)
    return -normal.log_prob(values.T).sum(), mean, covariance

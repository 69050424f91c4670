"""Random features and rotations, float64, and errors relative to the largest entry."""

from contextlib import contextmanager

import torch
from e3nn import o3

from zoo.gaunt.harmonics import degrees, dim

TIGHT = 1e-12
"""Error of an identity of bilinear maps in float64, relative to the largest entry."""


@contextmanager
def double_precision():
    """e3nn's constants are rounded to the default dtype when they are made."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def features(lmax, channels=3, number=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, channels, dim(lmax), generator=generator, dtype=torch.float64).to(dtype)


def rotation(seed=0):
    generator = torch.Generator().manual_seed(seed)
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return matrix * torch.linalg.det(matrix)


def wigner(lmax, matrix):
    """e3nn's representation of a rotation on (l, m) up to lmax."""
    with double_precision():
        return torch.block_diag(*(o3.Irrep(degree, 1).D_from_matrix(matrix) for degree in range(lmax + 1)))


def inversion(lmax):
    return (-1.0) ** degrees(lmax).double()


def error(actual, expected):
    assert actual.shape == expected.shape
    return float(((actual - expected).abs().max() / expected.abs().max()).detach())

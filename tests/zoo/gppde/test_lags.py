import math

import pytest
import torch

from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.lags import LagTable, grid_lags, toeplitz


@pytest.mark.parametrize("odd", [False, True])
def test_toeplitz_is_the_matrix_of_differences(odd):
    grid = torch.linspace(1.0, 3.0, 7, dtype=torch.float64)
    kernel = SpectralMixture.comb("stm", 3, 2.0)
    order = 1 if odd else 2
    values = kernel.derivatives(grid_lags(grid), [order])[order]
    expected = kernel.derivatives(grid[:, None] - grid, [order])[order]
    torch.testing.assert_close(toeplitz(values, odd), expected, rtol=1e-12, atol=1e-12)
    batch = torch.stack([values, 2 * values])
    assert torch.equal(toeplitz(batch, odd)[1], 2 * toeplitz(values, odd))


def lattice():
    x = torch.linspace(0, 2 * math.pi, 12, dtype=torch.float64)
    return x, x[[0, -1]]


def repeated():
    x = torch.tensor([0.0, 0.1, 0.7, 1.3], dtype=torch.float64).repeat(5)
    return x, x[:13]


def scattered():
    x = torch.rand(9, dtype=torch.float64)
    return x, torch.rand(4, dtype=torch.float64)


@pytest.mark.parametrize(("points", "at_most"), [(lattice, 23), (repeated, 16), (scattered, 36)])
def test_tables_hold_every_difference(points, at_most):
    x, y = points()
    table = LagTable.of(x, y)
    assert table.lags.numel() <= at_most
    torch.testing.assert_close(table.expand(table.lags), x[:, None] - y, rtol=0, atol=1e-13)


def test_a_regular_grid_gives_an_exact_toeplitz_matrix():
    x = torch.linspace(0, 1, 31, dtype=torch.float64)
    table = LagTable.of(x, x)
    matrix = table.expand(SpectralMixture.comb("gm", 4, 9.0).derivatives(table.lags, [4])[4])
    assert torch.equal(matrix, matrix.mT)
    assert torch.equal(matrix[:-1, :-1], matrix[1:, 1:])


def test_a_single_point_has_lag_zero():
    x = torch.ones(3, dtype=torch.float64)
    assert not LagTable.of(x, x).expand(torch.zeros(1)).any()


@pytest.mark.parametrize("grid", [[0.0, 1.0], [0.0, 1.0, 3.0], [2.0, 1.0, 0.0]])
def test_grids_that_are_not_regular_are_refused(grid):
    with pytest.raises(ValueError, match="equispaced ascending"):
        grid_lags(torch.tensor(grid, dtype=torch.float64))

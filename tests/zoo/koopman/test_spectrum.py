import numpy as np
import pytest
import torch

from tests.zoo.koopman.systems import random_snapshots, rotation
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.pseudospectrum import grid, smallest_residuals
from zoo.koopman.spectrum import select_spectrum, spectrum


def matlab_selection(points, distances, kappa):
    """Return what the authors' loop selects: the first minimiser over find(|z_k - z_j| < kappa d_j)."""
    chosen = set()
    for j in np.flatnonzero(distances < 1):
        near = np.flatnonzero(np.abs(points - points[j]) < kappa * distances[j])
        if len(near):
            chosen.add(near[np.argmin(distances[near])])
    return sorted(chosen)


@pytest.mark.parametrize("kappa", [1.0, 2.0, 5.0])
def test_selection_is_that_of_the_authors_loop(kappa):
    factors = factorize_snapshots(*random_snapshots(dtype=torch.float64))
    points = grid((-1.5, 1.5), (-1.5, 1.5), 0.1)
    found = spectrum(factors, points, kappa)
    by_columns = points.T.flatten()
    distances = smallest_residuals(factors, by_columns)
    expected = matlab_selection(by_columns.numpy(), distances.numpy(), kappa)
    assert found.indices.tolist() == expected
    assert torch.equal(found.points, by_columns[found.indices])
    assert found.error == float(distances[expected].max())


def test_the_first_of_equal_minima_is_kept():
    found = select_spectrum(torch.tensor([0.0, 0.1, 0.2]), torch.tensor([0.5, 0.2, 0.2]))
    assert found.indices.tolist() == [1]


def test_points_of_no_residual_are_their_own_minimisers():
    found = select_spectrum(torch.tensor([0.0, 3.0]), torch.tensor([0.0, 2.0]))
    assert found.indices.tolist() == [0]
    assert found.error == 0


def test_nothing_near_the_spectrum():
    found = select_spectrum(torch.tensor([9.0]), torch.tensor([8.0]))
    assert len(found.points) == 0
    assert found.error == float("inf")


def test_the_error_bounds_the_distance_to_the_spectrum_of_a_rotation():
    psi_x, psi_y, eigenvalues = rotation(0.1234, 4, 16)
    points = grid((-1.5, 1.5), (-1.5, 1.5), 0.05)
    found = spectrum(factorize_snapshots(psi_x, psi_y), points, measure_preserving=True)
    distance = (found.points[:, None] - eigenvalues).abs()
    assert distance.amin(dim=1).max() <= found.error + 1e-12
    assert distance.amin(dim=0).max() <= 0.05  # every eigenvalue has a grid point within half a diagonal
    assert found.error < 0.06


def test_candidates_may_be_eigenvalues():
    factors = factorize_snapshots(*random_snapshots(dtype=torch.float64))
    eigenvalues = edmd(factors).eigenvalues
    found = spectrum(factors, eigenvalues)
    assert set(found.indices.tolist()) <= set(range(6))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="kappa=0"):
        select_spectrum(torch.ones(2), torch.ones(2), 0)
    with pytest.raises(ValueError, match="distances"):
        select_spectrum(torch.ones(2), torch.ones(3))

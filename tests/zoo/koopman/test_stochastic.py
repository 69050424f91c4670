import math

import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import match
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize_gram
from zoo.koopman.pseudospectrum import smallest_residuals
from zoo.koopman.residuals import pair_residuals
from zoo.koopman.stochastic import stochastic_factors, stochastic_residuals, stochastic_statistics
from zoo.koopman.tensor_bases import Hermite

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
RATE = 0.4  # theta Delta of the Ornstein-Uhlenbeck process, whose stationary deviation is made 1


def ornstein_uhlenbeck(nodes=20, degree=4):
    """Return Hermite polynomials at x and at two successors, on all pairs of Gauss nodes of three normal variables."""
    point, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    x, first, second = (part.ravel() for part in np.meshgrid(point, point, point, indexing="ij"))
    weights = np.einsum("i,j,k->ijk", weight, weight, weight).ravel()
    decay, spread = math.exp(-RATE), math.sqrt(1 - math.exp(-2 * RATE))
    psi = Hermite(1, degree)
    states = (x, decay * x + spread * first, decay * x + spread * second)
    return (*(psi(torch.from_numpy(s)[:, None]) for s in states), torch.from_numpy(weights))


def noisy_rotation(count=20000, modes=3, drift=0.3, width=0.2, seed=0):
    """Return e^(2 pi i k x) at x and at two successors x + drift + U(-width / 2, width / 2) mod 1."""
    generator = np.random.default_rng(seed)
    x = np.arange(count) / count
    k = np.arange(-modes, modes + 1)
    states = (x, *(x + drift + width * (generator.uniform(size=count) - 0.5) for _ in range(2)))
    return [torch.from_numpy(np.exp(2j * np.pi * np.outer(s, k))) for s in states], k


def test_ornstein_uhlenbeck_has_hermite_eigenfunctions_and_a_known_variance():
    psi_x, first, second, weights = ornstein_uhlenbeck()
    statistics = stochastic_statistics(psi_x, first, second, weights)
    eigenvalues = torch.exp(-RATE * torch.arange(5).double())
    found = stochastic_residuals(statistics, eigenvalues, torch.eye(5))
    torch.testing.assert_close(found.squares, torch.zeros(5).double(), rtol=0, atol=1e-12)
    expected = (1 - torch.exp(-2 * RATE * torch.arange(5).double())).sqrt()
    torch.testing.assert_close(found.variance_residual, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.variance, expected**2, rtol=0, atol=1e-12)
    assert match(edmd(factorize_gram(statistics.variance_matrix)).eigenvalues, eigenvalues) < 1e-10


def test_noisy_rotation():
    (psi_x, first, second), k = noisy_rotation()
    expected = torch.from_numpy(np.exp(2j * np.pi * k * 0.3) * np.sinc(0.2 * k))
    found = edmd(stochastic_factors(psi_x, first, second)).eigenvalues
    assert match(found, expected) < 0.01
    shards = [stochastic_statistics(*(psi[i::10] for psi in (psi_x, first, second))) for i in range(10)]
    residuals = stochastic_residuals(shards, expected, torch.eye(7))
    assert (residuals.squares.abs() < 5 * residuals.noise + 1e-12).all()
    variance = torch.from_numpy(1 - np.sinc(0.2 * k) ** 2)
    torch.testing.assert_close(residuals.variance, variance, rtol=0, atol=0.02)
    assert torch.equal(residuals.residual, residuals.squares.clamp(min=0).sqrt())


def test_statistics_are_those_of_the_definition_and_add_up():
    generator = torch.Generator().manual_seed(0)
    psi_x, first, second = (torch.randn(30, 4, dtype=torch.complex128, generator=generator) for _ in range(3))
    weights = torch.rand(30, dtype=torch.float64, generator=generator)
    total = stochastic_statistics(psi_x, first, second, weights)
    w = torch.diag(weights).to(psi_x.dtype)
    torch.testing.assert_close(total.cross, psi_x.mH @ w @ (first + second) / 2, **EXACT)
    torch.testing.assert_close(total.shifted, (first.mH @ w @ first + second.mH @ w @ second) / 2, **EXACT)
    torch.testing.assert_close(total.product, (first.mH @ w @ second + second.mH @ w @ first) / 2, **EXACT)
    halves = [
        stochastic_statistics(psi_x[part], first[part], second[part], weights[part])
        for part in (slice(0, 11), slice(11, 30))
    ]
    torch.testing.assert_close((halves[0] + halves[1]).product, total.product, **EXACT)
    factors = stochastic_factors(psi_x, first, second, weights)
    torch.testing.assert_close(factors.triangle.mH @ factors.triangle, total.variance_matrix, **EXACT)


def test_variance_residuals_are_the_residuals_of_the_doubled_data():
    generator = torch.Generator().manual_seed(0)
    psi_x, first, second = (torch.randn(30, 4, dtype=torch.float64, generator=generator) for _ in range(3))
    eigenvalues = torch.tensor([0.3 + 0.2j, -0.5])
    vectors = torch.randn(4, 2, dtype=torch.complex128, generator=generator)
    found = stochastic_residuals(stochastic_statistics(psi_x, first, second), eigenvalues, vectors)
    expected = pair_residuals(stochastic_factors(psi_x, first, second), eigenvalues, vectors).residual
    torch.testing.assert_close(found.variance_residual, expected, **EXACT)
    torch.testing.assert_close(found.variance, found.variance_residual**2 - found.squares, **EXACT)
    assert found.noise.isnan().all()


def test_pseudospectra_with_and_without_the_variance():
    statistics = stochastic_statistics(*ornstein_uhlenbeck())
    points = torch.tensor([math.exp(-RATE), 0.3, 1.2])
    expected, spread = (
        smallest_residuals(factorize_gram(matrix), points)
        for matrix in (statistics.expectation_matrix, statistics.variance_matrix)
    )
    eigenvalues = torch.exp(-RATE * torch.arange(5).double())
    distance = (points[:, None].double() - eigenvalues).abs().amin(dim=1)
    torch.testing.assert_close(expected, distance, rtol=0, atol=1e-6)
    assert (spread >= expected - 1e-7).all()
    assert spread[0] > 0.3


def test_negative_squares_are_clamped_and_shown():
    psi_x = torch.ones(8, 1).double()
    first = torch.tensor([1.0, -1.0] * 4).double()[:, None]
    found = stochastic_residuals(stochastic_statistics(psi_x, first, -first), torch.zeros(1), torch.ones(1, 1))
    assert float(found.squares) == -1
    assert float(found.residual) == 0
    assert float(found.variance_residual) == 1


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="psi_y2="):
        stochastic_statistics(torch.ones(3, 2), torch.ones(3, 2), torch.ones(3, 1))

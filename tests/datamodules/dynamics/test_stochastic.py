import numpy as np
import pytest

from datamodules import keys
from datamodules.dynamics import NoisyCircleMap, NoisyRotation, OrnsteinUhlenbeck
from tests.datamodules.dynamics.toys import ready, samples


def test_ornstein_uhlenbeck_expectations_are_exact():
    # Gauss-Hermite in the noise: E g(F(x, noise)) = lambda g(x) and the mean of its variance, both exactly.
    system = OrnsteinUhlenbeck(rate=0.7, noise=1.3, time_step=0.3, lag=2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()
    x = system.deviation * nodes[:, None]
    spread = system.deviation * np.sqrt(1 - np.exp(-2 * 0.7 * 0.6))
    successors = np.exp(-0.7 * 0.6) * x + spread * nodes
    for pair in system.truth().pairs:
        values = pair.function(successors.reshape(-1, 1)).reshape(successors.shape)
        expectation = values @ weights
        here = pair.function(x)
        np.testing.assert_allclose(expectation, pair.eigenvalue * here, atol=1e-11 * abs(here).max())
        variance = weights @ (values**2 @ weights - expectation**2) / (weights @ here**2)
        assert variance == pytest.approx(pair.variance, abs=1e-10)


def test_ornstein_uhlenbeck_steps_have_mean_variance_and_keep_the_measure():
    system = OrnsteinUhlenbeck(rate=2.0, noise=0.5, time_step=0.25)
    generator = np.random.default_rng(0)
    moved = system.noisy_step(np.full((40000, 1), 1.5), generator)
    assert moved.mean() == pytest.approx(1.5 * np.exp(-0.5), abs=0.005)
    assert moved.std() == pytest.approx(0.5 / 2 * np.sqrt(1 - np.exp(-1)), rel=0.02)
    assert system.noisy_step(samples(system, 40000), generator).std() == pytest.approx(0.25, rel=0.02)
    assert system.dt == 0.25


def test_gauss_hermite_training_states():
    entries = ready(OrnsteinUhlenbeck, quadrature="gauss").entries("train")
    assert (entries[keys.WEIGHT] * entries[keys.STATE][:, 0] ** 2).sum().item() == pytest.approx(0.5, rel=1e-12)
    with pytest.raises(ValueError, match="quadrature='equispaced'"):
        OrnsteinUhlenbeck(quadrature="equispaced")


@pytest.mark.parametrize("lag", [1, 2])
def test_noisy_rotation(lag):
    system = NoisyRotation(0.15, 0.3, lag=lag)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    noise, weights = 0.15 * nodes, weights / 2
    x = samples(system, 50)
    for pair in system.truth().pairs:
        expected = pair.function(x)
        for _ in range(lag):  # waves are eigenfunctions of each step
            factor = np.sum(weights * pair.function(0.15 + noise[:, None]))
            expected = expected * factor
        np.testing.assert_allclose(expected, pair.eigenvalue * pair.function(x), atol=1e-12)
        assert pair.variance == pytest.approx(1 - abs(pair.eigenvalue) ** 2)


def test_noisy_circle_map():
    system = NoisyCircleMap(num_modes=60)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    noise, weights = system.width * nodes / 2, weights / 2
    x = samples(system, 40)
    successors = x + 0.2 + np.sin(2 * np.pi * x) / (4 * np.pi) + noise
    for pair in system.truth().pairs:
        expectation = pair.function(successors.reshape(-1, 1)).reshape(successors.shape) @ weights
        np.testing.assert_allclose(expectation, pair.eigenvalue * pair.function(x), atol=1e-10)
    finer = NoisyCircleMap(num_modes=120).truth().pairs
    for pair, other in zip(system.truth().pairs, finer, strict=True):
        assert abs(pair.eigenvalue) == pytest.approx(abs(other.eigenvalue), abs=1e-10)
    moved = system.noisy_step(np.full((20000, 1), 0.3), np.random.default_rng(0))
    assert moved.mean() == pytest.approx(0.5 + np.sin(0.6 * np.pi) / (4 * np.pi), abs=0.001)
    assert np.ptp(moved) == pytest.approx(system.width, rel=0.01)

import numpy as np
import pytest

from datamodules import keys
from datamodules.dynamics import ChebyshevMap, DoublingMap, TentMap
from tests.datamodules.dynamics.toys import moment, ready, samples

SYSTEMS = [DoublingMap, TentMap, ChebyshevMap]


def test_images_of_the_basis():
    state = samples(DoublingMap(), 100)
    for k in (1, 3):
        wave, half = 2j * np.pi * k, np.pi * k
        np.testing.assert_allclose(np.exp(wave * DoublingMap().step(state)), np.exp(2 * wave * state), atol=1e-12)
        np.testing.assert_allclose(np.cos(half * TentMap().step(state)), np.cos(2 * half * state), atol=1e-12)
    x = 2 * state - 1
    np.testing.assert_allclose(ChebyshevMap(3).step(x), 4 * x**3 - 3 * x, atol=1e-13)


@pytest.mark.parametrize("system", SYSTEMS)
def test_measures_are_preserved(system):
    state = samples(system(), 40000)
    orbit = system().step(state)
    for power in (1, 2, 3):
        assert np.mean(orbit**power) == pytest.approx(np.mean(state**power), abs=0.015)


@pytest.mark.parametrize("system", SYSTEMS)
def test_moments(system):
    assert moment(system(), 0) == pytest.approx(1, abs=1e-12)
    assert moment(system(), 1) == pytest.approx(0, abs=1e-9)
    assert system().truth().measure.moments(0) == 1 and system().truth().measure.moments(3) == 0
    assert system().truth().measure.density(np.array([0.3])) == pytest.approx(1 / (2 * np.pi))


@pytest.mark.parametrize("system", SYSTEMS)
def test_long_orbits_are_orbits_and_do_not_collapse(system):
    datamodule = ready(system, num_train=1, num_steps=20000)
    entries = datamodule.entries("train")
    state, successor = (entries[key].numpy() for key in (keys.STATE, keys.NEXT_STATE))
    assert np.array_equal(state[1:], successor[:-1])
    gap = abs(datamodule.step(state) - successor)
    assert np.minimum(gap, 1 - gap if system is DoublingMap else gap).max() < 1e-12
    assert abs(successor[-1000:]).std() > 0.1
    exact = datamodule.axes[0].rule(200, "gauss")
    for power in (1, 2):  # ergodic averages
        assert np.mean(state**power) == pytest.approx(exact[1] @ exact[0] ** power, abs=0.02)


def test_an_orbit_has_the_random_bits_of_the_doubling_map():
    entries = ready(DoublingMap, num_train=1, num_steps=4000).entries("train")
    bits = entries[keys.STATE][:, 0] >= 0.5
    assert abs(bits.double().mean() - 0.5) < 0.04
    assert abs((bits[1:] == bits[:-1]).double().mean() - 0.5) < 0.04


def test_grids_are_only_followed_for_a_few_steps():
    with pytest.raises(ValueError, match="num_steps=30 is not allowed; give orbits of at most 20 steps"):
        DoublingMap(quadrature="gauss", num_steps=30)
    with pytest.raises(ValueError, match="degree=1 is not allowed"):
        ChebyshevMap(1)

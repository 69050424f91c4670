import numpy as np
import pytest
import scipy.linalg

from datamodules import keys
from datamodules.dynamics import Lorenz63, Pendulum, Roessler
from datamodules.dynamics.flows import integrate
from tests.datamodules.dynamics.toys import ready, samples


def test_linear_systems_are_solved_to_the_tolerance():
    matrix = np.array([[-0.1, 2.0], [-2.0, -0.1]])
    state = np.random.default_rng(0).standard_normal((50, 2))
    expected = state @ scipy.linalg.expm(3 * matrix).T
    np.testing.assert_allclose(integrate(lambda x: x @ matrix.T, state, 3.0), expected, atol=1e-10)


def test_errors_follow_the_tolerance():
    state = samples(Pendulum(), 50)
    exact = integrate(Pendulum().velocity, state, 1.0, tolerance=1e-13)
    errors = [abs(integrate(Pendulum().velocity, state, 1.0, tolerance) - exact).max() for tolerance in (1e-6, 1e-9)]
    assert 1e-9 < errors[0] < 1e-3 and errors[1] < 2e-3 * errors[0]
    assert abs(integrate(Pendulum().velocity, state, 1.0) - exact).max() < 2e-11


def test_explosions_are_an_error():
    with pytest.raises(ArithmeticError, match="no solution up to time 2"), np.errstate(all="ignore"):
        integrate(lambda x: x**2, np.ones((1, 1)), 2.0)


def test_time_steps():
    assert Lorenz63(time_step=0.02, lag=5).dt == pytest.approx(0.1)
    with pytest.raises(ValueError, match="time_step=0 is not allowed; give a number > 0"):
        Pendulum(time_step=0)


def test_lorenz_is_symmetric_and_contracts_volumes():
    system = Lorenz63()
    state = samples(Lorenz63(burn_in=1.0), 5)
    mirror = np.array([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(system.step(state * mirror), system.step(state) * mirror, atol=1e-9)
    # The divergence is constant, so the determinant of the derivative of a step is e^{-(sigma + 1 + beta) dt}.
    shift = 1e-5 * np.eye(3)
    jacobian = (system.step(state[0] + shift) - system.step(state[0] - shift)) / 2e-5
    assert np.linalg.det(jacobian) == pytest.approx(np.exp(-(10 + 1 + 8 / 3) * 0.05), rel=1e-5)
    fixed = np.array([[np.sqrt(72), np.sqrt(72), 27.0]])
    assert abs(system.velocity(fixed)).max() < 1e-12


def test_one_long_trajectory_of_lorenz():
    datamodule = ready(Lorenz63, num_train=1, num_val=1, num_test=1, num_steps=1000, burn_in=5.0)
    entries = datamodule.entries("train")
    assert np.array_equal(entries[keys.STATE][1:], entries[keys.NEXT_STATE][:-1])
    assert entries[keys.WEIGHT].tolist() == [1 / 1000] * 1000
    # Averages of time derivatives vanish: <x y> = beta <z>, and the attractor is known to lie in 0 < z < 50.
    x, y, z = entries[keys.STATE].numpy().T
    assert np.mean(x * y) == pytest.approx(8 / 3 * np.mean(z), rel=0.05)
    assert 22 < np.mean(z) < 25 and z.min() > 0 and z.max() < 50


def test_roessler_has_its_fixed_point_and_settles():
    system = Roessler(burn_in=20.0)
    a, b, c = 0.1, 0.1, 14.0
    z = (c - np.sqrt(c**2 - 4 * a * b)) / (2 * a)
    assert abs(system.velocity(np.array([[a * z, -z, z]]))).max() < 1e-12
    state = samples(system, 4)
    assert state.shape == (4, 3) and (state[:, 2] > 0).all() and abs(state).max() < 60
    with pytest.raises(ValueError, match="quadrature='gauss' is not allowed; give one of 'random'"):
        Roessler(quadrature="gauss")

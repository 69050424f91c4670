import numpy as np
import pytest
from scipy.integrate import solve_ivp

from datamodules.dynamics import KuramotoSivashinsky
from datamodules.dynamics.kuramoto_sivashinsky import etdrk4_coefficients
from tests.datamodules.dynamics.toys import ready

INITIAL = KuramotoSivashinsky().start(3, np.random.default_rng(0))


def after(time, inner_step, state=INITIAL):
    return KuramotoSivashinsky(time_step=time, inner_step=inner_step).step(state)


def test_the_method_is_of_fourth_order():
    state = after(20.0, 0.05)
    exact = after(1.0, 1 / 2560, state)
    errors = [abs(after(1.0, step, state) - exact).max() for step in (1 / 20, 1 / 160, 1 / 320)]
    # Approached from below: the linear part is stiff for larger steps.
    assert errors[0] < 1e-5 and np.log2(errors[1] / errors[2]) == pytest.approx(4, abs=0.2)


def test_the_solution_is_that_of_an_independent_integrator():
    system = KuramotoSivashinsky(num_points=32)
    state = INITIAL[:1, ::2]
    solution = solve_ivp(
        lambda _, values: system.velocity(values[None])[0], (0, 0.5), state[0], method="LSODA", rtol=1e-10, atol=1e-10
    )
    fine = KuramotoSivashinsky(time_step=0.5, inner_step=1 / 200, num_points=32).step(state)
    np.testing.assert_allclose(fine[0], solution.y[:, -1], atol=1e-6)


def test_small_waves_grow_at_their_linear_rate():
    x = 22 * np.arange(64) / 64
    wave = 2 * np.pi / 22
    moved = after(1.0, 0.05, 1e-8 * np.cos(2 * wave * x)[None])
    rate = (2 * wave) ** 2 - (2 * wave) ** 4
    np.testing.assert_allclose(moved[0], np.exp(rate) * 1e-8 * np.cos(2 * wave * x), atol=1e-14)


def test_coefficients_have_their_limits_at_zero():
    whole, half, stage, first, middle, last = etdrk4_coefficients(np.array([0.0, -1e-9]), 0.1)
    for value, expected in ((whole, 1), (half, 1), (stage, 0.05), (first, 0.1 / 6), (middle, 0.1 / 6), (last, 0.1 / 6)):
        np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_mean_and_symmetries():
    moved = after(5.0, 0.05)
    assert abs(moved.mean(1)).max() < 1e-13
    np.testing.assert_allclose(after(5.0, 0.05, np.roll(INITIAL, 5, 1)), np.roll(moved, 5, 1), atol=1e-9)
    mirrored = -np.roll(INITIAL[:, ::-1], 1, 1)
    np.testing.assert_allclose(after(5.0, 0.05, mirrored), -np.roll(moved[:, ::-1], 1, 1), atol=1e-9)


def test_the_attractor_is_bounded_and_resolved():
    entries = ready(KuramotoSivashinsky, num_train=2, num_steps=100, burn_in=100.0).entries("train")
    state = entries["state"].numpy()
    assert state.shape == (200, 64) and 2 < abs(state).max() < 4 and 1 < state.std() < 1.6
    spectrum = abs(np.fft.rfft(state, axis=1)).max(0)
    assert spectrum[-3:].max() < 1e-9 * spectrum.max()


@pytest.mark.parametrize("arguments", [{"num_points": 9}, {"inner_step": 0.3}, {"length": 0}, {"burn_in": -1}])
def test_bad_arguments_are_refused_by_name(arguments):
    with pytest.raises(ValueError, match="{}={}".format(*next(iter(arguments.items())))):
        KuramotoSivashinsky(**arguments)

import numpy as np
import pytest

from datamodules.fields.burgers_solver import burgers_samples, initial_values, solve_burgers


def cole_hopf(time, points=512, viscosity=0.1, c=0.9):
    x = np.arange(points) / points
    decayed = c * np.exp(-4 * np.pi**2 * viscosity * time)
    return 4 * np.pi * viscosity * decayed * np.sin(2 * np.pi * x) / (1 + decayed * np.cos(2 * np.pi * x))


def error(time_step):
    return abs(solve_burgers(cole_hopf(0.0)[None], 0.25, time_step=time_step) - cole_hopf(0.25)).max()


def test_the_solution_of_cole_and_hopf():
    errors = [error(2e-3), error(1e-3)]
    assert errors[0] < 2e-8 and errors[1] < 1.2e-9
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)


def test_mean_and_symmetry():
    u = np.stack([initial_values(np.random.default_rng(seed), 128) for seed in range(3)]) + 0.3
    moved = solve_burgers(u, 0.3)
    np.testing.assert_allclose(moved.mean(1), 0.3, rtol=1e-12)
    np.testing.assert_allclose(solve_burgers(-u[:, ::-1], 0.3), -moved[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(solve_burgers(np.roll(u, 7, 1), 0.3), np.roll(moved, 7, 1), atol=1e-12)
    assert (moved.max(1) <= u.max(1)).all() and (moved.min(1) >= u.min(1)).all()


def test_a_moving_frame_only_shifts():
    u = initial_values(np.random.default_rng(0), 128)[None]
    np.testing.assert_allclose(solve_burgers(u + 0.5, 1.0) - 0.5, np.roll(solve_burgers(u, 1.0), 64, axis=1), atol=1e-8)


def test_initial_values():
    values = np.stack([initial_values(np.random.default_rng(seed), 64) for seed in range(2000)])
    assert values.std() == pytest.approx(0.4197, rel=0.05)
    assert abs(values.mean(1)).max() < 1e-12


def test_samples():
    generators = [np.random.default_rng(seed) for seed in range(2)]
    drawn = burgers_samples(generators, resolution=128, subsample=4, time_step=2e-3)
    initial = initial_values(np.random.default_rng(1), 128)
    assert drawn["target"].shape == (2, 32, 1)
    np.testing.assert_allclose(drawn["input"][1, :, 0], initial[::4], atol=1e-6)
    np.testing.assert_allclose(drawn["target"][1, :, 0], solve_burgers(initial[None], 1.0)[0, ::4], atol=1e-6)

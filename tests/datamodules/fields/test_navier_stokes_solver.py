import numpy as np
import pytest

from datamodules.fields.navier_stokes_solver import (
    forcing,
    initial_vorticity,
    navier_stokes_samples,
    solve_navier_stokes,
)


def vorticity(size=32, seed=0):
    return initial_vorticity(np.random.default_rng(seed), size)[None]


def points(size):
    return np.meshgrid(*[np.arange(size) / size] * 2, indexing="ij")


def test_taylor_green_vortices_decay():
    x, y = points(32)
    w = (np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y))[None]
    frames = solve_navier_stokes(w, np.array([0.5, 2.0]), viscosity=1e-2, time_step=0.05)
    for frame, time in ((0, 0.5), (1, 2.0)):
        np.testing.assert_allclose(frames[..., frame], w * np.exp(-8 * np.pi**2 * 1e-2 * time), atol=1e-13)


def test_turned_and_mirrored_flows():
    w = vorticity()
    forward = solve_navier_stokes(w, np.array([1.0]), viscosity=0.0, time_step=1e-2)[..., 0]
    turned = solve_navier_stokes(np.rot90(w, axes=(1, 2)), np.array([1.0]), viscosity=0.0, time_step=1e-2)[..., 0]
    np.testing.assert_allclose(turned, np.rot90(forward, axes=(1, 2)), atol=1e-10)
    mirrored = solve_navier_stokes(-w[:, ::-1], np.array([1.0]), viscosity=0.0, time_step=1e-2)[..., 0]
    np.testing.assert_allclose(mirrored, -forward[:, ::-1], atol=1e-10)


def test_one_short_step_is_the_right_hand_side():
    """Against derivatives in closed form, of w = sin 2 pi x + 2 cos 4 pi y + cos 2 pi (x + y)."""
    x, y = points(32)
    tau = 2 * np.pi
    both = np.sin(tau * (x + y))
    w = np.sin(tau * x) + 2 * np.cos(2 * tau * y) + np.cos(tau * (x + y))
    # Velocities psi_y and -psi_x, with -Laplacian psi = w.
    u = -np.sin(2 * tau * y) / tau - both / (2 * tau)
    v = -np.cos(tau * x) / tau + both / (2 * tau)
    w_x, w_y = tau * np.cos(tau * x) - tau * both, -4 * tau * np.sin(2 * tau * y) - tau * both
    laplacian = -(tau**2) * (np.sin(tau * x) + 8 * np.cos(2 * tau * y) + 2 * np.cos(tau * (x + y)))
    force, h = forcing(32), 1e-5
    expected = -(u * w_x + v * w_y) + 1e-2 * laplacian + force
    moved = solve_navier_stokes(w[None], np.array([h]), 1e-2, force)[0, ..., 0]
    np.testing.assert_allclose((moved - w) / h, expected, atol=2e-3 * abs(expected).max())


def test_it_is_of_fourth_order_in_time():
    w, force = 10 * vorticity(), forcing(32)
    exact, *approximations = (
        solve_navier_stokes(w, np.array([0.8]), 1e-3, force, h)[..., 0] for h in (1 / 640, 1 / 40, 1 / 80)
    )
    errors = [np.linalg.norm(frame - exact) for frame in approximations]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)


def test_invariants():
    w = vorticity(64) + 0.1
    frames = solve_navier_stokes(w, np.arange(1, 5) / 2, viscosity=1e-4)
    np.testing.assert_allclose(frames.mean((1, 2)), 0.1, rtol=1e-12)
    enstrophy = (np.concatenate([w[..., None], frames], axis=-1) ** 2).mean((0, 1, 2))
    assert (np.diff(enstrophy) < 0).all()


def test_single_precision_stays_single_and_agrees():
    w = vorticity(64)
    times, force = np.array([1.0, 2.0]), forcing(64)
    single = solve_navier_stokes(w.astype(np.float32), times, force=force.astype(np.float32))
    double = solve_navier_stokes(w, times, force=force)
    assert single.dtype == np.float32
    assert np.linalg.norm(single - double) < 1e-4 * np.linalg.norm(double)


def test_initial_vorticity():
    fields = np.stack([initial_vorticity(np.random.default_rng(seed), 64) for seed in range(200)])
    assert fields.std() == pytest.approx(0.1852, rel=0.03)
    assert abs(fields.mean((1, 2))).max() < 1e-12


def test_samples():
    generators = [np.random.default_rng(seed) for seed in range(2)]
    frames = navier_stokes_samples(generators, resolution=32, subsample=2, num_frames=3, time_step=0.05)["frames"]
    assert frames.shape == (2, 16, 16, 3) and frames.dtype == np.float32
    start = initial_vorticity(np.random.default_rng(1), 32)[None].astype(np.float32)
    alone = solve_navier_stokes(start, np.arange(1, 4), force=forcing(32).astype(np.float32), time_step=0.05)
    np.testing.assert_allclose(frames[1], alone[0, ::2, ::2], atol=1e-6)

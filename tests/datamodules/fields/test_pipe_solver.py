import numpy as np
import pytest

from datamodules.fields import pipe_solver
from datamodules.fields.pipe_solver import LENGTH, VISCOSITY, pipe_mesh, pipe_samples, solve_pipe

HEIGHTS, SLOPES = np.array([0.3, -0.4, 0.5, 0.2, -0.3]), np.array([0.1, -0.3, 0.2, 0.4, 0.0])


def flux(velocity, along):
    """Flow through a section, exactly: Simpson's rule on quadratic elements."""
    count = velocity.shape[1] // 2
    return sum(velocity[along, 2 * e : 2 * e + 3, 0] @ [1, 4, 1] / (6 * count) for e in range(count))


@pytest.mark.parametrize("count", [8, 16])
def test_a_straight_pipe_has_poiseuilles_flow(count):
    x, y = pipe_mesh(np.zeros(5), np.zeros(5), count)
    velocity, pressure = solve_pipe(x, y)
    np.testing.assert_allclose(velocity[..., 0], 1 - 4 * y**2, atol=1e-13)
    np.testing.assert_allclose(velocity[..., 1], 0, atol=1e-13)
    expected = 8 * VISCOSITY * (LENGTH - x[::2, ::2])
    np.testing.assert_allclose(pressure, expected, atol=1e-12)
    assert pressure[0, 0] == pytest.approx(0.4)


def test_what_flows_in_flows_out():
    velocity, _ = solve_pipe(*pipe_mesh(HEIGHTS, SLOPES, 12))
    # Vertical sections between elements all carry the flux of the parabola.
    for along in (0, -1):
        assert flux(velocity, along) == pytest.approx(2 / 3, rel=1e-12)


def test_boundary_values():
    x, y = pipe_mesh(HEIGHTS, SLOPES, 12)
    assert x.shape == (25, 25) and y[0, 12] == pytest.approx(0.3) and y[6, 12] == pytest.approx(-0.4)
    np.testing.assert_allclose(y[:, -1] - y[:, 0], 1)
    velocity, _ = solve_pipe(x, y)
    np.testing.assert_allclose(velocity[0, :, 0], 1 - 4 * np.linspace(-0.5, 0.5, 25) ** 2, atol=1e-14)
    assert not velocity[:, [0, -1]].any() and not velocity[0, :, 1].any()


def test_refinement_converges():
    meshes = {n: pipe_mesh(0.3 * HEIGHTS, 0.3 * SLOPES, n) for n in (8, 16, 32)}
    fields = {n: solve_pipe(*mesh, viscosity=0.5)[0][:: n // 8, :: n // 8] for n, mesh in meshes.items()}
    errors = [np.linalg.norm(fields[n] - fields[32]) / np.linalg.norm(fields[32]) for n in (8, 16)]
    # The centreline has jumps in its second derivative, which third order does not survive everywhere.
    assert errors[1] < 3e-3 and np.log2(errors[0] / errors[1]) > 2.5


def test_mirrored_pipes_have_mirrored_flows():
    velocity, pressure = solve_pipe(*pipe_mesh(HEIGHTS, SLOPES, 8))
    mirrored, its_pressure = solve_pipe(*pipe_mesh(-HEIGHTS, -SLOPES, 8))
    np.testing.assert_allclose(mirrored[:, ::-1] * [1, -1], velocity, atol=1e-9)
    np.testing.assert_allclose(its_pressure[:, ::-1], pressure, atol=1e-9)


def test_lost_steps_start_again_from_higher_viscosity(monkeypatch):
    direct, _ = solve_pipe(*pipe_mesh(HEIGHTS, SLOPES, 8))
    whole = pipe_solver._Flow.newton
    viscosities = []

    def newton(self, velocity, pressure, viscosity, tolerance):
        viscosities.append(viscosity / VISCOSITY)
        if len(viscosities) == 1:
            raise RuntimeError("lost")
        return whole(self, velocity, pressure, viscosity, tolerance)

    monkeypatch.setattr(pipe_solver._Flow, "newton", newton)
    np.testing.assert_allclose(solve_pipe(*pipe_mesh(HEIGHTS, SLOPES, 8))[0], direct, atol=1e-9)
    np.testing.assert_allclose(viscosities, [1, 16, 8, 4, 2, 1])


def test_samples_skip_pipes_without_a_flow(monkeypatch):
    drawn = pipe_samples([np.random.default_rng(3)], resolution=16)
    assert drawn["input"].shape == (1, 33, 33, 2) and drawn["target"].shape == (1, 33, 33, 1)

    def no_flow(x, y):
        raise RuntimeError("none")

    monkeypatch.setattr(pipe_solver, "solve_pipe", no_flow)
    with pytest.raises(RuntimeError, match="none of 10 pipes has a flow on 16 x 16"):
        pipe_samples([np.random.default_rng(3)], resolution=16)

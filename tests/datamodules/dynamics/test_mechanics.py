import numpy as np
import pytest
from scipy.special import ellipj, ellipk

from datamodules.dynamics import DoublePendulum, Duffing, Pendulum
from tests.datamodules.dynamics.toys import defects, samples


@pytest.mark.parametrize(
    "system", [Pendulum(), Pendulum(max_momentum=3.0, lag=4), DoublePendulum(), Duffing(damping=0.0, lag=3)]
)
def test_energy_is_conserved(system):
    assert max(defects(system).values()) < 1e-10


@pytest.mark.parametrize("system", [Pendulum(), DoublePendulum(), Duffing(damping=0.0)])
def test_velocities_are_tangent_to_the_energy(system):
    state = samples(system, 20)
    for row in state:
        shift = 1e-6 * np.eye(len(row))
        gradient = (system.energy(row + shift) - system.energy(row - shift)) / 2e-6
        assert gradient @ system.velocity(row[None])[0] == pytest.approx(0, abs=1e-6)


def test_pendulum_is_solved_by_elliptic_functions():
    # sin(angle / 2) = k sn(t + K, k) from rest at the angle 2 arcsin k.
    modulus, time = np.linspace(0.05, 0.98, 12), Pendulum().time_step
    state = np.stack([2 * np.arcsin(modulus), 0 * modulus], 1)
    sn, cn, _, _ = ellipj(time + ellipk(modulus**2), modulus**2)
    exact = np.stack([2 * np.arcsin(modulus * sn), 2 * modulus * cn], 1)
    np.testing.assert_allclose(Pendulum().step(state), exact, atol=1e-11)


def test_angles_are_wrapped():
    state = samples(Pendulum(), 300)
    moved = Pendulum().step(state)
    assert (moved[:, 0] >= -np.pi).all() and (moved[:, 0] < np.pi).all() and abs(state[:, 1]).max() > 14


def test_double_pendulum_oscillates_at_its_normal_frequencies():
    # Linearised: theta'' = -A theta with A from the energy 4 a'^2 + b'^2 + 3 a'b' + 3 a^2 / 2 + b^2 / 2.
    mass, stiffness = np.array([[8.0, 3.0], [3.0, 2.0]]), np.diag([3.0, 1.0])
    squares, shapes = np.linalg.eig(np.linalg.solve(mass, stiffness))
    system = DoublePendulum()
    for square, shape in zip(squares, shapes.T, strict=True):
        state = 1e-5 * np.concatenate([shape, [0, 0]])[None]
        np.testing.assert_allclose(system.step(state)[0, :2], np.cos(np.sqrt(square)) * state[0, :2], atol=1e-13)


def test_damped_duffing_decays_with_its_principal_eigenvalues():
    system = Duffing(damping=0.5, time_step=0.2)
    labels = [pair.label for pair in system.truth().pairs]
    assert labels[0] == "1" and len(labels) == 4
    shift = 1e-6 * np.eye(2)
    well = np.array([[1.0, 0.0]])
    derivative = (system.step(well + shift) - system.step(well - shift)).T / 2e-6
    found = np.sort_complex(np.linalg.eigvals(derivative))
    np.testing.assert_allclose(
        found, np.sort_complex([pair.eigenvalue for pair in system.truth().pairs[2:]]), atol=1e-9
    )
    with pytest.raises(ValueError, match=r"damping=-0.1 is not allowed"):
        Duffing(damping=-0.1)

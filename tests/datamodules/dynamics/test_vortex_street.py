import numpy as np
import pytest

from datamodules.dynamics import VortexStreet
from tests.datamodules.dynamics.toys import TINY, defects, ready, samples


@pytest.mark.parametrize("arguments", [{}, {"num_harmonics": 2, "period": 7.3, "lag": 3, "num_x": 24, "num_y": 8}])
def test_amplitudes_are_eigenfunctions(arguments):
    system = VortexStreet(**arguments)
    found = defects(system, samples(system, 20))
    assert len(found) == 1 + 2 * arguments.get("num_harmonics", 5) and max(found.values()) < 1e-12


def test_orbits_are_travelling_waves():
    system = VortexStreet(num_x=30, num_y=9)
    state = samples(system, 3)
    moved = state
    for _ in range(12):
        moved = system.step(moved)
    fields, later = state.reshape(3, 30, 9), moved.reshape(3, 30, 9)
    np.testing.assert_allclose(later, -fields[:, :, ::-1], atol=1e-12)  # half a period later
    for _ in range(12):
        moved = system.step(moved)
    np.testing.assert_allclose(moved, state, atol=1e-12)
    # A quarter of a turn of the phase.
    amplitude = system.coefficients(system.from_axes(np.array([[0.0], [0.25]])))
    np.testing.assert_allclose(amplitude[1], amplitude[0] * 1j ** np.arange(1, 6), atol=1e-12)


def test_a_trajectory_has_the_frequencies_of_the_truth():
    entries = ready(VortexStreet, num_train=1, num_steps=120).entries("train")
    signal = entries["state"][:, 150].numpy()
    spectrum = abs(np.fft.rfft(signal - signal.mean()))
    assert set(np.flatnonzero(spectrum > 1e-8 * spectrum.max())) == {5, 10, 15, 20, 25}  # 5 periods of 24


def test_coarse_grids_are_refused_by_name():
    with pytest.raises(ValueError, match="num_harmonics=5 is not allowed on 2 x 3 points"):
        VortexStreet(num_x=2, num_y=3)
    assert len(VortexStreet(**TINY).coordinates) == 800

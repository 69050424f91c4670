import numpy as np
import pytest

from datamodules.dynamics import StuartLandau, VanDerPol
from datamodules.dynamics.oscillators import as_complex, as_real
from tests.datamodules.dynamics.toys import defects, samples


def test_van_der_pol_has_the_published_period():
    assert VanDerPol().cycle()[0] == pytest.approx(6.66328685932313, abs=1e-8)
    period, exponent = VanDerPol(nonlinearity=0.1).cycle()
    assert period == pytest.approx(2 * np.pi * (1 + 0.1**2 / 16), abs=2e-6) and exponent == pytest.approx(
        -0.1, rel=1e-3
    )


def test_van_der_pol_returns_after_a_period_and_contracts_by_the_floquet_multiplier():
    period, exponent = VanDerPol(nonlinearity=0.5).cycle()
    system = VanDerPol(nonlinearity=0.5, time_step=period)
    on_cycle = np.array([[2.0, 0.0]])
    for _ in range(12):
        on_cycle = system.step(on_cycle)
    np.testing.assert_allclose(system.step(on_cycle), on_cycle, atol=1e-7)
    shift = 1e-5 * np.eye(2)
    derivative = (system.step(on_cycle + shift) - system.step(on_cycle - shift)).T / 2e-5
    assert np.sort(np.linalg.eigvals(derivative).real) == pytest.approx([np.exp(exponent * period), 1], abs=1e-5)
    # The decay over one period is that multiplier, and harmonics return.
    eigenvalues = {pair.label: pair.eigenvalue for pair in system.truth().pairs}
    assert eigenvalues["decay to the cycle"] == pytest.approx(np.exp(exponent * period))
    assert eigenvalues["harmonic 3 of the cycle"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("arguments", [{}, {"shear": -1.0, "growth": 0.5, "lag": 3}, {"num_oscillators": 3}])
def test_eigenfunctions_of_stuart_landau(arguments):
    found = defects(StuartLandau(**arguments))
    assert len(found) == 15 and max(found.values()) < 1e-11


def test_stuart_landau_has_its_closed_form():
    system = StuartLandau(growth=0.7, frequency=1.5, shear=0.4, time_step=0.8)
    z = as_complex(samples(system, 30))[:, 0]
    moved = as_complex(system.step(as_real(z[:, None])))[:, 0]
    radius = np.sqrt(0.7 / (1 + (0.7 / abs(z) ** 2 - 1) * np.exp(-1.4 * 0.8)))
    # d(arg z) / dt = frequency - shear |z|^2, and |z|^2 = growth - d(log |z|) / dt.
    turned = (1.5 - 0.4 * 0.7) * 0.8 + 0.4 * np.log(radius / abs(z))
    np.testing.assert_allclose(moved, radius * z / abs(z) * np.exp(1j * turned), atol=1e-11)


def test_waves_around_the_ring_decay_as_stated():
    system = StuartLandau(num_oscillators=4, coupling=0.3, time_step=0.5)
    shift = 1e-6 * np.eye(8)
    cycle = as_real(np.ones((1, 4), complex))  # growth = 1
    derivative = (system.step(cycle + shift) - system.step(cycle - shift)).T / 2e-6
    rotation = np.exp(1j * (2.0 - 0.5) * 0.5)
    turn = as_real(rotation * as_complex(np.eye(8)))  # a row for each unit vector
    found = np.sort(np.linalg.eigvals(np.linalg.solve(turn.T, derivative)).real)
    expected = {pair.label: pair.eigenvalue.real for pair in system.truth().pairs if "wave" in pair.label}
    multiplicity = {"0": 1, "1": 2, "2": 1}
    listed = [value for label, value in expected.items() for _ in range(multiplicity[label[-1]])]
    np.testing.assert_allclose(found, np.sort([*listed, 1.0]), atol=1e-8)
    np.testing.assert_allclose(as_complex(system.step(cycle)), np.full((1, 4), rotation), atol=1e-11)


def test_names():
    assert StuartLandau(num_oscillators=2).coordinates == ["x0", "y0", "x1", "y1"]
    with pytest.raises(ValueError, match="coupling=-1 is not allowed"):
        StuartLandau(coupling=-1)

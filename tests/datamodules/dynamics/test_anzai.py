import numpy as np
import pytest

from datamodules.dynamics import AnzaiTorus
from tests.datamodules.dynamics.toys import defects, moment, samples


@pytest.mark.parametrize("arguments", [{}, {"harmonics": 12, "decay": 0.9, "lag": 2}, {"harmonics": 0}, {"winding": 1}])
def test_eigenfunctions(arguments):
    found = defects(AnzaiTorus(**arguments))
    assert len(found) == (5 if "winding" in arguments else 25) and max(found.values()) < 1e-12


def test_the_cocycle_is_the_published_one():
    system = AnzaiTorus(rotation=0.3, shift=0.1, amplitude=0.2, decay=0.5, harmonics=2)
    x, y = samples(system).T
    lift = 0.1 + 0.4 * np.cos(2 * np.pi * x) + 0.2 * np.cos(4 * np.pi * x)
    moved = system.step(np.stack([x, y], 1))
    np.testing.assert_allclose(np.exp(2j * np.pi * moved[:, 1]), np.exp(2j * np.pi * (y + lift)), atol=1e-13)


def test_a_winding_cocycle_has_lebesgue_spectrum():
    system = AnzaiTorus(winding=1)
    for order in range(3):
        assert moment(system, order, "equispaced", 32**2) == pytest.approx(float(order == 0), abs=1e-12)


def test_half_a_winding_is_refused_by_name():
    with pytest.raises(ValueError, match=r"winding=0.5 is not allowed; give an integer"):
        AnzaiTorus(winding=0.5)


def test_the_norm_of_the_coboundary_grows_with_small_divisors():
    tame = [AnzaiTorus(harmonics=n, decay=0.5).coboundary_norm() for n in (1, 10, 40)]
    assert tame[2] == pytest.approx(tame[1], rel=1e-3)
    nearly_rational = 0.2 + 1e-9  # the divisor of k = 5 is about 3e-8
    wild = [AnzaiTorus(rotation=nearly_rational, harmonics=n, decay=0.5).coboundary_norm() for n in (4, 5)]
    assert wild[1] / wild[0] > 1e5
    # By Parseval, on a grid.
    system = AnzaiTorus(harmonics=5)
    x = np.arange(64) / 64
    h = 2 * np.real(np.exp(2j * np.pi * np.outer(x, np.arange(1, 6))) @ system.coboundary())
    assert system.coboundary_norm() == pytest.approx(np.sqrt(np.mean(h**2)), rel=1e-12)

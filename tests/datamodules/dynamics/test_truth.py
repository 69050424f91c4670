import numpy as np
import pytest

from datamodules.dynamics.truth import CONSTANT, trigonometric_density


def test_a_density_has_the_moments_that_it_was_made_of():
    moments = [1.5, 0.3 - 0.2j, 0.1j]
    angles = 2 * np.pi * np.arange(16) / 16
    density = trigonometric_density(moments)(angles)
    for order, expected in enumerate([*moments, 0.0]):
        assert np.mean(2 * np.pi * density * np.exp(1j * order * angles)) == pytest.approx(expected, abs=1e-14)


def test_the_density_of_a_single_moment_is_flat():
    assert trigonometric_density([2.0])(np.linspace(-3, 3, 5)) == pytest.approx(1 / np.pi)


def test_the_constant_is_an_eigenfunction():
    assert CONSTANT.eigenvalue == 1 and CONSTANT.function(np.zeros((3, 2))).tolist() == [1, 1, 1]

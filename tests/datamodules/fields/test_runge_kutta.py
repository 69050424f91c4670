import numpy as np
import pytest

from datamodules.fields.runge_kutta import runge_kutta_step


def integrated(steps, decay, growth):
    """v_t = -decay v + growth v^2 from v = 1 to time 1."""
    v, half = np.ones(1), np.exp(-decay / (2 * steps))
    for _ in range(steps):
        v = runge_kutta_step(v, lambda v: growth * v**2, half, 1 / steps)
    return v


def test_the_linear_part_is_exact():
    np.testing.assert_allclose(integrated(3, 7.0, 0.0), np.exp(-7.0), rtol=1e-14)


def test_the_order_is_four():
    exact = 1 / (1.5 * np.exp(2.0) - 0.5)  # Bernoulli's equation: 1 / v obeys a linear one
    errors = [abs(integrated(steps, 2.0, -1.0).item() - exact) for steps in (32, 64, 128)]
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx(4, abs=0.15)

import math

import numpy as np
import pytest
import torch

from trainers.adversaries import limits
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.pseudospectrum import smallest_residuals
from zoo.koopman.towers import hausdorff


@pytest.mark.parametrize(("system", "degree", "size"), [("doubling", 4, 9), ("doubling", 20, 41), ("cat", 2, 25)])
def test_eigenvalues_but_one_are_zero_with_residual_one(system, degree, size):
    factors = limits.fourier_factors(system, degree)
    assert factors.size == size
    modulus, residuals = limits.polluted(factors)
    assert modulus < 1e-2
    assert len(residuals) == size - 1
    assert torch.allclose(residuals, torch.ones_like(residuals), atol=1e-2)


def test_tau_of_delays_is_known():
    # A grid of 2^10 points integrates products of delays up to frequency 2^8 without error.
    x = np.arange(2**10) / 2**10
    chain = np.exp(2j * np.pi * np.outer(x, 2.0 ** np.arange(9)))
    factors = factorize_snapshots(torch.from_numpy(chain[:, :-1]), torch.from_numpy(chain[:, 1:]))
    z = limits.POLAR_GRID
    exact = (1 + z.abs() ** 2 - 2 * z.abs() * math.cos(math.pi / 9)).sqrt()
    assert torch.allclose(smallest_residuals(factors, z), exact, atol=1e-7)
    # With the constants, and snapshots in place of the quadrature:
    sampled = smallest_residuals(limits.delay_factors(9, 16000), z)
    far = (z - 1).abs() > exact
    assert torch.allclose(sampled[far], exact[far], atol=0.03)


def test_the_order_decides_what_is_found():
    found = limits.studies((500, 4000), (5, 17), (0.8, 0.4))
    circle, one = found["N, then epsilon"], found["epsilon, then N"]
    assert hausdorff(circle.stages[4000, 17, 0.4].points, limits.CIRCLE) <= 0.4 + 1e-9
    last = one.stages[tuple(values[-1] for _, values in one.limits)].points
    assert hausdorff(last, torch.ones(1, dtype=torch.complex128)) < 1e-9
    # The same stages, in another order.
    assert torch.equal(circle.stages[4000, 17, 0.4].points, one.stages[4000, 0.4, 17].points)
    assert circle.approach("N") == "inside" and circle.approach("epsilon") == "outside"


def test_report():
    report = limits.demonstrate()
    text = "\n".join(report.lines)
    assert "the diagonal path is refused" in text and "N and epsilon change together" in text
    assert text.count("settled within 0.2") == 2
    assert report.figures.keys() == {"limits"}

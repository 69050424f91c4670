import math

import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.cmv import cat_map_moments, trigonometric
from zoo.koopman.moments import atoms, ergodic_moments, filter_values, filtered_density, fourier_coefficients

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def matlab_moments(x, count):
    """The authors' ErgodicMoments: conv(X, conj(flipud(X))) and division by 2 pi and the number of terms."""
    w = np.convolve(x, x.conj()[::-1])
    m = len(x)
    positive = w[m - np.arange(1, count + 1) - 1] / (2 * np.pi * np.arange(m - 1, m - count - 1, -1))
    zero = np.vdot(x, x) / (m * 2 * np.pi)
    return np.concatenate([positive.conj()[::-1], [zero], positive])


@pytest.mark.parametrize("complex_signal", [False, True])
def test_moments_are_those_of_the_authors_code(complex_signal):
    generator = np.random.default_rng(0)
    x = generator.standard_normal(50) + (1j * generator.standard_normal(50) if complex_signal else 0)
    moments = ergodic_moments(torch.from_numpy(x), 7)
    expected = [np.mean(x[n:] * x[: len(x) - n].conj()) for n in range(8)]
    torch.testing.assert_close(moments, torch.from_numpy(np.array(expected)), **EXACT)
    assert moments.is_complex() == complex_signal
    torch.testing.assert_close(
        fourier_coefficients(moments), torch.from_numpy(matlab_moments(x, 7).astype(complex)), **EXACT
    )


def test_filters_are_those_of_the_authors_code():
    n = 12
    x = np.abs(np.arange(-n, n + 1)) / n
    cosine = (1 + np.cos(np.pi * x)) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = {
            "fejer": 1 - x,
            "cosine": cosine,
            "fourth": 1 - x**4 * (-20 * x**3 + 70 * x**2 - 84 * x + 35),
            "sharp_cosine": cosine**4 * (35 - 84 * cosine + 70 * cosine**2 - 20 * cosine**3),
            "bump": np.exp(-2 / (1 - x) * np.exp(-0.109550455106347 / x**4)),
        }
    for name, values in expected.items():
        values[0] = values[-1] = 0
        torch.testing.assert_close(filter_values(name, n), torch.from_numpy(values), **EXACT)
        assert filter_values(name, n)[n] == 1


@pytest.mark.parametrize(("name", "slope"), [("fejer", 1), ("cosine", 2), ("fourth", 4)])
def test_densities_converge_with_the_order_of_the_filter(name, slope):
    angles = torch.linspace(-3, 3, 101).double()
    errors = []
    for count in (40, 80):
        moments = cat_map_moments(count)
        exact = trigonometric(moments, angles)
        errors.append(float((filtered_density(moments, angles, name) - exact).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(slope, abs=0.15)


def test_the_bump_filter_is_exact_for_few_moments():
    angles, moments = torch.linspace(-3, 3, 101).double(), cat_map_moments(60)
    torch.testing.assert_close(filtered_density(moments, angles), trigonometric(moments, angles), rtol=0, atol=1e-13)


def test_atoms_of_a_quasiperiodic_signal():
    time = torch.arange(20000).double()
    signal = torch.exp(1j * 0.7 * time) + 0.5 * torch.exp(-2j * time)
    found = atoms(ergodic_moments(signal, 500), torch.tensor([0.7, -2.0, 1.5]))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.25, 0.0]).double(), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ergodic_moments(torch.ones(5), 5), "count=5"),
        (lambda: ergodic_moments(torch.ones(5, 2), 1), "signal="),
        (lambda: filter_values("box", 3), "name='box'"),
        (lambda: filter_values("fejer", 0), "count=0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

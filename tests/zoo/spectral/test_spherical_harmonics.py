"""Spherical harmonics against scipy's, and transforms against themselves and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from tests.tolerances import LINEAR_ALGEBRA, NETWORK, tolerance
from zoo.spectral.grids import GaussLegendreGrid, HEALPixGrid, LatLonGrid
from zoo.spectral.sphere import direction
from zoo.spectral.spherical_harmonics import (
    SphericalHarmonicTransform,
    angular_power_spectrum,
    coefficients_of_points,
    heat_factors,
    legendre,
    random_coefficients,
    von_mises_fisher_factors,
)

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def coefficients(lmax, seed=0):
    return random_coefficients(torch.ones(lmax + 1, dtype=torch.float64), torch.Generator().manual_seed(seed))


def harmonic(degree, order, latlon):
    lat, lon = torch.deg2rad(latlon).unbind(-1)
    return torch.from_numpy(sph_harm_y(degree, order, math.pi / 2 - lat.numpy(), lon.numpy()))


@pytest.mark.parametrize("grid", [GaussLegendreGrid(9), HEALPixGrid(4), LatLonGrid(10)])
def test_synthesis_is_the_sum_of_harmonics(grid):
    lmax = 9  # HEALPix's polar rings of 4 cells fold most orders
    a = coefficients(lmax)
    expected = torch.zeros(grid.n, dtype=torch.float64)
    for degree in range(lmax + 1):
        for order in range(degree + 1):
            term = (a[degree, order] * harmonic(degree, order, grid.centers)).real
            expected += term if order == 0 else 2 * term
    torch.testing.assert_close(SphericalHarmonicTransform(grid, lmax).synthesis(a), expected, **EXACT)


def test_high_degrees_near_the_poles():
    z = torch.tensor([0.99999, 0.3, -0.9], dtype=torch.float64)
    table = legendre(200, z)
    for degree, order in [(200, 0), (200, 1), (200, 150), (200, 200), (57, 30)]:
        expected = sph_harm_y(degree, order, np.arccos(z.numpy()), 0.0).real
        np.testing.assert_allclose(table[order, degree].numpy(), expected, rtol=1e-9, atol=1e-12)


def test_analysis_inverts_synthesis_on_a_gauss_legendre_grid():
    a = torch.stack([coefficients(20), coefficients(20, seed=1)])
    transform = SphericalHarmonicTransform(GaussLegendreGrid(20), 20)
    torch.testing.assert_close(transform.analysis(transform.synthesis(a)), a, **EXACT)


def test_iterations_invert_it_on_healpix():
    a = coefficients(32)
    errors = []
    for iterations in (0, 1, 3, 9):
        transform = SphericalHarmonicTransform(HEALPixGrid(16), 32, iterations)
        errors.append(float((transform.analysis(transform.synthesis(a)) - a).abs().max()))
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[2] < 1e-3
    assert errors[3] < 1e-8


def test_parseval():
    a = coefficients(12)
    grid = GaussLegendreGrid(24)
    field = SphericalHarmonicTransform(grid, 12).synthesis(a)
    weights = grid.areas / grid.areas.sum() * 4 * math.pi
    degree = torch.arange(13)
    power = float((angular_power_spectrum(a) * (2 * degree + 1)).sum())
    assert float((weights * field**2).sum()) == pytest.approx(power, rel=1e-12)


def test_random_fields_have_their_spectrum():
    spectrum = 1 / (1 + torch.arange(9, dtype=torch.float64)) ** 2
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([angular_power_spectrum(random_coefficients(spectrum, generator)) for _ in range(2000)])
    degree = torch.arange(9)
    deviation = (drawn.mean(0) / spectrum - 1) * (2000 * (2 * degree + 1) / 2).sqrt()
    assert float(deviation.abs().max()) < 4


def test_points_are_analysed_without_a_grid():
    latlon = torch.tensor([[12.0, 34.0], [-80.0, 170.0]], dtype=torch.float64)
    masses = torch.tensor([[1.0, 0.0], [0.25, 0.75]], dtype=torch.float64)
    found = coefficients_of_points(latlon, masses, 8)
    for degree in range(9):
        for order in range(degree + 1):
            values = harmonic(degree, order, latlon).conj()
            torch.testing.assert_close(found[:, degree, order], masses.to(values.dtype) @ values, **EXACT)


def test_smoothing_a_point_gives_the_von_mises_fisher_density():
    kappa, lmax = 20.0, 40
    grid = GaussLegendreGrid(lmax)
    center = torch.tensor([[30.0, 50.0]], dtype=torch.float64)
    a = coefficients_of_points(center, torch.ones(1), lmax) * von_mises_fisher_factors(lmax, kappa)[:, None]
    density = SphericalHarmonicTransform(grid, lmax).synthesis(a)
    cosine = direction(grid.centers) @ direction(center)[0]
    expected = kappa / (2 * math.pi * -math.expm1(-2 * kappa)) * torch.exp(kappa * (cosine - 1))
    torch.testing.assert_close(density, expected, **tolerance(torch.float64, NETWORK))


def test_heat_keeps_the_mass_and_adds_up():
    assert heat_factors(5, 0.3)[0] == 1
    torch.testing.assert_close(heat_factors(5, 0.1) * heat_factors(5, 0.2), heat_factors(5, 0.3), **EXACT)


def test_bands_sum_to_the_map_and_hold_their_degrees():
    grid = GaussLegendreGrid(16)
    transform = SphericalHarmonicTransform(grid, 16)
    a = coefficients(16)
    field = transform.synthesis(a)
    parts = transform.bands(field[None], [2, 7])
    assert parts.shape == (1, 3, grid.n)
    torch.testing.assert_close(parts.sum(1)[0], field, **EXACT)
    inside = (torch.arange(17) >= 2) & (torch.arange(17) < 7)
    torch.testing.assert_close(transform.analysis(parts[0, 1]), a * inside[:, None], **EXACT)


def test_single_precision():
    transform = SphericalHarmonicTransform(HEALPixGrid(8), 16, 1).float()
    field = torch.randn(3, 768, generator=torch.Generator().manual_seed(0))
    assert transform.analysis(field).dtype == torch.complex64
    double = SphericalHarmonicTransform(HEALPixGrid(8), 16, 1).bands(field.double(), [4])
    torch.testing.assert_close(transform.bands(field, [4]), double.float(), **tolerance(torch.float32))


def test_refused():
    grid = GaussLegendreGrid(3)
    for lmax in (-1, 1501, 2.0):
        with pytest.raises(ValueError, match="lmax"):
            SphericalHarmonicTransform(grid, lmax)
    with pytest.raises(ValueError, match="iterations"):
        SphericalHarmonicTransform(grid, 3, -1)
    with pytest.raises(ValueError, match="a value for each cell"):
        SphericalHarmonicTransform(grid, 3).analysis(torch.zeros(5))
    with pytest.raises(ValueError, match="time"):
        heat_factors(3, -1.0)
    with pytest.raises(ValueError, match="concentration"):
        von_mises_fisher_factors(3, 0.0)

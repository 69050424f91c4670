import numpy as np
import pytest

from datamodules.images.textures import random_fields

SIZE = 64


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_power_falls_with_the_wavenumber(beta):
    fields = random_fields(400, SIZE, beta, np.random.default_rng(0))
    power = (abs(np.fft.fft2(fields)) ** 2).mean(0)
    frequency = np.fft.fftfreq(SIZE) * SIZE
    wavenumber = np.hypot(frequency[:, None], frequency)
    inside = (wavenumber > 0) & (wavenumber < SIZE / 2)
    slope, _ = np.polyfit(np.log(wavenumber[inside]), np.log(power[inside]), 1)
    assert slope == pytest.approx(-beta, abs=0.02)


@pytest.mark.parametrize("size", [31, 32])
def test_fields_are_standardised_and_independent(size):
    fields = random_fields(3, size, 2, np.random.default_rng(0))
    assert fields.shape == (3, size, size)
    np.testing.assert_allclose(fields.mean((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(fields.std((1, 2)), 1, rtol=1e-12)
    correlations = np.corrcoef(random_fields(300, size, 1, np.random.default_rng(1)).reshape(300, -1))
    assert abs(correlations[np.triu_indices(300, 1)].mean()) < 0.01


def test_fields_are_gaussian():
    values = random_fields(200, SIZE, 1, np.random.default_rng(0))
    assert (values**3).mean() == pytest.approx(0, abs=0.02)
    assert (values**4).mean() == pytest.approx(3, abs=0.05)

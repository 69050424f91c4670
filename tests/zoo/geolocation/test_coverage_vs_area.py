"""Posteriors that are true keep what they promise; sharpened ones do not."""

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.geolocation.maps import random_grid, random_maps
from zoo.geolocation.coverage_vs_area import CoverageVsArea
from zoo.geolocation.intervals import dkw_halfwidth
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.sphere import EARTH_AREA_KM2

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)


def calibration(sharpness, number=4000):
    grid = random_grid(150)
    generator = torch.Generator().manual_seed(0)
    log_mass = 2 * torch.randn(number, grid.n, dtype=torch.float64, generator=generator)
    truth = torch.multinomial(torch.softmax(log_mass, 1), 1, generator=generator)[:, 0]
    metric = CoverageVsArea(grid)
    metric.update(sharpness * log_mass, truth, log=True)
    return metric.compute()


def test_a_true_posterior_is_calibrated():
    result, bound = calibration(1.0), dkw_halfwidth(4000, 1e-4)
    assert float(result["calibration_error"]) < bound
    assert float(result["gap"].abs().max()) < bound


def test_a_sharpened_one_is_over_confident():
    result, bound = calibration(2.0), dkw_halfwidth(4000, 1e-4)
    assert float(result["gap"].max()) > 2 * bound
    assert float(result["calibration_error"]) > 2 * bound


def test_expected_recall_is_the_lorenz_curve():
    grid = random_grid(40)
    log_mass, truth = random_maps(3, grid.n)
    budgets = [1e5, 1e7, 1e8, EARTH_AREA_KM2]
    metric = CoverageVsArea(grid, budgets)
    metric.update(log_mass, truth, log=True)
    expected = []
    for budget in budgets:
        held = 0.0
        for mass in torch.softmax(log_mass, 1):
            left = budget
            for cell in (mass / grid.areas).argsort(descending=True).tolist():
                share = min(1.0, left / float(grid.areas[cell]))
                held += share * float(mass[cell])
                left -= share * float(grid.areas[cell])
                if left <= 0:
                    break
        expected.append(held / 3)
    torch.testing.assert_close(metric.compute()["expected"], torch.tensor(expected, dtype=torch.float64), **CLOSE)


def test_a_uniform_map_is_covered_evenly():
    grid = HEALPixGrid(2)
    metric = CoverageVsArea(grid)
    metric.update(torch.ones(5, grid.n), torch.arange(5))
    result = metric.compute()
    torch.testing.assert_close(result["coverage"], result["levels"], **CLOSE)


def test_parts_add_up():
    grid = HEALPixGrid(2)
    log_mass, truth = random_maps(20, grid.n)
    whole, parts = CoverageVsArea(grid), CoverageVsArea(grid)
    whole.update(log_mass.exp(), truth)
    for rows in torch.arange(20).split(6):
        parts.update(log_mass[rows], truth[rows], log=True)
    for name, value in whole.compute().items():
        torch.testing.assert_close(parts.compute()[name], value, **CLOSE)


def test_refused():
    grid = HEALPixGrid(1)
    metric = CoverageVsArea(grid)
    for mass in (-torch.ones(1, 12), torch.full((1, 12), torch.nan), torch.zeros(1, 12)):
        with pytest.raises(ValueError, match="mass"):
            metric.update(mass, torch.tensor([0]))
    with pytest.raises(ValueError, match="levels"):
        CoverageVsArea(grid, levels=0)
    with pytest.raises(ValueError, match="budgets_km2"):
        CoverageVsArea(grid, [0.0])
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert torch.isnan(CoverageVsArea(grid).compute()["expected"]).all()

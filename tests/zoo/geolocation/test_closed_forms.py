"""Recall whose closed form is known: von Mises-Fisher views, products of two, points, and an attribute."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from tests.zoo.geolocation.maps import cosines, places, uniform_directions, von_mises_fisher
from zoo.geolocation.great_circle import GreatCircleAccuracy
from zoo.geolocation.intervals import dkw_halfwidth
from zoo.geolocation.recall_vs_area import BUDGETS_KM2, DISC_AREAS_KM2, RecallVsArea, recall_vs_area
from zoo.spectral.grids import AreaGrid, HEALPixGrid
from zoo.spectral.sphere import DISCS_KM, EARTH_AREA_KM2

FALSE_ALARM = 1e-4
BANDS = [0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9]


def of_one(kappa, f):
    """Return the recall of a view of matched concentration at shares f of the Earth."""
    return np.expm1(-2 * kappa * np.asarray(f)) / math.expm1(-2 * kappa)


def measured(directions, truths, fractions):
    """Return recall of the points that `directions` predict, at shares of the Earth."""
    metric = RecallVsArea(HEALPixGrid(1), [fraction * EARTH_AREA_KM2 for fraction in fractions])
    metric.update_points(places(directions), places(truths))
    return metric.compute()


@pytest.mark.parametrize("kappa", [2.0, 20.0, 50.0, 200.0])
def test_matched_von_mises_fisher_maps(kappa):
    number = 200_000
    generator = torch.Generator().manual_seed(int(kappa))
    means = uniform_directions(number, generator)
    result = measured(means, von_mises_fisher(means, kappa, generator), BANDS)
    exact = torch.from_numpy(of_one(kappa, BANDS))
    assert float((result["recall"] - exact).abs().max()) < dkw_halfwidth(number, FALSE_ALARM)
    area = 1 - (1 / (2 * kappa) - 1 / math.expm1(2 * kappa))
    assert float(result["auc_linear"]) == pytest.approx(area, abs=3e-3)


def product_of_two(kappa_1, kappa_2, f):
    """Return the recall of the product of two independent views of a uniform place."""
    a, b = abs(kappa_1 - kappa_2), kappa_1 + kappa_2
    if f == 0.5:
        inside = (b - a) * math.exp(-b)
    else:
        inside = (math.exp(-2 * b * f) - math.exp(a * (1 - 2 * f) - b)) / (1 - 2 * f)
    return (1 - math.exp(a - b) - inside) / (math.expm1(-2 * kappa_1) * math.expm1(-2 * kappa_2))


def test_golden_values_of_the_product():
    assert product_of_two(50, 50, 0.01) == pytest.approx(0.861903, abs=1e-6)
    golden = [product_of_two(2, 2, f) for f in (0.01, 0.1, 0.5)]
    assert golden == pytest.approx([0.060619, 0.459599, 0.942636], abs=1e-6)
    assert of_one(50, 0.01) == pytest.approx(0.632121, abs=1e-6)
    assert of_one(2, [0.01, 0.1, 0.5]) == pytest.approx([0.039942, 0.335831, 0.880797], abs=1e-6)
    assert of_one(1e-9, [0.1, 0.7]) == pytest.approx([0.1, 0.7])


@pytest.mark.parametrize(
    ("recall", "area"),
    [
        (lambda f: product_of_two(2, 2, f), 0.832075),
        (lambda f: product_of_two(3, 20, f), 0.977242),
        (lambda f: product_of_two(50, 50, f), 0.994949),
        (lambda f: of_one(2, f), 0.768657),
        (lambda f: of_one(50, f), 0.99),
    ],
)
def test_golden_areas_under_the_curve(recall, area):
    assert quad(recall, 0, 1, points=[0.02, 0.5], epsabs=1e-9)[0] == pytest.approx(area, abs=1e-6)


@pytest.mark.parametrize("kappa", [2.0, 20.0])
def test_matched_von_mises_fisher_maps_on_a_grid(kappa):
    """Every cell is the truth once, weighted by what the map says: no sampling, only the error of the grid."""
    grid = HEALPixGrid(16)
    mean = torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.8]], dtype=torch.float64), dim=1)
    log_mass = torch.log_softmax(kappa * cosines(mean, grid), 1)
    cells, weight = torch.arange(grid.n), log_mass[0].exp()
    metric = RecallVsArea(grid, [f * EARTH_AREA_KM2 for f in BANDS])
    for rows in cells.split(256):
        metric.update(log_mass.expand(len(rows), -1), rows, weight=weight[rows], log=True)
    np.testing.assert_allclose(metric.compute()["recall"].numpy(), of_one(kappa, BANDS), atol=2e-3)
    area = 1 - (1 / (2 * kappa) - 1 / math.expm1(2 * kappa))
    assert float(metric.compute()["auc_linear"]) == pytest.approx(area, abs=5e-4)


def test_turning_the_earth_changes_less_on_finer_grids():
    generator = torch.Generator().manual_seed(0)
    truth = uniform_directions(300, generator)
    predicted = von_mises_fisher(truth, 20.0, generator)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    change = []
    for nside in (4, 16, 64):
        grid = HEALPixGrid(nside)
        areas = [
            recall_vs_area(cosines(vectors, grid), places(truths), grid, rank_by="score", keep_ranks=True)["areas"]
            for vectors, truths in ((predicted, truth), (predicted @ turn, truth @ turn))
        ]
        change.append(float((areas[0] - areas[1]).abs().mean()))
    assert change[1] < change[0] / 2.5
    assert change[2] < change[1] / 2.5


@pytest.mark.parametrize(
    ("kappas", "area"), [((2.0, 2.0), 0.832075), ((3.0, 20.0), 0.977242), ((50.0, 50.0), 0.994949)]
)
def test_the_product_of_two_views(kappas, area):
    number = 200_000
    generator = torch.Generator().manual_seed(0)
    truth = uniform_directions(number, generator)
    views = [von_mises_fisher(truth, kappa, generator) for kappa in kappas]
    together = sum(kappa * view for kappa, view in zip(kappas, views, strict=True))
    result = measured(together, truth, BANDS)
    exact = torch.tensor([product_of_two(*kappas, f) for f in BANDS], dtype=torch.float64)
    assert float((result["recall"] - exact).abs().max()) < 0.005
    assert float(result["auc_linear"]) == pytest.approx(area, abs=2e-3)


def test_points_are_maps_that_fall_with_the_distance():
    grid = HEALPixGrid(32)
    generator = torch.Generator().manual_seed(0)
    truth = uniform_directions(400, generator)
    predicted = von_mises_fisher(truth, 30.0, generator)
    by_map = RecallVsArea(grid, rank_by="score")
    by_map.update(cosines(predicted, grid), places(truth))
    by_point, accuracy = RecallVsArea(grid), GreatCircleAccuracy()
    by_point.update_points(places(predicted), places(truth))
    accuracy.update(places(predicted), places(truth))
    shares = accuracy.compute()
    recall = dict(zip(BUDGETS_KM2, by_point.compute()["recall"].tolist(), strict=True))
    on_grid = dict(zip(BUDGETS_KM2, by_map.compute()["recall"].tolist(), strict=True))
    distance = torch.acos((predicted * truth).sum(1).clamp(-1, 1)) * 6371.0088
    diameter = 2 * math.sqrt(EARTH_AREA_KM2 / grid.n)
    for radius, disc in zip(DISCS_KM, DISC_AREAS_KM2, strict=True):
        assert recall[disc] == pytest.approx(float(shares[f"within_{radius:g}km"]), abs=1e-12)
        crossing = float(((distance - radius).abs() <= diameter).double().mean())
        assert abs(on_grid[disc] - recall[disc]) <= crossing


def test_an_attribute_with_confusions():
    """Golden values of a classifier of four classes, ranked by posterior per area and by posterior."""
    share = torch.tensor([0.7, 0.2, 0.07, 0.03], dtype=torch.float64)
    prior = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    confusion = torch.tensor(
        [[0.7, 0.2, 0.07, 0.03], [0.2, 0.6, 0.15, 0.05], [0.05, 0.15, 0.6, 0.2], [0.02, 0.08, 0.2, 0.7]],
        dtype=torch.float64,
    )
    fractions = [0.01, 0.03, 0.1, 0.3, 0.5, 0.9]
    golden = {
        "density": [0.133333, 0.400000, 0.700000, 0.900000, 0.928571, 0.985714],
        "score": [0.126048, 0.378143, 0.670000, 0.867000, 0.895571, 0.972714],
    }
    grid = AreaGrid(share * EARTH_AREA_KM2)
    joint = prior[:, None] * confusion  # class, observation
    mass = (joint / joint.sum(0)).T[None].expand(4, -1, -1).reshape(16, 4)
    for rank_by, expected in golden.items():
        metric = RecallVsArea(grid, [f * EARTH_AREA_KM2 for f in fractions], rank_by=rank_by)
        metric.update(mass, torch.arange(4).repeat_interleave(4), weight=joint.reshape(16))
        assert metric.compute()["recall"].tolist() == pytest.approx(expected, abs=1e-6), rank_by

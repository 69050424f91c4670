"""Log-maps against closed forms and brute force."""

import math

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, NETWORK, tolerance
from tests.zoo.geolocation.maps import random_grid, uniform_directions
from zoo.geolocation.log_maps import (
    attribute_log_map,
    classifier_log_map,
    floored,
    gallery_log_map,
    point_log_map,
    smoothed_gallery_log_map,
)
from zoo.geolocation.recall_vs_area import recall_vs_area
from zoo.spectral.grids import GaussLegendreGrid, HEALPixGrid
from zoo.spectral.sphere import direction, to_latlon

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)


def rows(images, classes, seed=0):
    values = torch.rand(images, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return values / values.sum(1, keepdim=True)


@pytest.mark.parametrize("kappa", [1e-9, 0.5, 30.0, 1e5])
def test_density_of_points_integrates_to_one(kappa):
    grid = GaussLegendreGrid(60)
    mean = uniform_directions(1, torch.Generator().manual_seed(0))
    found = point_log_map(kappa * mean, direction(grid.centers))
    cosine = direction(grid.centers) @ mean[0]
    expected = kappa * (cosine - 1) + math.log(kappa / (2 * math.pi * -math.expm1(-2 * kappa)))
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-9)
    if kappa < 100:  # what the grid resolves
        weights = grid.areas / grid.areas.sum() * 4 * math.pi
        assert float((found.exp() * weights).sum()) == pytest.approx(1, abs=1e-10)


def test_single_precision_of_points():
    directions = direction(HEALPixGrid(4).centers)
    natural = 50 * uniform_directions(5, torch.Generator().manual_seed(0))
    double = point_log_map(natural, directions)
    torch.testing.assert_close(
        point_log_map(natural.float(), directions.float()).double(), double, rtol=1e-5, atol=1e-4
    )
    assert torch.isfinite(point_log_map(torch.zeros(1, 3), directions.float())).all()


def test_likelihoods_of_attributes():
    q, prior = rows(4, 3), torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    fractions = rows(9, 3, seed=1).T
    ratio = (q / prior) @ fractions
    torch.testing.assert_close(attribute_log_map(q, fractions, prior, floor=0.0), ratio.log(), **CLOSE)
    half = (q / prior.sqrt()) @ fractions
    torch.testing.assert_close(attribute_log_map(q, fractions, prior, power=0.5, floor=0.0), half.log(), **CLOSE)
    painted = attribute_log_map(q, fractions, prior, divide_by="none", floor=0.0)
    torch.testing.assert_close(painted, (q @ fractions).log(), **CLOSE)


def test_bayes_rule_needs_the_likelihood():
    """A head trained under one prior, used under another: only q / pi gives the posterior of the place."""
    confusion = rows(3, 3)
    classes = torch.tensor([0, 0, 1, 2, 2, 2])
    train, other = rows(1, 6, seed=1)[0], rows(1, 6, seed=2)[0]
    prior = torch.zeros(3, dtype=torch.float64).index_add_(0, classes, train)
    q = confusion * prior[:, None]
    q = (q / q.sum(0)).T  # a row for each observation
    likelihood = attribute_log_map(q, torch.nn.functional.one_hot(classes).T.double(), prior, floor=0.0)
    posterior = torch.softmax(likelihood + other.log(), 1)
    exact = confusion[classes].T * other
    torch.testing.assert_close(posterior, exact / exact.sum(1, keepdim=True), **CLOSE)


def test_classes_that_were_never_seen_are_possible():
    q, prior = torch.tensor([[1.0, 0.0]]), torch.tensor([1.0, 0.0])
    found = attribute_log_map(q, torch.eye(2), prior, floor=1e-6)
    assert float(found[0, 1]) == pytest.approx(math.log(1e-6))
    assert float(found[0, 0]) == pytest.approx(0, abs=1e-5)


def test_densities_of_regions_rank_better_than_painted_masses():
    grid = random_grid(60)
    labels = torch.arange(60) // torch.tensor(7)
    mass = rows(500, 9) ** 3
    mass /= mass.sum(1, keepdim=True)
    density = classifier_log_map(mass, labels, grid.areas)
    region = torch.zeros(9, dtype=torch.float64).index_add_(0, labels, grid.areas)
    held = density.exp() * grid.areas
    torch.testing.assert_close(held.sum(1), torch.ones(500, dtype=torch.float64), **CLOSE)
    generator = torch.Generator().manual_seed(0)
    chosen = torch.multinomial(mass, 1, generator=generator)[:, 0]
    within = (labels == chosen[:, None]).double() * grid.areas / region[chosen][:, None]
    truth = torch.multinomial(within, 1, generator=generator)[:, 0]
    painted = classifier_log_map(mass, labels, grid.areas, density=False)
    best, worse = (recall_vs_area(maps, truth, grid, rank_by="score")["auc_linear"] for maps in (density, painted))
    assert best > worse + 0.01


def test_galleries_by_cell():
    grid = HEALPixGrid(2)
    mass = rows(3, 5)
    cells = torch.tensor([7, 7, 0, 40, 3])
    density = gallery_log_map(mass, cells, grid.areas, floor=0.01).exp()
    torch.testing.assert_close(density.mean(1), torch.ones(3, dtype=torch.float64), **CLOSE)
    torch.testing.assert_close(density[:, 7], 0.99 * 48 * (mass[:, 0] + mass[:, 1]) + 0.01, **CLOSE)
    torch.testing.assert_close(density[:, 1], torch.full((3,), 0.01, dtype=torch.float64), **CLOSE)


def test_smoothed_galleries_are_mixtures_of_von_mises_fisher_densities():
    grid = GaussLegendreGrid(45)
    mass, points = rows(3, 5), to_latlon(uniform_directions(5, torch.Generator().manual_seed(0)))
    found = smoothed_gallery_log_map(mass, points, grid, lmax=45, concentration=20.0, floor=0.01)
    each = point_log_map(20.0 * direction(points), direction(grid.centers)).exp() * (4 * math.pi)
    torch.testing.assert_close(found.exp(), 0.99 * (mass @ each) + 0.01, **tolerance(torch.float64, NETWORK))


def test_floors_keep_mass_and_forbid_nothing():
    base = torch.full((4,), 0.25, dtype=torch.float64).log()
    given = torch.tensor([[-torch.inf, 0.0, 1.0, 2.0]], dtype=torch.float64) + 5
    found = floored(given, base, 0.1)
    torch.testing.assert_close(found.exp(), 0.9 * torch.softmax(given, 1) + 0.025, **CLOSE)
    torch.testing.assert_close(floored(given, base, 0.0).exp(), torch.softmax(given, 1), **CLOSE)


def test_refused():
    q, eye, prior = torch.ones(1, 2) / 2, torch.eye(2), torch.ones(2) / 2
    with pytest.raises(ValueError, match="divide_by"):
        attribute_log_map(q, eye, prior, divide_by="people")
    with pytest.raises(ValueError, match="floor"):
        attribute_log_map(q, eye, prior, floor=1.0)
    with pytest.raises(ValueError, match="floor"):
        gallery_log_map(q, torch.tensor([0, 1]), torch.ones(3), floor=0.0)
    with pytest.raises(ValueError, match="floor"):
        smoothed_gallery_log_map(q, torch.zeros(2, 2), HEALPixGrid(1), 2, 1.0, floor=0.0)
    for labels, message in [
        ([0], r"labels='\(1,\).*\(3,\)"),
        ([0, 2, 1], r"labels=\[2\]"),
        ([0, -1, 1], r"labels=\[-1\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier_log_map(q, torch.tensor(labels), torch.ones(3))
    for cells, message in [([0], r"cells='\(1,\).*\(2,\)"), ([0, 3], r"cells=\[3\].*0 to 2")]:
        with pytest.raises(ValueError, match=message):
            gallery_log_map(q, torch.tensor(cells), torch.ones(3))

"""Recall versus area against closed forms, and its state against itself in any order and any parts."""

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.geolocation.maps import (
    random_grid,
    random_maps,
)
from zoo.geolocation.coverage_vs_area import CoverageVsArea
from zoo.geolocation.recall_vs_area import HISTOGRAM, RecallVsArea, recall_vs_area
from zoo.geolocation.searched_area import TIES
from zoo.spectral.grids import AreaGrid, HEALPixGrid, LatLonGrid, merge_cells
from zoo.spectral.sphere import EARTH_AREA_KM2, cap_area_km2, distance_km

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)
FALSE_ALARM = 1e-4
BANDS = [0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9]


@pytest.mark.parametrize("grid", [random_grid(), HEALPixGrid(4), LatLonGrid(9)])
def test_a_uniform_map_finds_the_share_that_is_searched(grid):
    _, truth = random_maps(50, grid.n)
    result = recall_vs_area(grid.areas.expand(50, -1), truth, grid)
    torch.testing.assert_close(result["recall"], result["budgets"].clamp(max=EARTH_AREA_KM2) / EARTH_AREA_KM2, **CLOSE)
    assert float(result["auc_linear"]) == pytest.approx(0.5, abs=1e-12)


def test_perfect_and_opposite_maps():
    grid = random_grid()
    _, truth = random_maps(50, grid.n)
    mass = torch.zeros(50, grid.n, dtype=torch.float64).scatter_(1, truth[:, None], 1.0)
    for ties in TIES:
        metric = RecallVsArea(grid, ties=ties, keep_ranks=True)
        metric.update(mass, truth)
        share = {"linear": 0.5}.get(ties, 1.0)
        torch.testing.assert_close(metric.compute()["areas"], grid.areas[truth] * share, **CLOSE)
    metric = RecallVsArea(grid, ties="worst", rank_by="score", keep_ranks=True)
    metric.update(-mass, truth)
    torch.testing.assert_close(
        metric.compute()["areas"], torch.full((50,), EARTH_AREA_KM2, dtype=torch.float64), **CLOSE
    )


def test_ranking_by_density_is_best_at_every_budget():
    grid = random_grid(300)
    generator = torch.Generator().manual_seed(0)
    mass = torch.rand(1, grid.n, dtype=torch.float64, generator=generator)
    mass /= mass.sum()
    budgets = np.geomspace(1e4, 5e8, 40)
    every = torch.arange(grid.n)
    recall = {}
    for rank_by in ("density", "score"):
        metric = RecallVsArea(grid, budgets, rank_by=rank_by)
        metric.update(mass.expand(grid.n, -1), every, weight=mass[0])
        recall[rank_by] = metric.compute()["recall"]
    assert bool((recall["density"] >= recall["score"] - 1e-12).all())
    assert float((recall["density"] - recall["score"]).max()) > 0.05


def test_increasing_transforms_change_nothing():
    grid = HEALPixGrid(4)
    scores, truth = random_maps(50, grid.n)
    plain = recall_vs_area(scores, truth, grid, rank_by="score")
    transformed = recall_vs_area(
        torch.exp(scores * torch.arange(1, 51)[:, None] / 10) + 3, truth, grid, rank_by="score"
    )
    assert torch.equal(plain["recall"], transformed["recall"])


def test_logarithms_of_masses_rank_as_masses():
    grid = random_grid()
    scores, truth = random_maps(50, grid.n)
    for rank_by in ("density", "score"):
        by_log = recall_vs_area(scores, truth, grid, rank_by=rank_by, log=True)
        by_mass = recall_vs_area(scores.exp(), truth, grid, rank_by=rank_by)
        torch.testing.assert_close(by_log["recall"], by_mass["recall"], **CLOSE)


def test_permuting_cells_changes_nothing():
    grid = random_grid()
    scores, truth = random_maps(50, grid.n)
    order = torch.randperm(grid.n, generator=torch.Generator().manual_seed(0))
    permuted = recall_vs_area(scores[:, order], order.argsort()[truth], AreaGrid(grid.areas[order]), log=True)
    torch.testing.assert_close(recall_vs_area(scores, truth, grid, log=True)["recall"], permuted["recall"], **CLOSE)


def test_splitting_a_cell_evenly_changes_nothing():
    grid = random_grid(50)
    scores, truth = random_maps(200, grid.n)
    mass = scores.exp()
    share = torch.rand(grid.n, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    split = AreaGrid(torch.cat([grid.areas * share, grid.areas * (1 - share)]))
    # In powers of 2, so that densities of both parts are the same bits.
    half = AreaGrid(torch.cat([grid.areas, grid.areas]) / 2)
    whole = recall_vs_area(mass, truth, grid)
    halves = recall_vs_area(torch.cat([mass, mass], 1) / 2, truth, half)
    torch.testing.assert_close(whole["recall"], halves["recall"], **CLOSE)
    torch.testing.assert_close(whole["auc_log"], halves["auc_log"], **CLOSE)
    density = mass / grid.areas
    parts = recall_vs_area(torch.cat([density, density], 1), truth, split, rank_by="score")
    torch.testing.assert_close(whole["recall"], parts["recall"], **CLOSE)
    expected = [
        recall_vs_area(torch.cat([density, density], 1), truth, split, rank_by="score", ties="expected"),
        recall_vs_area(mass, truth, grid, ties="expected"),
    ]
    assert float((expected[0]["auc_linear"] - expected[1]["auc_linear"]).abs()) > 1e-4  # through the area of the cell


def test_labels_that_say_all_may_merge_cells():
    grid = HEALPixGrid(16)
    generator = torch.Generator().manual_seed(0)
    labels = [torch.randint(number, (grid.n,), generator=generator) for number in (9, 7)]
    index, merged = merge_cells(labels, grid.areas)
    values, _ = random_maps(30, merged.n)
    truth = torch.randint(grid.n, (30,), generator=generator)
    whole = recall_vs_area(values[:, index], truth, grid, rank_by="score")
    strata = recall_vs_area(values, index[truth], merged, rank_by="score")
    torch.testing.assert_close(whole["recall"], strata["recall"], **CLOSE)
    torch.testing.assert_close(whole["auc_log"], strata["auc_log"], **CLOSE)


def test_the_linear_area_is_a_mann_whitney_statistic():
    grid = HEALPixGrid(4)
    scores, truth = random_maps(20, grid.n)
    scores = scores.round()
    areas = []
    for row, cell in zip(scores.numpy(), truth.tolist(), strict=True):
        others = np.delete(row, cell)
        areas.append(mannwhitneyu(row[[cell]], others).statistic / len(others))
    # Against all other places; ours are against all places, its own cell among them.
    expected = 1 - np.mean([(1 - area) * (grid.n - 1) + 0.5 for area in areas]) / grid.n
    assert float(recall_vs_area(scores, truth, grid, rank_by="score")["auc_linear"]) == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.parametrize("ties", TIES)
def test_any_parts_give_the_same_counts(ties):
    grid = HEALPixGrid(4)
    scores, truth = random_maps(60, grid.n)
    scores, stratum = scores.round().exp(), torch.arange(60) % 2
    whole = RecallVsArea(grid, ties=ties, strata=["even", "odd"])
    whole.update(scores, truth, stratum=stratum)
    parts = [RecallVsArea(grid, ties=ties, strata=["even", "odd"]) for _ in range(3)]
    for part, rows in zip(parts, torch.arange(60).split([7, 30, 23]), strict=True):
        for some in rows.split(5):
            part.update(scores[some], truth[some], stratum=stratum[some])
    for name in ("images", "misses", "found", "counts", "curves"):
        merged = sum(getattr(part, name) for part in parts)
        assert torch.equal(merged, getattr(whole, name)), name
    for name in ("found_weights", "curve_parts", "sums", "weights", "squares"):
        torch.testing.assert_close(sum(getattr(part, name) for part in parts), getattr(whole, name), **CLOSE)


def test_strata_and_weights():
    grid = HEALPixGrid(4)
    scores, truth = random_maps(60, grid.n)
    stratum = torch.arange(60) % 2
    both = RecallVsArea(grid, strata=["even", "odd"], keep_ranks=True)
    both.update(scores, truth, stratum=stratum, log=True)
    result = both.compute()
    for index, name in enumerate(["even", "odd"]):
        alone = RecallVsArea(grid, keep_ranks=True)
        alone.update(scores[stratum == index], truth[stratum == index], log=True)
        for key, value in alone.compute().items():
            torch.testing.assert_close(result["strata"][name][key], value, **CLOSE)
    weighted = recall_and_weight(grid, scores, truth, (stratum == 0).double() * 3)
    torch.testing.assert_close(weighted["recall"], result["strata"]["even"]["recall"], **CLOSE)
    torch.testing.assert_close(weighted["median_area"], result["strata"]["even"]["median_area"], **CLOSE)


def recall_and_weight(grid, scores, truth, weight):
    metric = RecallVsArea(grid, keep_ranks=True)
    metric.update(scores, truth, weight=weight, log=True)
    return metric.compute()


def test_quantiles_without_ranks():
    grid = HEALPixGrid(16)
    scores, truth = random_maps(500, grid.n)
    kept, counted = RecallVsArea(grid, ties="worst", keep_ranks=True), RecallVsArea(grid, ties="worst")
    for metric in (kept, counted):
        metric.update(scores, truth, log=True)
    for share in (0.1, 0.5, 1.0):
        exact = float(kept.area_at_recall(share))
        assert float(counted.area_at_recall(share)) == pytest.approx(exact, rel=0.014)
        assert float((kept.compute()["areas"] <= exact).double().mean()) >= share
    areas, recall = counted.curve()
    expected = (kept.compute()["areas"] <= areas[1500]).double().mean()
    assert float(recall[1500]) == pytest.approx(float(expected), abs=1e-12)


def test_truth_outside_the_support():
    grid = HEALPixGrid(1)
    mass = torch.tensor([[0.0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]])
    for scores, log in ((mass, False), (mass.log(), True)):
        metric = RecallVsArea(grid, [EARTH_AREA_KM2 * f for f in (0.5, 8 / 12, 0.999999)], keep_ranks=True)
        metric.update(scores, torch.tensor([0]), log=log)
        metric.update(scores, torch.tensor([5]), log=log)
        result = metric.compute()
        assert result["support_miss"] == 1
        assert result["images"] == 2
        assert float(result["areas"][0]) == pytest.approx(EARTH_AREA_KM2 * 10 / 12)
        assert result["recall"].tolist() == pytest.approx([0.375, 0.5, 1.0], abs=1e-5)


def test_no_image():
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        result = RecallVsArea(HEALPixGrid(1)).compute()
    assert torch.isnan(result["recall"]).all()
    assert torch.isnan(result["median_area"])


def test_tiled_scores_of_unequal_cells():
    grid = random_grid(200)
    scores, truth = random_maps(30, grid.n)
    whole, tiled, known = (RecallVsArea(grid, tile=64) for _ in range(3))
    whole.update(scores, truth, log=True)
    tiled.update(lambda first, last: scores[:, first:last], truth, log=True)
    known.update(
        lambda first, last: scores[:, first:last], truth, log=True, truth_scores=scores.gather(1, truth[:, None])[:, 0]
    )
    for metric in (tiled, known):
        torch.testing.assert_close(metric.compute()["recall"], whole.compute()["recall"], **CLOSE)


def test_no_cast_reaches_the_sums():
    metric = RecallVsArea(HEALPixGrid(4)).float()
    scores, truth = random_maps(30, 192, dtype=torch.float32)
    metric.update(scores, truth, log=True)
    assert metric.sums.dtype == torch.float64
    assert metric.compute()["recall"].dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ties": "first"}, "ties"),
        ({"rank_by": "mass"}, "rank_by"),
        ({"budgets_km2": [10, 1]}, "budgets_km2"),
        ({"budgets_km2": []}, "budgets_km2"),
        ({"strata": ["a", "a"]}, "strata"),
        ({"min_area_km2": 0}, "min_area_km2"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecallVsArea(HEALPixGrid(1), **arguments)


def test_updates_are_checked():
    metric = RecallVsArea(HEALPixGrid(1), strata=["a"])
    scores, truth = torch.zeros(2, 12), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="stratum"):
        metric.update(scores, truth)
    with pytest.raises(ValueError, match="stratum"):
        metric.update(scores, truth, stratum=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="weight"):
        metric.update(scores, truth, weight=torch.tensor([1.0, -1.0]), stratum=torch.zeros(2).long())
    with pytest.raises(ValueError, match="latitude 91"):
        metric.update(scores, torch.tensor([[91.0, 0.0], [0.0, 0.0]]), stratum=torch.zeros(2).long())
    with pytest.raises(ValueError, match=r"predicted\.shape"):
        metric.update_points(torch.zeros(1, 2), torch.zeros(2, 2), stratum=torch.zeros(1).long())
    with pytest.raises(ValueError, match="recall"):
        metric.area_at_recall(0.0)


@pytest.mark.parametrize("grid", [HEALPixGrid(1), random_grid(12)])
def test_masses_are_not_negative(grid):
    log_mass, truth = torch.log_softmax(torch.zeros(2, 12), 1), torch.tensor([0, 1])
    metric = RecallVsArea(grid)
    for scores in (log_mass, lambda first, last: log_mass[:, first:last]):
        with pytest.raises(ValueError, match=r"scores='negative masses'.*log=True"):
            metric.update(scores, truth)
        metric.update(scores, truth, log=True)
    with pytest.raises(ValueError, match="truth_scores"):
        metric.update(lambda first, last: log_mass[:, first:last].exp(), truth, truth_scores=log_mass[:, 0])
    assert metric.compute()["images"] == 4


def test_half_precision_of_masses():
    grid = LatLonGrid(30)
    scores, _ = random_maps(20, grid.n)
    mass = torch.softmax(3 * scores, 1)
    truth = mass.argmax(1)
    for given, log in ((mass, False), (mass.log(), True)):
        given = given.half()
        half, double = recall_vs_area(given, truth, grid, log=log), recall_vs_area(given.double(), truth, grid, log=log)
        assert float(half["auc_linear"]) == pytest.approx(float(double["auc_linear"]), abs=1e-6)
        assert half["support_miss"] == 0


@pytest.mark.parametrize("shape", [(3, 12), (1, 12), (2, 13), (12,)])
@pytest.mark.parametrize("options", [{}, {"rank_by": "score"}])
def test_functions_give_what_is_asked_for(shape, options):
    for grid in (HEALPixGrid(1), random_grid(12)):
        with pytest.raises(ValueError, match=r"scores\(0, 12\)\.shape"):
            RecallVsArea(grid, **options).update(lambda first, last: torch.ones(shape), torch.tensor([0, 1]))


def test_cells_cover_the_sphere():
    class Half(HEALPixGrid):
        def __init__(self):
            super().__init__(1)
            self.areas = self.areas / 2

    for metric in (RecallVsArea, CoverageVsArea):
        with pytest.raises(ValueError, match=r"grid\.areas\.sum"):
            metric(Half())
    metric = RecallVsArea(AreaGrid(torch.full((4,), EARTH_AREA_KM2 / 4 * (1 + 9e-7))), [EARTH_AREA_KM2], ties="worst")
    metric.update(torch.tensor([[3.0, 2, 1, 0]]), torch.tensor([3]))
    assert metric.compute()["recall"] == 1


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("weighted", [False, True])
def test_curves_and_quantiles_are_those_of_recall(ties, weighted):
    grid = random_grid(40)
    scores, truth = random_maps(50, grid.n)
    weight = torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) if weighted else None
    options = {"ties": ties, "rank_by": "score"}
    budgets = RecallVsArea(grid, HISTOGRAM.tolist(), **options, keep_ranks=True)
    counted = RecallVsArea(grid, **options)
    for metric in (budgets, counted):
        metric.update(scores.round(), truth, weight=weight)
    _, curve = counted.curve()
    torch.testing.assert_close(curve, budgets.compute()["recall"], **CLOSE)
    for share in (0.03, 0.5, 0.9, 1.0):
        area = float(budgets.area_at_recall(share))
        around = RecallVsArea(grid, [area * (1 - 1e-9), area * (1 + 1e-9)], **options)
        around.update(scores.round(), truth, weight=weight)
        below, above = around.compute()["recall"].tolist()
        assert below < share <= above + 1e-9
        assert float(counted.area_at_recall(share)) == pytest.approx(area, rel=0.014)
        assert float(counted.area_at_recall(share)) >= area * (1 - 1e-9)


def test_a_map_that_says_nothing_has_a_straight_curve():
    grid = HEALPixGrid(8)
    metric, counted = RecallVsArea(grid, keep_ranks=True), RecallVsArea(grid)
    for each in (metric, counted):
        each.update(torch.ones(4, grid.n), torch.arange(4))
    areas, recall = counted.curve()
    torch.testing.assert_close(recall, areas / EARTH_AREA_KM2, **CLOSE)
    assert float(metric.area_at_recall(0.9)) == pytest.approx(0.9 * EARTH_AREA_KM2)


def test_quantiles_of_points():
    metric = RecallVsArea(HEALPixGrid(1), keep_ranks=True)
    latlon = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    metric.update_points(latlon, torch.zeros(4, 2))
    discs = cap_area_km2(distance_km(latlon, torch.zeros(4, 2)))
    found = [float(metric.area_at_recall(share)) for share in (0.25, 0.5, 0.51, 1.0)]
    assert found == pytest.approx([float(discs[index]) for index in (0, 1, 2, 3)])


@pytest.mark.parametrize("metric", [RecallVsArea(HEALPixGrid(1)), CoverageVsArea(HEALPixGrid(1))])
def test_shapes_are_named(metric):
    with pytest.raises(ValueError, match=r"truth\.shape"):
        metric.update(torch.ones(2, 12), torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"(scores|mass)\.shape"):
        metric.update(torch.ones(2, 11), torch.tensor([1, 2]))

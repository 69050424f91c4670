"""Counting against sorting, in every tie mode, whole or in tiles."""

import itertools
import weakref

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.geolocation.maps import random_grid, random_maps
from zoo.geolocation.searched_area import TIES, searched_area
from zoo.spectral.grids import HEALPixGrid

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)
grids = pytest.mark.parametrize("grid", [random_grid(192), HEALPixGrid(4)])


def by_sorting(scores, truth, areas):
    """Return `before` and `tied` the way everybody would: sort, cumulate, look the truth up."""
    before, tied = [], []
    for row, cell in zip(scores, truth, strict=True):
        order = row.argsort(descending=True)
        total = areas[order].cumsum(0)
        same = (row[order] == row[cell]).nonzero()[:, 0]
        first, last = int(same[0]), int(same[-1])
        start = float(total[first - 1]) if first else 0.0
        before.append(start)
        tied.append(float(total[last]) - start)
    return torch.tensor(before, dtype=torch.float64), torch.tensor(tied, dtype=torch.float64)


@grids
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counting_is_sorting(grid, ties, dtype):
    scores, truth = random_maps(20, grid.n, dtype=dtype)
    if ties:
        scores = scores.round()
    before, tied = by_sorting(scores, truth, grid.areas)
    found = searched_area(scores, truth, grid.areas)
    torch.testing.assert_close(found.before, before, rtol=1e-12, atol=1e-6)
    torch.testing.assert_close(found.tied, tied, rtol=1e-9, atol=1e-6)


@grids
def test_tiles_are_the_whole(grid):
    scores, truth = random_maps(20, grid.n)
    scores = scores.round()
    whole = searched_area(scores, truth, grid.areas)
    target = scores.gather(1, truth[:, None])[:, 0]
    for tile in (7, 64, 1000):
        for known in (None, target):
            tiled = searched_area(
                lambda first, last: scores[:, first:last], truth, grid.areas, tile=tile, truth_scores=known
            )
            for one, other in zip(whole, tiled, strict=True):
                torch.testing.assert_close(one, other, **CLOSE)


def test_only_what_holds_a_truth_is_computed_twice():
    grid = HEALPixGrid(4)
    scores, _ = random_maps(2, grid.n)
    asked = []

    def tile(first, last):
        asked.append(first)
        return scores[:, first:last]

    searched_area(tile, torch.tensor([3, 5]), grid.areas, tile=64)
    assert asked == [0, 0, 64, 128]


def test_the_truth_is_tied_with_itself_whatever_rounding_says():
    grid = HEALPixGrid(1)
    scores = torch.arange(12.0)[None]
    for error in (-1e-3, 1e-3):
        found = searched_area(
            lambda first, last: scores[:, first:last],
            torch.tensor([9]),
            grid.areas,
            truth_scores=torch.tensor([9 + error]),
        )
        assert float(found.before) == pytest.approx(2 * float(grid.areas[0]))
        assert float(found.tied) == pytest.approx(float(grid.areas[0]))


def test_needed_area_is_the_mean_over_orders():
    areas = torch.tensor([5.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    scores = torch.tensor([[3.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    found = searched_area(scores, torch.tensor([2]), areas)
    needed = []
    for order in itertools.permutations([1, 2, 3]):
        searched = order[: order.index(2) + 1]
        needed.append(5.0 + sum(float(areas[cell]) for cell in searched))
    assert float(found.needed("expected")) == pytest.approx(sum(needed) / len(needed), rel=1e-12)
    assert float(found.needed("worst")) == max(needed)
    assert float(found.needed("inclusive_min")) == min(needed)
    assert float(found.needed("linear")) == 5 + 7 / 2


def test_recall_is_a_step_or_a_ramp():
    areas = torch.tensor([5.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    scores = torch.tensor([[3.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    found = searched_area(scores, torch.tensor([2]), areas)
    budgets = torch.tensor([4.0, 5.0, 6.75, 7.0, 8.5, 12.0, 13.0], dtype=torch.float64)
    expected = {
        "linear": [0, 0, 0.25, 2 / 7, 0.5, 1, 1],
        "expected": [0, 0, 0, 0, 0, 1, 1],
        "worst": [0, 0, 0, 0, 0, 1, 1],
        "inclusive_min": [0, 0, 0, 1, 1, 1, 1],
    }
    for ties in TIES:
        assert found.recall(budgets, ties)[0].tolist() == pytest.approx(expected[ties]), ties


def test_refused():
    areas = torch.ones(4, dtype=torch.float64)
    scores = torch.zeros(2, 4)
    with pytest.raises(ValueError, match="NaN"):
        searched_area(torch.tensor([[0.0, torch.nan, 0.0, 0.0]]), torch.tensor([0]), areas)
    with pytest.raises(ValueError, match="cells from 0 to 3"):
        searched_area(scores, torch.tensor([0, 4]), areas)
    with pytest.raises(ValueError, match=r"scores\.shape"):
        searched_area(scores, torch.tensor([0]), areas)
    with pytest.raises(ValueError, match=r"truth\.shape"):
        searched_area(scores, torch.tensor([[0], [0]]), areas)
    with pytest.raises(ValueError, match="tile"):
        searched_area(scores, torch.tensor([0, 0]), areas, tile=0)
    infinite = torch.tensor([[-torch.inf, torch.inf, 0.0, 1.0]])
    assert float(searched_area(infinite, torch.tensor([0]), areas).before) == 3


def test_many_images_are_looked_at_in_narrow_tiles(monkeypatch):
    monkeypatch.setattr("zoo.geolocation.searched_area.TOGETHER", 640)
    grid = HEALPixGrid(4)
    scores, truth = random_maps(20, grid.n)
    widths, alive = [], []

    def tile(first, last):
        widths.append(last - first)
        assert all(block() is None for block in alive)  # no two tiles at once
        block = scores[:, first:last].clone()
        alive[:] = [weakref.ref(block)]
        return block

    narrow = searched_area(tile, truth, grid.areas)
    assert max(widths) == 32
    torch.testing.assert_close(narrow.before, searched_area(scores, truth, grid.areas).before, **CLOSE)

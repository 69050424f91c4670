import math

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.spectral.grids import AreaGrid, GaussLegendreGrid, Grid, HEALPixGrid, LatLonGrid, merge_cells
from zoo.spectral.sphere import EARTH_AREA_KM2, EARTH_RADIUS_KM, to_latlon

GRIDS = {
    "healpix": HEALPixGrid(6),
    "nested": HEALPixGrid(8, nested=True),
    "latlon": LatLonGrid(18),
    "oblong": LatLonGrid(7, 5),
    "gauss": GaussLegendreGrid(9),
}
CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)


@pytest.fixture(params=GRIDS)
def grid(request):
    return GRIDS[request.param]


def test_protocol(grid):
    assert isinstance(grid, Grid)


def test_areas_sum_to_the_earth(grid):
    assert grid.areas.shape == (grid.n,)
    assert float(grid.areas.sum()) == pytest.approx(EARTH_AREA_KM2, rel=CLOSE["rtol"])


def test_centres_lie_in_their_cells(grid):
    assert torch.equal(grid.locate(grid.centers), torch.arange(grid.n))
    assert bool((grid.centers[:, 1] >= -180).all() and (grid.centers[:, 1] < 180).all())


def test_areas_are_the_shares_of_uniform_places(grid):
    number = 400_000
    latlon = to_latlon(torch.randn(number, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    share = torch.bincount(grid.locate(latlon), minlength=grid.n) / number
    expected = grid.areas / EARTH_AREA_KM2
    deviation = (share - expected) / (expected / number).sqrt()
    assert float(deviation.abs().max()) < 5


def test_rings_are_the_cells_in_order():
    for name in ("healpix", "latlon", "gauss"):
        rings = GRIDS[name].rings
        torch.testing.assert_close(rings.centers, GRIDS[name].centers, **CLOSE)
        assert float((rings.weights * rings.counts).sum()) == pytest.approx(4 * math.pi, rel=CLOSE["rtol"])


def test_areas_between_circles_of_latitude():
    grid = LatLonGrid(180, 360)
    height = math.sin(math.radians(41)) - math.sin(math.radians(40))
    expected = EARTH_RADIUS_KM**2 * math.radians(1) * height
    cell = int(grid.locate(torch.tensor([40.5, 10.5])))
    assert float(grid.areas[cell]) == pytest.approx(expected, rel=1e-12)


def test_borders_poles_and_the_date_line():
    grid = LatLonGrid(4, 8)
    places = [[90.0, -180.0], [-90.0, 179.9], [45.0, 0.0], [0.0, 180.0], [0.0, -180.0], [0.0, 540.0]]
    cells = grid.locate(torch.tensor(places, dtype=torch.float64))
    assert cells.tolist() == [0, 31, 12, 16, 16, 16]


def test_merged_cells_keep_their_areas():
    labels = [torch.tensor([0, 0, 1, 1, 0]), torch.tensor([2, 2, 2, 3, 4])]
    areas = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64) * (EARTH_AREA_KM2 / 15)
    index, merged = merge_cells(labels, areas)
    assert merged.n == 4
    assert index[0] == index[1]
    torch.testing.assert_close(
        merged.areas[index[[0, 2, 3, 4]]] * 15 / EARTH_AREA_KM2, torch.tensor([3.0, 3, 4, 5]).double()
    )


def test_areas_sum_to_the_spheres():
    areas = torch.rand(1000, generator=torch.Generator().manual_seed(0)) + 0.1
    grid = AreaGrid(areas * (EARTH_AREA_KM2 / areas.sum()))
    assert float(grid.areas.sum()) == pytest.approx(EARTH_AREA_KM2, rel=1e-14)


def test_what_is_no_grid_is_refused():
    with pytest.raises(ValueError, match="sum to the Earth's"):
        AreaGrid(torch.ones(4))
    with pytest.raises(ValueError, match="areas > 0"):
        AreaGrid(torch.tensor([-1.0, EARTH_AREA_KM2 + 1]))
    with pytest.raises(ValueError, match="where its cells are"):
        AreaGrid(torch.full((2,), EARTH_AREA_KM2 / 2)).locate(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="no centres"):
        _ = AreaGrid(torch.full((2,), EARTH_AREA_KM2 / 2)).centers
    with pytest.raises(ValueError, match="latitude 91"):
        HEALPixGrid(1).locate(torch.tensor([91.0, 0.0]))
    with pytest.raises(ValueError, match="transforms go along rings"):
        _ = HEALPixGrid(2, nested=True).rings
    with pytest.raises(ValueError, match="rows"):
        LatLonGrid(0)
    with pytest.raises(ValueError, match="lmax"):
        GaussLegendreGrid(-1)

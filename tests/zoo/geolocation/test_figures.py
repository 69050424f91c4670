import pytest
import torch
from matplotlib.figure import Figure

from tests.zoo.geolocation.maps import random_maps
from zoo.geolocation.figures import MASSES, _raster, _regions, draw_recall, posterior_maps
from zoo.geolocation.intervals import dkw_halfwidth
from zoo.geolocation.recall_vs_area import HISTOGRAM, RecallVsArea
from zoo.spectral.grids import HEALPixGrid


def metric(**options):
    scores, truth = random_maps(40, 192)
    made = RecallVsArea(HEALPixGrid(4), strata=["a", "b"], **options)
    made.update(scores, truth, stratum=torch.arange(40) % 2, log=True)
    return made


def test_a_curve_for_each_stratum_or_metric():
    figure, ax = metric().plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    figure, ax = draw_recall({"one": metric(), "two": metric()}, stratum="a")
    assert len(ax.lines) == 2
    _, recall = ax.lines[0].get_data()
    assert recall[-1] == 1
    assert (recall[1:] >= recall[:-1]).all()
    assert isinstance(figure, Figure)


def test_bands_of_weighted_images():
    scores, truth = random_maps(40, 192)
    weight = torch.rand(40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 4
    for given, number in (
        (None, 40.0),
        (torch.full((40,), 3.0), 40.0),
        (weight, weight.sum() ** 2 / (weight**2).sum()),
    ):
        made = RecallVsArea(HEALPixGrid(4))
        made.update(scores, truth, log=True, weight=given)
        assert made.effective_images() == pytest.approx(float(number))
        _, ax = made.plot()
        heights = ax.collections[0].get_paths()[0].vertices[:, 1]
        _, recall = ax.lines[0].get_data()
        # Below the first area that is needed the band is as high as it is wide.
        assert recall[0] == 0
        start = heights[ax.collections[0].get_paths()[0].vertices[:, 0] == HISTOGRAM[0].item()]
        assert start.max() == pytest.approx(dkw_halfwidth(float(number)))


def test_regions_hold_their_masses():
    grid = HEALPixGrid(8)
    log_mass = 3 * torch.randn(grid.n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    regions, mass = _regions(log_mass, grid), torch.softmax(log_mass, 0)
    for share, least in zip(MASSES, (3, 2, 1), strict=True):
        inside = regions >= least
        assert float(mass[inside].sum()) >= share - 1e-12
        assert float(mass[inside].sum() - mass[inside].min()) < share


def test_the_raster_shows_where_cells_are(tmp_path):
    grid = HEALPixGrid(8)
    cells, lon, lat = _raster(grid)
    assert cells.shape == (len(lat) - 1, len(lon) - 1)
    assert cells[-1, 0] < 4  # north is last
    log_mass, _ = random_maps(4, grid.n)
    land = torch.ones(grid.n)
    figure = posterior_maps(log_mass, grid, torch.zeros(4, 2), land)
    figure.savefig(tmp_path / "maps.png")
    assert len(figure.axes) == 4

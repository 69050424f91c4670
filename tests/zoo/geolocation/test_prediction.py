import math

import pytest
import torch

from zoo.geolocation.judge import MapJudge
from zoo.geolocation.prediction import describe
from zoo.geolocation.recall_vs_area import RecallVsArea
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.sphere import EARTH_AREA_KM2, EARTH_RADIUS_KM

GRID = HEALPixGrid(4)


def posteriors(number=40):
    generator = torch.Generator().manual_seed(0)
    log_mass = torch.log_softmax(3 * torch.randn(number, GRID.n, dtype=torch.float64, generator=generator), 1)
    return log_mass, torch.randint(GRID.n, (number,), generator=generator)


def test_descriptions():
    log_mass, truth = posteriors()
    log_mass[0] = -torch.inf
    log_mass[0, 5] = 0.0
    found = describe(log_mass, GRID, truth)
    area = EARTH_AREA_KM2 / GRID.n
    assert [float(found[name][0]) for name in ("latitude", "longitude")] == GRID.centers[5].tolist()
    assert float(found["area_50"][0]) == float(found["area_95"][0]) == pytest.approx(area)
    assert float(found["bits"][0]) == pytest.approx(math.log2(GRID.n))
    entropy = -(log_mass[1:].exp() * log_mass[1:]).sum(1) / math.log(2)
    torch.testing.assert_close(found["bits"][1:], math.log2(GRID.n) - entropy)
    held = log_mass[3].exp().sort(descending=True)[0].cumsum(0)
    assert float(found["area_95"][3]) == pytest.approx(area * (1 + int((held < 0.95).sum())))
    metric = RecallVsArea(GRID, keep_ranks=True)
    metric.update(log_mass, truth, log=True)
    torch.testing.assert_close(found["needed_area"], metric.compute()["areas"])
    assert "needed_area" not in describe(log_mass, GRID)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_no_place_is_made_of_what_is_none(wrong):
    log_mass, _ = posteriors(3)
    log_mass[1] = wrong
    with pytest.raises(ValueError, match="log_mass"):
        describe(log_mass, GRID)


def test_judgement():
    log_mass, truth = posteriors()
    stratum = torch.arange(40) % 2
    judge = MapJudge(GRID, ["a", "b", "none"])
    for rows in torch.arange(40).split(15):
        judge.update(log_mass[rows], truth[rows], stratum[rows])
    result = judge.compute()
    assert not any(name.startswith("none") for name in result)
    alone = MapJudge(GRID)
    alone.update(log_mass[stratum == 1], truth[stratum == 1])
    for name, value in alone.compute().items():
        torch.testing.assert_close(result[f"b_{name}"], value)
    bits = log_mass.gather(1, truth[:, None]).mean() / math.log(2) + math.log2(GRID.n)
    assert float((result["a_bits"] + result["b_bits"]) / 2) == pytest.approx(float(bits))
    metric = RecallVsArea(GRID, [1e6])
    metric.update(log_mass[stratum == 1], truth[stratum == 1], log=True)
    assert float(result["b_recall_1e6"]) == float(metric.compute()["recall"])


def test_the_densest_cell_counts_as_the_predicted_place():
    log_mass = torch.full((2, GRID.n), -10.0)
    log_mass[:, 7] = 0.0
    judge = MapJudge(GRID)
    judge.update(torch.log_softmax(log_mass, 1), torch.tensor([7, 180]))
    assert float(judge.compute()["within_200km"]) == 0.5


def test_distances_are_to_the_given_place():
    """The truth lies in the densest cell, 300 km north of its centre."""
    log_mass = torch.full((1, GRID.n), -10.0)
    log_mass[:, 80] = 0.0
    center = GRID.centers[80]
    place = center + torch.tensor([300 / (math.pi / 180 * EARTH_RADIUS_KM), 0.0])
    assert GRID.locate(place) == 80
    near = {}
    for name, latlon in {"cell": None, "place": place[None]}.items():
        judge = MapJudge(GRID)
        judge.update(torch.log_softmax(log_mass, 1), torch.tensor([80]), None, latlon)
        near[name] = [float(judge.compute()[f"within_{radius}km"]) for radius in (200, 750)]
    assert near == {"cell": [1.0, 1.0], "place": [0.0, 1.0]}

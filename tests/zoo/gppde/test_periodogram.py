import math

import pytest
import torch

from zoo.gppde.domain import Box, mesh
from zoo.gppde.operators import Advection, Helmholtz, Poisson
from zoo.gppde.periodogram import kernel_of_peaks, peaks_of, solution_peaks


def peaks(source, length, count, operator=None):
    grids = Box((0,), (length,)).grids(count)
    return solution_peaks(operator or Poisson(), mesh(grids), grids, source(grids[0]), [[]])[0]


@pytest.mark.parametrize(
    ("source", "length", "count", "omegas", "within"),
    [
        (lambda x: torch.sin(100 * x), 2 * math.pi, 400, [100.0], 1e-3),
        (lambda x: torch.sin(106 * x) - torch.sin(94 * x), 2 * math.pi, 400, [106.0, 94.0], 2e-2),
        (lambda x: 40 * torch.sin(20 * x) + 500 * torch.sin(100 * x), 1.0, 900, [100.0, 20.0], 5e-2),
        (lambda x: 400 * torch.cos(200 * x) - 4e4 * x * torch.sin(200 * x), 2 * math.pi, 900, [200.0], 1e-2),
        (lambda x: -2.5e5 * torch.sin(500 * x) - 4, 1.0, 400, [500.0], 5e-3),
    ],
)
def test_frequencies_of_the_published_problems(source, length, count, omegas, within):
    found = 2 * math.pi * peaks(source, length, count).frequency
    for omega in omegas:
        assert (found - omega).abs().min() < within


def test_powers_are_those_of_the_solution():
    found = peaks(lambda x: 1e4 * torch.sin(100 * x) + 400 * torch.sin(20 * x), 2 * math.pi, 800)
    heavy = found.power.sort(descending=True).values[:2]
    torch.testing.assert_close(heavy[1] / heavy[0], torch.tensor(1.0).double(), rtol=0.05, atol=0)
    resonant = peaks(lambda x: torch.sin(100 * x), 2 * math.pi, 400, Helmholtz(1e4))
    assert resonant.power.isfinite().all()


def test_without_a_source_the_sides_tell():
    grids = Box((0, 0), (1, 1)).grids((60, 200))
    lines = [[torch.sin(30 * grids[0])[None]], [torch.sin(200 * grids[1])[None]]]
    found = solution_peaks(Advection(200.0), mesh(grids), grids, torch.zeros(60, 200).double(), lines)
    omegas = [2 * math.pi * float(own.frequency[own.power.argmax()]) for own in found]
    assert omegas == pytest.approx([30, 200], abs=0.2)


def test_instances_have_equal_say():
    grids = Box((0,), (2 * math.pi,)).grids(300)
    sources = torch.stack([torch.sin(20 * grids[0]), 1e-9 * torch.sin(50 * grids[0])])
    found = solution_peaks(Poisson(), mesh(grids), grids, sources, [[]])[0]
    assert {round(2 * math.pi * f) for f in found.frequency.tolist()[:2]} == {20, 50}


def test_a_constant_has_no_peak():
    assert len(peaks_of(torch.ones(1, 50).double(), 0.1).frequency) == 0
    kernel = kernel_of_peaks(peaks_of(torch.ones(1, 50).double(), 0.1), "gm", 2.0)
    assert kernel.frequency.tolist() == [0.0]
    assert float(kernel.log_scale.exp()) == pytest.approx(1 / 8)


def test_the_kernel_has_a_component_at_zero_as_heavy_as_the_heaviest():
    kernel = kernel_of_peaks(peaks(lambda x: torch.sin(100 * x), 2 * math.pi, 400), "stm", 2 * math.pi)
    weight = kernel.log_weight.exp()
    assert kernel.frequency[0] == 0 and weight[0] == weight.max()
    assert float(weight.sum()) == pytest.approx(1)
    assert kernel.log_scale.exp().tolist() == pytest.approx([1 / (2 * math.pi)] * len(weight))


def test_too_few_points_are_warned_of():
    with pytest.warns(UserWarning, match="take more points"):
        peaks(lambda x: torch.sin(100 * x), 2 * math.pi, 205)

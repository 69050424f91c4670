import math

import pytest
import torch

from tests.zoo.koopman.systems import random_snapshots
from zoo.koopman.factors import factorize, factorize_snapshots
from zoo.koopman.gram import select
from zoo.koopman.pseudospectrum import smallest_residuals
from zoo.koopman.rays import ray_crossings, ray_intervals


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5])
@pytest.mark.parametrize("level", [1.1, 2.0])
def test_rays_cross_where_a_singular_value_is_epsilon(oscillator, angle, level):
    factors = factorize(select(oscillator, torch.arange(8)))
    direction = complex(math.cos(angle), math.sin(angle))
    scan = torch.linspace(0, 3, 6001).double()
    epsilon = level * float(smallest_residuals(factors, scan * direction).min().clamp(min=0.05))
    radii = ray_crossings(factors, epsilon, angle)
    identity = torch.eye(8).to(torch.complex128)
    stacked = torch.stack(
        [torch.cat([factors.compression - r * direction * identity, factors.leak.to(identity.dtype)]) for r in radii]
    )
    error = (torch.linalg.svdvals(stacked) - epsilon).abs().amin(dim=1)
    assert len(radii)
    assert error.max() < 1e-11
    # The intervals are those that a fine scan of the ray sees.
    below = smallest_residuals(factors, scan * direction) < epsilon
    intervals = ray_intervals(factors, epsilon, angle)
    inside = ((scan[:, None] > intervals[:, 0]) & (scan[:, None] < intervals[:, 1])).any(dim=1)
    near_edge = ((scan[:, None, None] - intervals).abs() < 1e-3).flatten(1).any(dim=1)
    assert torch.equal(below | near_edge, inside | near_edge)


def test_all_crossings_are_found():
    generator = torch.Generator().manual_seed(1)
    triangle = torch.randn(8, 8, dtype=torch.complex128, generator=generator).triu()
    factors = factorize(triangle)
    scan = torch.linspace(0, 20, 20001).double()
    stacked = torch.cat(
        [
            factors.compression - scan[:, None, None] * torch.eye(4).to(triangle.dtype),
            factors.leak.expand(len(scan), -1, -1),
        ],
        dim=1,
    )
    epsilon = 1.5 * float(torch.linalg.svdvals(stacked[::100])[:, -1].min())
    changes = int((torch.linalg.svdvals(stacked) > epsilon).int().diff(dim=0).abs().sum())
    assert len(ray_crossings(factors, epsilon, 0.0)) == changes > 0


def test_no_crossing_no_interval():
    factors = factorize_snapshots(*random_snapshots())
    assert ray_intervals(factors, 1e-6, 0.3).shape == (0, 2)


def test_a_level_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r"epsilon=0.0"):
        ray_crossings(factorize_snapshots(*random_snapshots()), 0.0, 0.0)

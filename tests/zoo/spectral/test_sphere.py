import math

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.spectral.sphere import (
    EARTH_AREA_KM2,
    EARTH_RADIUS_KM,
    cap_area_km2,
    check_latlon,
    direction,
    distance_km,
    to_latlon,
)

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)


def places(number, seed=0):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(number, 3, dtype=torch.float64, generator=generator)
    return to_latlon(vectors)


def test_the_discs_of_the_usual_accuracies():
    areas = cap_area_km2(torch.tensor([1.0, 25.0, 200.0, 750.0, 2500.0]))
    published = torch.tensor([3.141593, 1963.493, 125_653.39, 1_765_106.03, 19_384_294.93], dtype=torch.float64)
    torch.testing.assert_close(areas, published, rtol=1e-6, atol=0)
    assert float(cap_area_km2(math.pi * EARTH_RADIUS_KM)) == pytest.approx(EARTH_AREA_KM2)
    assert pytest.approx(510_065_881, abs=1) == EARTH_AREA_KM2


def test_directions_and_places_are_inverse():
    latlon = places(100)
    torch.testing.assert_close(to_latlon(7 * direction(latlon)), latlon, **CLOSE)


def test_distances_near_and_far():
    one = torch.tensor([[0.0, 0.0], [0.0, 0.0], [90.0, 0.0], [10.0, 20.0]], dtype=torch.float64)
    other = torch.tensor([[0.0, 1e-9], [0.0, 180.0], [-90.0, 50.0], [10.0, 380.0]], dtype=torch.float64)
    half = math.pi * EARTH_RADIUS_KM
    expected = torch.tensor([half * 1e-9 / 180, half, half, 0.0], dtype=torch.float64)
    torch.testing.assert_close(distance_km(one, other), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("latlon", "message"),
    [
        ([[91.0, 0.0]], "latitude 91"),
        ([[0.0, math.inf]], "not finite"),
        ([[0.0, 0.0, 0.0]], r"shape \(1, 3\)"),
    ],
)
def test_refused(latlon, message):
    with pytest.raises(ValueError, match=message):
        check_latlon(torch.tensor(latlon))

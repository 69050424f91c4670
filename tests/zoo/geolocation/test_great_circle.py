import pytest
import torch

from zoo.geolocation.great_circle import GreatCircleAccuracy


def test_shares_within_distances():
    metric = GreatCircleAccuracy()
    truth = torch.zeros(4, 2)
    predicted = torch.tensor([[0.0, 0.005], [0.1, 0.0], [0.0, 5.0], [0.0, -179.0]])
    metric.update(predicted[:2], truth[:2])
    metric.update(predicted[2:], truth[2:])
    shares = metric.compute()
    assert {name: float(share) for name, share in shares.items()} == {
        "within_1km": 0.25,
        "within_25km": 0.5,
        "within_200km": 0.5,
        "within_750km": 0.75,
        "within_2500km": 0.75,
    }


def test_refused():
    with pytest.raises(ValueError, match="radii_km"):
        GreatCircleAccuracy([0.0])
    with pytest.raises(ValueError, match=r"predicted\.shape"):
        GreatCircleAccuracy().update(torch.zeros(1, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="predicted holds the latitude"):
        GreatCircleAccuracy().update(torch.full((1, 2), 100.0), torch.zeros(1, 2))

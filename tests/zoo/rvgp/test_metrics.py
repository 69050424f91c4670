import numpy as np
import pytest
import torch

from zoo.rvgp.metrics import Calibration, FieldErrors, SingularityScore
from zoo.rvgp.singularities import Singularities


def test_errors_of_known_vectors():
    truth = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    prediction = torch.tensor([[1.0, 1.0], [0.0, -3.0], [0.0, 1.0]])
    metric = FieldErrors()
    metric.update(prediction[:1], truth[:1])
    metric.update(prediction[1:], truth[1:])
    found = metric.compute()
    assert found["alignment"].item() == pytest.approx((1 - 3) / 2)
    assert found["cosine"].item() == pytest.approx((2**-0.5 - 1) / 2)
    assert found["angle"].item() == pytest.approx((45 + 180) / 2)
    assert found["relative_l2"].item() == pytest.approx(((1 + 1 + 16 + 1) / 5) ** 0.5)
    with pytest.raises(ValueError, match="prediction"):
        metric.update(prediction, truth[:1])


def test_calibration_of_true_covariances():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4000, 2, 2, dtype=torch.float64, generator=generator) + 2 * torch.eye(2)
    covariance = root @ root.mT
    mean = torch.randn(4000, 2, dtype=torch.float64, generator=generator)
    truth = mean + (root @ torch.randn(4000, 2, 1, dtype=torch.float64, generator=generator))[..., 0]
    metric = Calibration(0.9)
    metric.update(mean, covariance, truth)
    found = metric.compute()
    assert found["coverage"].item() == pytest.approx(0.9, abs=0.015)
    normal = torch.distributions.MultivariateNormal(mean, covariance)
    assert found["nlpd"].item() == pytest.approx(-normal.log_prob(truth).mean().item(), rel=1e-10)
    metric.reset()
    metric.update(mean, covariance / 4, truth)
    assert metric.compute()["coverage"] < 0.75


def test_singularities_are_scored():
    at = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    truth = Singularities(np.arange(3), np.array([1, 1, -1]), at, [""] * 3)
    found = Singularities(np.arange(2), np.array([1, 1]), at[[0, 2]] + 0.05, [""] * 2)
    metric = SingularityScore(radius=0.2)
    metric.update(found, truth)
    assert metric.compute()["precision"].item() == pytest.approx(1 / 2)
    assert metric.compute()["recall"].item() == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="radius=0"):
        SingularityScore(0.0)

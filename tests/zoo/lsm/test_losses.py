import math

import pytest
import torch

from tests.tolerances import tolerance
from zoo.lsm.losses import RelativeL2, relative_gradient_l2, relative_l2

CLOSE = tolerance(torch.float64)


def pair(*shape):
    return torch.randn(2, *shape, dtype=torch.float64)


def test_error_is_over_all_points_and_channels_of_a_sample():
    prediction, target = pair(3, 4, 5, 2)
    for row in range(3):
        expected = (prediction[row] - target[row]).pow(2).sum().sqrt() / target[row].pow(2).sum().sqrt()
        torch.testing.assert_close(relative_l2(prediction, target)[row], expected, **CLOSE)
    torch.testing.assert_close(relative_l2(-7 * prediction, -7 * target), relative_l2(prediction, target), **CLOSE)
    assert relative_l2(prediction, torch.zeros_like(target)).isinf().all()
    torch.testing.assert_close(relative_l2(0 * target, target), torch.ones(3).double(), **CLOSE)


def test_gradient_error_of_a_wave():
    n = 400
    x = torch.arange(n, dtype=torch.float64) / n
    target = torch.sin(2 * math.pi * x)[None, :, None] * torch.ones(1, n, n)
    rough = target + 0.1 * torch.sin(20 * math.pi * x)[:, None]
    error = relative_gradient_l2(rough[..., None], target[..., None])
    along_x = relative_l2(rough.diff(dim=1), target.diff(dim=1))
    assert relative_l2(rough, target).item() == pytest.approx(0.1, rel=1e-2)
    assert along_x.item() == pytest.approx(1, rel=1e-2)
    # Along y only the jumps to zero at the boundary count, equal in shape to the fields.
    assert error.item() == pytest.approx(1 + 0.1, rel=2e-2)


def test_gradient_error_takes_zeros_beyond_the_boundary():
    target = torch.arange(1.0, 5, dtype=torch.float64)[None, :, None]
    prediction = torch.ones(1, 4, 1, dtype=torch.float64)
    expected = torch.tensor([[1.0, 0, 0, -1]]).double() - torch.tensor([[2.0, 2, 2, -3]]).double()
    norm = torch.tensor([2.0, 2, 2, -3]).double().norm()
    torch.testing.assert_close(relative_gradient_l2(prediction, target), expected.norm(dim=1) / norm, **CLOSE)


def test_metric_is_a_mean_over_samples_not_batches():
    prediction, target = pair(7, 5, 1)
    metric = RelativeL2()
    metric.update(prediction[:5], target[:5])
    metric.update(prediction[5:], target[5:])
    torch.testing.assert_close(metric.compute(), relative_l2(prediction, target).mean(), **CLOSE)
    assert metric.compute().dtype == torch.float64

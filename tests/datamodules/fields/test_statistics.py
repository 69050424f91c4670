import pytest
import torch

from datamodules.fields.statistics import fit_statistics

FIELDS = torch.randn(6, 4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_at_each_point():
    mean, std = fit_statistics(FIELDS, "point")
    assert mean.shape == std.shape == (4, 3, 2)
    torch.testing.assert_close(mean, FIELDS.mean(0))
    torch.testing.assert_close(std, FIELDS.std(0))


def test_of_each_channel():
    mean, std = fit_statistics(FIELDS, "channel")
    torch.testing.assert_close(mean, FIELDS.mean((0, 1, 2)))
    torch.testing.assert_close(std, FIELDS.reshape(-1, 2).std(0))


def test_samples_that_agree_do_not_blow_others_up():
    fields = torch.where(torch.rand(6, 5, 5, 1) > 0.5, 12.0, 3.0)
    fields[:, 0, 0] = 3.0
    mean, std = fit_statistics(fields, "point")
    assert std[0, 0] == pytest.approx(1e-3 * fields.std().item(), rel=1e-5)
    assert abs((12 - mean[0, 0]) / std[0, 0]) < 1e4
    _, unguarded = fit_statistics(fields, "point_unguarded")
    assert unguarded[0, 0] == 0 and torch.equal(unguarded[fields.std(0) > 0.1], std[fields.std(0) > 0.1])

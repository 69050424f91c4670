import pytest
import torch

from zoo.koopman.holdout import PairFactors, RelativeError, _merge_ranks


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_factors_are_those_of_the_rows(dtype):
    rows, weights = torch.randn(30, 4, dtype=dtype), torch.rand(30).double()
    metric = PairFactors(4, dtype, shards=3)
    for shard in (0, 2):
        part = slice(10 * shard, 10 * shard + 10)
        metric.update(rows[part, :1], rows[part, 1:], weights=weights[part], shard=shard)
    factors = metric.compute()
    assert len(factors) == 2
    for factor, shard in zip(factors, (0, 2), strict=True):
        part = weights[10 * shard : 10 * shard + 10, None].sqrt() * rows[10 * shard : 10 * shard + 10]
        torch.testing.assert_close(factor.mH @ factor, part.mH @ part, rtol=1e-13, atol=1e-13)
    metric.reset()
    assert not metric.triangles.any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_ranks_merge_to_the_whole(dtype):
    rows, weights = torch.randn(20, 2, dtype=dtype), torch.ones(20).double()
    whole, *ranks = (PairFactors(2, dtype, shards=2) for _ in range(3))
    for metric, part in zip((whole, *ranks), (slice(0, 20), slice(0, 13), slice(13, 20)), strict=True):
        metric.update(rows[part], weights=weights[part], shard=1)
    merged = _merge_ranks(torch.stack([rank.triangles for rank in ranks]))
    factors = [torch.view_as_complex(part) if dtype.is_complex else part for part in (merged[1], whole.triangles[1])]
    grams = [factor.mH @ factor for factor in factors]
    torch.testing.assert_close(*grams, rtol=1e-13, atol=1e-13)


def test_relative_error_is_zero_one_and_in_between():
    target, weights = torch.randn(50, 2).double() + 3, torch.rand(50).double()
    mean = (weights[:, None] * target).sum(0) / weights.sum()
    for prediction, expected in ((target, 0.0), (mean.expand(50, 2), 1.0), (target + (mean - target) / 2, 0.5)):
        metric = RelativeError(2)
        for part in (slice(0, 20), slice(20, 50)):
            metric.update(prediction[part], target[part], weights[part])
        assert float(metric.compute()) == pytest.approx(expected, abs=1e-12)

"""Second moments: whole data at once as the reference, in numpy, for any chunks, shards and merges."""

import math

import numpy as np
import pytest
import torch

from zoo.spectral.accumulators import CHUNK, GramAccumulator, TSQRAccumulator, _add_lower_product

KINDS = [GramAccumulator, TSQRAccumulator]
DTYPES = [torch.float64, torch.complex128]
kinds = pytest.mark.parametrize("kind", KINDS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def features(rows, width, dtype=torch.float64, seed=0):
    return torch.randn(rows, width, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def accumulate(kind, rows, cuts, weights=None, **arguments):
    accumulator = kind(rows.size(1), dtype=rows.dtype, **arguments)
    for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        accumulator.update(rows[first:last], weights=None if weights is None else weights[first:last])
    return accumulator


def relative(value, expected):
    return float((value - expected).abs().max() / expected.abs().max())


@kinds
@dtypes
def test_weighted_moments_are_those_of_all_rows_at_once(kind, dtype):
    left, right = features(3 * CHUNK + 17, 5, dtype), features(3 * CHUNK + 17, 3, dtype, seed=1)
    weights = torch.rand(len(left), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    accumulator = kind(8, dtype=dtype)
    accumulator.update(left, right, weights=weights)
    rows = torch.cat([left, right], dim=1).numpy()
    gram = rows.conj().T @ (weights.numpy()[:, None] * rows)
    assert relative(accumulator.gram, torch.from_numpy(gram)) < 1e-14
    assert torch.equal(accumulator.gram, accumulator.gram.mH)
    assert relative(accumulator.sums, torch.from_numpy(weights.numpy() @ rows)) < 1e-13
    assert accumulator.weight == pytest.approx(float(weights.sum()), rel=1e-13)
    assert accumulator.count == len(left)


@kinds
@dtypes
def test_any_sharding_gives_the_same(kind, dtype):
    rows = features(700, 12, dtype)
    weights = torch.rand(700, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = accumulate(kind, rows, [], weights)
    many = accumulate(kind, rows, [1, 2, 5, 300, 301, 699], weights)
    merged = accumulate(kind, rows[450:], [10], weights[450:])
    merged.merge(accumulate(kind, rows[:450], [449], weights[:450]))
    for other in (many, merged):
        assert relative(other.gram, whole.gram) < 1e-13
        assert relative(other.statistic, whole.statistic) < 1e-13
        assert other.count == 700


@dtypes
def test_integers_are_summed_exactly(dtype):
    rows = (10 * features(5000, 9, dtype)).real.round().to(dtype)
    if dtype.is_complex:
        rows = rows + 1j * (10 * features(5000, 9, seed=1)).round()
    exact = rows.mH @ rows
    for cuts in ([], [1, 17, 4000], list(range(100, 5000, 100))):
        accumulator = accumulate(GramAccumulator, rows, cuts)
        assert torch.equal(accumulator.gram, exact)
        assert torch.equal(accumulator.sums, rows.sum(0))


@dtypes
def test_factor_is_that_of_all_rows_with_a_positive_diagonal(dtype):
    rows = features(3000, 11, dtype)
    factor = accumulate(TSQRAccumulator, rows, [5, 1800]).factor
    expected = torch.linalg.qr(rows, mode="r").R
    phases = expected.diagonal().sgn().conj()
    assert relative(factor, phases[:, None] * expected) < 1e-13
    assert torch.equal(factor, factor.triu()) and (factor.diagonal().real > 0).all()
    assert float(factor.diagonal().imag.abs().max() if dtype.is_complex else 0) < 1e-13


def test_triangles_keep_what_products_lose():
    # Columns that differ by 1e-10: their difference has squares of 1e-20, below the rounding of products.
    rows = features(4000, 2)
    rows[:, 1] = rows[:, 0] + 1e-10 * rows[:, 1]
    expected = torch.linalg.svdvals(rows)
    triangle, gram = accumulate(TSQRAccumulator, rows, [999]), accumulate(GramAccumulator, rows, [999])
    smallest = torch.linalg.svdvals(triangle.factor)[-1]
    assert float(smallest) == pytest.approx(float(expected[-1]), rel=1e-5)
    assert triangle.condition() == pytest.approx(float(expected[0] / expected[-1]), rel=1e-5)
    assert gram.condition() == math.inf


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_batches_of_fewer_rows_than_columns_do_not_underflow(dtype):
    rows = torch.randn(32, 700, dtype=dtype)
    accumulator = TSQRAccumulator(700, dtype=dtype)
    for batch in rows.split(8):
        accumulator.update(batch)
    torch.testing.assert_close(accumulator.gram, rows.mH @ rows, rtol=0, atol=1e-12)


@kinds
def test_few_rows_or_none(kind):
    rows = features(3, 8)
    accumulator = accumulate(kind, rows, [0, 1])
    assert relative(accumulator.gram, rows.T @ rows) < 1e-14
    assert accumulator.condition() == math.inf
    assert not kind(8).gram.any() and kind(8).condition() == math.inf and kind(8).weight == 0


@kinds
def test_shards_are_kept_apart_and_left_out_one_by_one(kind):
    rows = features(90, 4)
    accumulator = kind(4, shards=3)
    for shard in range(3):
        accumulator.update(rows[shard::3], shard=shard)
    assert relative(accumulator.gram, rows.T @ rows) < 1e-14
    assert relative(accumulator.whole().gram, rows.T @ rows) < 1e-14
    for left_out, rest in enumerate(accumulator.leave_one_out()):
        others = torch.cat([rows[shard::3] for shard in range(3) if shard != left_out])
        assert relative(rest.gram, others.T @ others) < 1e-14
        assert relative(rest.sums, others.sum(0)) < 1e-13
        assert rest.count == 60


@kinds
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64])
def test_low_precision_features_are_summed_in_double(kind, dtype):
    rows = features(2000, 6, torch.complex64 if dtype.is_complex else torch.float32).to(dtype)
    double = torch.complex128 if dtype.is_complex else torch.float64
    accumulator = kind(6, dtype=double)
    accumulator.update(rows)
    exact = accumulate(kind, rows.to(double), [])
    assert torch.equal(accumulator.gram, exact.gram)
    assert accumulator.eps == torch.finfo(dtype).eps


@kinds
def test_warns_when_the_rounding_of_the_features_matters(kind):
    x = torch.linspace(-1, 1, 4000, dtype=torch.float64)
    monomials = torch.stack([x**degree for degree in range(14)], dim=1)
    chebyshev = torch.stack([torch.cos(degree * torch.acos(x)) for degree in range(14)], dim=1)
    for name, rows in {"bad": monomials.float(), "good": chebyshev.float(), "double": monomials}.items():
        accumulator = kind(14)
        accumulator.update(rows)
        assert (accumulator.condition() * accumulator.eps > 1e-3) == (name == "bad")
        if name == "bad":
            with pytest.warns(UserWarning, match=r"cond\(R\) = .* use an orthogonal"):
                accumulator.warn_if_ill_conditioned()
            accumulator.warn_if_ill_conditioned(slice(0, 3))
        else:
            accumulator.warn_if_ill_conditioned()


@kinds
@dtypes
def test_state_continues_bit_for_bit(kind, dtype):
    rows = features(600, 7, dtype)
    whole = accumulate(kind, rows, [200, 400], shards=2)
    first = accumulate(kind, rows[:400], [200], shards=2)
    state = first.state_dict()
    first.update(rows[:9])  # the state is a copy
    second = kind(7, dtype=dtype, shards=2)
    second.load_state_dict(state)
    second.update(rows[400:])
    for name, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor)
    assert torch.equal(whole.copy().gram, whole.gram)
    with pytest.raises(ValueError, match="statistic"):
        kind(8, dtype=dtype).load_state_dict(state)
    with pytest.raises(ValueError, match="state"):
        second.load_state_dict({})


@kinds
@dtypes
def test_what_comes_out_of_another_can_go_on(kind, dtype):
    rows = features(300, 5, dtype)
    start = kind(5, dtype=dtype, shards=2)
    start.update(rows[:80], shard=0)
    start.update(rows[80:100], shard=1)
    transposed = start.whole().state_dict()
    transposed["statistic"] = transposed["statistic"].mT.contiguous().mT
    loaded = kind(5, dtype=dtype)
    loaded.load_state_dict(transposed)
    for accumulator in (start.whole(), start.copy(), loaded):
        accumulator.update(rows[100:])
        assert relative(accumulator.gram, rows.mH @ rows) < 1e-14


@kinds
def test_refused_rows_change_nothing(kind):
    accumulator = accumulate(kind, features(50, 4), [])
    before = accumulator.state_dict()
    for bad in (math.nan, math.inf, -math.inf):
        rows = features(2 * CHUNK, 3)
        rows[CHUNK + 7, 1] = bad
        with pytest.raises(ValueError, match=f"row {CHUNK + 7} of block 1 holds NaN or infinity"):
            accumulator.update(features(2 * CHUNK, 1), rows)
    with pytest.raises(ValueError, match="beyond the largest float64"):
        GramAccumulator(1).update(torch.full((1, 1), 1e200, dtype=torch.float64))
    assert all(torch.equal(before[name], tensor) for name, tensor in accumulator.state_dict().items())


@kinds
def test_bad_arguments(kind):
    with pytest.raises(ValueError, match="width=0"):
        kind(0)
    with pytest.raises(ValueError, match="dtype"):
        kind(2, dtype=torch.float32)
    with pytest.raises(ValueError, match="shards=0"):
        kind(2, shards=0)
    accumulator, rows = kind(2), features(5, 2)
    for blocks in ((), (rows[:, :1],), (rows, rows), (rows[:, :1], rows[:3, :1]), (rows[0],)):
        with pytest.raises(ValueError, match="blocks"):
            accumulator.update(*blocks)
    with pytest.raises(TypeError, match=r"dtype=torch\.complex128"):
        accumulator.update(rows + 0j)
    with pytest.raises(TypeError, match="int64"):
        accumulator.update(rows.long())
    with pytest.raises(ValueError, match="shard=1"):
        accumulator.update(rows, shard=1)
    with pytest.raises(ValueError, match=r"weights\.shape"):
        accumulator.update(rows, weights=torch.ones(4))
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="finite numbers >= 0"):
            accumulator.update(rows, weights=torch.full((5,), bad))
    with pytest.raises(ValueError, match=r"other\.width"):
        accumulator.merge(kind(3))
    assert accumulator.count == 0


@dtypes
def test_half_of_the_products_on_devices_without_a_hermitian_one(dtype, monkeypatch):
    monkeypatch.setattr("zoo.spectral.accumulators.LEAF", 5)
    rows = features(40, 23, dtype)
    result = torch.zeros(23, 23, dtype=dtype)
    _add_lower_product(result, rows)
    assert relative(result.tril(), (rows.mH @ rows).tril()) < 1e-14
    assert torch.count_nonzero(result.triu(1)) < 23 * 22 / 4


@kinds
def test_memory_is_that_of_one_chunk(kind):
    accumulator = kind(10)
    accumulator.update(torch.ones(20 * CHUNK, 10, dtype=torch.float64).mul_(0.5))
    assert accumulator._buffer.numel() == CHUNK * 11


def test_against_numpy_of_pairs_of_snapshots():
    x = np.random.default_rng(0).standard_normal((2500, 6))
    y = np.random.default_rng(1).standard_normal((2500, 6))
    accumulator = GramAccumulator(12)
    accumulator.update(torch.from_numpy(x), torch.from_numpy(y))
    gram = accumulator.gram.numpy()
    for block, expected in ((gram[:6, :6], x.T @ x), (gram[:6, 6:], x.T @ y), (gram[6:, 6:], y.T @ y)):
        np.testing.assert_allclose(block, expected, rtol=0, atol=1e-13 * 2500)

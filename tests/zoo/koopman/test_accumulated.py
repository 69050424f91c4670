"""Statistics summed over chunks and shards are all that the learners need."""

import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import match, random_snapshots
from zoo.koopman.certificate import certify
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize, factorize_gram, factorize_snapshots
from zoo.koopman.mpedmd import mpedmd
from zoo.koopman.pseudospectrum import grid, smallest_residuals
from zoo.spectral.accumulators import GramAccumulator, TSQRAccumulator

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def accumulate(kind, data, parts=7, shards=1):
    accumulator = kind(2 * data[0].shape[1], dtype=data[0].dtype, shards=shards)
    for index, (x, y, weights) in enumerate(zip(*(part.split(parts) for part in data), strict=True)):
        accumulator.update(x, y, weights=weights, shard=index % shards)
    return accumulator


def test_chunks_give_the_learner_of_all_data():
    data = random_snapshots()
    whole = factorize_snapshots(*data)
    points = grid((-1.0, 1.0), (-1.0, 1.0), 0.5)
    for factors in (
        factorize(accumulate(TSQRAccumulator, data).factor),
        factorize_gram(accumulate(GramAccumulator, data).gram),
    ):
        assert match(edmd(factors).eigenvalues, edmd(whole).eigenvalues) < 1e-12
        assert match(mpedmd(factors).eigenvalues, mpedmd(whole).eigenvalues) < 1e-12
        torch.testing.assert_close(smallest_residuals(factors, points), smallest_residuals(whole, points), **EXACT)


def test_shards_of_an_accumulator_are_those_of_a_certificate():
    data = random_snapshots()
    pairs = edmd(factorize_snapshots(*data))
    fresh = random_snapshots(seed=1)
    triangles = accumulate(TSQRAccumulator, fresh, 4, shards=5).statistic[:, :-1, :-1]
    lower = accumulate(GramAccumulator, fresh, 4, shards=5).statistic[:, :-1, :-1]
    grams = lower + lower.tril(-1).mH
    one = certify(list(triangles), pairs.eigenvalues, pairs.right, origin="held_out")
    other = certify(list(grams), pairs.eigenvalues, pairs.right, origin="held_out", arithmetic="gram")
    torch.testing.assert_close(one.residual, other.residual, **EXACT)
    torch.testing.assert_close(one.upper, other.upper, **EXACT)
    assert one.shards == 5

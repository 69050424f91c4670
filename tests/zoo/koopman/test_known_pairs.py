import torch

from zoo.koopman.known_pairs import CAPACITY, KnownPairs, hash_pairs


def pairs(number, seed=0):
    return torch.randn(2, number, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def known(*parts):
    sample = KnownPairs()
    for x, y in parts:
        sample.update(x, y)
    return sample


def test_hashes_tell_pairs_apart_and_spread():
    x, y = pairs(200000)
    hashes = hash_pairs(x, y)
    assert len(hashes.unique()) == len(hashes)
    assert torch.equal(hash_pairs(x[7:9], y[7:9]), hashes[7:9])
    for other in (hash_pairs(y, x), hash_pairs(x.flip(1), y), hash_pairs(x + 1e-15, y)):
        assert not torch.isin(other, hashes).any()
    shares = torch.stack([(hashes >> bit & 1).double().mean() for bit in range(63)])
    assert (shares - 0.5).abs().max() < 0.01
    assert torch.equal(
        hash_pairs(torch.zeros(1, 1), torch.ones(1, 1)), hash_pairs(-torch.zeros(1, 1), torch.ones(1, 1))
    )


def test_few_pairs_are_all_known():
    x, y = pairs(1000)
    sample = known((x, y))
    assert sample.count(x[::3], y[::3]) == 334
    assert sample.count(*pairs(1000, seed=1)) == 0
    assert KnownPairs().count(x, y) == 0


def test_of_many_pairs_a_sample_is_known_whatever_the_order_and_the_shares():
    x, y = pairs(30000)
    order = torch.randperm(30000, generator=torch.Generator().manual_seed(0))
    whole, shuffled = known((x, y)), known((x[order], y[order]))
    left, right = known((x[:7], y[:7])), known((x[7:], y[7:]), (x[:100], y[:100]))
    left.merge(right)
    assert torch.equal(shuffled.hashes, whole.hashes)
    assert torch.equal(left.hashes, whole.hashes)
    assert whole.count(x, y) == CAPACITY
    expected = CAPACITY * 3000 / 30000
    assert abs(whole.count(x[:3000], y[:3000]) - expected) < 5 * expected**0.5


def test_the_state_is_all_there_is():
    sample = known(pairs(5))
    twin = sample.copy()
    twin.update(*pairs(5, seed=1))
    assert sample.count(*pairs(5, seed=1)) == 0
    other = KnownPairs()
    other.load_state_dict(twin.state_dict())
    assert other.count(*pairs(5, seed=1)) == other.count(*pairs(5)) == 5

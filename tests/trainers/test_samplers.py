from itertools import chain

import pytest

from trainers.samplers import Position, ShardedSampler


def batches(length, batch_size, rank=0, world_size=1, **arguments):
    """The indices of one rank, cut into batches as a loader does."""
    indices = list(ShardedSampler(range(length), batch_size, rank, world_size, **arguments))
    local = batch_size // world_size
    return [indices[first : first + local] for first in range(0, len(indices), local)]


def global_batches(length, batch_size, world_size, epoch=0, **arguments):
    start = Position(epoch)
    ranks = [batches(length, batch_size, rank, world_size, start=start, **arguments) for rank in range(world_size)]
    return [list(chain(*parts)) for parts in zip(*ranks, strict=True)]


@pytest.mark.parametrize("length", [24, 26, 31])
@pytest.mark.parametrize("world_size", [2, 3, 4])
@pytest.mark.parametrize("epoch", [0, 3])
def test_the_same_global_batches_on_any_number_of_processes(length, world_size, epoch):
    arguments = {"training": True, "shuffle": True, "seed": 5, "epoch": epoch}
    alone = global_batches(length, 12, 1, **arguments)
    assert global_batches(length, 12, world_size, **arguments) == alone
    assert [len(batch) for batch in alone] == [12] * (length // 12)
    assert len(set(chain(*alone))) == 12 * (length // 12)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 11, 12, 13, 25])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_evaluation_sees_every_index_exactly_once(length, world_size):
    samplers = [ShardedSampler(range(length), 12, rank, world_size) for rank in range(world_size)]
    assert sorted(index for sampler in samplers for index in sampler) == list(range(length))
    assert all(len(list(sampler)) == len(sampler) for sampler in samplers)
    assert max(map(len, samplers)) - min(map(len, samplers)) <= 1


def test_a_dataset_smaller_than_a_batch_gives_one_batch_that_divides_evenly():
    assert [len(batch) for batch in global_batches(7, 12, 2, training=True)] == [6]
    assert [len(batch) for batch in global_batches(7, 12, 1, training=True)] == [7]


def test_order_is_a_pure_function_of_seed_and_epoch():
    sampler = ShardedSampler(range(50), 10, training=True, shuffle=True, seed=1)
    first = list(sampler)
    assert list(sampler) == first, "iterating draws from no state"
    sampler.set_epoch(1)
    second = list(sampler)
    assert second != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    # The usual seed + epoch would repeat seed 1's second epoch here.
    assert list(ShardedSampler(range(50), 10, training=True, shuffle=True, seed=2)) != second


@pytest.mark.parametrize("rank", [0, 1])
def test_resumed_epoch_skips_what_is_done_and_no_other_does(rank):
    arguments = {
        "dataset": range(24),
        "batch_size": 4,
        "rank": rank,
        "world_size": 2,
        "training": True,
        "shuffle": True,
    }
    whole = ShardedSampler(**arguments)
    resumed = ShardedSampler(**arguments, start=Position(2, 3))
    assert len(resumed) == len(whole) == 12
    whole.set_epoch(2)
    assert list(resumed) == list(whole)[3 * 2 :], "the resumed epoch is set from the start"
    for epoch in (3, 1):
        whole.set_epoch(epoch), resumed.set_epoch(epoch)
        assert list(resumed) == list(whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 5, "world_size": 2}, "batch_size=5"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank=2"),
        ({"batch_size": 4, "seed": -1}, "seed=-1"),
        ({"dataset": range(1), "batch_size": 4, "world_size": 2, "training": True}, "use fewer"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShardedSampler(**{"dataset": range(8), **arguments})

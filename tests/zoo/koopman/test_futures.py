import torch

from zoo.koopman.futures import Futures


def pairs(*lengths, lag=1):
    """Return states and successors of random trajectories, in a random order, with number and time of each state."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for number, length in enumerate(lengths):
        trajectory = torch.randn(length, 2, dtype=torch.float64, generator=generator)
        marks = torch.stack([torch.full((length,), number), torch.arange(length)], dim=1)
        parts.append((trajectory[:-lag], trajectory[lag:], marks[:-lag]))
    whole = [torch.cat(part) for part in zip(*parts, strict=True)]
    order = torch.randperm(len(whole[0]), generator=generator)
    return [part[order] for part in whole]


def test_trajectories_are_found_again_whatever_the_order():
    for lag in (1, 2):
        states, successors, marks = pairs(6, 4, 9, lag=lag)
        time = {tuple(mark): state for mark, state in zip(marks.tolist(), states, strict=True)}
        futures = Futures.of(states, successors)
        found, known = futures.after(torch.arange(len(states)), 3)
        assert torch.equal(found[:, 0], successors)
        assert known[:, 0].all()
        for row, (number, start) in enumerate(marks.tolist()):
            for step in (1, 2):
                begin = (number, start + step * lag)  # of the pair that ends `step + 1` lags later
                assert known[row, step] == (begin in time)
                if begin in time:
                    following = next(i for i, mark in enumerate(marks.tolist()) if tuple(mark) == begin)
                    assert torch.equal(found[row, step], successors[following])
                else:
                    assert not found[row, step].any()


def test_the_longest_trajectory():
    futures = Futures.of(*pairs(6, 4, 9)[:2])
    assert futures.longest(100) == 8
    assert futures.longest(3) == 3


def test_fixed_points_go_on_for_ever():
    states = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    futures = Futures.of(states, torch.tensor([[-0.0, 1.0], [0.0, 1.0]]))
    found, known = futures.after(torch.tensor([1]), 4)
    assert known.all()
    assert torch.equal(found, torch.tensor([[[0.0, 1.0]] * 4]))

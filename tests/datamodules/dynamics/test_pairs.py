import numpy as np
import pytest
import torch

from datamodules.dynamics.pairs import SnapshotPairs, delayed, delayed_names, pairs_of


def test_delays_stack_the_oldest_first():
    trajectory = np.arange(10.0).reshape(5, 2)
    assert delayed(trajectory, 3).tolist() == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 8, 9]]
    assert delayed_names(["x", "y"], 2) == ["x[t-1]", "y[t-1]", "x[t]", "y[t]"]
    assert delayed_names(["x"], 1) == ["x"]


def test_pairs_are_one_lag_apart():
    states, successors = pairs_of(np.arange(6.0)[:, None], lag=2, delays=2)
    assert states.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert successors.tolist() == [[2, 3], [3, 4], [4, 5]]


def test_short_trajectories_are_refused_by_name():
    with pytest.raises(ValueError, match="it has 3 rows; give at least 4 for lag=2 and delays=2"):
        pairs_of(np.zeros((3, 1)), lag=2, delays=2)
    assert len(pairs_of(np.zeros((4, 1)), lag=2, delays=2)[0]) == 1
    with pytest.raises(ValueError, match="3 rows, fewer than delays=4"):
        delayed(np.zeros((3, 1)), 4)


def test_batches_are_gathered_at_once():
    pairs = SnapshotPairs({"state": torch.arange(8.0).view(4, 2), "trajectory": torch.arange(4)})
    batch = pairs.__getitems__([3, 1])
    assert batch["state"].tolist() == [[6, 7], [2, 3]] and batch["trajectory"].tolist() == [3, 1]
    assert pairs[2]["state"].tolist() == [4, 5] and len(pairs) == 4

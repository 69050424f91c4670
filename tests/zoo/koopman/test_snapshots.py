import numpy as np
import pytest
import torch

from zoo.koopman.snapshots import read_snapshots, read_states


def test_pairs_of_a_trajectory_are_one_lag_apart():
    data = read_snapshots(np.arange(6.0), lag=2)
    assert data.x[:, 0].tolist() == [0, 1, 2, 3]
    assert data.y[:, 0].tolist() == [2, 3, 4, 5]
    assert data.weights.tolist() == [0.25] * 4


def test_windows_have_the_oldest_snapshot_first():
    data = read_snapshots(torch.arange(10.0).reshape(5, 2), delays=2)
    assert data.x[0].tolist() == [0, 1, 2, 3]
    assert data.y[0].tolist() == [2, 3, 4, 5]
    assert len(data) == 3


def test_trajectories_of_any_lengths_are_not_glued_together():
    data = read_snapshots([np.zeros((3, 1)), np.ones((4, 1))])
    assert data.x[:, 0].tolist() == [0, 0, 1, 1, 1]
    assert torch.equal(data.x, data.y)


def test_a_nested_list_of_numbers_is_one_trajectory():
    assert read_snapshots([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]).x.tolist() == [[0, 1], [1, 2]]
    assert read_snapshots([0.0, 1.0, 2.0]).x.tolist() == [[0], [1]]


def test_successors_given_as_such():
    x, y = torch.rand(4, 2), torch.rand(4, 2)
    data = read_snapshots(x, y, weights=[1, 1, 0, 2])
    assert torch.equal(data.y, y.double())
    assert data.weights.tolist() == [0.25, 0.25, 0, 0.5]
    two = read_snapshots(x, torch.stack([y, x]))
    assert torch.equal(two.second, x.double())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [[0.0], [np.nan], [np.inf], [1.0]]}, "X has NaN or infinite entries in row 1, 2;"),
        ({"x": [np.zeros((3, 1)), np.array([[0.0], [np.nan]])]}, r"X\[1\] has NaN or infinite entries in row 1;"),
        ({"x": np.zeros((4, 1)), "delays": 4}, "X='4 rows' is not allowed; give at least lag \\+ delays = 5 rows"),
        ({"x": [np.zeros((9, 1)), np.zeros((2, 1))], "lag": 2}, r"X\[1\]='2 rows'"),
        ({"x": np.zeros((4, 1)), "y": np.zeros((3, 1))}, r"Y.shape=\(3, 1\) is not allowed; give that of X, \(4, 1\)"),
        ({"x": np.zeros((4, 1)), "y": np.zeros((3, 4, 1))}, r"Y.shape=\(3, 4, 1\)"),
        ({"x": [np.zeros((4, 1)), np.zeros((4, 2))]}, "trajectories of the same coordinates"),
        ({"x": [np.zeros(2), np.ones(2)]}, "X='a list of arrays"),
        ({"x": np.zeros((2, 2, 2))}, r"X.shape=\(2, 2, 2\)"),
        ({"x": np.zeros((0, 2))}, r"X.shape=\(0, 2\)"),
        ({"x": np.zeros((4, 1)), "lag": 0}, "lag=0"),
        ({"x": np.zeros(4) * 1j}, "real states"),
        ({"x": np.zeros(4), "weights": [1, 1]}, r"weights.shape=\(2,\) is not allowed; give \(3,\)"),
        ({"x": np.zeros(4), "weights": [1, -1, 1]}, "weights="),
        ({"x": np.zeros(4), "weights": [0, 0, 0]}, "not all zero"),
    ],
)
def test_bad_data_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_snapshots(**arguments)


def test_states_to_predict_from():
    assert read_states([1.0, 2.0], dim=2).shape == (1, 2)
    assert read_states(np.zeros((5, 2)), dim=2).shape == (5, 2)
    with pytest.raises(ValueError, match=r"x.shape=\(3,\) is not allowed; give \(4,\) or \(M, 4\), 2 snapshots of 2"):
        read_states([1.0, 2.0, 3.0], dim=4, delays=2)

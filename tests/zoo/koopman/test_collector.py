import pytest
import torch

from zoo.koopman.collector import RowCollector


def test_rows_in_any_order_and_any_shares_give_the_same_table():
    rows, order = torch.rand(7, 2).double(), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    one, left, right = (RowCollector(2, 9) for _ in range(3))
    one.update(rows)
    left.update(rows[order[:3]], order[:3])
    right.update(rows[order[3:]], order[3:])
    left.merge(right)
    assert torch.equal(left.taken, rows)
    assert torch.equal(one.taken, rows)


def test_rows_without_places_follow_the_last_one():
    table = RowCollector(1, 4)
    table.update(torch.ones(2, 1))
    table.update(2 * torch.ones(1, 1))
    assert table.taken[:, 0].tolist() == [1, 1, 2]


def test_the_state_is_all_there_is():
    table = RowCollector(1, 3)
    table.update(torch.ones(2, 1))
    twin = table.copy()
    twin.update(torch.zeros(1, 1))
    assert len(table.taken) == 2
    assert len(twin.taken) == 3


def test_more_rows_than_places_are_refused():
    with pytest.raises(ValueError, match="max_snapshots=3 is not allowed; give at least 4"):
        RowCollector(1, 3).update(torch.ones(4, 1))

import pytest
import torch

from datamodules import keys
from datamodules.dynamics import LinearSlowManifold
from datamodules.dynamics.module import DynamicsDataModule, split_of
from tests.datamodules.dynamics.toys import ready


def test_batches_are_the_same_whether_gathered_or_collated():
    datamodule = ready(LinearSlowManifold)
    pairs = datamodule.dataset("train")
    gathered = datamodule.collate(pairs.__getitems__([4, 0, 2]))
    collated = datamodule.collate([pairs[4], pairs[0], pairs[2]])
    assert gathered.keys() == collated.keys()
    assert all(torch.equal(gathered[key], collated[key]) for key in gathered)


def test_training_sees_every_pair_once_in_an_order_of_the_seed():
    loader = ready(LinearSlowManifold, batch_size=4).train_dataloader()
    first, second = (torch.cat([batch[keys.TRAJECTORY] for batch in loader]) for _ in range(2))
    assert sorted(first.tolist()) == list(range(16)) and first.tolist() != second.tolist()
    again = ready(LinearSlowManifold, batch_size=4).train_dataloader()
    assert torch.equal(torch.cat([batch[keys.TRAJECTORY] for batch in again]), first)


def test_there_is_no_data_before_setup():
    with pytest.raises(RuntimeError, match="no data yet"):
        LinearSlowManifold().entries("train")


def test_splits_need_a_trajectory():
    with pytest.raises(ValueError, match="the split 'val' has no trajectory"):
        split_of([], torch.zeros(0).numpy(), 1, 1, 0, "val")


def test_coordinates_must_be_defined():
    with pytest.raises(NotImplementedError, match="DynamicsDataModule must define coordinates"):
        DynamicsDataModule().target_names  # noqa: B018

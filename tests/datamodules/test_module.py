"""Loaders, tested with the smallest datamodule there is: integers."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import SequentialSampler

from datamodules.module import ZooDataModule


class Integers(ZooDataModule):
    def __init__(self, size: int = 10, batch_size: int = 4, num_workers: int = 0, seed: int = 0, predict_path=None):
        super().__init__(batch_size, num_workers, seed, predict_path)
        self.size = size
        self.builds = 0

    def build_datasets(self):
        self.builds += 1
        return {"train": list(range(self.size)), "val": list(range(3)), "test": list(range(5))}

    def collate(self, samples):
        return torch.tensor(samples)

    def read_inputs(self, path):
        return ["a", "b"], [7, 8]


def ready(**arguments):
    datamodule = Integers(**arguments)
    datamodule.setup()
    return datamodule


def batches(loader):
    return [batch.tolist() for batch in loader]


def test_training_is_shuffled_in_whole_batches():
    epoch = batches(ready().train_dataloader())
    assert [len(batch) for batch in epoch] == [4, 4]
    seen = [sample for batch in epoch for sample in batch]
    assert len(set(seen)) == 8 and set(seen) < set(range(10)) and seen != sorted(seen)


def test_a_training_set_below_one_batch_is_not_dropped():
    assert [len(batch) for batch in batches(ready(size=3).train_dataloader())] == [3]


def test_evaluation_sees_every_sample_once_and_in_order():
    datamodule = ready()
    assert batches(datamodule.val_dataloader()) == [[0, 1, 2]]
    assert batches(datamodule.test_dataloader()) == [[0, 1, 2, 3], [4]]
    assert batches(datamodule.predict_dataloader()) == [[0, 1, 2, 3], [4]]


def test_order_depends_on_the_seed_alone():
    def two_epochs(**arguments):
        loader = ready(size=50, **arguments).train_dataloader()
        return [batches(loader), batches(loader)]

    first = two_epochs()
    torch.manual_seed(123)
    assert two_epochs() == first
    assert two_epochs(num_workers=2) == first
    assert two_epochs(seed=1) != first
    assert first[0] != first[1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_global_random_state_is_left_alone(num_workers):
    before = torch.get_rng_state()
    datamodule = ready(num_workers=num_workers)
    for loader in (datamodule.train_dataloader(), datamodule.test_dataloader()):
        batches(loader)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_sampler_factory_decides_when_it_is_set():
    datamodule = ready()
    calls = []

    def factory(dataset, shuffle):
        calls.append((len(dataset), shuffle))
        return SequentialSampler(dataset)

    datamodule.sampler_factory = factory
    assert batches(datamodule.train_dataloader()) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    datamodule.test_dataloader()
    assert calls == [(10, True), (5, False)]


def test_batch_size_is_shared_among_processes(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch.distributed, "is_initialized", lambda: True)
        patch.setattr(torch.distributed, "get_world_size", lambda: 2)
        assert ready().test_dataloader().batch_size == 2
        with pytest.raises(ValueError, match=r"batch_size=5 .* multiple of the 2 processes"):
            ready(batch_size=5).test_dataloader()


def test_the_users_inputs_are_predicted_when_given():
    datamodule = Integers(predict_path="inputs.txt")
    datamodule.setup("predict")
    assert batches(datamodule.predict_dataloader()) == [[7, 8]]
    assert datamodule.predict_ids == ["a", "b"]
    assert datamodule.builds == 0


def test_datasets_are_built_once_and_not_before_setup():
    datamodule = Integers()
    with pytest.raises(RuntimeError, match="setup"):
        datamodule.train_dataloader()
    for stage in ("fit", "validate", "test", "predict"):
        datamodule.setup(stage)
    assert datamodule.builds == 1


def test_hyper_parameters_rebuild_the_datamodule():
    datamodule = Integers(size=7, batch_size=2, seed=3)
    assert dict(datamodule.hparams) == {"size": 7, "batch_size": 2, "num_workers": 0, "seed": 3, "predict_path": None}
    assert dict(Integers(**datamodule.hparams).hparams) == dict(datamodule.hparams)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size=0 .* >= 1"),
        ({"batch_size": 2.0}, TypeError, "batch_size=2.0 is a float"),
        ({"batch_size": True}, TypeError, "batch_size=True is a bool"),
        ({"num_workers": -1}, ValueError, "num_workers=-1 .* >= 0"),
        ({"seed": -1}, ValueError, "seed=-1 .* >= 0"),
        ({"predict_path": Path("a.smi")}, TypeError, "predict_path is a PosixPath"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        Integers(**arguments)

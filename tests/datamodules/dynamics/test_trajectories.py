import json

import numpy as np
import pytest
import torch

from datamodules import keys
from datamodules.dynamics import Trajectories


def saved(folder, *shape, name="a.npy"):
    np.save(folder / name, np.arange(float(np.prod(shape))).reshape(shape))
    return str(folder / name)


def ready(path, **arguments):
    datamodule = Trajectories(path, **arguments)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def test_one_trajectory_is_split_by_time(tmp_path):
    datamodule = ready(saved(tmp_path, 100, 2), lag=2, delays=3, time_step=0.5)
    rows = {}
    for split in ("train", "val", "test"):
        entries = datamodule.entries(split)
        rows[split] = set(torch.cat([entries[keys.STATE], entries[keys.NEXT_STATE]])[:, ::2].flatten().tolist())
        assert torch.equal(entries[keys.NEXT_STATE], entries[keys.STATE] + 4)
        assert entries[keys.WEIGHT].sum().item() == pytest.approx(1)
    assert {split: len(part) for split, part in rows.items()} == {"train": 70, "val": 10, "test": 20}
    assert not rows["train"] & rows["val"] and not rows["val"] & rows["test"]
    assert max(rows["train"]) < min(rows["val"]) < min(rows["test"])
    assert datamodule.metadata()["split"] == "by block of time, within each trajectory"
    assert datamodule.metadata()["sizes"] == {"train": 66, "val": 6, "test": 16} and datamodule.dt == 1.0
    assert datamodule.target_names == ["x0[t-2]", "x1[t-2]", "x0[t-1]", "x1[t-1]", "x0[t]", "x1[t]"]


def test_many_trajectories_are_split_as_wholes(tmp_path):
    datamodule = ready(saved(tmp_path, 20, 6, 1))
    owners = [
        set((datamodule.entries(split)[keys.STATE] // 6).flatten().tolist()) for split in ("train", "val", "test")
    ]
    assert [len(part) for part in owners] == [14, 2, 4] and len(set.union(*owners)) == 20
    numbers = [set(datamodule.entries(split)[keys.TRAJECTORY].tolist()) for split in ("train", "val", "test")]
    assert len(set.union(*numbers)) == 20
    assert datamodule.metadata()["split"] == "by trajectory"
    again, other = ready(str(tmp_path / "a.npy")), ready(str(tmp_path / "a.npy"), seed=1)
    assert torch.equal(again.entries("test")[keys.STATE], datamodule.entries("test")[keys.STATE])
    assert not torch.equal(other.entries("test")[keys.STATE], datamodule.entries("test")[keys.STATE])


def test_pairs_are_trajectories_of_two_rows(tmp_path):
    datamodule = ready(saved(tmp_path, 30, 2, 3))
    assert len(datamodule.dataset("train")) == 21
    entries = datamodule.entries("train")
    assert torch.equal(entries[keys.NEXT_STATE], entries[keys.STATE] + 3)


def test_pairs_weigh_the_same_in_trajectories_of_different_lengths(tmp_path):
    for number, length in enumerate((40, 10, 20)):
        saved(tmp_path, length, 2, name=f"{number}.npy")
    weights = ready(str(tmp_path), split="trajectory").entries("train")[keys.WEIGHT]
    assert weights.min() == pytest.approx(weights.max().item()) and weights.sum().item() == pytest.approx(1)
    metadata = ready(str(tmp_path), split="trajectory").metadata()
    assert json.loads(json.dumps(metadata)) == metadata and len(metadata["sha256"]) == 64
    assert metadata["source"] == "0.npy, 1.npy, 2.npy"


def test_faults_name_the_trajectory(tmp_path):
    path = saved(tmp_path, 10, 5, 1)
    with pytest.raises(ValueError, match=r"trajectory '0' has 5 rows; give at least 6 for lag=2 and delays=4"):
        ready(path, lag=2, delays=4)
    with pytest.raises(ValueError, match=r"trajectory '0' has 5 rows, 0 of them for 'val'; with lag=1 and delays=1"):
        ready(path, split="block")
    path = saved(tmp_path, 2, 50, 1)
    with pytest.raises(ValueError, match="needs at least 3 trajectories, and there are 2; give 'block'"):
        ready(path, split="trajectory")
    with pytest.raises(FileNotFoundError, match="missing.npy does not exist"):  # noqa: RUF043
        ready(str(tmp_path / "missing.npy"))


def test_states_to_predict_from_have_the_delays_of_training(tmp_path):
    path = saved(tmp_path, 100, 2)
    datamodule = Trajectories(path, delays=2, predict_path=saved(tmp_path, 5, 2, name="b.npy"))
    datamodule.setup("predict")
    assert datamodule.predict_ids == ["0:1", "0:2", "0:3", "0:4"]
    with pytest.raises(ValueError, match="trajectory '0' has 3 columns; give 2: x0, x1"):
        Trajectories(path).read_inputs(saved(tmp_path, 5, 3, name="c.npy"))


@pytest.mark.parametrize(
    "arguments", [{"split": "random"}, {"val_fraction": 0}, {"test_fraction": 0.95}, {"time_step": -1.0}, {"lag": 0}]
)
def test_bad_arguments_are_refused_by_name(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"{name}={value!r} is not allowed"):
        Trajectories("a.npy", **arguments)


def test_hyper_parameters_rebuild_the_datamodule():
    first = Trajectories("a.npy", transpose=True, delays=3, val_fraction=0.2)
    again = Trajectories(**first.hparams)
    assert again.hparams == first.hparams and (again.path, again.transpose, again.delays) == ("a.npy", True, 3)

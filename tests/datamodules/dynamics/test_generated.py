import json

import numpy as np
import pytest
import torch

from datamodules import keys
from datamodules.dynamics import ArnoldCat, CircleRotation, LinearSlowManifold, NoisyRotation
from tests.datamodules.dynamics.toys import TINY, ready


def test_batch_entries():
    batch = next(iter(ready(LinearSlowManifold, batch_size=4).val_dataloader()))
    assert {key: (entry.dtype, tuple(entry.shape)) for key, entry in batch.items()} == {
        "state": (torch.float64, (3, 2)),
        "next_state": (torch.float64, (3, 2)),
        "weight": (torch.float64, (3,)),
        "trajectory": (torch.int64, (3,)),
        "index": (torch.int64, (3,)),
    }


def test_stochastic_systems_have_two_independent_successors():
    entries = ready(NoisyRotation, num_train=4000).entries("train")
    assert entries[keys.SECOND_NEXT_STATE].shape == (4000, 1)
    noise = [
        (entries[key] - entries[keys.STATE] - 0.2 + 0.5) % 1 - 0.5 for key in (keys.NEXT_STATE, keys.SECOND_NEXT_STATE)
    ]
    correlation = (noise[0] * noise[1]).mean() / (noise[0].std() * noise[1].std())
    assert abs(correlation) < 4 / 4000**0.5 and all(abs(part.mean()) < 0.002 for part in noise)
    with pytest.raises(ValueError, match="delays=2 is not allowed"):
        NoisyRotation(delays=2)


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.parametrize("delays", [1, 2])
def test_pairs_are_one_lag_apart_and_share_the_weight_of_their_trajectory(lag, delays):
    datamodule = ready(ArnoldCat, lag=lag, delays=delays, num_steps=4)
    entries = datamodule.entries("train")
    assert entries[keys.STATE].shape == (16 * 4, 2 * delays)
    for part in range(delays):
        columns = slice(2 * part, 2 * part + 2)
        moved = datamodule.flow(entries[keys.STATE][:, columns].numpy())
        assert abs(np.exp(1j * moved) - np.exp(1j * entries[keys.NEXT_STATE][:, columns].numpy())).max() < 1e-10
    assert entries[keys.WEIGHT].sum().item() == pytest.approx(1)
    assert entries[keys.TRAJECTORY].tolist() == np.repeat(np.arange(16), 4).tolist()
    assert len(datamodule.target_names) == 2 * delays


def test_splits_share_no_trajectory():
    datamodule = ready(LinearSlowManifold)
    numbers = [set(datamodule.entries(split)[keys.TRAJECTORY].tolist()) for split in ("train", "val", "test")]
    assert len(set.union(*numbers)) == 16 + 3 + 5
    states = torch.cat([datamodule.entries(split)[keys.STATE] for split in ("train", "val", "test")])
    assert len(states.unique(dim=0)) == 16 + 3 + 5
    assert datamodule.metadata()["split"] == "by trajectory"


@pytest.mark.parametrize("quadrature", ["equispaced", "gauss"])
def test_only_training_states_are_nodes_of_a_rule(quadrature):
    datamodule = ready(LinearSlowManifold, quadrature=quadrature)
    for split in ("train", "val", "test"):
        assert datamodule.entries(split)[keys.WEIGHT].sum().item() == pytest.approx(1)
    entries = datamodule.entries("train")
    assert len(entries[keys.STATE][:, 0].unique()) == 4
    assert torch.equal(datamodule.entries("test")[keys.STATE], ready(LinearSlowManifold).entries("test")[keys.STATE])


def test_generation_is_a_function_of_the_seed():
    first = LinearSlowManifold(**TINY).arrays("train")
    np.random.seed(1)  # noqa: NPY002 - what must have no influence
    again, other = LinearSlowManifold(**TINY).arrays("train"), LinearSlowManifold(**TINY, seed=1).arrays("train")
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first[keys.STATE], other[keys.STATE])


def test_batches_are_bit_identical_on_any_number_of_workers():
    state = torch.get_rng_state()
    loaders = (ready(LinearSlowManifold, num_workers=number, batch_size=8).train_dataloader() for number in (0, 2))
    for left, right in zip(*loaders, strict=True):
        assert all(torch.equal(left[key], right[key]) for key in left)
    assert torch.equal(torch.get_rng_state(), state)


def test_generation_in_chunks_makes_no_difference_where_nothing_is_random(monkeypatch):
    whole = LinearSlowManifold(**TINY, quadrature="gauss", num_steps=3).arrays("train")
    monkeypatch.setattr(LinearSlowManifold, "chunk", 5)
    parts = LinearSlowManifold(**TINY, quadrature="gauss", num_steps=3).arrays("train")
    assert all(np.array_equal(whole[key], parts[key]) for key in whole)


def test_nothing_is_written_before_prepare_data(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "home"))
    CircleRotation(**TINY)
    assert not (tmp_path / "home").exists()


def test_every_argument_of_the_system_has_a_file_of_its_own():
    assert CircleRotation(**TINY).hparams.keys() >= {"rotation", "num_train", "seed", "lag", "quadrature"}
    one, other = ready(CircleRotation), ready(CircleRotation, rotation=0.3)
    assert one.source() != other.source() and ready(CircleRotation, batch_size=3).source() == one.source()


def test_metadata_is_plain():
    metadata = ready(CircleRotation).metadata()
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["sizes"] == {"train": 16, "val": 3, "test": 5} and len(metadata["sha256"]) == 64


def test_target_statistics_are_those_of_the_training_states():
    datamodule = ready(LinearSlowManifold)
    mean, deviation = datamodule.target_statistics()
    states = datamodule.entries("train")[keys.STATE].numpy()
    np.testing.assert_allclose(mean, states.mean(0))
    np.testing.assert_allclose(deviation, states.std(0))


def test_the_command_line_knows_the_arguments_of_system_and_base():
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_class_arguments(CircleRotation, "data")
    parsed = parser.parse_args(["--data.rotation=0.1", "--data.num_train=7", "--data.lag=2"])
    assert (parsed.data.rotation, parsed.data.num_train, parsed.data.lag) == (0.1, 7, 2)


@pytest.mark.parametrize(
    "arguments", [{"num_val": 0}, {"num_steps": 0}, {"lag": 0}, {"delays": 0}, {"quadrature": "simpson"}, {"seed": -1}]
)
def test_bad_arguments_are_refused_by_name(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        LinearSlowManifold(**arguments)

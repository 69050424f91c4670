"""What every generated system must pass."""

import json

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

import datamodules
from datamodules import dynamics, keys
from datamodules.dynamics.generated import GeneratedDynamics, StochasticDynamics

SYSTEMS = [
    system
    for system in (getattr(dynamics, path.rsplit(".", 1)[1]) for path in datamodules.list_datamodules("*dynamics*"))
    if issubclass(system, GeneratedDynamics)
]
SMALL = {"num_val": 2, "num_test": 3, "num_steps": 4}
QUICK = {"burn_in": 1.0, "num_train": 2}
ARGUMENTS = {
    "CellularAutomaton": {"num_cells": 2},
    "KuramotoSivashinsky": {**QUICK, "num_points": 32},
    "Lorenz63": QUICK,
    "Roessler": QUICK,
    "VortexStreet": {"num_x": 24, "num_y": 6, "num_train": 4},
}


def small(system, **arguments):
    return system(**{**SMALL, "num_train": 6, **ARGUMENTS.get(system.__name__, {}), **arguments})


def automaton_takes_all(system):
    return {"num_train": None} if system.__name__ == "CellularAutomaton" else {}


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.__name__)
def system(request):
    return request.param


def test_data_are_finite_pairs_of_the_system(system):
    datamodule = small(system, lag=2, **automaton_takes_all(system))
    datamodule.prepare_data()
    datamodule.setup()
    metadata = datamodule.metadata()
    assert json.loads(json.dumps(metadata)) == metadata and metadata["name"] == system.__name__
    for split in ("train", "val", "test"):
        entries = datamodule.entries(split)
        number = datamodule.sizes[split] * 4
        for key in (keys.STATE, keys.NEXT_STATE):
            assert entries[key].shape == (number, len(datamodule.target_names)) and entries[key].dtype == torch.float64
            assert entries[key].isfinite().all()
        assert (keys.SECOND_NEXT_STATE in entries) == issubclass(system, StochasticDynamics)
        assert entries[keys.WEIGHT].sum().item() == pytest.approx(1) and len(entries[keys.TRAJECTORY]) == number
    mean, deviation = datamodule.target_statistics()
    assert len(mean) == len(deviation) == len(datamodule.target_names) and min(deviation) > 0
    if not issubclass(system, StochasticDynamics):
        state, successor = (datamodule.entries("test")[key].numpy() for key in (keys.STATE, keys.NEXT_STATE))
        moved = datamodule.flow(state)
        gap = abs(moved - successor)
        length = 2 * np.pi if "Pendulum" in system.__name__ or system.__name__ == "ArnoldCat" else 1.0
        assert np.minimum(gap, abs(gap - length)).max() < 1e-9  # circles wrap around


def test_data_are_a_function_of_the_arguments(system):
    first, again = (small(system, **automaton_takes_all(system)).arrays("val") for _ in range(2))
    other = small(system, seed=1, **automaton_takes_all(system)).arrays("val")
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first[keys.STATE], other[keys.STATE])


def test_hyper_parameters_rebuild_the_datamodule(system):
    datamodule = small(system, **automaton_takes_all(system))
    again = system(**datamodule.hparams)
    assert again.hparams == datamodule.hparams and again.dt == datamodule.dt


def test_the_truth_has_values_at_states(system):
    datamodule = small(system, **automaton_takes_all(system))
    state = datamodule.sample(5, np.random.default_rng(0))
    truth = datamodule.truth()
    assert truth.spectrum and len({pair.label for pair in truth.pairs}) == len(truth.pairs)
    assert any(abs(pair.eigenvalue - 1) < 1e-12 for pair in truth.pairs)
    assert all(abs(pair.eigenvalue) <= 1 + 1e-12 for pair in truth.pairs)
    for pair in truth.pairs:
        if pair.function is not None:
            assert pair.function(state).shape == (5,) and np.isfinite(pair.function(state)).all()


def test_the_command_line_knows_all_arguments(system):
    parser = ArgumentParser()
    parser.add_class_arguments(system, "data")
    parsed = parser.parse_args(["--data.num_test=7", "--data.lag=3", "--data.seed=2", "--data.quadrature=random"]).data
    assert (parsed.num_test, parsed.lag, parsed.seed) == (7, 3, 2)
    assert "num_workers" in parsed and "num_steps" in parsed

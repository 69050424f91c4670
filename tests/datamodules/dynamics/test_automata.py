import numpy as np
import pytest

from datamodules import keys
from datamodules.dynamics import CellularAutomaton, CoarseAutomaton
from datamodules.dynamics.automaton import configurations, numbers_of, permutation, transfer_matrix
from tests.datamodules.dynamics.toys import defects

SMALL = {"num_val": 3, "num_test": 5}


def ready(system, **arguments):
    datamodule = system(**{**SMALL, **arguments})
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


@pytest.mark.parametrize("interacting", [False, True])
def test_training_holds_every_configuration_once(interacting):
    datamodule = ready(CellularAutomaton, interacting=interacting, num_cells=2)
    entries = datamodule.entries("train")
    numbers = [numbers_of(entries[key].numpy()) for key in (keys.STATE, keys.NEXT_STATE)]
    assert np.array_equal(numbers[0], np.arange(256))
    assert np.array_equal(numbers[1], permutation(2, interacting))
    assert entries[keys.WEIGHT].tolist() == [1 / 256] * 256
    assert "shared" in datamodule.metadata()["split"]
    assert datamodule.target_names[:5] == ["R_r(0)", "R_g(0)", "L_r(0)", "L_g(0)", "R_r(1)"]


@pytest.mark.parametrize("arguments", [{}, {"interacting": False, "lag": 2}, {"num_cells": 4}])
def test_eigenfunctions(arguments):
    system = CellularAutomaton(**arguments)
    found = defects(system, configurations(system.num_cells).astype(float))
    assert len(found) == 1 + system.num_cells * (2 if system.interacting else 6) and max(found.values()) < 1e-14


def test_cycles_of_the_datamodule():
    assert CellularAutomaton().cycle_counts() == {1: 20, 2: 28, 3: 580, 6: 128, 9: 96, 12: 24, 15: 24}


def test_random_configurations():
    entries = ready(CellularAutomaton, num_train=300, quadrature="random", num_steps=2).entries("train")
    assert entries[keys.STATE].shape == (600, 12) and set(entries[keys.STATE].unique().tolist()) == {0, 1}
    assert abs(entries[keys.STATE].mean() - 0.5) < 0.03


def test_the_coarse_automaton_follows_its_transfer_matrix():
    system = ready(CoarseAutomaton, num_cells=3, kept_cells=1, num_train=40000)
    entries = system.entries("train")
    first, second = (numbers_of(entries[key].numpy()) for key in (keys.NEXT_STATE, keys.SECOND_NEXT_STATE))
    start = numbers_of(entries[keys.STATE].numpy())
    matrix = transfer_matrix(3, 1, True)
    for end in (first, second):
        counted = np.bincount(start * 16 + end, minlength=256).reshape(16, 16)
        assert abs(counted / counted.sum(1, keepdims=True) - matrix).max() < 0.06
    joint = matrix.T @ matrix / 16  # of two independent successors
    counted = np.bincount(first * 16 + second, minlength=256).reshape(16, 16) / 40000
    assert abs(counted - joint).max() < 0.005


@pytest.mark.parametrize(
    "arguments", [{}, {"num_cells": 3, "kept_cells": 2, "interacting": False}, {"num_cells": 3, "lag": 2}]
)
def test_expectations_of_the_coarse_automaton(arguments):
    system = CoarseAutomaton(**arguments)
    matrix = np.linalg.matrix_power(
        transfer_matrix(system.num_cells, system.kept_cells, system.interacting), system.lag
    )
    pairs = system.truth().pairs
    assert abs(pairs[0].eigenvalue - 1) < 1e-12
    assert (len(pairs) > 1) == system.interacting  # free movers leave the kept cells: nilpotent
    bits = configurations(system.kept_cells)
    for pair in pairs:
        values = pair.function(bits)
        np.testing.assert_allclose(matrix @ values, pair.eigenvalue * values, atol=1e-8)
        variance = np.mean(matrix @ abs(values) ** 2 - abs(matrix @ values) ** 2) / np.mean(abs(values) ** 2)
        assert variance == pytest.approx(pair.variance, abs=1e-8)


@pytest.mark.parametrize("arguments", [{"num_cells": 1}, {"num_cells": 6}, {"num_train": 100}, {"quadrature": "gauss"}])
def test_bad_arguments_are_refused_by_name(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"{name}={value!r} is not allowed"):
        CellularAutomaton(**arguments)
    with pytest.raises(ValueError, match="kept_cells=2 is not allowed; give 1 or 2, and less than num_cells=2"):
        CoarseAutomaton(num_cells=2)

import zlib

import numpy as np
import pytest
import scipy.io

from datamodules.dynamics.inputs import read_trajectories
from datamodules.dynamics.matlab import is_hdf5, list_variables, read_variable

ARRAYS = {
    "matrix": np.arange(12.0).reshape(4, 3),
    "stack": np.arange(24.0).reshape(2, 3, 4),
    "single": np.arange(4, dtype=np.float32)[None] / 3,
    "bytes": np.arange(6, dtype=np.uint8)[:, None],
    "integers": np.array([[-5, 1 << 40]]),
    "a_name_of_more_than_eight_bytes": np.ones((1, 2)),
    "logical": np.array([[True, False]]),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_those_that_scipy_wrote(tmp_path, compressed):
    others = {"text": "abc", "cell": np.array([1, "a"], dtype=object), "s": {"x": 1}, "z": np.array([[1j]])}
    scipy.io.savemat(tmp_path / "a.mat", {**others, **ARRAYS, **others}, do_compression=compressed)
    variables, order = list_variables(tmp_path / "a.mat")
    assert variables.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert variables[name].shape == array.shape
        read = read_variable(variables[name], order)
        assert read.dtype == np.float64 and np.array_equal(read, array)


def test_versions_are_told_apart(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", ARRAYS)
    assert not is_hdf5(tmp_path / "a.mat")
    content = bytearray((tmp_path / "a.mat").read_bytes())
    content[124:126] = b"\x00\x02"
    (tmp_path / "b.mat").write_bytes(content)
    assert is_hdf5(tmp_path / "b.mat")
    scipy.io.savemat(tmp_path / "c.mat", {"x": ARRAYS["matrix"]}, format="4")
    with pytest.raises(ValueError, match="no MATLAB file of version 5 to 7"):
        list_variables(tmp_path / "c.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_is_a_value_error_or_goes_unnoticed(tmp_path, compressed):
    # Unnoticed where it hits a number; nothing else may happen.
    generator = np.random.default_rng(0)
    scipy.io.savemat(tmp_path / "a.mat", {"x": generator.random((6, 3)), "s": {"a": 1}}, do_compression=compressed)
    content = (tmp_path / "a.mat").read_bytes()
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for position in generator.integers(len(content), size=2):
            damaged[position] = generator.integers(256)
        (tmp_path / "b.mat").write_bytes(damaged)
        try:
            read_trajectories(tmp_path / "b.mat")
        except ValueError as error:
            refused += 1
            assert "b.mat: " in str(error)
        except ImportError:
            refused += 1
    assert refused > 50


def test_what_unpacks_to_more_than_it_should_is_cut_off(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.zeros((2, 2))})
    content = (tmp_path / "a.mat").read_bytes()
    bomb = zlib.compress(content[128:] + b"\0" * (1 << 24))
    element = np.array([15, len(bomb)], dtype="<u4").tobytes() + bomb
    (tmp_path / "b.mat").write_bytes(content[:128] + element)
    assert read_trajectories(tmp_path / "b.mat")["0"].tolist() == [[0, 0], [0, 0]]

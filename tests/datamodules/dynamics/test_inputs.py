import importlib.util

import numpy as np
import pytest
import scipy.io

from datamodules.dynamics import LinearSlowManifold, inputs
from datamodules.dynamics.inputs import choose, read_trajectories

ROWS = np.arange(12.0).reshape(6, 2)


def write(path, content):
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("array", "shapes"), [(ROWS, [(6, 2)]), (ROWS[:, 0], [(6, 1)]), (np.zeros((3, 4, 2)), [(4, 2)] * 3)]
)
def test_npy(tmp_path, array, shapes):
    np.save(tmp_path / "a.npy", array)
    read = read_trajectories(tmp_path / "a.npy")
    assert list(read) == [str(number) for number in range(len(shapes))]
    assert [entry.shape for entry in read.values()] == shapes
    assert np.array_equal(np.squeeze(np.stack(list(read.values()))), array)


@pytest.mark.parametrize("text", ["0,1\n2,3\n", "x,y\n0,1\n2,3\n", '"x";"y"\n0;1\n2;3\n', "\ufeffx\ty\n0\t1\n2\t3\n"])
def test_csv(tmp_path, text):
    assert read_trajectories(write(tmp_path / "a.csv", text))["0"].tolist() == [[0, 1], [2, 3]]


def test_csv_with_a_column_for_the_trajectory(tmp_path):
    read = read_trajectories(write(tmp_path / "a.csv", "x,trajectory\n1,7\n5,3\n2,7\n6,3\n"))
    assert {name: entry.tolist() for name, entry in read.items()} == {"7": [[1], [2]], "3": [[5], [6]]}
    with pytest.raises(ValueError, match="column 'trajectory' holds other things than integers"):
        read_trajectories(write(tmp_path / "a.csv", "x,trajectory\n1,0.5\n"))


def test_matlab(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"VORT": ROWS, "Re": 100.0, "name": "wake"}, do_compression=True)
    assert np.array_equal(read_trajectories(path)["0"], ROWS)
    assert np.array_equal(read_trajectories(path, transpose=True)["0"], ROWS.T)
    with pytest.raises(ValueError, match=r"variable='vort' is not allowed; of real numbers it holds VORT \(6, 2\)"):
        read_trajectories(path, variable="vort")
    scipy.io.savemat(path, {"a": ROWS, "b": ROWS})
    with pytest.raises(ValueError, match=r"or variable= say which; it holds a \(6, 2\), b \(6, 2\)"):
        read_trajectories(path)
    assert np.array_equal(read_trajectories(path, variable="b")["0"], ROWS)


def test_matlab_structures_are_not_read(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"s": {"x": ROWS}, "c": np.array([1, "a"], dtype=object)})
    with pytest.raises(ValueError, match=r"it must hold one array of real numbers.*it holds nothing"):
        read_trajectories(tmp_path / "a.mat")


@pytest.mark.skipif(importlib.util.find_spec("h5py") is None, reason="h5py is not installed")
def test_hdf5(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["runs/x"] = np.zeros((2, 5, 3))
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "x")
        file.create_dataset("raw", (4, 4), "u1", external=[("/etc/passwd", 0, 16)])
        file["name"] = "abc"
    assert [entry.shape for entry in read_trajectories(tmp_path / "a.h5").values()] == [(5, 3)] * 2
    with pytest.raises(ValueError, match=r"variable='raw' is not allowed; of real numbers it holds runs/x \(2, 5, 3\)"):
        read_trajectories(tmp_path / "a.h5", variable="raw")
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        file["x"] = ROWS.T  # as MATLAB writes it
    content = bytearray((tmp_path / "b.mat").read_bytes())
    content[124:128] = b"\x00\x02IM"
    (tmp_path / "b.mat").write_bytes(content)
    assert np.array_equal(read_trajectories(tmp_path / "b.mat")["0"], ROWS)
    for position in range(600, len(content), 40):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        (tmp_path / "b.mat").write_bytes(damaged)
        try:
            read_trajectories(tmp_path / "b.mat")
        except ValueError as error:
            assert "b.mat: " in str(error)


@pytest.mark.skipif(importlib.util.find_spec("h5py") is not None, reason="h5py is installed")
def test_hdf5_needs_h5py(tmp_path):
    with pytest.raises(ImportError, match=r"a.h5 is an HDF5 file; reading it needs h5py: pip install h5py"):
        read_trajectories(write(tmp_path / "a.h5", "x"))


def test_folder(tmp_path):
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 2)))
    write(tmp_path / "a.csv", "0,1\n2,3\n")
    write(tmp_path / "notes.txt", "ignored")
    assert list(read_trajectories(tmp_path)) == ["a.csv", "b.npy:0", "b.npy:1"]
    np.save(tmp_path / "c.npy", np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"c.npy has 5 columns but a.csv has 2; give the same number"):
        read_trajectories(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_with_missing_values_are_listed(tmp_path, bad):
    array = np.zeros((20, 2))
    array[[3, 7], 1] = bad
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=r"a.npy: trajectory '0' has NaN or infinite numbers in 2 of 20 rows.*: 3, 7;"):
        read_trajectories(tmp_path / "a.npy")
    write(tmp_path / "a.csv", f"x,y\n0,1\n{bad},3\n")
    with pytest.raises(ValueError, match="in 1 of 2 rows, counted from 0: 1;"):
        read_trajectories(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no row of numbers"),
        ("x,y\n", "holds no row of numbers"),
        ("0,1\n2\n", "columns changed from 2 to 1"),
        ("0,1\n2,\n", "could not convert string '' to float64 at row 1, column 2"),
        ("0,1\nx,2\n", "could not convert string 'x'"),
        ("0,x\n1,2\n", "neither numbers nor names"),
    ],
)
def test_faults_of_csv_files(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"a.csv: .*{message}"):
        read_trajectories(write(tmp_path / "a.csv", text))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), complex), "complex numbers; give real and imaginary parts"),
        (np.array(["a"]), "entries of type <U1; give real numbers"),
        (np.zeros((2, 2, 2, 2)), r"shape \(2, 2, 2, 2\)"),
        (np.zeros((0, 2)), r"shape \(0, 2\); give at least one row"),
        (np.float64(1), r"shape \(\)"),
        (np.array([{}]), "Python objects"),
    ],
)
def test_faults_of_arrays(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=rf"a.npy: .*{message}"):
        read_trajectories(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".csv"])
@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY\x01\x00", b"MATLAB 5.0 MAT-file" + b"\0" * 200, b"\xff\xfe\x00junk"]
)
def test_damaged_files_are_value_errors(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"a{suffix}: "):
        read_trajectories(path)


def test_truncated_matlab_files_are_value_errors(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.random.default_rng(0).random((50, 3))}, do_compression=True)
    content = (tmp_path / "a.mat").read_bytes()
    for length in range(0, len(content), 97):
        (tmp_path / "b.mat").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"b.mat: "):
            read_trajectories(tmp_path / "b.mat")


def test_other_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"suffix '.pkl'; allowed: .npy, .csv, .mat"):
        read_trajectories(write(tmp_path / "a.pkl", ""))
    with pytest.raises(FileNotFoundError, match=r"missing.csv does not exist"):
        read_trajectories(tmp_path / "missing.csv")
    with pytest.raises(ValueError, match="holds no trajectory"):
        read_trajectories(tmp_path)
    monkeypatch.setattr(inputs, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="allowed: at most 10"):
        read_trajectories(write(tmp_path / "a.csv", "0,1\n2,3\n4,5\n"))


def test_choose_passes_over_single_numbers():
    assert choose({"n": (1, 1), "x": (5, 2)}, None) == "x"


def test_states_to_predict_from(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(2, 3, 2))
    datamodule = LinearSlowManifold(delays=2, predict_path=str(tmp_path / "a.npy"), batch_size=3)
    datamodule.setup("predict")
    assert datamodule.predict_ids == ["0:1", "0:2", "1:1", "1:2"]
    batch = next(iter(datamodule.predict_dataloader()))
    assert batch["state"].tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [6, 7, 8, 9]]
    assert batch["trajectory"].tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match=r"a.npy: trajectory '0': it has 3 rows, fewer than delays=4"):
        LinearSlowManifold(delays=4).read_inputs(str(tmp_path / "a.npy"))
    np.save(tmp_path / "a.npy", np.zeros((4, 3)))
    with pytest.raises(ValueError, match="trajectory '0' has 3 columns; give 2: x1, x2"):
        LinearSlowManifold().read_inputs(str(tmp_path / "a.npy"))

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from datamodules.fields.reading import list_arrays, read_array

ARRAY = np.random.default_rng(0).standard_normal((4, 6, 5))


def save(folder, suffix):
    path = folder / f"fields{suffix}"
    if suffix == ".npy":
        np.save(path, ARRAY)
    elif suffix == ".npz":
        np.savez(path, sol=ARRAY, coeff=ARRAY[0])
    elif suffix == ".mat":
        savemat(path, {"sol": ARRAY, "coeff": ARRAY[0], "words": "none"})
    else:
        with h5py.File(path, "w") as file:
            file["sol"], file["coeff"] = ARRAY, ARRAY[0]
            file["words"] = "none"
    return path


def save_mat_73(folder):
    """Write what MATLAB writes in version 7.3: HDF5 after 512 bytes of header, with reversed axes."""
    path = folder / "fields.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["sol"], file["coeff"] = ARRAY.T, ARRAY[0].T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5", "7.3"])
def test_every_format(tmp_path, suffix):
    path = save_mat_73(tmp_path) if suffix == "7.3" else save(tmp_path, suffix)
    name = None if suffix == ".npy" else "sol"
    array = read_array(path, name)
    assert array.dtype == np.float32 and array.flags.c_contiguous
    np.testing.assert_array_equal(array, ARRAY.astype(np.float32))
    kept = read_array(path, name, (slice(1, 3), slice(None, None, 2)))
    np.testing.assert_array_equal(kept, ARRAY[1:3, ::2].astype(np.float32))
    shapes = list_arrays(path)
    assert shapes[name or ""] == (4, 6, 5) and len(shapes) == (1 if suffix == ".npy" else 2)


def test_unusable_files_are_refused(tmp_path):
    path = save(tmp_path, ".npz")
    with pytest.raises(ValueError, match=r"no array 'u' of real numbers; it holds sol \(4, 6, 5\), coeff \(6, 5\)"):
        read_array(path, "u")
    with pytest.raises(ValueError, match="must hold one array"):
        read_array(path)
    with pytest.raises(FileNotFoundError, match=r"other\.npy does not exist"):
        read_array(tmp_path / "other.npy")
    with pytest.raises(ValueError, match=r"suffix '.txt'; allowed: .npy"):
        read_array(tmp_path / "fields.txt")
    np.save(tmp_path / "nan.npy", [np.nan])
    with pytest.raises(ValueError, match="NaN or infinite"):
        read_array(tmp_path / "nan.npy")
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"pickled\.npy: .*Python objects"):
        read_array(tmp_path / "pickled.npy")
    (tmp_path / "broken.mat").write_bytes(b"\x00" * 200)
    with pytest.raises(ValueError, match=r"broken\.mat: it is no MATLAB file"):
        read_array(tmp_path / "broken.mat", "sol")
    with pytest.raises(ValueError, match="4 axes or more"):
        read_array(save(tmp_path, ".npy"), keep=4 * [slice(None)])

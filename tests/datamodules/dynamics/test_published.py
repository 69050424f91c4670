import numpy as np
import pytest
import scipy.io
import scipy.linalg
from jsonargparse import ArgumentParser

from datamodules.dynamics import ECG, CylinderWake, LidDrivenCavity, SeaIce, SeaLevel

GENERATOR = np.random.default_rng(0)


def ready(datamodule):
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def all_states(datamodule):
    return np.concatenate([datamodule.entries(split)["state"] for split in ("train", "val", "test")])


def test_cylinder(tmp_path):
    field = GENERATOR.random((12, 40))
    scipy.io.savemat(tmp_path / "Vorticity_data.mat", {"VORT": field, "other": field}, do_compression=True)
    datamodule = ready(CylinderWake(str(tmp_path)))
    np.testing.assert_array_equal(datamodule.entries("train")["state"], field.T[:27])
    assert datamodule.metadata()["licence"].startswith("not stated")


def test_cavity(tmp_path):
    energies = {f"KE{number}": GENERATOR.random((200, 1)) for number in range(1, 5)}
    scipy.io.savemat(tmp_path / "cavity_KE.mat", energies)
    for number, reynolds in enumerate((13000, 16000, 19000, 30000), start=1):
        datamodule = ready(LidDrivenCavity(reynolds=reynolds, root=str(tmp_path), delays=2))
        assert datamodule.entries("train")["state"][0].tolist() == energies[f"KE{number}"][:2, 0].tolist()
    with pytest.raises(ValueError, match="reynolds=20000 is not allowed; give one of 13000, 16000, 19000, 30000"):
        LidDrivenCavity(reynolds=20000, root=".")


@pytest.mark.parametrize("shape", [(6, 50), (2, 3, 50)])
def test_points_without_data_are_left_out(tmp_path, shape):
    field = GENERATOR.random(shape)
    field.reshape(-1, 50)[[1, 4]] = np.nan
    for datamodule, name in ((SeaLevel, "a.mat"), (SeaIce, "a.npy")):
        folder = tmp_path / datamodule.__name__
        folder.mkdir()
        scipy.io.savemat(folder / name, {"height": field}) if name == "a.mat" else np.save(folder / name, field)
        states = all_states(ready(datamodule(root=str(folder))))
        assert np.isin(states, field.reshape(-1, 50)[[0, 2, 3, 5]]).all() and states.shape[1] == 4
    field.reshape(-1, 50)[2, 7] = np.nan
    np.save(folder / name, field)
    with pytest.raises(
        ValueError, match="the data set has NaN or infinite numbers in 1 of 50 rows, counted from 0: 7;"
    ):
        ready(SeaIce(root=str(folder)))


def test_rows_of_delays_are_left_out_of_the_sea_ice(tmp_path):
    np.save(tmp_path / "a.npy", GENERATOR.random((12, 50)))
    assert ready(SeaIce(num_points=4, root=str(tmp_path))).entries("train")["state"].shape[1] == 4


def test_ecg_is_a_signal_or_its_hankel_matrix(tmp_path):
    signal = GENERATOR.random(60)
    for array in (signal, signal[None], signal[:, None], scipy.linalg.hankel(signal[:20], signal[19:])):
        scipy.io.savemat(tmp_path / "heart_data.mat", {"x": array})
        states = ready(ECG(str(tmp_path))).entries("train")["state"]
        assert states[:, 0].tolist() == signal[:41].tolist()
    scipy.io.savemat(tmp_path / "heart_data.mat", {"x": GENERATOR.random((5, 6))})
    with pytest.raises(ValueError, match=r"the matrix \(5, 6\) is no Hankel matrix"):
        ready(ECG(str(tmp_path)))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Vorticity_data.mat does not exist"):
        ready(CylinderWake(str(tmp_path)))
    with pytest.raises(ValueError, match=r"must hold one file ending in .*, or file_name= say which: none"):
        ready(SeaLevel(str(tmp_path)))
    with pytest.raises(FileNotFoundError, match=r"root='nowhere' is no folder"):
        ready(SeaIce(root="nowhere"))


@pytest.mark.parametrize("datamodule", [CylinderWake, LidDrivenCavity, SeaIce, SeaLevel, ECG])
def test_hyper_parameters_rebuild_the_datamodule(datamodule):
    first = datamodule(root="folder", lag=2, time_step=0.2)
    again = datamodule(**first.hparams)
    assert again.hparams == first.hparams and again.dt == first.dt == 0.4
    assert (again.file_name, again.variable, again.root) == (first.file_name, first.variable, "folder")
    parser = ArgumentParser()
    parser.add_class_arguments(datamodule, "data")
    assert parser.parse_args(["--data.root=x", "--data.split=block", "--data.delays=4"]).data.delays == 4

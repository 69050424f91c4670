"""Every benchmark: generated where it has a solver, and read from tiny copies of the original files."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from datamodules.fields import Airfoil, Burgers, Darcy, Elasticity, ElasticityGrid, NavierStokes, Pipe, Plasticity
from datamodules.fields.module import published_split
from tests.datamodules.fields.toys import ready

SMALL = {
    Darcy: {"resolution": 17, "subsample": 2},
    NavierStokes: {"resolution": 16, "subsample": 1, "num_inputs": 3, "num_outputs": 2, "time_step": 0.1},
    Burgers: {"resolution": 32, "time_step": 0.01},
    Pipe: {"resolution": 16},
    Elasticity: {"rays": 12, "rings": 5, "kept_rings": 3, "grid_size": 9},
    ElasticityGrid: {"rays": 12, "rings": 5, "kept_rings": 3, "grid_size": 9},
}
SHAPES = {
    Darcy: {"input": (9, 9, 1), "target": (9, 9, 1)},
    NavierStokes: {"input": (16, 16, 3), "target": (16, 16, 2)},
    Burgers: {"input": (32, 1), "target": (32, 1)},
    Pipe: {"input": (33, 33, 2), "target": (33, 33, 1)},
    Elasticity: {"positions": (36, 2), "code": (42,), "target": (36, 1)},
    ElasticityGrid: {"input": (9, 9, 1), "mask": (9, 9, 1), "target": (9, 9, 1)},
}


@pytest.mark.parametrize("benchmark", SMALL)
def test_generated(benchmark):
    datamodule = ready(benchmark, **SMALL[benchmark])
    batch = next(iter(datamodule.train_dataloader()))
    assert {name: tuple(entry.shape) for name, entry in batch.items()} == {
        name: (2, *shape) for name, shape in SHAPES[benchmark].items()
    }
    assert all(entry.dtype == torch.float32 and entry.isfinite().all() for entry in batch.values())
    assert [len(datamodule.dataset(split)) for split in ("train", "val", "test")] == [5, 2, 3]
    name = next(iter(batch))
    splits = [datamodule.entries(split)[name] for split in ("train", "val", "test")]
    everything = torch.cat(splits).flatten(1)
    assert len(everything.unique(dim=0)) == 10 or benchmark is ElasticityGrid  # coarse masks may coincide
    metadata = datamodule.metadata()
    assert metadata["sizes"] == {"train": 5, "val": 2, "test": 3} and len(metadata["sha256"]["test"]) == 64
    again = ready(benchmark, **SMALL[benchmark])
    assert all(torch.equal(again.entries("test")[key], value) for key, value in datamodule.entries("test").items())


def random(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def test_darcy_files(tmp_path):
    first, second = {"coeff": random(7, 21, 21), "sol": random(7, 21, 21)}, {"coeff": random(6, 21, 21)}
    second["sol"] = 2 * second["coeff"]
    savemat(tmp_path / "piececonst_r421_N1024_smooth1.mat", first)
    savemat(tmp_path / "piececonst_r421_N1024_smooth2.mat", second)
    datamodule = ready(Darcy, root=str(tmp_path))
    entries = {split: datamodule.entries(split) for split in ("train", "val", "test")}
    np.testing.assert_array_equal(entries["train"]["target"][..., 0], first["sol"][:5, ::5, ::5])
    np.testing.assert_array_equal(entries["test"]["input"][..., 0], second["coeff"][:3, ::5, ::5])
    np.testing.assert_array_equal(entries["val"]["target"][..., 0], second["sol"][3:5, ::5, ::5])
    assert datamodule.metadata()["split"] == "as published"
    with pytest.raises(ValueError, match=r"num_train=9 is not allowed; give at most 7"):
        ready(Darcy, root=str(tmp_path), num_train=9)


def test_navier_stokes_files(tmp_path):
    frames = random(12, 8, 8, 20)
    savemat(tmp_path / "NavierStokes_V1e-5_N1200_T20.mat", {"u": frames})
    datamodule = ready(NavierStokes, root=str(tmp_path))
    np.testing.assert_array_equal(datamodule.entries("train")["input"], frames[:5, :, :, :10])
    np.testing.assert_array_equal(datamodule.entries("val")["target"], frames[5:7, :, :, 10:])
    np.testing.assert_array_equal(datamodule.entries("test")["target"], frames[-3:, :, :, 10:])
    with pytest.raises(ValueError, match=r"num_train=10 is not allowed; give at most 7 for the 12"):
        ready(NavierStokes, root=str(tmp_path), num_train=10)


def test_burgers_files(tmp_path):
    a, u = random(12, 64), random(12, 64) + 1
    savemat(tmp_path / "burgers_data_R10.mat", {"a": a, "u": u, "a_smooth": a})
    datamodule = ready(Burgers, root=str(tmp_path), subsample=4)
    np.testing.assert_array_equal(datamodule.entries("test")["input"][..., 0], a[-3:, ::4])
    np.testing.assert_array_equal(datamodule.entries("train")["target"][..., 0], u[:5, ::4])


def test_elasticity_files(tmp_path):
    xy, rr, sigma, mask = random(30, 2, 12), random(42, 12), random(30, 12), random(9, 9, 12)
    arrays = {"XY_10": xy, "rr_10": rr, "sigma_10": sigma, "mask_10_interp": mask, "sigma_10_interp": mask + 1}
    for name, array in arrays.items():
        np.save(tmp_path / f"Random_UnitCell_{name}.npy", array)
    points = ready(Elasticity, root=str(tmp_path)).entries("test")
    np.testing.assert_array_equal(points["positions"], xy.transpose(2, 0, 1)[-3:])
    np.testing.assert_array_equal(points["code"], rr.T[-3:])
    np.testing.assert_array_equal(points["target"][..., 0], sigma.T[-3:])
    grid = ready(ElasticityGrid, root=str(tmp_path)).entries("train")
    np.testing.assert_array_equal(grid["input"][..., 0], mask.transpose(2, 0, 1)[:5])
    assert torch.equal(grid["mask"], grid["input"]) and torch.equal(grid["target"], grid["input"] + 1)


def test_airfoil_files(tmp_path):
    x, y, q = random(12, 6, 5), random(12, 6, 5) + 1, random(12, 5, 6, 5)
    for name, array in (("X", x), ("Y", y), ("Q", q)):
        np.save(tmp_path / f"NACA_Cylinder_{name}.npy", array)
    datamodule = ready(Airfoil, root=str(tmp_path))
    np.testing.assert_array_equal(datamodule.entries("test")["input"], np.stack([x, y], -1)[5:8])
    np.testing.assert_array_equal(datamodule.entries("test")["target"][..., 0], q[5:8, 4])
    np.testing.assert_array_equal(datamodule.entries("val")["target"][..., 0], q[8:10, 4])
    with pytest.raises(ValueError, match="num_train=9 is not allowed; give at most 7"):
        ready(Airfoil, root=str(tmp_path), num_train=9)


def test_pipe_files(tmp_path, monkeypatch):
    monkeypatch.setattr("datamodules.fields.pipe.USED", 9)
    x, y, q = random(12, 6, 5), random(12, 6, 5) + 1, random(12, 3, 6, 5)
    for name, array in (("X", x), ("Y", y), ("Q", q)):
        np.save(tmp_path / f"Pipe_{name}.npy", array)
    datamodule = ready(Pipe, root=str(tmp_path))
    np.testing.assert_array_equal(datamodule.entries("train")["input"], np.stack([x, y], -1)[:5])
    np.testing.assert_array_equal(datamodule.entries("test")["target"][..., 0], q[6:9, 0])
    np.testing.assert_array_equal(datamodule.entries("val")["target"][..., 0], q[9:11, 0])


def test_plasticity_files(tmp_path):
    profile, output = random(12, 7), random(12, 7, 4, 3, 4)
    savemat(tmp_path / "plas_N987_T20.mat", {"input": profile, "output": output})
    datamodule = ready(Plasticity, root=str(tmp_path))
    entries = datamodule.entries("test")
    assert entries["input"].shape == (3, 7, 4, 3, 1)
    np.testing.assert_array_equal(entries["input"][:, :, 2, 1, 0], profile[-3:])
    np.testing.assert_array_equal(entries["target"], output[-3:])
    assert datamodule.field_statistics()["target"][0].shape == (7, 4, 3, 4)


@pytest.mark.parametrize("benchmark", [Airfoil, Plasticity])
def test_benchmarks_without_a_solver_name_their_files(benchmark):
    with pytest.raises(ValueError, match=r"root=None is not allowed, .* has no solver; give a folder with "):
        benchmark()


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"piececonst_r421_N1024_smooth1\.mat does not exist"):
        ready(Darcy, root=str(tmp_path))


def test_statistics_are_those_of_training():
    datamodule = ready(Darcy, **SMALL[Darcy])
    statistics = datamodule.field_statistics()
    target = datamodule.entries("train")["target"]
    torch.testing.assert_close(statistics["target"][0], target.mean(0))
    assert statistics["input"][1].shape == (9, 9, 1)
    mean, std = datamodule.target_statistics()
    assert mean == pytest.approx([target.mean().item()]) and std == pytest.approx([target.std().item()])
    times = ready(NavierStokes, **SMALL[NavierStokes], normalization="channel").field_statistics()
    assert times["input"][0].shape == times["target"][0].shape == (1,)
    assert ready(NavierStokes, **SMALL[NavierStokes]).field_statistics() == {}
    assert "input" not in ready(Elasticity, **SMALL[Elasticity], normalization="channel").field_statistics()


def test_splits_are_told_apart():
    split = published_split(20, {"train": 10, "val": 3, "test": 5}, "x")
    assert split == {"train": slice(0, 10), "val": slice(10, 13), "test": slice(15, 20)}


def test_own_fields(tmp_path):
    np.save(tmp_path / "one.npy", random(4, 11, 13))
    datamodule = Darcy(predict_path=str(tmp_path / "one.npy"), **SMALL[Darcy])
    datamodule.prepare_data()
    datamodule.setup("predict")
    batch = next(iter(datamodule.predict_dataloader()))
    assert list(batch) == ["input"] and batch["input"].shape == (4, 11, 13, 1)
    assert datamodule.predict_ids == ["0", "1", "2", "3"]


def test_own_points(tmp_path):
    np.savez(tmp_path / "own.npz", positions=random(2, 50, 2), code=random(2, 42), target=random(2, 50, 1))
    names, samples = Elasticity(**SMALL[Elasticity]).read_inputs(str(tmp_path / "own.npz"))
    assert names == ["0", "1"] and sorted(samples[1]) == ["code", "positions"]


def test_own_masks_stay_masks(tmp_path):
    mask = (random(2, 20, 20) > 0).astype(np.float32)
    np.save(tmp_path / "own.npy", mask)
    _, samples = ElasticityGrid(**SMALL[ElasticityGrid]).read_inputs(str(tmp_path / "own.npy"))
    assert sorted(samples[1]) == ["input", "mask"]
    np.testing.assert_array_equal(samples[1]["mask"], mask[1, ..., None])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"input": random(2, 16, 16, 4)}, r"'input' has the shape \(2, 16, 16, 4\); give 4 axes.*and 3 channel"),
        ({"input": random(2, 16, 16)}, "give 4 axes"),
        ({"a": random(2, 3), "b": random(3)}, "no array 'input'"),
    ],
)
def test_unusable_fields_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        NavierStokes(**SMALL[NavierStokes]).read_inputs(str(tmp_path / "own.npz"))


@pytest.mark.parametrize(
    ("benchmark", "name", "value"),
    [
        (Darcy, "num_train", 1),
        (Darcy, "num_val", 0),
        (Darcy, "num_test", 0),
        (Darcy, "num_processes", 0),
        (Darcy, "normalization", "batch"),
        (Darcy, "resolution", 9),
        (Darcy, "subsample", 11),
        (NavierStokes, "num_inputs", 0),
        (NavierStokes, "num_outputs", 0),
        (NavierStokes, "resolution", 33),
        (NavierStokes, "subsample", 3),
        (NavierStokes, "time_step", 0),
        (Burgers, "resolution", 15),
        (Burgers, "subsample", 5),
        (Burgers, "time_step", -1),
        (Pipe, "resolution", 4),
        (Elasticity, "rays", 16),
        (Elasticity, "rings", 2),
        (Elasticity, "kept_rings", 8),
        (ElasticityGrid, "grid_size", 1),
    ],
)
def test_bad_arguments_are_named(benchmark, name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        benchmark(**{name: value})

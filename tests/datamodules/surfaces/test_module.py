import numpy as np
import pytest
import torch

import datamodules.surfaces as surfaces
from datamodules import keys
from datamodules.surfaces import shapes
from datamodules.surfaces.splits import TASKS, split_points
from tests.paths import SHARED

GENERATED = ["Sphere", "Torus", "Ellipsoid", "FlatTorus", "MoebiusStrip", "KleinBottle"]


def ready(name, **arguments):
    datamodule = getattr(surfaces, name)(**arguments)
    datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule


@pytest.mark.parametrize("name", GENERATED)
def test_batches_are_points_with_the_truth(name):
    datamodule = ready(name, n=300)
    batch = next(iter(datamodule.test_dataloader()))
    node = batch[keys.NODE]
    torch.testing.assert_close(batch[keys.POSITION], datamodule.points[node], rtol=0, atol=0)
    torch.testing.assert_close(batch[keys.VECTOR], datamodule.truth[node], rtol=0, atol=0)
    assert batch[keys.VECTOR].dtype == torch.float64
    assert len(datamodule.target_names) == datamodule.points.shape[1]
    assert datamodule.metadata()["sizes"]["train"] == len(datamodule.dataset("train"))
    again = ready(name, n=300)
    torch.testing.assert_close(again.truth, datamodule.truth, rtol=0, atol=0)


@pytest.mark.parametrize("task", TASKS)
def test_splits(task):
    points = shapes.sphere(500)
    parts = split_points(points, task, seed=3, label_fraction=0.2, hole=0.3)
    for part in parts.values():
        assert (np.diff(part) > 0).all()
    assert not set(parts["val"]) & set(parts["test"])
    asked = np.concatenate([parts["val"], parts["test"]])
    if task == "denoising":
        assert len(parts["train"]) == len(asked) == 500
        return
    assert sorted(np.concatenate([parts["train"], asked])) == list(range(500))
    if task == "super_resolution":
        assert len(parts["train"]) == 100
    else:
        spread = np.linalg.norm(points[asked][:, None] - points[asked], axis=2).max(axis=1)
        assert spread.min() < 0.3 * 2 and len(asked) == pytest.approx(500 * 0.3**2, abs=5)
    other = split_points(points, task, seed=4, label_fraction=0.2, hole=0.3)
    assert set(other["train"]) != set(parts["train"])


def test_noise_is_added_to_training_labels_alone():
    clean, noisy = ready("Sphere", n=2000), ready("Sphere", n=2000, noise=0.2)
    for split in ("val", "test"):
        first, second = (data.dataset(split).entries for data in (clean, noisy))
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    first, second = (data.dataset("train").entries for data in (clean, noisy))
    torch.testing.assert_close(first[keys.NODE], second[keys.NODE], rtol=0, atol=0)
    size = clean.truth.square().sum(1).mean().sqrt()
    assert ((second[keys.VECTOR] - first[keys.VECTOR]).std() / size).item() == pytest.approx(0.2, rel=0.05)


def test_fields_with_singularities():
    datamodule = ready("Sphere", n=200, field="saddles")
    x, y = datamodule.points[:, 0], datamodule.points[:, 1]
    assert (datamodule.truth[:, 0] - (y - 2 * x * y * x)).abs().max() < 1e-14


def test_points_of_ones_own(tmp_path):
    points, vectors = shapes.torus(200), np.random.default_rng(0).standard_normal((200, 3))
    vectors[50:] = np.nan
    path = tmp_path / "field.npz"
    np.savez(path, points=points, vectors=vectors)
    datamodule = ready("PointCloudField", path=str(path), label_fraction=0.6)
    assert datamodule.points.shape == (200, 3)
    used = torch.cat([datamodule.dataset(split).entries[keys.NODE] for split in ("train", "val", "test")])
    assert sorted(used.tolist()) == list(range(50))
    assert len(datamodule.dataset("train")) == 30
    np.savez(path, points=points)
    with pytest.raises(ValueError, match="at least 4 labelled points, not 0"):
        ready("PointCloudField", path=str(path))


def test_predicting_at_points_of_ones_own(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("x,y,z\n0,0,1\n0,1,0\n")
    datamodule = surfaces.Sphere(n=50, predict_path=str(path))
    datamodule.setup("predict")
    (batch,) = datamodule.predict_dataloader()
    assert batch[keys.POSITION].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert keys.VECTOR not in batch and datamodule.predict_ids == ["0", "1"]


@pytest.mark.skipif(SHARED is None, reason="the mesh of the bunny is not there")
@pytest.mark.parametrize("field", ["ambient", "diffused"])
def test_bunny(field):
    pytest.importorskip("trimesh")
    datamodule = ready("MeshField", path=str(SHARED / "data/rvgp/bunny.obj"), spacing=0.05, field=field)
    assert datamodule.points.shape == (308, 3) and datamodule.faces is None
    length = datamodule.truth.norm(dim=1)
    assert length.square().mean().item() == pytest.approx(1)
    if field == "diffused":
        torch.testing.assert_close(length, torch.ones_like(length))
    assert len(datamodule.metadata()["sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Sphere", {"n": 0}, "n=0"),
        ("Sphere", {"field": "vortex"}, "field='vortex'"),
        ("Sphere", {"task": "forecast"}, "task='forecast'"),
        ("Torus", {"label_fraction": 1.0}, "label_fraction=1.0"),
        ("Torus", {"hole": 0.0}, "hole=0.0"),
        ("Torus", {"noise": -1.0}, "noise=-1.0"),
        ("MeshField", {"path": "a.obj", "spacing": 1.0}, "spacing=1.0"),
        ("MeshField", {"path": "a.obj", "time": 0.0}, "time=0.0"),
    ],
)
def test_bad_arguments_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        getattr(surfaces, name)(**arguments)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Cube"):
        surfaces.Cube  # noqa: B018

import numpy as np
import pytest
import torch

from datamodules import keys
from datamodules.molecules import NBody
from datamodules.molecules import nbody as module
from datamodules.molecules.nbody import accelerations, initial_states, simulate

TINY = {"num_train": 4, "num_val": 2, "num_test": 3, "first_frame": 0, "target_frame": 1}


@pytest.fixture(autouse=True)
def few_trajectories(monkeypatch):
    """Do not draw ten thousand trajectories to use three."""
    monkeypatch.setattr(module, "PUBLISHED", {"train": 5, "val": 3, "test": 3})


def test_forces_are_coulombs_and_clamped():
    charges = np.array([[1.0, -1.0]])
    pos = np.array([[[0.0, 0, 0], [2.0, 0, 0]]])
    np.testing.assert_allclose(accelerations(charges, pos), [[[0.25, 0, 0], [-0.25, 0, 0]]])
    np.testing.assert_allclose(accelerations(-charges[:, :1] * [[1, 1]], pos), [[[-0.25, 0, 0], [0.25, 0, 0]]])
    np.testing.assert_allclose(accelerations(charges, pos * 1e-3), [[[100.0, 0, 0], [-100.0, 0, 0]]])


def test_initial_states_are_the_published_ones():
    """Charges, positions, velocities, and the noise that nobody sees, from one stream."""
    charges, pos, velocities = initial_states({"train": 2, "val": 1, "test": 1}, 5, 43)
    random = np.random.RandomState(43)
    for number in range(2):
        expected = random.choice([-1.0, 0.0, 1.0], size=(5, 1), p=[0.5, 0, 0.5])[:, 0]
        np.testing.assert_array_equal(charges[number], expected)
        np.testing.assert_array_equal(pos[number], random.randn(3, 5).T)
        speeds = random.randn(3, 5).T
        expected = 0.5 * speeds / np.linalg.norm(speeds, axis=1, keepdims=True)
        np.testing.assert_allclose(velocities[number], expected, rtol=1e-14)
        random.randn(49 * 3 * 5), random.randn(49 * 3 * 5)
    assert set(charges.flatten()) == {-1.0, 1.0}


def test_simulation_is_the_loop_of_the_definition():
    charges, pos, velocities = initial_states({"train": 1, "val": 1, "test": 1}, 3, 0)
    frames = simulate(charges, pos, velocities, (0, 1))
    x, v = pos.copy(), velocities + 1e-3 * accelerations(charges, pos)
    for step in range(1, 201):
        x = x + 1e-3 * v
        if step == 100:
            np.testing.assert_allclose(frames[0][0], x, rtol=1e-12)
            np.testing.assert_allclose(frames[0][1], v, rtol=1e-12)
        if step == 200:
            np.testing.assert_allclose(frames[1][0], x, rtol=1e-12)
        v = v + 1e-3 * accelerations(charges, x)


def test_momentum_and_energy_are_kept():
    charges = np.array([[1.0, 1.0, -1.0]])
    pos = np.array([[[0.0, 0, 0], [1.5, 0, 0], [0, 2.0, 0]]])
    velocities = np.array([[[0.0, 0.1, 0], [0.1, 0, 0], [0, 0, 0.1]]])

    def energy(x, v):
        distances = np.linalg.norm(x[0][:, None] - x[0][None], axis=-1)[np.triu_indices(3, 1)]
        products = (charges[0][:, None] * charges[0])[np.triu_indices(3, 1)]
        return 0.5 * (v**2).sum() + (products / distances).sum()

    ((x, v),) = simulate(charges, pos, velocities, (4,))
    np.testing.assert_allclose(v.sum(1), velocities.sum(1), atol=1e-12)
    assert energy(x, v) == pytest.approx(energy(pos, velocities), abs=2e-3)


def test_splits_do_not_depend_on_each_others_sizes():
    small = NBody(**TINY)
    large = NBody(**{**TINY, "num_train": 5})
    for datamodule in (small, large):
        datamodule.prepare_data()
        datamodule.setup()
    assert [len(small.dataset(split)) for split in ("train", "val", "test")] == [4, 2, 3]
    for split in ("val", "test"):
        for one, other in zip(small.dataset(split), large.dataset(split), strict=True):
            assert all(torch.equal(one[key], other[key]) for key in one)


def test_batches_connect_all_bodies():
    datamodule = NBody(**TINY, batch_size=2)
    datamodule.setup()
    batch = next(iter(datamodule.train_dataloader()))
    assert batch[keys.EDGE_INDEX].shape == (2, 40)
    assert batch[keys.PTR].tolist() == [0, 5, 10]
    assert batch[keys.TARGET_POS].shape == (10, 3)
    assert datamodule.metadata()["sizes"] == {"train": 4, "val": 2, "test": 3}


def test_own_bodies(tmp_path):
    random = np.random.default_rng(0)
    arrays = {"positions": random.normal(size=(3, 4, 3)), "velocities": random.normal(size=(3, 4, 3))}
    np.savez(tmp_path / "own.npz", charges=np.array([1, -1, 1, 1]), **arrays)
    datamodule = NBody(**TINY, predict_path=str(tmp_path / "own.npz"))
    datamodule.setup("predict")
    (batch,) = datamodule.predict_dataloader()
    assert batch[keys.CHARGES].tolist() == [1, -1, 1, 1] * 3
    assert keys.TARGET_POS not in batch
    np.savez(tmp_path / "bad.npz", charges=np.ones(3), **arrays)
    with pytest.raises(ValueError, match=r"charges \(3,\) do not fit positions \(3, 4, 3\)"):
        datamodule.read_inputs(str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match="give charges, positions and velocities"):
        datamodule.read_inputs(str(tmp_path / "bad.npz"))


@pytest.mark.parametrize(
    "change",
    [
        {"num_train": 0},
        {"num_val": 4},
        {"num_bodies": 1},
        {"first_frame": -1},
        {"target_frame": 49},
        {"target_frame": 0},
        {"data_seed": -1},
    ],
)
def test_bad_arguments_are_named(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        NBody(**{**TINY, **change})

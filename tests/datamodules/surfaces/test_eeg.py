import numpy as np
import pytest
import torch

from datamodules import keys
from datamodules.surfaces.brain_waves import AXES, FREQUENCY, head, phase_gradient, record
from datamodules.surfaces.eeg import SyntheticEEG
from tests.paths import SHARED
from zoo.rvgp.regressor import VectorFieldGP
from zoo.spectral.connection import connection_laplacian

GEOMETRY = connection_laplacian(head(), 2, dim=2)


def ready(**arguments):
    datamodule = SyntheticEEG(**{"subjects": 6, "seconds": 0.1, **arguments})
    datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule


def test_head_is_the_upper_part_of_an_ellipsoid():
    points = head()
    np.testing.assert_allclose(((points / AXES) ** 2).sum(1), 1, atol=1e-13)
    assert len(points) == 256 and (points[:, 2] / AXES[2]).min() == pytest.approx(-1 / 3, abs=0.01)


def test_plane_waves_have_their_phase_gradient():
    wave = np.array([0.2, -0.1, 0.15])
    signal = np.exp(1j * (GEOMETRY.points @ wave))[None]
    expected = np.einsum("npd,p->nd", GEOMETRY.frames, wave)
    # Away from the rim; curvature makes the rest of the difference.
    inner = GEOMETRY.points[:, 2] > 0
    error = (phase_gradient(GEOMETRY, signal)[0] - expected)[inner]
    assert np.linalg.norm(error) < 0.07 * np.linalg.norm(expected[inner])


def test_waves_travel_at_the_speed_of_their_length():
    recording = record(GEOMETRY, 40, group=0, seed=1)
    speed = np.linalg.norm(recording.vectors, axis=2)
    # 10 Hz at wavelengths of 15 to 25 cm; where waves meet they are faster and slower.
    assert 15 * FREQUENCY * 0.5 < np.median(speed) < 25 * FREQUENCY * 1.5
    normal = recording.vectors - np.einsum("npd,nqd,tnq->tnp", GEOMETRY.frames, GEOMETRY.frames, recording.vectors)
    assert np.abs(normal).max() < 1e-9 * np.abs(recording.vectors).max()
    steps = np.angle(np.exp(1j * np.diff(recording.phases, axis=0))) * 250
    assert np.median(steps) == pytest.approx(2 * np.pi * FREQUENCY, rel=0.1)


def test_groups_differ_in_where_their_sources_are():
    share = [
        np.mean([(record(GEOMETRY, 1, group, seed).sources[..., 0] < -5).mean() for seed in range(60)])
        for group in (0, 1)
    ]
    assert share[1] > share[0] + 0.1


def test_subjects_are_in_one_split_and_groups_in_all():
    datamodule = ready(subjects=12)
    subjects = {
        split: set(datamodule.dataset(split).entries[keys.SUBJECT].tolist()) for split in ("train", "val", "test")
    }
    assert sorted(number for part in subjects.values() for number in part) == list(range(12))
    for split in subjects:
        assert set(datamodule.dataset(split).entries[keys.SUBJECT_GROUP].tolist()) == {0, 1}
    assert datamodule.metadata()["sizes"] == {"train": 200, "val": 50, "test": 50}


def test_batches_are_fields():
    datamodule = ready()
    batch = next(iter(datamodule.test_dataloader()))
    assert batch[keys.VECTOR_FIELD].shape == (50, 256, 3)
    assert datamodule.labelled.sum() == 64 and datamodule.labelled[[0, 255]].all()
    again = ready()
    torch.testing.assert_close(again.dataset("test").entries, datamodule.dataset("test").entries, rtol=0, atol=0)
    other = ready(seed=1).dataset("test").entries[keys.VECTOR_FIELD]
    assert not torch.equal(other, datamodule.dataset("test").entries[keys.VECTOR_FIELD])


def test_fields_can_be_completed_from_a_quarter_of_the_channels():
    datamodule = ready()
    fields = datamodule.dataset("test").entries[keys.VECTOR_FIELD][:20].numpy()
    # Directions: a few places where the wave stands have speeds that would drown all others.
    fields = fields / np.linalg.norm(fields, axis=2, keepdims=True)
    model = VectorFieldGP(80, geometry={"dim": 2}).fit(datamodule.points, fields, datamodule.labelled)
    hidden = ~datamodule.labelled.numpy()

    def cosine(prediction):
        norms = np.linalg.norm(prediction, axis=2) * np.linalg.norm(fields[:, hidden], axis=2)
        return ((prediction * fields[:, hidden]).sum(2) / norms).mean()

    points, labelled = datamodule.points.numpy(), datamodule.labelled.numpy()
    nearest = np.linalg.norm(points[hidden][:, None] - points[labelled], axis=2).argmin(axis=1)
    assert cosine(model.predict()[:, hidden]) > cosine(fields[:, labelled][:, nearest]) + 0.05


@pytest.mark.skipif(SHARED is None, reason="the montage is not there")
def test_montage_of_ones_own():
    datamodule = ready(montage=str(SHARED / "data/rvgp/eeg256_electrodes.csv"), seconds=0.02)
    assert datamodule.points.shape == (256, 3) and datamodule.metadata()["surface"] == "montage of the user"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subjects": 7}, "subjects=7"),
        ({"seconds": 0.0}, "seconds=0"),
        ({"labelled_channels": 1}, "labelled_channels=1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SyntheticEEG(**arguments)
    with pytest.raises(ValueError, match="labelled_channels=300"):
        ready(labelled_channels=300)

import numpy as np
import pytest
import torch

from datamodules import keys
from datamodules.dynamics import DiscAdversary
from tests.datamodules.dynamics.toys import defects, ready, samples


@pytest.mark.parametrize("arguments", [{}, {"numerator": 2, "denominator": 6, "num_steps": 3}, {"quadrature": "gauss"}])
def test_no_data_set_tells_the_two_systems_apart(arguments):
    tame, twisted = (ready(DiscAdversary, twisted=flag, **arguments) for flag in (False, True))
    for split in ("train", "val", "test"):
        assert all(torch.equal(tame.entries(split)[key], twisted.entries(split)[key]) for key in tame.entries(split))
    low, high = twisted.annulus()
    inside = (low + high) / 2 * np.array([[1.0, 0.0], [0.0, 1.0]])
    off_centre = (0.7 * low + 0.3 * high) * np.array([[1.0, 0.0]])
    assert abs(tame.step(off_centre) - twisted.step(off_centre)).max() > 0.01 * low
    np.testing.assert_allclose(np.hypot(*twisted.step(inside).T), np.hypot(*inside.T), rtol=1e-14)
    radii = torch.cat([tame.entries(split)[keys.STATE].norm(dim=1) for split in ("train", "val", "test")])
    assert not ((radii > low) & (radii < high)).any()


@pytest.mark.parametrize("denominator", [1, 2, 5])
def test_spectra(denominator):
    tame = DiscAdversary(numerator=denominator - 1, denominator=denominator)
    found = defects(tame)
    assert len(found) == denominator + 1 and max(found.values()) < 1e-12
    eigenvalues = np.array([pair.eigenvalue for pair in tame.truth().pairs])
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 1001)[:-1])
    distance = abs(circle[:, None] - eigenvalues).min(1).max()
    assert tame.spectral_gap == pytest.approx(distance, rel=1e-4)
    assert max(defects(DiscAdversary(twisted=True, num_train=20)).values()) < 1e-12


def test_states_are_uniform_on_the_disc():
    radii = np.hypot(*samples(DiscAdversary(), 20000).T)
    assert np.mean(radii**2) == pytest.approx(0.5, abs=0.01) and radii.max() <= 1

import pytest
import torch

from datamodules.dynamics import DiscAdversary
from trainers.adversaries import disc
from zoo.koopman.towers import hausdorff


@pytest.fixture(scope="module", params=[1, 3])
def systems(request):
    options = {"numerator": 1, "denominator": request.param, "num_train": 400, "num_val": 20, "num_test": 20}
    return DiscAdversary(**options), DiscAdversary(twisted=True, **options)


def test_every_learner_says_the_same_of_both_and_is_wrong_about_one(systems):
    identical, answers = disc.ask(*systems)
    assert identical
    assert answers.keys() == disc.LEARNERS.keys()
    for answer in answers.values():
        assert answer.identical
        assert len(answer.points) > 0
        assert max(answer.tame, answer.twisted) >= systems[0].spectral_gap / 2 - 1e-3


def test_the_gap_is_the_distance_of_the_two_spectra(systems):
    roots = torch.tensor([pair.eigenvalue for pair in systems[0].truth().pairs], dtype=torch.complex128)
    assert hausdorff(roots, disc.CIRCLE) == pytest.approx(systems[0].spectral_gap, abs=1e-3)


def test_polynomials_are_right_about_the_rotation(systems):
    _, answers = disc.ask(*systems)
    assert answers["EDMD"].tame < 1e-5


def test_a_sample_in_the_annulus_betrays_the_adversary(systems):
    tame, twisted = systems
    low, high = twisted.annulus()
    inside = torch.tensor([[(low + high) / 2 - (high - low) / 5, 0.0]]).double().numpy()
    assert abs(tame.step(inside) - twisted.step(inside)).max() > 1e-3


def test_report(tmp_path):
    report = disc.demonstrate(order=2, sizes=(350,))
    text = "\n".join(report.lines)
    assert "350 snapshots, identical bit by bit: yes" in text and "NO" not in text
    assert "distance of the two spectra: 1.4142, hence an error of 0.7071" in text
    files = report.write(tmp_path / "new")
    assert [path.name for path in files] == ["disc.txt", "disc.png"]
    assert all(path.stat().st_size > 0 for path in files)
    assert files[0].read_text() == text + "\n"

"""Small versions of what `scripts/benchmark.py koopman` measures: all variants do the same work."""

import pytest
import torch

from scripts.benchmarks import koopman
from tests.tolerances import tolerance


@pytest.mark.filterwarnings("ignore")  # of peers
def test_forecasts_are_the_same():
    case = koopman.statistics(degree=3, pairs=5000)
    assert case.name == "EDMD, 5000 pairs, 10 monomials"
    exact = case.ours.output()
    # A linear oscillator, of which noise is all that a forecast misses.
    states = torch.from_numpy(koopman.trajectory(5001))
    error = exact - states[1 : koopman.TESTED + 1]
    assert exact.shape == (koopman.TESTED, 2)
    assert 0.5 < float(error.square().mean().sqrt()) / (0.5 * (1 - 0.9**2) ** 0.5) < 2
    for variant in case.peers:
        variant.step()
        # kooplearn regularises by 1e-6.
        assert torch.allclose(variant.output(), exact, atol=1e-4), variant.name
    triangular = next(peer for peer in case.peers if peer.name == "ours, triangular")
    torch.testing.assert_close(triangular.output(), exact, **tolerance(torch.float64))


def test_trajectories_are_reproducible_and_of_the_size_they_say():
    states = koopman.trajectory(20000)
    assert (states[:10] == koopman.trajectory(20000)[:10]).all()
    assert states.std(axis=0) == pytest.approx(0.5, rel=0.1)


def test_large_decompositions_are_left_to_nobody(monkeypatch, capsys):
    monkeypatch.setattr(koopman, "MOST_DECOMPOSED", 100)
    case = koopman.statistics(degree=2, pairs=50)
    assert "pydmd" not in [peer.name for peer in case.peers]
    assert "left out: PyDMD, from 50 snapshots of 6 functions" in capsys.readouterr().out


def test_regions_are_the_same():
    case = koopman.pseudospectrum(functions=12, depth=4, epsilon=0.3)
    labels = case.ours.output()
    assert labels.shape == (8, 16)
    assert {-1.0, 1.0} <= set(labels.unique().tolist())
    for peer in case.peers:
        peer.step()
        assert torch.equal(peer.output(), labels), peer.name

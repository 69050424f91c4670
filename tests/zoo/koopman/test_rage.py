import math

import numpy as np
import pytest
import torch

from zoo.koopman.rage import rage


def tent_orbit(size, seed=0):
    """Return an orbit of the full tent map, by random preimages: iterates lose a binary digit each step."""
    generator = np.random.default_rng(seed)
    x = np.empty(size)
    x[-1] = generator.uniform()
    for t in range(size - 2, -1, -1):
        x[t] = x[t + 1] / 2 if generator.integers(2) else 1 - x[t + 1] / 2
    return torch.from_numpy(x)


def matlab_rage(signal, delays, horizon, samples, spacing):
    """The authors' script: QR of the delay matrix, projections of all shifts, min(., 1), cumulative means."""
    g = signal - signal.mean()
    px = np.stack([g[spacing * j : spacing * j + samples] for j in range(max(delays))], axis=1)
    q, _ = np.linalg.qr(px)
    c = np.vdot(g[:samples], g[:samples]).real / samples
    shifts = np.stack([g[ell : ell + samples] for ell in range(horizon + 1)], axis=1) / np.sqrt(c)
    coefficients = q.conj().T @ shifts
    rows = []
    for n in delays:
        projected = q[:, :n] @ coefficients[:n]
        fraction = (np.abs(projected) ** 2).sum(axis=0) / samples
        rows.append(np.cumsum(np.minimum(fraction, 1)) / np.arange(1, horizon + 2))
    return np.stack(rows)


@pytest.mark.parametrize("complex_signal", [False, True])
def test_fractions_are_those_of_the_authors_script(complex_signal):
    generator = np.random.default_rng(0)
    signal = np.cos(0.3 * np.arange(400)) + generator.standard_normal(400)
    if complex_signal:
        signal = signal * np.exp(0.2j * np.arange(400))
    found = rage(torch.from_numpy(signal), [1, 3, 6], horizon=150, samples=200, spacing=5)
    expected = matlab_rage(signal, [1, 3, 6], 150, 200, 5)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-12)


def test_the_fraction_in_eigenfunctions_of_a_mixed_signal():
    size = 14000
    time = torch.arange(size).double()
    wave = math.sqrt(2) * torch.cos(math.sqrt(2) * time)
    tent = math.sqrt(12) * (tent_orbit(size) - 0.5)
    signal = math.sqrt(0.7) * wave + math.sqrt(0.3) * tent
    found = float(rage(signal, [20], horizon=4000, samples=10000)[0, -1])
    assert found == pytest.approx(0.7, abs=0.03)


def test_quasiperiodic_signals_have_one_and_mixing_ones_none():
    time = torch.arange(6000).double()
    found = rage(torch.cos(time) + torch.sin(math.sqrt(3) * time), [1, 4], horizon=3000, samples=3000)
    assert float(found[1, -1]) > 0.999
    assert float(found[0, -1]) < 0.6
    mixing = rage(tent_orbit(6000), [1, 4], horizon=3000, samples=3000)
    assert float(mixing[1, -1]) < 0.01
    assert mixing[1, 0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": torch.ones(100)}, "signal='a constant'"),
        ({"samples": 90}, "signal='100 steps' is not allowed; give at least 110"),
        ({"delays": []}, "delays="),
        ({"horizon": -1}, "horizon=-1"),
        ({"signal": torch.ones(100, 2)}, "signal="),
        ({"spacing": 30, "delays": [5]}, "signal='100 steps'"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    arguments = {"signal": torch.arange(100).double(), "delays": [2], "horizon": 20, "samples": 50} | change
    with pytest.raises(ValueError, match=message):
        rage(**arguments)

"""RAGE: how much of an observable lies in eigenfunctions, and how much in continuous spectrum.

With P_n the orthogonal projection on the first n delays g, K^h g, ..., K^((n-1) h) g, and g without its mean,

    P(n, L) = 1 / (L + 1) sum_(l = 0)^L min(1, ||P_n K^l g||^2 / ||g||^2),

lim_n lim_L P(n, L) is the fraction of the variance in eigenfunctions: 1 for quasi-periodic signals, 0 for weakly mixing
ones (Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312). The limits do not commute: L first, then n, both after
the number of samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.koopman.gram import double


def rage(signal: Tensor, delays: list[int], horizon: int, samples: int, spacing: int = 1) -> Tensor:
    """Return P(n, l) for all l = 0 .. L, (len(delays), L + 1) float64.

    Args:
        signal: g along a trajectory, (T,), real or complex.
        delays: numbers n of delays.
        horizon: L.
        samples: M, the length of the averages that stand for inner products; M + L <= T and
            M + (n - 1) spacing <= T.
        spacing: h, steps between delays.

    Raises:
        ValueError: the signal is too short, constant, or no vector.
    """
    signal = double("signal", signal)
    require(signal.ndim == 1, "signal", tuple(signal.shape), "a vector (T,)")
    require_positive(samples=samples, spacing=spacing)
    require(len(delays) > 0 and all(n >= 1 for n in delays), "delays", delays, "integers >= 1")
    require(type(horizon) is int and horizon >= 0, "horizon", horizon, "an integer >= 0")
    most = max(delays)
    needed = samples + max(horizon, (most - 1) * spacing)
    require(needed <= len(signal), "signal", f"{len(signal)} steps", f"at least {needed} for these settings")
    signal = signal - signal.mean()
    norm = float((signal[:samples].abs() ** 2).mean())
    require(norm > 0, "signal", "a constant", "a signal that varies")
    delayed = torch.stack([signal[j * spacing : j * spacing + samples] for j in range(most)], dim=1)
    basis = torch.linalg.qr(delayed).Q
    # sum_m conj(q_m) g_(m+l) for all l at once.
    size = len(signal)
    spectrum = torch.fft.fft(basis.to(torch.complex128), size, dim=0).conj()
    products = torch.fft.ifft(spectrum * torch.fft.fft(signal.to(torch.complex128), size)[:, None], dim=0)
    energy = (products[: horizon + 1].abs() ** 2 / (samples * norm)).cumsum(dim=1)
    fractions = energy[:, torch.tensor(delays) - 1].mT.clamp(max=1)
    return fractions.cumsum(dim=1) / torch.arange(1, horizon + 2, dtype=torch.float64, device=signal.device)

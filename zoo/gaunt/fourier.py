r"""The paper's route: products in the two-dimensional Fourier basis of the torus. A reference, not the fastest.

Every harmonic is a finite Fourier series in both angles,

    Y_lm = sum_{u, v} y^lm_uv e^{i (u t + v p)},      |u| <= l,  v = +-m.

The coefficients of two functions are convolved by FFT, and the result H_uv is integrated against harmonics,

    z_lm = sum_{u, v = +-m} H_uv int e^{i (u t + v p)} Y_lm dOmega,     T^l|m|_u = sum_w q_w J(u + w),

    J(k) = int_0^pi e^{i k t} sin t dt = 2 / (1 - k^2) for even k, +-i pi / 2 for k = +-1, 0 for other odd k,

with Q_l|m| = sum_w q_w e^{i w t}. The torus covers the sphere twice: twice the samples of a grid, in complex
arithmetic.

Source: Luo, Chen, Krishnapriyan, ICLR 2024, arXiv 2401.10216, section 3.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.gaunt.sampling import Sampling, degree_major_index, order_major_index, polar_functions


class FourierSampling(Sampling):
    """Samples on a uniform torus of 2 (L1 + L2) + 1 points each way, from and to Fourier coefficients.

    Complex constants are kept as real (..., 2).

    Args:
        lmax_in1: see `Sampling`.
        lmax_in2: see `Sampling`.
        lmax_out: see `Sampling`.
    """

    integrals: Tensor
    place_out: Tensor

    def __init__(self, lmax_in1: int, lmax_in2: int, lmax_out: int) -> None:
        super().__init__(lmax_in1, lmax_in2, lmax_out)
        self.bandwidth = lmax_in1 + lmax_in2
        for name, lmax in (("in1", lmax_in1), ("in2", lmax_in2)):
            self.register_constant(f"series_{name}", torch.view_as_real(latitude_series(lmax)))
            self.register_buffer(f"index_{name}", order_major_index(lmax), persistent=False)
        self.register_constant("integrals", torch.view_as_real(latitude_integrals(lmax_out, self.bandwidth)))
        self.register_buffer("place_out", degree_major_index(lmax_out), persistent=False)

    def _sample(self, x: Tensor, name: str) -> Tensor:
        series = torch.view_as_complex(getattr(self, f"series_{name}"))  # (2L + 1, L + 1, 2L + 1): m, l, u
        lmax = series.size(1) - 1
        padded = torch.nn.functional.pad(x.reshape(-1, x.size(-1)), (0, 1))
        orders = padded[:, getattr(self, f"index_{name}")].transpose(0, 1)
        by_order = (orders.to(series.dtype) @ series).permute(1, 2, 0)  # (B, u, m)
        # sqrt(2) (x_m cos mp + x_-m sin mp) has the coefficients (x_m -+ i x_-m) / sqrt(2) at v = +-m.
        cosine, sine = by_order[..., lmax + 1 :], by_order[..., :lmax].flip(-1)
        positive, negative = (cosine - 1j * sine) / math.sqrt(2), (cosine + 1j * sine) / math.sqrt(2)
        coefficients = torch.cat([negative.flip(-1), by_order[..., lmax : lmax + 1], positive], dim=-1)
        padding = self.bandwidth - lmax
        coefficients = torch.nn.functional.pad(coefficients, (padding, padding, padding, padding))
        samples = torch.fft.ifft2(torch.fft.ifftshift(coefficients, dim=(-2, -1)), norm="forward").real
        return samples.reshape(*x.shape[:-1], -1)

    def sample1(self, x: Tensor) -> Tensor:
        """See `Sampling`."""
        return self._sample(x, "in1")

    def sample2(self, y: Tensor) -> Tensor:
        """See `Sampling`."""
        return self._sample(y, "in2")

    def project(self, values: Tensor) -> Tensor:
        """See `Sampling`."""
        side, lmax = 2 * self.bandwidth + 1, self.lmax_out
        spectrum = torch.fft.fft2(values.reshape(-1, side, side), norm="forward")
        spectrum = torch.fft.fftshift(spectrum, dim=(-2, -1))  # H (B, u, v)
        reached = max(lmax, self.bandwidth) - self.bandwidth  # degrees above L1 + L2 have no part in the product
        spectrum = torch.nn.functional.pad(spectrum, (reached, reached))
        middle = spectrum.size(-1) // 2
        positive = spectrum[..., middle + 1 : middle + lmax + 1]
        negative = spectrum[..., middle - lmax : middle].flip(-1)
        cosine = math.sqrt(2) * math.pi * (positive + negative)
        sine = 1j * math.sqrt(2) * math.pi * (positive - negative)
        middle_column = 2 * math.pi * spectrum[..., middle : middle + 1]
        orders = torch.cat([sine.flip(-1), middle_column, cosine], dim=-1).permute(2, 0, 1)  # (m, B, u)
        coefficients = (orders @ torch.view_as_complex(self.integrals)).real  # (m, B, l)
        return coefficients.transpose(0, 1).flatten(1)[:, self.place_out].reshape(*values.shape[:-1], -1)


def latitude_series(lmax: int) -> Tensor:
    """Return the Fourier coefficients q_w of Q_l|m|(t): (2L + 1, L + 1, 2L + 1) complex128 by m, l and w."""
    number = 2 * lmax + 1
    angles = 2 * math.pi / number * torch.arange(number, dtype=torch.float64)
    values = polar_functions(lmax, angles.cos(), angles.sin())
    return torch.fft.fftshift(torch.fft.fft(values, norm="forward"), dim=-1)


def latitude_integrals(lmax: int, bandwidth: int) -> Tensor:
    """Return T^l|m|_u = int e^{i u t} Q_l|m| sin t dt: (2L + 1, 2 bandwidth + 1, L + 1) complex128 by m, u and l."""
    shifts = torch.arange(-bandwidth, bandwidth + 1)[:, None] + torch.arange(-lmax, lmax + 1)[None]
    even = torch.where(shifts % 2 == 0, 2 / (1 - shifts.double() ** 2), 0.0)
    odd = torch.where(shifts.abs() == 1, 0.5 * math.pi * shifts.double(), 0.0)
    integrals = torch.complex(even, odd)
    return torch.einsum("uw,mlw->mul", integrals, latitude_series(lmax))

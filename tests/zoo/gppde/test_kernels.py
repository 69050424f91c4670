import math

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.gppde.kernels import KINDS, SpectralMixture

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def mixture(kind, components=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    log_weight, log_scale, frequency = torch.randn(3, components, dtype=torch.float64, generator=generator)
    return SpectralMixture(kind, log_weight, 0.5 * log_scale, 3 * frequency)


def formula(kernel, lag):
    """The kernel written out, for lags of one sign."""
    total = torch.zeros_like(lag)
    parameters = (kernel.log_weight.exp(), kernel.log_scale.exp(), kernel.frequency)
    for w, r, mu in zip(*(p.tolist() for p in parameters), strict=True):
        d = lag.abs()
        if kernel.kind in ("stm", "matern"):
            envelope = (1 + math.sqrt(5) * r * d + 5 / 3 * r**2 * d**2) * torch.exp(-math.sqrt(5) * r * d)
        else:
            envelope = torch.exp(-(d**2) * r)
        total = total + w * envelope * (torch.cos(2 * math.pi * mu * d) if kernel.oscillates else 1)
    return total


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
def test_derivatives_are_those_of_the_formula(kind, sign):
    kernel = mixture(kind)
    lag = (sign * torch.linspace(0.01, 3, 50, dtype=torch.float64)).requires_grad_()
    value = formula(kernel, lag)
    derivatives = kernel.derivatives(lag, range(5))
    for order in range(5):
        scale = value.detach().abs().max()
        torch.testing.assert_close(derivatives[order] / scale, value.detach() / scale, **EXACT)
        if order < 4:
            (value,) = torch.autograd.grad(value.sum(), lag, create_graph=True)


@pytest.mark.parametrize("kind", KINDS)
def test_values_at_lag_zero(kind):
    kernel = mixture(kind)
    w, r, omega = kernel.log_weight.exp(), kernel.log_scale.exp(), 2 * math.pi * kernel.frequency
    omega = omega if kernel.oscillates else torch.zeros_like(omega)
    if kind in ("stm", "matern"):
        second, fourth = 5 / 3 * r**2 + omega**2, 25 * r**4 + 10 * r**2 * omega**2 + omega**4
    else:
        second, fourth = 2 * r + omega**2, 12 * r**2 + 12 * r * omega**2 + omega**4
    expected = [w.sum(), 0.0, -(w * second).sum(), 0.0, (w * fourth).sum()]
    derivatives = kernel.derivatives(torch.zeros(()), range(5))
    for order, value in enumerate(expected):
        torch.testing.assert_close(derivatives[order], torch.as_tensor(value, dtype=torch.float64), **EXACT)


def test_automatic_differentiation_is_wrong_at_lag_zero():
    """The reason for closed forms: if torch ever gets this right, the comment in the kernels is stale."""
    kernel = mixture("stm")
    lag = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(formula(kernel, lag).sum(), lag, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), lag)
    assert (second - kernel.derivatives(lag, [2])[2]).abs() > 0.1


@pytest.mark.parametrize("kind", ["gm", "stm"])
def test_the_fourier_transform_is_the_mixture_of_bumps(kind):
    kernel = SpectralMixture(kind, *torch.tensor([[0.0, -1.0], [0.0, 0.5], [1.5, 4.0]], dtype=torch.float64).unbind(0))
    step, n = 1 / 64, 1 << 14
    lag = step * (torch.arange(n, dtype=torch.float64) - n // 2)
    values = kernel.derivatives(lag, [0])[0]
    transform = step * torch.fft.fft(torch.fft.ifftshift(values)).real
    frequency = torch.fft.fftfreq(n, step, dtype=torch.float64)
    near = frequency.abs() < 8
    aliases = sum(kernel.spectrum(frequency + shift / step) for shift in (-1, 1))
    torch.testing.assert_close((transform - aliases)[near], kernel.spectrum(frequency)[near], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_spectrum_is_normalised(kind):
    kernel = mixture(kind)
    frequency = torch.linspace(-400, 400, 400_001, dtype=torch.float64)
    torch.testing.assert_close(
        torch.trapezoid(kernel.spectrum(frequency), frequency), kernel.log_weight.exp().sum(), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_are_positive_semi_definite(kind):
    kernel = mixture(kind)
    x = torch.linspace(0, 2, 25, dtype=torch.float64)
    d = kernel.derivatives(x[:, None] - x, range(5))
    value_and_second = torch.cat([torch.cat([d[0], d[2]], 1), torch.cat([d[2], d[4]], 1)])
    value_and_first = torch.cat([torch.cat([d[0], -d[1]], 1), torch.cat([d[1], -d[2]], 1)])
    for matrix, bound in ((d[0], 1e-12), (value_and_first, 1e-10), (value_and_second, 1e-10)):
        torch.testing.assert_close(matrix, matrix.mT, **EXACT)
        eigvals = torch.linalg.eigvalsh(matrix)
        assert eigvals[0] >= -bound * eigvals[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_symmetries(kind):
    kernel = mixture(kind)
    x = torch.rand(7, dtype=torch.float64)
    lag = x[:, None] - x
    derivatives = kernel.derivatives(lag, range(5))
    mirrored = kernel.derivatives(-lag, range(5))
    for order in range(5):
        assert torch.equal(mirrored[order], (-1) ** order * derivatives[order])
    s = 1.7
    log_scale = kernel.log_scale - (1 if kind in ("stm", "matern") else 2) * math.log(s)
    stretched = SpectralMixture(kind, kernel.log_weight, log_scale, kernel.frequency / s).derivatives(s * lag, range(5))
    for order in range(5):
        scale = derivatives[order].abs().max()
        torch.testing.assert_close(s**order * stretched[order] / scale, derivatives[order] / scale, **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_components_may_be_permuted_and_merged(kind):
    kernel = mixture(kind)
    lag = torch.linspace(-1, 1, 9, dtype=torch.float64)
    order = torch.tensor([2, 0, 3, 1])
    permuted = SpectralMixture(kind, kernel.log_weight[order], kernel.log_scale[order], kernel.frequency[order])
    split = [torch.cat([p, p[:1]]) for p in (kernel.log_weight, kernel.log_scale, kernel.frequency)]
    split[0][0] += math.log(0.3)
    split[0][-1] += math.log(0.7)
    for same in (permuted, SpectralMixture(kind, *split)):
        torch.testing.assert_close(same.derivatives(lag, [2])[2], kernel.derivatives(lag, [2])[2], **EXACT)


def test_leading_dimensions_are_a_batch():
    kernels = [mixture("stm", seed=seed) for seed in range(6)]
    batch = SpectralMixture(
        "stm",
        *(
            torch.stack([getattr(kernel, name) for kernel in kernels]).unflatten(0, (2, 3))
            for name in ("log_weight", "log_scale", "frequency")
        ),
    )
    lag = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)
    result = batch.derivatives(lag, [1, 4])
    assert result[1].shape == (2, 3, 5, 2)
    for number, kernel in enumerate(kernels):
        torch.testing.assert_close(result[4][number // 3, number % 3], kernel.derivatives(lag, [4])[4], **EXACT)
    spectrum = batch.spectrum(lag[:, 0])
    torch.testing.assert_close(spectrum[1, 2], kernels[5].spectrum(lag[:, 0]), **EXACT)


def test_published_start():
    kernel = SpectralMixture.comb("gm", 30, 20.0)
    torch.testing.assert_close(kernel.log_weight.exp().sum(), torch.tensor(1.0, dtype=torch.float64), **EXACT)
    assert kernel.frequency[0] == 0 and kernel.frequency[-1] == 20 and not kernel.log_scale.any()


def test_refusals():
    with pytest.raises(ValueError, match="kind='rbf'"):
        SpectralMixture.comb("rbf")
    with pytest.raises(ValueError, match="orders"):
        mixture("stm").derivatives(torch.zeros(1), [5])
    with pytest.raises(ValueError, match="shapes of log_weight"):
        SpectralMixture("stm", torch.zeros(2), torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="num_components"):
        SpectralMixture.comb("stm", 0)

import math

import pytest
import torch

from zoo.gppde.conditioning import condition
from zoo.gppde.functionals import Covariances, Part, Rows, evaluation, prior_variance
from zoo.gppde.gaussian import NotPositiveDefiniteError, cholesky_with_nugget, logdet_and_solve
from zoo.gppde.kernels import SpectralMixture

ONE = torch.ones((), dtype=torch.float64)


def kernel(kind="gm", r=2.0, mu=0.7):
    parameters = torch.tensor([[0.0, -0.5], [math.log(r)] * 2, [0.0, mu]], dtype=torch.float64)
    return SpectralMixture(kind, *parameters)


def test_covariances_are_derivatives_of_the_kernel():
    """Against differences of the kernel of both arguments, signs included."""
    kernels = [kernel("gm", 2.0), kernel("gm", 1.0, 0.3)]
    x = torch.tensor([[0.1, 0.4]], dtype=torch.float64)
    y = torch.tensor([[0.35, 0.2], [0.0, 0.9]], dtype=torch.float64)
    c = torch.tensor([0.3, 2.0], dtype=torch.float64)
    a = Rows("a", (Part(x, {(1, 0): 2 * ONE, (0, 2): ONE}),), torch.zeros(1))
    b = Rows("b", (Part(y, {(0, 1): c}), Part(y + 0.1, {(1, 1): -ONE})), torch.zeros(2))

    def k(p, q):
        lags = (p - q).unbind(-1)
        return math.prod(own.derivatives(lag, [0])[0] for own, lag in zip(kernels, lags, strict=True))

    h = 1e-3

    def differentiate(function, along):
        step = torch.zeros(2, dtype=torch.float64)
        step[along] = h

        # Richardson's extrapolation of central differences: errors of order h^4.
        def central(p, s):
            return (function(p + s * step) - function(p - s * step)) / (2 * s * h)

        return lambda p: (4 * central(p, 1) - central(p, 2)) / 3

    def left(q):
        function = lambda p: k(p, q)  # noqa: E731
        first = differentiate(function, 0)(x)
        second = differentiate(differentiate(function, 1), 1)(x)
        return 2 * first + second

    expected = c * differentiate(left, 1)(y) - differentiate(differentiate(left, 0), 1)(y + 0.1)
    torch.testing.assert_close(Covariances().between(kernels, a, b)[0], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(Covariances().between(kernels, b, a), Covariances().between(kernels, a, b).mT)


@pytest.mark.parametrize("varying", [False, True])
def test_one_dimension_adds_up_by_lag(varying):
    x = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]
    coefficient = 1 + x[:, 0] if varying else 3 * ONE
    rows = Rows("rows", (Part(x, {(2,): ONE, (1,): -ONE, (0,): coefficient}),), torch.zeros(6))
    d = kernel().derivatives(x - x[:, 0], range(5))
    c = coefficient.expand(6)
    expected = torch.zeros(6, 6, dtype=torch.float64)
    for i, a in ((2, 1.0), (1, -1.0), (0, c[:, None])):
        for j, b in ((2, 1.0), (1, -1.0), (0, c)):
            expected = expected + a * b * (-1) ** j * d[i + j]
    torch.testing.assert_close(Covariances().gram([kernel()], [rows]), expected, rtol=1e-11, atol=1e-9)


def test_prior_variances():
    d = kernel().derivatives(torch.zeros(1), range(5))
    kernels = [kernel(), kernel()]
    torch.testing.assert_close(prior_variance(kernels, (1, 2)), (-d[2] * d[4])[0])


def data(values=None, noise=0.0, n=6):
    x = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    values = torch.sin(3 * x[:, 0]) if values is None else values
    return [Rows("data", (Part(x, {(0,): ONE}),), values, noise)]


def test_posterior_is_that_of_the_formulas():
    rows = [
        *data(noise=0.1),
        Rows("slope", (Part(torch.full((1, 1), 0.5).double(), {(1,): ONE}),), 2 * torch.ones(1).double(), 0.05),
    ]
    posterior = condition([kernel()], rows)
    covariances = Covariances()
    amplitude = float(posterior.amplitude)
    noise = torch.diag(torch.tensor([0.1] * 6 + [0.05], dtype=torch.float64) ** 2)
    gram = amplitude * covariances.gram([kernel()], rows) + noise
    y = torch.cat([row.values for row in rows])
    points = torch.rand(5, 1, dtype=torch.float64)
    at = evaluation(points, (1,))
    cross = amplitude * torch.cat([covariances.between([kernel()], at, row) for row in rows], 1)
    prior = amplitude * covariances.between([kernel()], at, at)
    torch.testing.assert_close(posterior.mean(points, (1,)), cross @ torch.linalg.solve(gram, y), rtol=1e-6, atol=1e-6)
    expected = prior - cross @ torch.linalg.solve(gram, cross.mT)
    torch.testing.assert_close(posterior.covariance(points, (1,)), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        posterior.standard_deviation(points, (1,)) ** 2, expected.diagonal(), rtol=1e-6, atol=1e-6
    )
    evidence = torch.distributions.MultivariateNormal(torch.zeros(7, dtype=torch.float64), gram).log_prob(y)
    torch.testing.assert_close(posterior.log_evidence, evidence, rtol=1e-8, atol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_amplitude_maximises_the_evidence(noise):
    posterior = condition([kernel()], data(noise=noise))
    gram = Covariances().gram([kernel()], data())

    def evidence(factor):
        amplitude = factor * float(posterior.amplitude)
        covariance = amplitude * (gram + posterior.nugget * torch.diag(gram.diagonal())) + noise**2 * torch.eye(6)
        normal = torch.distributions.MultivariateNormal(torch.zeros(6, dtype=torch.float64), covariance)
        return float(normal.log_prob(data()[0].values))

    assert evidence(1.0) == pytest.approx(float(posterior.log_evidence), rel=1e-5)
    assert evidence(1.0) > max(evidence(0.8), evidence(1.25))


def test_unknown_noise_is_found():
    generator = torch.Generator().manual_seed(0)
    x = torch.linspace(0, 1, 200, dtype=torch.float64)
    noisy = torch.sin(3 * x) + 0.05 * torch.randn(200, dtype=torch.float64, generator=generator)
    posterior = condition([kernel()], data(noisy, None, 200))
    assert posterior.noise[0] == pytest.approx(0.05, rel=0.15)


def test_data_without_noise_are_met_and_the_variance_vanishes_there():
    posterior = condition([kernel("stm")], data())
    x = data()[0].parts[0].points
    torch.testing.assert_close(posterior.mean(x, (0,)), data()[0].values, rtol=1e-8, atol=1e-8)
    variance = posterior.standard_deviation(x, (0,)) ** 2
    assert variance.max() <= 1e-8 * posterior.amplitude
    assert posterior.standard_deviation(torch.full((1, 1), 3.0), (0,)) > 100 * variance.max().sqrt()


def test_instances_share_a_factor_and_are_linear():
    f = torch.randn(2, 6, dtype=torch.float64)
    both = condition([kernel("stm")], data(torch.stack([f[0], f[1], f[0] + f[1]])))
    points = torch.rand(4, 1, dtype=torch.float64)
    mean = both.mean(points, (2,))
    torch.testing.assert_close(mean[0] + mean[1], mean[2], rtol=1e-8, atol=1e-8)
    for number in range(2):
        alone = condition([kernel("stm")], data(f[number]))
        torch.testing.assert_close(alone.mean(points, (2,)), mean[number], rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(
            alone.standard_deviation(points, (0,)), both.standard_deviation(points, (0,))[number]
        )
        torch.testing.assert_close(alone.log_evidence, both.log_evidence[number])


def test_samples_have_mean_and_covariance_of_the_posterior():
    posterior = condition([kernel("stm")], data())
    points = torch.tensor([[0.33], [0.5], [1.4]], dtype=torch.float64)
    samples = posterior.sample(points, (0,), 20_000, torch.Generator().manual_seed(0))
    deviation = posterior.standard_deviation(points, (0,))
    assert ((samples.mean(0) - posterior.mean(points, (0,))).abs() < 5 * deviation / 20_000**0.5).all()
    standard = samples.sub(posterior.mean(points, (0,))) / deviation
    correlation = posterior.covariance(points, (0,)) / deviation / deviation[:, None]
    torch.testing.assert_close(standard.mT @ standard / 20_000, correlation, rtol=0, atol=0.05)


def test_the_nugget_is_raised_and_reported():
    rows = data()
    assert condition([kernel("stm")], rows).nugget == 1e-12
    indefinite = torch.tensor([[1.0, 1.0 + 5e-11], [1.0 + 5e-11, 1.0]], dtype=torch.float64)
    assert cholesky_with_nugget(indefinite)[1] == 1e-10
    with pytest.raises(NotPositiveDefiniteError, match="shorter length scale"):
        cholesky_with_nugget(torch.tensor([[1.0, 1.1], [1.1, 1.0]], dtype=torch.float64))


def test_gradients_of_log_det_and_solve():
    root = torch.randn(4, 4, dtype=torch.float64)
    right = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)

    def function(root, right):
        return logdet_and_solve(root @ root.mT + torch.eye(4, dtype=torch.float64), right)

    assert torch.autograd.gradcheck(function, (root.requires_grad_(), right))

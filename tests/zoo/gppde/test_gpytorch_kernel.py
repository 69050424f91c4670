import math

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.gppde.kernels import KINDS, SpectralMixture

gpytorch = pytest.importorskip("gpytorch", reason="the extra gpytorch is not installed")

from zoo.gppde.gpytorch_kernel import GPyTorchMixture  # noqa: E402

X = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None]
EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def mixture(kind):
    return SpectralMixture(kind, *torch.tensor([[0.1, -0.7], [0.5, 1.1], [0.4, 2.0]], dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_the_kernel(kind):
    adaptor = GPyTorchMixture(mixture(kind))
    expected = mixture(kind).derivatives(X - X[:4].mT, [0])[0]
    torch.testing.assert_close(adaptor(X, X[:4]).to_dense(), expected, **EXACT)
    torch.testing.assert_close(adaptor(X, diag=True), torch.ones(7).double() * mixture(kind).log_weight.exp().sum())
    adaptor(X).to_dense().sum().backward()
    assert adaptor.log_weight.grad.abs().sum() > 0


def test_gaussian_bumps_are_gpytorchs_spectral_mixture():
    """r = 2 pi^2 sigma^2, sigma the scale there."""
    own = mixture("gm")
    peer = gpytorch.kernels.SpectralMixtureKernel(num_mixtures=2).double()
    peer.mixture_weights = own.log_weight.exp()
    peer.mixture_means = own.frequency.reshape(2, 1, 1)
    peer.mixture_scales = (own.log_scale.exp() / (2 * math.pi**2)).sqrt().reshape(2, 1, 1)
    torch.testing.assert_close(peer(X).to_dense(), GPyTorchMixture(own)(X).to_dense(), rtol=1e-8, atol=1e-8)


def test_regression_with_gpytorch_matches_own_conditioning():
    class Model(gpytorch.models.ExactGP):
        def __init__(self, y, likelihood):
            super().__init__(X, y, likelihood)
            self.mean_module, self.covar_module = gpytorch.means.ZeroMean(), GPyTorchMixture(mixture("stm"))

        def forward(self, x):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
    likelihood.noise = 0.01
    y = torch.sin(3 * X[:, 0])
    model = Model(y, likelihood).eval()
    points = torch.tensor([[0.05], [0.4]], dtype=torch.float64)
    k = mixture("stm").derivatives(X - X.mT, [0])[0] + 0.01 * torch.eye(7, dtype=torch.float64)
    expected = mixture("stm").derivatives(points - X.mT, [0])[0] @ torch.linalg.solve(k, y)
    with torch.no_grad():
        torch.testing.assert_close(model(points).mean, expected, rtol=1e-6, atol=1e-6)


def test_more_coordinates_are_refused():
    with pytest.raises(ValueError, match="active_dims"):
        GPyTorchMixture(mixture("gm"))(torch.rand(3, 2, dtype=torch.float64)).to_dense()

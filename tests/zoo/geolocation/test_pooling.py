"""Pools against brute force, and their derivatives against autograd."""

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.geolocation.pooling import Pool, linear_pool, linear_pool_moments, log_pool, log_pool_moments, product

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)
MOMENTS = {"log": log_pool_moments, "linear": linear_pool_moments}


def setting(images=6, maps=3, cells=20):
    generator = torch.Generator().manual_seed(0)
    log_maps = 2 * torch.randn(images, maps, cells, dtype=torch.float64, generator=generator)
    weights = torch.randn(images, maps, dtype=torch.float64, generator=generator)
    base = torch.log_softmax(torch.randn(cells, dtype=torch.float64, generator=generator), 0)
    return log_maps, weights, base, torch.randint(cells, (images,), generator=generator)


def losses(pooling, maps, weights, base, truth):
    if pooling == "log":
        posterior = log_pool(maps, weights, base)
    else:
        posterior = linear_pool(maps, torch.log_softmax(weights, 1), base)
    return -posterior.gather(1, truth[:, None])[:, 0]


def test_products_and_means():
    maps, weights, base, _ = setting()
    mass = base.exp() * torch.einsum("bk,bkn->bn", weights, maps).exp()
    torch.testing.assert_close(log_pool(maps, weights, base).exp(), mass / mass.sum(1, keepdim=True), **CLOSE)
    each = maps.exp() * base.exp()
    each = each / each.sum(2, keepdim=True)
    mean = torch.einsum("bk,bkn->bn", torch.softmax(weights, 1), each)
    torch.testing.assert_close(linear_pool(maps, torch.log_softmax(weights, 1), base).exp(), mean, **CLOSE)


def test_no_weight_leaves_the_base_measure():
    maps, weights, base, _ = setting()
    torch.testing.assert_close(log_pool(maps, 0 * weights, base), base.expand(6, -1), **CLOSE)


def test_copies_that_share_a_weight_are_one():
    maps, weights, base, _ = setting()
    copies = maps[:, :1].expand(-1, 4, -1)
    shared = weights[:, :1].expand(-1, 4) / 4
    torch.testing.assert_close(log_pool(copies, shared, base), log_pool(maps[:, :1], weights[:, :1], base), **CLOSE)


def test_products_with_the_same_exponents():
    maps, _, base, _ = setting()
    exponents = [1.0, -0.5, 2.0]
    found = product(((maps[:, k], exponent) for k, exponent in enumerate(exponents)), base)
    weights = torch.tensor(exponents, dtype=torch.float64).expand(6, -1)
    torch.testing.assert_close(found, log_pool(maps, weights, base), **CLOSE)
    assert torch.equal(maps, setting()[0])  # left as they were


@pytest.mark.parametrize("pooling", MOMENTS)
def test_derivatives(pooling):
    maps, weights, base, truth = setting()
    found = MOMENTS[pooling](maps, weights, base, truth)
    torch.testing.assert_close(found.loss, losses(pooling, maps, weights, base, truth), **CLOSE)
    gradient = torch.func.grad(lambda w: losses(pooling, maps, w, base, truth).sum())(weights)
    torch.testing.assert_close(found.gradient, gradient, **CLOSE)
    for image in range(len(maps)):
        one = slice(image, image + 1)
        hessian = torch.func.hessian(lambda w, one=one: losses(pooling, maps[one], w[None], base, truth[one])[0])(
            weights[image]
        )
        torch.testing.assert_close(found.hessian[image], hessian, rtol=1e-9, atol=1e-9)
    if pooling == "log":
        assert float(torch.linalg.eigvalsh(found.hessian).min()) > -1e-12  # convex


def test_covariances_do_not_cancel_in_single_precision():
    maps, weights, base, truth = setting()
    shifted = (maps + 1e4).float()
    exact = log_pool_moments(shifted.double(), weights, base, truth)
    found = log_pool_moments(shifted, weights.float(), base.float(), truth)
    torch.testing.assert_close(found.hessian.double(), exact.hessian, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("pooling", MOMENTS)
def test_weights_are_linear_in_features(pooling):
    maps, _, base, truth = setting()
    gates = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    start = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    pool = Pool(pooling, start)
    posterior, moments = pool(maps, gates, base), pool.moments(maps, gates, base, truth)
    torch.testing.assert_close(moments.loss, losses(pooling, maps, gates @ start, base, truth), **CLOSE)
    torch.testing.assert_close(-posterior.gather(1, truth[:, None])[:, 0], moments.loss, **CLOSE)
    torch.testing.assert_close(posterior.exp().sum(1), torch.ones(6, dtype=torch.float64), **CLOSE)

r"""Pooling of maps, and what Newton's method asks of it: loss, gradient and Hessian in the weights.

    log     log p_n = sum_k w_k l_kn + log b_n - log Z        a weighted product
    linear  p_n = sum_k lambda_k p_kn,  lambda = softmax(w)    a weighted mean

with log-maps l_k, base masses b and normalised maps p_k. The loss -log p_c of the truth c is convex in w for the
product: its gradient is E_p[l] - l_c and its Hessian Cov_p(l). For the mean, gradient and Hessian are differences of
those of two softmaxes, and the problem is not convex in w, though it is in lambda.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Pooling = Literal["log", "linear"]
POOLINGS: tuple[Pooling, ...] = ("log", "linear")


class Moments(NamedTuple):
    """Loss of each image and its derivatives in its own weights.

    Attributes:
        loss: (B,), -log p_c.
        gradient: (B, K).
        hessian: (B, K, K), symmetric.
    """

    loss: Tensor
    gradient: Tensor
    hessian: Tensor


class Pool(nn.Module):
    """Pools maps with weights that are linear in what is known of an image: w = gates @ coefficients.

    Args:
        pooling: "log" or "linear".
        start: (F, K) float64, the coefficients to begin with, for F features of an image and K maps.

    Attributes:
        coefficients: (F, K) float64 buffer, unless the module is cast.
    """

    coefficients: Tensor

    def __init__(self, pooling: Pooling, start: Tensor) -> None:
        super().__init__()
        self.pooling = pooling
        self.register_buffer("coefficients", start.clone())

    def forward(self, maps: Tensor, gates: Tensor, log_base: Tensor) -> Tensor:
        """Return normalised log masses (B, N).

        Args:
            maps: (B, K, N), log-maps.
            gates: (B, F), features.
            log_base: (N,), logarithms of base masses of sum 1.
        """
        weights = gates @ self.coefficients.to(gates)
        if self.pooling == "log":
            return log_pool(maps, weights, log_base)
        return linear_pool(maps, torch.log_softmax(weights, 1), log_base)

    def moments(self, maps: Tensor, gates: Tensor, log_base: Tensor, truth: Tensor) -> Moments:
        """Return loss and derivatives of images whose truth is a cell (B,)."""
        weights = gates @ self.coefficients.to(gates)
        pool_moments = log_pool_moments if self.pooling == "log" else linear_pool_moments
        return pool_moments(maps, weights, log_base, truth)


def product(maps: Iterable[tuple[Tensor, float]], log_base: Tensor) -> Tensor:
    """Return the normalised log masses (B, N) of a product of log-maps (B, N) with the same exponents for all images.

    Args:
        maps: pairs of log-map and exponent.
        log_base: see `log_pool`.
    """
    total: Tensor | None = None
    for log_map, exponent in maps:
        total = log_map * exponent if total is None else total.add_(log_map, alpha=exponent)
    assert total is not None
    return torch.log_softmax(total.add_(log_base), dim=1)


def log_pool(maps: Tensor, weights: Tensor, log_base: Tensor) -> Tensor:
    """Return the normalised log masses (B, N) of a weighted product of maps.

    Args:
        maps: (B, K, N), finite log-densities or log-likelihoods up to constants.
        weights: (B, K).
        log_base: (N,), log masses of the base measure: log areas.
    """
    # One row times a matrix for each image: nothing of the size of the maps is made.
    return torch.log_softmax(torch.bmm(weights[:, None], maps)[:, 0] + log_base, dim=1)


def log_pool_moments(maps: Tensor, weights: Tensor, log_base: Tensor, truth: Tensor) -> Moments:
    """Return the loss of a weighted product and its derivatives in the weights (B, K)."""
    log_mass = log_pool(maps, weights, log_base)
    at_truth = maps.gather(2, truth[:, None, None].expand(-1, maps.size(1), 1))
    # About the truth: covariances of numbers that are nearly the same would cancel.
    centered = maps - at_truth
    weighted = centered * log_mass.exp()[:, None]
    mean = weighted.sum(2)
    second = torch.bmm(weighted, centered.mT)
    hessian = second - mean[:, :, None] * mean[:, None, :]
    return Moments(-log_mass.gather(1, truth[:, None])[:, 0], mean, hessian)


def linear_pool(maps: Tensor, log_weights: Tensor, log_base: Tensor) -> Tensor:
    """Return the normalised log masses (B, N) of a weighted mean of maps, each normalised first.

    Args:
        maps: (B, K, N), log-densities up to constants.
        log_weights: (B, K), logarithms of weights of sum 1.
        log_base: (N,), log masses of the base measure: log areas.
    """
    log_mass = torch.log_softmax(maps + log_base, dim=2)
    return torch.logsumexp(log_mass + log_weights[:, :, None], dim=1)


def linear_pool_moments(maps: Tensor, weights: Tensor, log_base: Tensor, truth: Tensor) -> Moments:
    """Return the loss of a weighted mean and its derivatives in w (B, K), whose softmax are the weights."""
    log_mass = torch.log_softmax(maps + log_base, dim=2)
    at_truth = log_mass.gather(2, truth[:, None, None].expand(-1, maps.size(1), 1))[:, :, 0]
    joint = weights + at_truth
    loss = torch.logsumexp(weights, 1) - torch.logsumexp(joint, 1)
    prior, posterior = torch.softmax(weights, 1), torch.softmax(joint, 1)
    return Moments(loss, prior - posterior, _softmax_hessian(prior) - _softmax_hessian(posterior))


def _softmax_hessian(probability: Tensor) -> Tensor:
    return torch.diag_embed(probability) - probability[:, :, None] * probability[:, None, :]

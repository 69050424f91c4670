"""Losses of dictionaries that are learned: how far the span is from what a Koopman operator leaves invariant.

All take the dictionary at the states and at their successors, (M, N) real or complex, with weights (M,), return a real
float64 scalar, and are those of the global batch on any number of processes (see `zoo.koopman.ranks`). They are means,
not sums: neither the size of a batch nor the unit of the weights matters. G, A and L are those of `zoo.koopman.gram`.

Which to take: `whitened_residual` for spectra. It is the mean squared residual of the eigenpairs of EDMD, knows the
span alone, so that a network cannot make it small by making its outputs small, and needs no eigenvectors, whose
gradients grow without bound where eigenvalues meet. The others are the published ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.ranks import shares, sum_over_ranks
from zoo.koopman.whitening import batch_triangle, whitening


def whitened_residual(psi_x: Tensor, psi_y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return J_w = tr(G^-1 (L - A* G^-1 A)) / N, the mean squared leak of the span, >= 0.

    Invariant under Psi -> Psi T; zero if and only if the span is invariant under the operator; 1 - VAMP2 / N where the
    measure is preserved, L = G. Where functions depend on each other on the batch, N is the dimension of their span.
    Spans that are easy to keep, as that of constants, make it small too: keep the states in the dictionary. So do
    batches of hardly more pairs than functions, which any span fits: take many times as many.
    """
    _require_pair(psi_x, psi_y)
    weights = shares(psi_x, weights)
    basis = whitening("psi_x", psi_x, weights)
    x, y = psi_x.to(basis.dtype) @ basis, psi_y.to(basis.dtype) @ basis
    gram, matrix = _least_squares(x, y, weights)
    error = y - x @ matrix
    leak = _inner(error, error, weights)
    return torch.linalg.solve(gram, leak).diagonal().real.mean()


def log_condition(psi_x: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return log cond(W^1/2 Psi_X), a penalty; conditions above 1 / machine epsilon count as that, without gradient.

    Raises:
        ValueError: the dictionary vanishes on the batch, or is not finite.
    """
    weights = shares(psi_x, weights)
    _, singular_values, right = torch.linalg.svd(batch_triangle("psi_x", psi_x, weights))
    require(bool(singular_values[0] > 0), "psi_x", 0, "a dictionary that does not vanish on the batch")
    # With singular vectors held constant ||W^1/2 Psi v|| has the gradient of the singular value.
    extremes = right[[0, -1]].mH
    largest, smallest = _mean((psi_x.to(extremes.dtype) @ extremes).abs() ** 2, weights)
    least = (torch.finfo(torch.float64).eps * singular_values[0]) ** 2
    return (largest.log() - smallest.clamp(min=least).log()) / 2


def edmd_matrix(psi_x: Tensor, psi_y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return K = G^+ A, (N, N) float64 or complex128, with Psi_X K ~ Psi_Y, differentiable."""
    _require_pair(psi_x, psi_y)
    weights = shares(psi_x, weights)
    basis = whitening("psi_x", psi_x, weights)
    return basis @ _least_squares(psi_x.to(basis.dtype) @ basis, psi_y.to(basis.dtype), weights)[1]


def ridge_matrix(psi_x: Tensor, psi_y: Tensor, ridge: float, weights: Tensor | None = None) -> Tensor:
    """Return K = (G + ridge 1)^-1 A, (N, N) float64 or complex128, differentiable.

    Args:
        psi_x: dictionary at the states.
        psi_y: dictionary at their successors.
        ridge: > 0, of the mean G: the authors of EDMD-DL and of ResKoopNet add theirs to the sum over the data, where
            it is M times as large.
        weights: of the pairs.
    """
    _require_pair(psi_x, psi_y)
    require(ridge > 0, "ridge", ridge, "a number > 0")
    x, y, weights = _double(psi_x), _double(psi_y), shares(psi_x, weights)
    gram, cross = _inner(x, torch.cat([x, y], dim=1), weights).chunk(2, dim=1)
    return torch.linalg.solve(gram + ridge * torch.eye(len(gram), dtype=x.dtype, device=x.device), cross)


def one_step_error(psi_x: Tensor, psi_y: Tensor, matrix: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean squared entry of Psi_Y - Psi_X K with a matrix K that is given: the loss of EDMD-DL.

    Li, Dietrich, Bollt and Kevrekidis, 2017, hold K = `ridge_matrix` of the training data constant for some epochs,
    then renew it. The loss shrinks with the functions, whatever their span.
    """
    _require_pair(psi_x, psi_y)
    weights = shares(psi_x, weights)
    error = psi_y.to(matrix.dtype) - psi_x.to(matrix.dtype) @ matrix
    return _mean(error.abs() ** 2, weights).mean()


def eigenpair_residual(
    psi_x: Tensor, psi_y: Tensor, ridge: float, weights: Tensor | None = None, normalized: bool = True
) -> Tensor:
    """Return the mean over the eigenpairs of K = `ridge_matrix` of ||(Psi_Y - Psi_X K) v||^2: the loss of ResKoopNet.

    Xu et al., 2025, arXiv 2501.00701. Gradients go through K and its eigenvectors: with both held constant the spectrum
    becomes worse than without training. They grow without bound where eigenvalues meet.

    Args:
        psi_x: dictionary at the states.
        psi_y: dictionary at their successors.
        ridge: see `ridge_matrix`.
        weights: of the pairs.
        normalized: divide by ||Psi_X v||^2, which makes it the mean squared residual. Else v has Euclidean norm one, as
            in the authors' code, and the loss shrinks with the functions, whatever their span.
    """
    eigvals, eigvecs = torch.linalg.eig(ridge_matrix(psi_x, psi_y, ridge, weights))
    weights = shares(psi_x, weights)
    x, y = psi_x.to(eigvecs.dtype) @ eigvecs, psi_y.to(eigvecs.dtype) @ eigvecs
    residuals, norms = _mean(torch.stack([y - x * eigvals, x]).abs() ** 2, weights, dim=1)
    return (residuals / norms).mean() if normalized else residuals.mean()


def vamp2(psi_x: Tensor, psi_y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return -||C_x^-1/2 C_xy C_y^-1/2||_F^2, the negative VAMP-2 score, between -N and 0.

    Mardt, Pasquali, Wu and Noe, 2018. The two may be different dictionaries, of different sizes. No mean is removed:
    with the constant function in both the score is one more than that of the centred functions.
    """
    _require_pair(psi_x, psi_y, same_size=False)
    weights = shares(psi_x, weights)
    bases = whitening("psi_x", psi_x, weights), whitening("psi_y", psi_y, weights)
    x, y = (psi.to(basis.dtype) @ basis for psi, basis in zip((psi_x, psi_y), bases, strict=True))
    forward = _least_squares(x, y, weights)[1]
    backward = _least_squares(y, x, weights)[1]
    return -(forward @ backward).diagonal().real.sum()


def dpnet(psi_x: Tensor, psi_y: Tensor, distortion: float = 1.0, weights: Tensor | None = None) -> Tensor:
    """Return the relaxed loss of DPNets, -||C_xy||_F^2 / (||C_x|| ||C_y||) + distortion (R_x + R_y).

    Kostic, Novelli, Grazzi, Lounici and Pontil, 2024. C are covariances, means removed, in spectral norm; a metric
    distortion R = tr(C^2 - C - ln C) / N + 2 ||mean||^2, which orthonormal functions of mean zero minimise, keeps
    functions apart; it is infinite for constants, so give functions without one.
    """
    _require_pair(psi_x, psi_y, same_size=False)
    weights = shares(psi_x, weights)
    x, y = _double(psi_x), _double(psi_y)
    means = [_mean(psi, weights) for psi in (x, y)]
    x, y = x - means[0], y - means[1]
    cross = torch.linalg.matrix_norm(_inner(x, y, weights)) ** 2
    eigvals = [torch.linalg.eigvalsh(_inner(psi, psi, weights)) for psi in (x, y)]
    distortions = [_distortion(*pair) for pair in zip(eigvals, means, strict=True)]
    return distortion * sum(distortions) - cross / (eigvals[0][-1] * eigvals[1][-1])


def _distortion(eigvals: Tensor, mean: Tensor) -> Tensor:
    least = len(eigvals) * torch.finfo(eigvals.dtype).eps
    kept = eigvals.clamp(min=least)
    return (kept**2 - kept - kept.log()).mean() + 2 * (mean.abs() ** 2).sum()


def spectral_contrastive(psi_x: Tensor, psi_y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return mean_{i != j} (phi(x_i) . psi(y_j))^2 - 2 mean_i phi(x_i) . psi(y_i): the spectral contrastive loss.

    HaoChen et al., 2021; for evolution operators Turri et al., 2025. The mean over pairs weights pair i, j by w_i w_j.
    It costs M N^2, not M^2 N: the sum over all i, j is a product of Gram matrices. Of the global batch, at least two
    rows need weights > 0.
    """
    _require_pair(psi_x, psi_y)
    weights = shares(psi_x, weights)
    x, y = _double(psi_x), _double(psi_y)
    pairs = (x.conj() * y).sum(1, keepdim=True)
    everyone = (_inner(x, x, weights) * _inner(y, y, weights).mT).sum().real
    themselves = sum_over_ranks((weights**2 * pairs.abs() ** 2).sum())
    share = 1 - sum_over_ranks((weights**2).sum())
    return (everyone - themselves) / share - 2 * _mean(pairs.real, weights).sum()


def forecast_error(
    psi: Tensor, states: Tensor, matrix: Tensor, coefficients: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the mean squared error of forecasts x_n ~ psi(x_0) K^n B, n = 1 .. H, over steps and coordinates.

    Residuals buy spectra, not forecasts: add this term where forecasts are what matters.

    Args:
        psi: dictionary at x_0, (M, N).
        states: x_1 .. x_H, (M, H, d).
        matrix: K, (N, N), for instance `edmd_matrix`.
        coefficients: B, (N, d); for a dictionary that begins with 1 and the state, rows of the identity.
        weights: (M,), or (M, H) of every state, 0 where it is not known.
    """
    require(states.ndim == 3 and len(states) == len(psi), "states", tuple(states.shape), f"({len(psi)}, H, d)")
    if weights is None:
        weights = torch.ones(len(states), dtype=torch.float64, device=states.device)
    if weights.ndim == 1:
        weights = weights[:, None].expand(states.shape[:2])
    states = states.where(weights[..., None] > 0, 0)
    rows, errors = psi.to(matrix.dtype), []
    for step in range(states.shape[1]):
        rows = rows @ matrix
        errors.append((rows @ coefficients.to(matrix.dtype) - states[:, step]).abs() ** 2)
    everything = torch.stack(errors, dim=1).flatten(0, 1)
    return _mean(everything, shares(everything, weights.flatten())).mean()


def _least_squares(x: Tensor, y: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Gram matrix G of x, which is well conditioned, and M with x M ~ y."""
    gram, cross = _inner(x, torch.cat([x, y], dim=1), weights).split([x.shape[1], y.shape[1]], dim=1)
    return gram, torch.linalg.solve(gram, cross)


def _inner(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Return <x_j, y_k> in the global batch."""
    return sum_over_ranks(x.mH @ (weights * y))


def _mean(values: Tensor, weights: Tensor, dim: int = 0) -> Tensor:
    return sum_over_ranks((weights * values).sum(dim))


def _double(psi: Tensor) -> Tensor:
    return psi.to(torch.complex128 if psi.is_complex() else torch.float64)


def _require_pair(psi_x: Tensor, psi_y: Tensor, same_size: bool = True) -> None:
    require(psi_x.ndim == 2 and len(psi_x) > 0, "psi_x", tuple(psi_x.shape), "a matrix (M, N), one row for each pair")
    rows, size = psi_x.shape
    matches = psi_y.ndim == 2 and len(psi_y) == rows and (psi_y.shape[1] == size or not same_size)
    require(matches, "psi_y", tuple(psi_y.shape), f"a matrix ({rows}, {size if same_size else 'N'})")

"""Projection of each position's features on the leading principal directions, with a gradient that stays finite.

For the matrix X (positions x channels) of an image with singular value decomposition X = U S V^T, component k is

    L_k = X v_k = s_k u_k.

The smaller of the Gram matrices X X^T and X^T X is decomposed, never X itself. The gradient needs the gaps between the
component's eigenvalue and the others alone, not all gaps as a gradient through the whole decomposition would.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.eigencam.solvers import Solver, gram_matrix, leading_eigenpairs

SAFE = 0.05
"""Centring after the product loses a digit where less than this share of the trace is left."""


class Projection(NamedTuple):
    """Components of some matrices, of either sign.

    Attributes:
        components: (B, r, N), differentiable once.
        values: singular values (B, r + 1), descending; the last (0 if there is none) is an estimate without a gradient.
        total: sum of all squared singular values (B,), differentiable once.
        squared_norms: of the positions' features before centring, (B, N), without a gradient; they are the diagonal of
            X X^T and cost next to nothing here.
    """

    components: Tensor
    values: Tensor
    total: Tensor
    squared_norms: Tensor


def principal_projection(features: Tensor, rank: int, solver: Solver = "auto", centered: bool = False) -> Projection:
    """Return the leading components of X and its singular values.

    Args:
        features: X^T, (B, C, N), float32 or float64.
        rank: number of components, 1 <= rank <= min(N, C).
        solver: see `zoo.eigencam.cam.eigen_cam`.
        centered: subtract from X each channel's mean over positions.

    Raises:
        ValueError: features, or their squares, are not finite.
    """
    return Projection(*_Projection.apply(features, rank, solver, centered))


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, rank: int, solver: Solver, centered: bool) -> tuple[Tensor, ...]:
        result = _project(features, rank, solver, centered)
        ctx.save_for_backward(features, result.components, result.values)
        ctx.centered = centered
        ctx.mark_non_differentiable(result.squared_norms)
        return tuple(result)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_components: Tensor, grad_values: Tensor, grad_total: Tensor, _: Tensor) -> Any:
        features, components, singular_values = ctx.saved_tensors
        if ctx.centered:
            features = _centered(features)
        rank = components.size(1)
        values, grad_values = singular_values[:, :rank, None], grad_values[:, :rank, None]
        inverse = torch.where(values > 0, 1 / values, 0.0)
        positions = components * inverse  # u_k, (B, rank, N)
        channels = torch.bmm(positions, features.mT) * inverse  # v_k, (B, rank, C)
        along = (grad_components * positions).sum(-1, keepdim=True) + grad_values
        # A component that vanishes has no direction to move in.
        across = torch.where(values > 0, grad_components, 0.0)
        gradient = 2 * features * grad_total[:, None, None]
        if features.size(2) <= features.size(1):
            turned = _apply_pseudo_inverse(torch.bmm(features.mT, features), across, values)
            # dK = d(X X^T) moves s by u^T dK u / 2s and u by (s^2 - K)^+ dK u.
            grad_gram = torch.bmm((along * inverse * positions).mT, positions)
            cross = torch.bmm((values * turned).mT, positions)
            gradient = gradient + torch.bmm(features, grad_gram + cross + cross.mT)
        else:
            # L = X v: dX moves it directly, and v by (s^2 - X^T X)^+ d(X^T X) v.
            turned = _apply_pseudo_inverse(torch.bmm(features, features.mT), torch.bmm(across, features.mT), values)
            direct = torch.bmm(channels.mT, across + grad_values * positions)
            cross = torch.bmm(turned.mT, channels)
            gradient = gradient + direct + torch.bmm(cross + cross.mT, features)
        return _centered(gradient) if ctx.centered else gradient, None, None, None


def _project(features: Tensor, rank: int, solver: Solver, centered: bool) -> Projection:
    batch, num_channels, num_positions = features.shape
    count = min(rank + 1, num_channels, num_positions)
    if solver != "svd" and num_positions <= num_channels:
        gram = gram_matrix(features)
        squared_norms = _require_finite(gram.diagonal(dim1=1, dim2=2).clamp(min=0).clone())
        if centered:
            gram = _centered_gram(gram, features)
        total = gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=0)
        energy = squared_norms.sqrt()
        eigvals, positions = leading_eigenpairs(gram, count, rank, energy - energy.mean(1, keepdim=True), solver)
        values = eigvals.sqrt()
        components = (positions * values.unsqueeze(1))[..., :rank].mT
    else:
        squared_norms = _require_finite(features.square().sum(1))
        if centered:
            features = _centered(features)
        total = features.square().sum((1, 2))
        if solver == "svd":
            _, values, directions = torch.linalg.svd(features.mT, full_matrices=False)
            values, directions = values[:, :count], directions.mT
        else:
            gram = gram_matrix(features.mT)
            eigvals, directions = leading_eigenpairs(gram, count, rank, features.mean(2), solver)
            values = eigvals.sqrt()
        components = torch.bmm(directions[..., :rank].mT, features)
    missing = values.new_zeros(batch, rank + 1 - count)
    return Projection(components.contiguous(), torch.cat([values, missing], dim=1), total, squared_norms)


def _centered(features: Tensor) -> Tensor:
    return features - features.mean(2, keepdim=True)


def _centered_gram(gram: Tensor, features: Tensor) -> Tensor:
    """Return the Gram matrix of the centred features, from that of the features unless this would cancel."""
    rows = gram.mean(1, keepdim=True)
    centered = gram - rows - rows.mT + rows.mean(2, keepdim=True)
    before, after = (matrix.diagonal(dim1=1, dim2=2).sum(1) for matrix in (gram, centered))
    if bool((after >= SAFE * before).all()):
        return centered
    return gram_matrix(_centered(features))


def _require_finite(squared_norms: Tensor) -> Tensor:
    if not bool(torch.isfinite(squared_norms.sum())):
        raise ValueError(
            'activations hold NaN, infinite or too large values; give finite ones, or nan="zero" to replace NaN'
        )
    return squared_norms


def _apply_pseudo_inverse(gram: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """Return (s_k^2 - gram)^+ applied to row k, for each of the leading eigenvalues s_k^2 of gram."""
    eigvals, eigvecs = torch.linalg.eigh(gram)
    eigvals, eigvecs = eigvals.flip(-1), eigvecs.flip(-1)
    gaps = values**2 - eigvals.unsqueeze(1)  # (B, rank, n)
    kind = torch.finfo(gram.dtype)
    floor = (kind.eps * eigvals[:, :1, None]).clamp(min=kind.tiny)
    gaps = torch.where(gaps.abs() < floor, torch.where(gaps < 0, -floor, floor), gaps)
    own = torch.eye(gaps.size(1), gaps.size(2), dtype=torch.bool, device=gaps.device)
    weights = torch.where(own, 0.0, 1 / gaps)
    return torch.bmm(torch.bmm(rows, eigvecs) * weights, eigvecs.mT)

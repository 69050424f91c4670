"""Projection of each position's features on the leading principal directions, with a gradient that stays finite.

For the matrix X (positions x channels) of an image with singular value decomposition X = U S V^T, component k is

    L_k = X v_k = s_k u_k.

The smaller of the Gram matrices X X^T and X^T X is decomposed, never X itself. The gradient needs the gaps between the
component's eigenvalue and the others alone, not all gaps as a gradient through the whole decomposition would.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.eigencam.solvers import Solver, leading_eigenpairs


def principal_projection(features: Tensor, rank: int, solver: Solver = "auto") -> tuple[Tensor, Tensor, Tensor]:
    """Return the leading components and the singular values, of either sign.

    Args:
        features: X^T, (B, C, N), float32 or float64.
        rank: number of components, 1 <= rank <= min(N, C).
        solver: see `zoo.eigencam.cam.eigen_cam`.

    Returns:
        Components (B, rank, N), differentiable once; singular values (B, rank + 1), descending, of which the last (0 if
        there is none) is an estimate without a gradient; and the squared norms of the positions' features (B, N), which
        are the diagonal of X X^T and cost next to nothing here.
    """
    return _Projection.apply(features, rank, solver)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, rank: int, solver: Solver) -> tuple[Tensor, Tensor, Tensor]:
        components, singular_values, squared_norms = _project(features, rank, solver)
        ctx.save_for_backward(features, components, singular_values)
        return components, singular_values, squared_norms

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_components: Tensor, grad_values: Tensor, grad_norms: Tensor
    ) -> tuple[Tensor, None, None]:
        features, components, singular_values = ctx.saved_tensors
        rank = components.size(1)
        values, grad_values = singular_values[:, :rank, None], grad_values[:, :rank, None]
        inverse = torch.where(values > 0, 1 / values, 0.0)
        positions = components * inverse  # u_k, (B, rank, N)
        channels = torch.bmm(positions, features.mT) * inverse  # v_k, (B, rank, C)
        along = (grad_components * positions).sum(-1, keepdim=True) + grad_values
        # A component that vanishes has no direction to move in.
        across = torch.where(values > 0, grad_components, 0.0)
        if features.size(2) <= features.size(1):
            turned = _apply_pseudo_inverse(torch.bmm(features.mT, features), across, values)
            # dK = d(X X^T) moves s by u^T dK u / 2s and u by (s^2 - K)^+ dK u.
            grad_gram = torch.bmm((along * inverse * positions).mT, positions)
            cross = torch.bmm((values * turned).mT, positions)
            grad_gram = grad_gram + cross + cross.mT + 2 * torch.diag_embed(grad_norms)
            return torch.bmm(features, grad_gram), None, None
        # L = X v: dX moves it directly, and v by (s^2 - X^T X)^+ d(X^T X) v.
        turned = _apply_pseudo_inverse(torch.bmm(features, features.mT), torch.bmm(across, features.mT), values)
        direct = torch.bmm(channels.mT, across + grad_values * positions)
        cross = torch.bmm(turned.mT, channels)
        return direct + torch.bmm(cross + cross.mT, features) + 2 * features * grad_norms.unsqueeze(1), None, None


def _project(features: Tensor, rank: int, solver: Solver) -> tuple[Tensor, Tensor, Tensor]:
    batch, num_channels, num_positions = features.shape
    count = min(rank + 1, num_channels, num_positions)
    if solver != "svd" and num_positions <= num_channels:
        gram = torch.bmm(features.mT, features)
        squared_norms = gram.diagonal(dim1=1, dim2=2).clamp(min=0)
        energy = squared_norms.sqrt()
        eigvals, positions = leading_eigenpairs(gram, count, rank, energy - energy.mean(1, keepdim=True), solver)
        values = eigvals.sqrt()
        components = (positions * values.unsqueeze(1))[..., :rank].mT
    else:
        squared_norms = features.square().sum(1)
        if solver == "svd":
            _, values, directions = torch.linalg.svd(features.mT, full_matrices=False)
            values, directions = values[:, :count], directions.mT
        else:
            gram = torch.bmm(features, features.mT)
            eigvals, directions = leading_eigenpairs(gram, count, rank, features.mean(2), solver)
            values = eigvals.sqrt()
        components = torch.bmm(directions[..., :rank].mT, features)
    missing = values.new_zeros(batch, rank + 1 - count)
    return components.contiguous(), torch.cat([values, missing], dim=1), squared_norms


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

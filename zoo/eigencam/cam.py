"""Eigen-CAM: the map of what a layer looks at, from its activations alone.

Muhammad and Yeasin, 2020, arXiv 2008.00299. An activation of h x w positions and C channels is a matrix X, one row of
features for each position. With X = U S V^T the map is the projection on the first right singular vector,

    L = X v_1 = s_1 u_1,

without a gradient, a class or a change of the network.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zoo.checks import require, require_choice
from zoo.eigencam.projection import principal_projection
from zoo.eigencam.signs import SIGNS, Sign, orientation
from zoo.eigencam.solvers import SOLVERS, Solver

Mode = Literal["paper", "centered"]
MODES = ("paper", "centered")


@dataclass(frozen=True)
class EigenMaps:
    """Principal components of activations, one map each, with what they explain.

    Attributes:
        maps: signed and in the activations' units, (B, r, h, w), or (B, r, d, h, w) of volumes.
        singular_values: s_k, (B, r), descending; the norms of the maps.
        explained: s_k^2 over the sum of all squared singular values, (B, r).
        gap: s_2 / s_1, (B,), between 0 and 1: near 1 the first map is arbitrary, and solvers will disagree.
    """

    maps: Tensor
    singular_values: Tensor
    explained: Tensor
    gap: Tensor

    def energy(self) -> Tensor:
        """Return the norm over the components at each position, (B, h, w): the part of the activation they hold."""
        return torch.linalg.vector_norm(self.maps, dim=1)


def eigen_cam(
    activations: Tensor,
    *,
    mode: Mode = "paper",
    sign: Sign = "energy",
    rank: int = 1,
    solver: Solver = "auto",
    standardize: bool = False,
    shared_basis: bool = False,
    nan: Literal["raise", "zero"] = "raise",
) -> EigenMaps:
    """Return the leading principal components of activations as maps.

    Differentiable once with respect to the activations. Half precision is computed in float32, without autocast; the
    maps have the dtype of the computation. Every image is independent of the others in the batch.

    Args:
        activations: (B, C, h, w), or (B, C, d, h, w) of volumes; any floating dtype, any device.
        mode: "paper" decomposes the activations as they are; "centered" subtracts each channel's mean over positions
            first, as principal component analysis and the package `grad-cam` do.
        sign: the rule that orients each component, see `zoo.eigencam.signs`. The first component of nonnegative
            activations in paper mode is nonnegative under every rule but "none".
        rank: number of components, 1 <= rank <= min(C, h w).
        solver: "auto" by size and precision; or "eigh" or "lanczos" of the smaller Gram matrix, or "svd".
        standardize: divide each channel by its standard deviation over positions (constant channels stay), against
            heavy-tailed channels that own the first component; the map then depends on the basis of the channels.
        shared_basis: one basis and one sign for the whole batch, so that maps of frames can be compared.
        nan: "raise", or "zero" to replace NaN as `grad-cam` does.

    Returns:
        The maps and what they explain. With a shared basis singular values and fractions are those of the whole batch,
        repeated for each image.

    Raises:
        TypeError: `activations` is no floating-point tensor.
        ValueError: `activations` has another shape, no entries, or values that are not finite (or whose squares are
            not); or an option is not allowed.

    Warns:
        UserWarning: there is one position only, which no map can show anything of.

    Example:
        >>> import torch
        >>> from zoo.eigencam import eigen_cam
        >>> eigen_cam(torch.rand(2, 512, 7, 7), rank=3).maps.shape
        torch.Size([2, 3, 7, 7])
    """
    _check_activations(activations)
    require_choice("mode", mode, MODES)
    require_choice("sign", sign, SIGNS)
    require_choice("solver", solver, SOLVERS)
    require_choice("nan", nan, ("raise", "zero"))
    batch, num_channels, *shape = activations.shape
    positions = activations[0, 0].numel() * (batch if shared_basis else 1)
    largest = min(num_channels, positions)
    require(type(rank) is int and 1 <= rank <= largest, "rank", rank, f"an integer between 1 and {largest}")

    with torch.autocast(activations.device.type, enabled=False):
        features = activations.flatten(2)
        if features.dtype in (torch.float16, torch.bfloat16):
            features = features.float()
        if nan == "zero":
            features = torch.where(features.isnan(), 0.0, features)
        if standardize:
            features = features / _deviation(features)
        centered = mode == "centered"
        nonnegative = torch.zeros(batch, dtype=torch.bool, device=features.device)
        if not centered:
            nonnegative = features.detach().amin((1, 2)) >= 0
        frames = tuple(shape)
        if shared_basis:
            # Each image is centred by its own mean, then all are one.
            energy = features.detach().square().sum(1).flatten().unsqueeze(0)
            features = features - features.mean(2, keepdim=True) if centered else features
            features, nonnegative = features.transpose(0, 1).flatten(1).unsqueeze(0), nonnegative.all().unsqueeze(0)
            frames = (batch, *shape)
            components, values, total, _ = principal_projection(features, rank, solver)
        else:
            components, values, total, energy = principal_projection(features, rank, solver, centered)
        signs = orientation(components.detach(), features.detach(), energy.sqrt(), nonnegative, sign, frames)
        components = components * signs.unsqueeze(-1)
    maps = components.reshape(len(components), rank, *frames)
    if shared_basis:
        maps, values, total = maps[0].transpose(0, 1), values.expand(batch, -1), total.expand(batch)
    first, second = values[:, 0].detach(), values[:, 1].detach()
    values = values[:, :rank]
    return EigenMaps(
        maps=maps,
        singular_values=values,
        explained=values**2 / torch.where(total > 0, total, 1.0).unsqueeze(1),
        gap=torch.where(first > 0, second / torch.where(first > 0, first, 1.0), 1.0),
    )


def _deviation(features: Tensor) -> Tensor:
    deviation = features.std(2, correction=0, keepdim=True)
    return torch.where(deviation > 0, deviation, 1.0)


def _check_activations(activations: Tensor) -> None:
    if not isinstance(activations, Tensor) or not activations.is_floating_point():
        kind = activations.dtype if isinstance(activations, Tensor) else type(activations).__name__
        raise TypeError(f"activations is a {kind}; give a floating-point tensor (B, C, h, w)")
    shape = tuple(activations.shape)
    if activations.dim() not in (4, 5) or 0 in shape:
        raise ValueError(f"activations has shape {shape}; give (B, C, h, w) or (B, C, d, h, w), without zeros")
    if activations[0, 0].numel() == 1:
        warnings.warn(f"activations {shape} have one position; its map says nothing about the image", stacklevel=3)

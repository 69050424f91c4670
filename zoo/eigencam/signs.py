"""Which of the two signs of a principal component shows the object: rules of the image, never of the solver.

A component s u is defined up to its sign. Where activations are nonnegative and not centred, Perron and Frobenius
decide: u can be chosen nonnegative. Elsewhere a rule has to say what an object looks like.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Sign = Literal["energy", "mean", "magnitude", "border", "none"]
SIGNS = ("energy", "mean", "magnitude", "border", "none")

TIE = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Evidence below this fraction of its largest possible value is rounding error."""


def orientation(
    components: Tensor, features: Tensor, energy: Tensor, nonnegative: Tensor, rule: Sign, shape: tuple[int, ...]
) -> Tensor:
    """Return +1 or -1 for each component.

    Args:
        components: (B, r, N).
        features: the matrices (B, C, N), centred or not: of a centred component only their variation counts.
        energy: norms over channels of the activations before centring, (B, N).
        nonnegative: images whose decomposed features are all >= 0, (B,); the sum of their first component decides.
        rule: "energy": the map rises with the norm of the activation; "mean": the direction has a positive sum over
            channels (for centred features: the map rises with the mean activation); "magnitude": the entry farthest
            from zero is positive; "border": the border is below the interior; "none": as the solver left it, which
            differs between machines.
        shape: the spatial shape of the N positions.

    Returns:
        Signs (B, r). Where the rule finds no evidence "magnitude" decides, and then the first of the largest entries.
    """
    if rule == "none":
        return torch.ones_like(components[..., 0])
    if rule == "energy":
        evidence = _covariance(components, energy.unsqueeze(1))
    elif rule == "mean":
        mean = features.mean(1, keepdim=True)
        evidence = (components * mean).sum(-1) / _norms(components, mean)
    elif rule == "border":
        evidence = _covariance(components, _interior(shape).to(components))
    else:
        evidence = torch.zeros_like(components[..., 0])
    sign = torch.where(evidence.abs() > TIE[components.dtype], evidence.sign(), _by_magnitude(components))
    leading = torch.where(components[:, 0].sum(-1) < 0, -1.0, 1.0).to(components)
    return torch.cat([torch.where(nonnegative, leading, sign[:, 0]).unsqueeze(1), sign[:, 1:]], dim=1)


def _covariance(components: Tensor, other: Tensor) -> Tensor:
    components = components - components.mean(-1, keepdim=True)
    other = other - other.mean(-1, keepdim=True)
    return (components * other).sum(-1) / _norms(components, other)


def _norms(first: Tensor, second: Tensor) -> Tensor:
    product = torch.linalg.vector_norm(first, dim=-1) * torch.linalg.vector_norm(second, dim=-1)
    return torch.where(product > 0, product, 1.0)


def _by_magnitude(components: Tensor) -> Tensor:
    highest, lowest = components.amax(-1), -components.amin(-1)
    larger = torch.maximum(highest, lowest)
    tie = (highest - lowest).abs() <= TIE[components.dtype] * larger
    # Equal up to rounding: the first position that has the magnitude.
    first = (components.abs() >= (1 - TIE[components.dtype]) * larger.unsqueeze(-1)).to(torch.uint8).argmax(-1)
    entry = components.gather(-1, first.unsqueeze(-1)).squeeze(-1)
    return torch.where(torch.where(tie, entry, highest - lowest) < 0, -1.0, 1.0).to(components)


def _interior(shape: tuple[int, ...]) -> Tensor:
    inside = torch.zeros(shape)
    inside[tuple(slice(1, -1) for _ in shape)] = 1
    return inside.flatten()

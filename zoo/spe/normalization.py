"""The norms that SPE's networks choose from by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from zoo.batch_norm import BatchNorm1d

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm1d,
    "layer": nn.LayerNorm,
    "none": lambda width: nn.Identity(),
}


def make_norm(name: str, width: int) -> nn.Module:
    """Return the norm of a name in `NORMS` for rows of the given width."""
    return NORMS[name](width)

"""A layer of a network, and how its activation is read as a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Layout = Literal["nchw", "nhwc", "tokens"]


def layer_key(name: str, level: str | None) -> str:
    """Return the name of one activation: the layer's, with the level in brackets where the layer returns a dict."""
    return name if level is None else f"{name}[{level}]"


@dataclass(frozen=True)
class LayerSpec:
    """A layer, and how to read its activation as a map.

    Attributes:
        name: dotted name in the network below all wrappers, see `zoo.eigencam.capture.unwrap`.
        layout: "nchw", "nhwc", or "tokens" for (B, T, C).
        prefix_tokens: class and register tokens before the grid of tokens.
        shape: (C, h, w) at the probed input size.
        level: key of the map, where the layer returns a dict of them.
    """

    name: str
    layout: Layout
    prefix_tokens: int
    shape: tuple[int, int, int]
    level: str | None = None

    @property
    def key(self) -> str:
        """The name of the activation: that of the layer, with the level in brackets where it has levels."""
        return layer_key(self.name, self.level)


def to_nchw(activation: Tensor, spec: LayerSpec) -> Tensor:
    """Return a layer's activation as maps (B, C, h, w), a view where possible.

    Args:
        activation: (B, C, h, w), (B, h, w, C) or (B, T, C), as the layer returned it. Its size may differ from the
            probed one, except that tokens do not tell the shape of their grid.
        spec: the layer.

    Raises:
        ValueError: the activation does not fit the layout.
    """
    channels, height, width = spec.shape
    ndim, axis = {"nchw": (4, 1), "nhwc": (4, 3), "tokens": (3, 2)}[spec.layout]
    if activation.ndim != ndim or activation.shape[axis] != channels:
        raise ValueError(
            f"the activation of {spec.key!r} is {tuple(activation.shape)}, but a layer of layout {spec.layout!r} with "
            f"{channels} channels was expected"
        )
    if spec.layout == "nchw":
        return activation
    if spec.layout == "nhwc":
        return activation.permute(0, 3, 1, 2)
    positions = activation.shape[1] - spec.prefix_tokens
    if positions != height * width:
        raise ValueError(
            f"the activation of {spec.key!r} has {positions} tokens and {spec.prefix_tokens} before them, but the "
            f"layer was found with a grid of {height} x {width}; find it with the input_shape that is now in use"
        )
    return activation[:, spec.prefix_tokens :].unflatten(1, (height, width)).permute(0, 3, 1, 2)

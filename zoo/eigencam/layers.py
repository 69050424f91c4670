"""Which layer to look at: the last one that has positions.

A forward pass tells what every module returns, see `zoo.eigencam.probe`. Walking back from the end, the first output
counts that has positions and channels, is in no head, and is not that of a pooling layer (which VGG's `features` would
return). More is known of some networks:

    `forward_features` (timm)       only what runs inside it counts, whatever the names of the heads
    a `backbone` (segmentation)     only what is inside it counts
    a torchvision detector          the levels of its backbone count, at the size to which it resizes images
    tokens (B, T, C) at the end     transformers: class and register tokens are dropped, the rest is a grid
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo.checks import require
from zoo.eigencam.capture import get_layer, unwrap
from zoo.eigencam.layer_spec import LayerSpec, to_nchw
from zoo.eigencam.probe import Event, Probe, probe_layers

__all__ = ["LayerSpec", "find_cam_layer", "find_cam_layers", "to_nchw"]

HEADS = re.compile(r"classifier|fc|last_linear|(\w+_)?heads?|aux\w*", re.IGNORECASE)
POOLING = re.compile(r"pool", re.IGNORECASE)
PASSIVE = re.compile(r"pool|drop|flatten|stochasticdepth", re.IGNORECASE)  # they add nothing to what they are given

MIN_POSITIONS = 9  # of a level of a feature pyramid: a map of 2 x 2 says nothing about where
MIN_TOKEN_OUTPUTS = 4  # after the last map: one or two belong to a head, transformers have many

# Their tokens are of two scales, shrink inside the attention, or get the class token late: which grid is meant has to
# be said.
AMBIGUOUS_TOKENS = {"Cait", "CoaT", "CrossVit", "Levit", "TNT"}


def find_cam_layer(
    model: nn.Module,
    input_shape: Sequence[int] = (1, 3, 224, 224),
    *,
    layer: str | nn.Module | LayerSpec | None = None,
    min_size: int | None = None,
) -> LayerSpec:
    """Return the one layer that `find_cam_layers` finds.

    Raises:
        ValueError: see `find_cam_layers`; or there are several, the levels of a detector.
    """
    specs = find_cam_layers(model, input_shape, layer=layer, min_size=min_size)
    if len(specs) > 1:
        raise ValueError(
            f"{type(unwrap(model)).__name__} has several levels, {', '.join(spec.key for spec in specs)}; "
            "use find_cam_layers, or name one with layer="
        )
    return specs[0]


def find_cam_layers(
    model: nn.Module,
    input_shape: Sequence[int] = (1, 3, 224, 224),
    *,
    layer: str | nn.Module | LayerSpec | Sequence[str | nn.Module | LayerSpec] | None = None,
    min_size: int | None = None,
) -> list[LayerSpec]:
    """Return the layers to look at: one, or all levels of a detector's backbone with at least 9 positions.

    Neither weights, buffers, training flags nor random states of the model change, and no hook stays.

    Args:
        model: a network that takes images (B, 3, H, W); wrappers are taken off by `unwrap`.
        input_shape: shape of its input.
        layer: what to return instead of what the rule finds: the name of a layer ("layer3", or "backbone[1]" for one
            level), the layer itself, or a list of them. A `LayerSpec` is returned as it is: the way to read tokens
            whose grid cannot be known.
        min_size: smallest height and width of the map: with 14, the last stage of a ResNet is passed over for the one
            before it.

    Raises:
        ValueError: the forward pass fails; the model has no layer with a map, or none that large; tokens whose grid
            cannot be known; a layer that the model does not have or that did not run. The message names the shapes
            seen and the layers that can be chosen.
    """
    input_shape = tuple(input_shape)
    require(
        len(input_shape) == 4 and all(type(size) is int and size >= 1 for size in input_shape),
        "input_shape",
        input_shape,
        "four integers >= 1: batch, channels, height, width",
    )
    require(min_size is None or (type(min_size) is int and min_size >= 1), "min_size", min_size, "an integer >= 1")
    require(layer is None or min_size is None, "min_size", min_size, "None where the layer is given")
    model = unwrap(model)
    if layer is not None:
        return _given_layers(model, input_shape, list(layer) if isinstance(layer, (list, tuple)) else [layer])
    probe = probe_layers(model, input_shape)
    levels = [event for event in probe.last_calls() if event.name == probe.pyramid and event.level is not None]
    return _levels(probe, levels, min_size) if levels else [_last_map(probe, min_size)]


def _last_map(probe: Probe, min_size: int | None) -> LayerSpec:
    if any(kind.__name__ in AMBIGUOUS_TOKENS for kind in type(probe.owner).__mro__):
        raise probe.error("the grid of the tokens cannot be known", _TOKENS)
    events = _trunk(probe)
    maps = _maps(probe, events)
    tokens = _tokens(probe, events, maps)
    if tokens:
        found = probe.token_spec(tokens[-1], getattr(probe.owner, "num_prefix_tokens", None))
        if found is None:
            raise probe.error(f"the grid of the {tokens[-1].output.shape[1]} tokens cannot be known", _TOKENS)
        maps = [found]
    if not maps:
        raise probe.error("no layer with a map of positions and channels")
    if min_size is None:
        returned = [event.name for event in events if event.output is probe.features]
        return next((spec for spec in reversed(maps) if spec.name in returned), maps[-1])
    large = [spec for spec in maps if min(spec.shape[1:]) >= min_size]
    if not large:
        raise probe.error(f"no layer with a map of at least min_size={min_size}")
    # Inside a block that shrinks the map, what runs before the shrinking is no stage of the network.
    blocks = [probe.map_spec(event) for event in events if type(event.module) is not nn.Sequential]
    shrinking = [f"{spec.name}." for spec in blocks if spec is not None and min(spec.shape[1:]) < min_size]
    stages = [spec for spec in large if not spec.name.startswith(tuple(shrinking))]
    return (stages or large)[-1]


def _trunk(probe: Probe) -> list[Event]:
    """Return the last calls of all layers that are in no head."""
    events = [event for event in probe.last_calls(probe.span) if event.name and event.level is None]
    if probe.owner is not None:
        return events
    events = [event for event in events if not any(HEADS.fullmatch(part) for part in event.name.split("."))]
    return [event for event in events if "backbone" in event.name.split(".")[:-1]] or events


def _maps(probe: Probe, events: list[Event]) -> list[LayerSpec]:
    """Return the layers with maps, but for poolings and what returns a pooling's output."""
    pooled = {id(event.output) for event in probe.events if _is_passive(event.module, POOLING)}
    active = [event for event in events if not _is_passive(event.module, PASSIVE) and id(event.output) not in pooled]
    return [spec for spec in map(probe.map_spec, active) if spec is not None]


def _tokens(probe: Probe, events: list[Event], maps: list[LayerSpec]) -> list[Event]:
    """Return the outputs (B, T, C) after the last map, if it is they that the network ends in."""
    names = [event.name for event in events]
    later = events[names.index(maps[-1].name) + 1 :] if maps else events
    tokens = [event for event in later if event.output.ndim == 3 and event.output.shape[1] > 1]
    tokens = [event for event in tokens if event.output.shape[0] == probe.input_shape[0]]
    certain = isinstance(probe.features, Tensor) and probe.features.ndim == 3
    return tokens if certain or len(tokens) >= MIN_TOKEN_OUTPUTS else []


_TOKENS = "give layer=LayerSpec(name, 'tokens', prefix_tokens, (channels, height, width))"


def _is_passive(module: nn.Module, kinds: re.Pattern[str]) -> bool:
    # Blocks may carry such a word in their names (PoolFormerBlock): only leaves count.
    return kinds.search(type(module).__name__) is not None and next(module.children(), None) is None


def _levels(probe: Probe, levels: list[Event], min_size: int | None) -> list[LayerSpec]:
    specs = [spec for spec in map(probe.map_spec, levels) if spec is not None]
    kept = [spec for spec in specs if math.prod(spec.shape[1:]) >= MIN_POSITIONS]
    kept = [spec for spec in kept if min(spec.shape[1:]) >= (min_size or 1)]
    if not kept:
        raise probe.error(f"no level with {MIN_POSITIONS} positions and min_size={min_size}")
    return kept


def _given_layers(model: nn.Module, input_shape: tuple[int, ...], layers: list[Any]) -> list[LayerSpec]:
    require(len(layers) > 0, "layer", layers, "one layer or more")
    specs = [layer for layer in layers if isinstance(layer, LayerSpec)]
    if len(specs) == len(layers):
        return specs
    probe = probe_layers(model, input_shape)
    return [spec for layer in layers for spec in _given(model, probe, layer)]


def _given(model: nn.Module, probe: Probe, layer: Any) -> list[LayerSpec]:
    if isinstance(layer, LayerSpec):
        return [layer]
    if isinstance(layer, nn.Module):
        name = next((name for name, module in model.named_modules() if module is layer), None)
        require(name is not None, "layer", type(layer), f"a module of {probe.network}")
    else:
        require(isinstance(layer, str), "layer", layer, "names of layers, modules or LayerSpecs")
        name = str(layer)
    events = [event for event in probe.last_calls() if name in (event.name, event.key)]
    if not events:
        get_layer(model, str(name), also=[event.key for event in probe.events])
        raise probe.error(f"layer={name!r} did not run as a module")
    if events[0].level is not None and len(events) > 1:
        return _levels(probe, events, None)
    event = events[-1]
    spec = probe.map_spec(event)
    if event.output.ndim == 3:
        spec = probe.token_spec(event, getattr(probe.owner, "num_prefix_tokens", None)) or probe.token_spec(event, None)
        if spec is None:
            raise probe.error(f"the grid of the tokens of layer={name!r} cannot be known", _TOKENS)
    if spec is None:
        raise probe.error(f"layer={name!r} returns {tuple(event.output.shape)}, no map of positions and channels,")
    return [spec]

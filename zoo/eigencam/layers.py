"""Which layer to look at: the last one with a spatial map, found by a forward pass that computes nothing.

The network, or a copy of it without weights on the meta device, runs once with a hook on every module. Walking back
from the end, the first output counts that has positions and channels, is not in a head, and is not the output of a
pooling layer (which VGG's `features` would be). More is known of some networks:

    `forward_features` (timm)       only what runs inside it counts, whatever the names of the heads
    a `backbone` (segmentation)     only what is inside it counts
    a torchvision detector          the levels of its backbone count, at the size to which it resizes images
    tokens (B, T, C) at the end     transformers: class and register tokens are dropped, the rest is a grid
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.checks import require
from zoo.eigencam.capture import evaluation, get_layer, layer_key, resizing_transform, tensors_of, unwrap

Layout = Literal["nchw", "nhwc", "tokens"]

HEADS = re.compile(r"classifier|fc|last_linear|(\w+_)?heads?|aux\w*", re.IGNORECASE)
POOLING = re.compile(r"pool", re.IGNORECASE)
PASSIVE = re.compile(r"pool|drop|flatten|stochasticdepth", re.IGNORECASE)  # they add nothing to what they are given

MIN_POSITIONS = 9  # of a level of a feature pyramid: a map of 2 x 2 says nothing about where
MIN_TOKEN_OUTPUTS = 4  # after the last map: one or two belong to a head, transformers have many
MAX_PREFIX_TOKENS = 8

# Their tokens are of two scales, shrink inside the attention, or get the class token late: which grid is meant has to
# be said.
AMBIGUOUS_TOKENS = {"Cait", "CoaT", "CrossVit", "Levit", "TNT"}


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
    probe = _probe(model, input_shape)
    levels = [event for event in probe.last_calls() if event.name == probe.pyramid and event.level is not None]
    return _levels(probe, levels, min_size) if levels else [_last_map(probe, min_size)]


# What one forward pass tells.


@dataclass(frozen=True, eq=False)
class _Event:
    """A module has returned."""

    name: str
    module: nn.Module
    output: Tensor
    level: str | None

    @property
    def key(self) -> str:
        return layer_key(self.name, self.level)


@dataclass
class _Probe:
    network: str
    input_shape: tuple[int, ...]
    pyramid: str | None = None  # the backbone of a detector
    events: list[_Event] = field(default_factory=list)
    owner: nn.Module | None = None  # the module whose forward_features ran
    span: slice = field(default_factory=lambda: slice(None))  # the events inside it
    features: Any = None  # what it returned

    def last_calls(self, span: slice = slice(None)) -> list[_Event]:
        """Return the last event of each module, in order: the one that a hook keeps."""
        latest = {event.key: event for event in self.events[span]}
        return [event for event in self.events[span] if latest[event.key] is event]

    def error(self, reason: str, hint: str = "name one with layer=") -> ValueError:
        usable = [event for event in self.last_calls() if event.output.ndim in (3, 4) and event.output.numel() > 1]
        shapes = sorted({tuple(event.output.shape) for event in self.events}, key=lambda shape: (len(shape), shape))
        candidates = ", ".join(f"{event.key} {tuple(event.output.shape)}" for event in usable[-10:]) or "none"
        return ValueError(
            f"{reason} in {self.network} at input_shape={self.input_shape}; shapes seen: "
            f"{', '.join(map(str, shapes[-10:])) or 'none'}; {hint}; the last candidates: {candidates}"
        )

    def layout(self, output: Tensor) -> Layout:
        """Tell where the channels of a four-dimensional output are: the other two axes have the image's aspect."""
        width = getattr(self.owner, "num_features", None)
        if output.shape[3] == width != output.shape[1]:
            return "nhwc"
        aspect = math.log(self.input_shape[2] / self.input_shape[3])
        _, first, second, third = (max(1, size) for size in output.shape)
        return "nhwc" if abs(math.log(first / second) - aspect) < abs(math.log(second / third) - aspect) else "nchw"

    def map_spec(self, event: _Event) -> LayerSpec | None:
        """Return how to read an output as a map; None if it is none."""
        shape = tuple(event.output.shape)
        if len(shape) != 4 or shape[0] != self.input_shape[0]:
            return None
        layout = self.layout(event.output)
        channels, height, width = shape[1:] if layout == "nchw" else (shape[3], *shape[1:3])
        if channels <= 1 or height * width <= 1:
            return None
        return LayerSpec(event.name, layout, 0, (channels, height, width), event.level)

    def token_spec(self, event: _Event, prefix_tokens: int | None) -> LayerSpec | None:
        """Return how to read tokens (B, T, C) as a map; None if no grid fits."""
        tokens, channels = event.output.shape[1:]
        before = self.events[: self.events.index(event)]
        seen = [spec.shape[1:] for spec in map(self.map_spec, before) if spec is not None]
        aspect = math.log(self.input_shape[2] / self.input_shape[3])
        # Attention and the like has other aspects.
        seen = [grid for grid in seen if min(grid) > 1 and abs(math.log(grid[0] / grid[1]) - aspect) < math.log(2)]
        for prefix in range(MAX_PREFIX_TOKENS + 1) if prefix_tokens is None else [prefix_tokens]:
            grids = [grid for grid in seen if math.prod(grid) == tokens - prefix]
            if prefix_tokens is not None or prefix <= 1:
                grids += self._grids_of_image(tokens - prefix)
            if grids:
                return LayerSpec(event.name, "tokens", prefix, (channels, *grids[-1]), event.level)
        return None

    def _grids_of_image(self, positions: int) -> list[tuple[int, int]]:
        """Return the grid of so many positions that has exactly the image's aspect, if there is one."""
        image_height, image_width = self.input_shape[2:]
        height = math.isqrt(max(0, positions) * image_height // image_width)
        width = positions // height if height else 0
        exact = height * width == positions > 1 and height * image_width == width * image_height
        return [(height, width)] if exact else []


def _probe(model: nn.Module, input_shape: tuple[int, ...]) -> _Probe:
    network, pyramid = type(model).__name__, None
    for path, part in model.named_modules():
        if _is_detector(part):
            # The backbone alone: what follows depends on values, and runs from coarse to fine.
            pyramid, model = f"{path}.backbone".removeprefix("."), part.backbone
            input_shape = _resized(part.transform, input_shape)
            break
    with suppress(Exception):  # not everything can be copied or runs without values; the real pass has the last word
        probe = _Probe(network, input_shape, pyramid)
        _on_meta(model, probe)
        return probe
    probe = _Probe(network, input_shape, pyramid)
    try:
        _on_device(model, probe)
    except Exception as error:
        raise ValueError(f"input_shape={input_shape} does not go through {network}: {error}") from error
    return probe


def _is_detector(module: nn.Module) -> bool:
    transform = getattr(module, "transform", None)
    return isinstance(getattr(module, "backbone", None), nn.Module) and (
        isinstance(transform, nn.Module) and resizing_transform(transform) is transform
    )


def _resized(transform: nn.Module, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the batch that a detector makes of images."""
    batch, channels, height, width = input_shape
    images, _ = copy.deepcopy(transform).eval()([torch.zeros(channels, height, width)])
    return (batch, channels, *images.tensors.shape[-2:])


def _on_meta(model: nn.Module, probe: _Probe) -> None:
    """Run a copy of the model that has shapes but no values."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for name, value in vars(module).items():
            if name.endswith("_hooks"):  # the user's must not see this pass
                memo[id(value)] = type(value)()
        # Attributes too: older reparametrisations keep a computed weight there, which deepcopy refuses.
        for tensor in (*module._parameters.values(), *module._buffers.values(), *vars(module).values()):
            if isinstance(tensor, Tensor):
                empty = torch.empty_like(tensor, device="meta", requires_grad=False)
                memo[id(tensor)] = nn.Parameter(empty, False) if isinstance(tensor, nn.Parameter) else empty
    _record(copy.deepcopy(model, memo), probe, torch.device("meta"))


def _on_device(model: nn.Module, probe: _Probe) -> None:
    """Run the model itself, with copies of its buffers in their place."""
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        _record(model, probe, device)


def _record(model: nn.Module, probe: _Probe, device: torch.device) -> None:
    dtype = next((parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()), None)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))  # what the model caches must stay usable in training
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluation(model))
        for name, module in model.named_modules():
            path = ".".join(part for part in (probe.pyramid, name) if part)
            stack.callback(module.register_forward_hook(_recorder(path, probe)).remove)
        owner = next((part for part in model.modules() if callable(getattr(part, "forward_features", None))), None)
        stack.enter_context(nullcontext() if owner is None else _spanned(owner, probe))
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        images = torch.zeros(probe.input_shape, dtype=dtype, device=device)
        torch.func.functional_call(model, buffers, (images,))


def _recorder(name: str, probe: _Probe) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        for level, tensor in tensors_of(output).items():
            probe.events.append(_Event(name, module, tensor, level))

    return hook


@contextmanager
def _spanned(owner: nn.Module, probe: _Probe) -> Iterator[None]:
    """Note which events happen inside the `forward_features` of a module."""
    original, own = owner.forward_features, vars(owner).get("forward_features")

    def forward_features(*args: Any, **kwargs: Any) -> Any:
        start = len(probe.events)
        features = original(*args, **kwargs)  # type: ignore[operator]
        probe.owner, probe.span, probe.features = owner, slice(start, len(probe.events)), features
        return features

    vars(owner)["forward_features"] = forward_features
    try:
        yield
    finally:
        del vars(owner)["forward_features"]
        if own is not None:
            vars(owner)["forward_features"] = own


# The rule.


def _last_map(probe: _Probe, min_size: int | None) -> LayerSpec:
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


def _trunk(probe: _Probe) -> list[_Event]:
    """Return the last calls of all layers that are in no head."""
    events = [event for event in probe.last_calls(probe.span) if event.name and event.level is None]
    if probe.owner is not None:
        return events
    events = [event for event in events if not any(HEADS.fullmatch(part) for part in event.name.split("."))]
    return [event for event in events if "backbone" in event.name.split(".")[:-1]] or events


def _maps(probe: _Probe, events: list[_Event]) -> list[LayerSpec]:
    """Return the layers with maps, but for poolings and what returns a pooling's output."""
    pooled = {id(event.output) for event in probe.events if _is_passive(event.module, POOLING)}
    active = [event for event in events if not _is_passive(event.module, PASSIVE) and id(event.output) not in pooled]
    return [spec for spec in map(probe.map_spec, active) if spec is not None]


def _tokens(probe: _Probe, events: list[_Event], maps: list[LayerSpec]) -> list[_Event]:
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


def _levels(probe: _Probe, levels: list[_Event], min_size: int | None) -> list[LayerSpec]:
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
    probe = _probe(model, input_shape)
    return [spec for layer in layers for spec in _given(model, probe, layer)]


def _given(model: nn.Module, probe: _Probe, layer: Any) -> list[LayerSpec]:
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

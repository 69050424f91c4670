"""What one forward pass that computes nothing tells of a network's layers.

A copy of the network without values runs on the meta device, or, where that cannot be done, the network itself, with
copies of its buffers in their place. Either way it stays as it was: weights, buffers, training flags, random states and
hooks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zoo.eigencam.capture import evaluation, resizing_transform, tensors_of
from zoo.eigencam.layer_spec import LayerSpec, Layout, layer_key

MAX_PREFIX_TOKENS = 8


@dataclass(frozen=True, eq=False)
class Event:
    """A module has returned a tensor; `level` is its key where it returned a dict of them."""

    name: str
    module: nn.Module
    output: Tensor
    level: str | None

    @property
    def key(self) -> str:
        """The name of the activation, see `LayerSpec.key`."""
        return layer_key(self.name, self.level)


@dataclass
class Probe:
    """What a forward pass tells of the layers.

    Attributes:
        network: its class, for messages.
        input_shape: of the images, as they reach the layers.
        pyramid: name of a detector's backbone, the only part that ran; None for other networks.
        events: the modules that returned tensors, in order.
        owner: the module whose `forward_features` ran, if one has it.
        span: the events inside it.
        features: what it returned.
    """

    network: str
    input_shape: tuple[int, ...]
    pyramid: str | None = None
    events: list[Event] = field(default_factory=list)
    owner: nn.Module | None = None
    span: slice = field(default_factory=lambda: slice(None))
    features: Any = None

    def last_calls(self, span: slice = slice(None)) -> list[Event]:
        """Return the last event of each module, in order: the one that a hook keeps."""
        latest = {event.key: event for event in self.events[span]}
        return [event for event in self.events[span] if latest[event.key] is event]

    def error(self, reason: str, hint: str = "name one with layer=") -> ValueError:
        """Return an error that says what was seen and what can be chosen."""
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

    def map_spec(self, event: Event) -> LayerSpec | None:
        """Return how to read an output as a map; None if it is none."""
        shape = tuple(event.output.shape)
        if len(shape) != 4 or shape[0] != self.input_shape[0]:
            return None
        layout = self.layout(event.output)
        channels, height, width = shape[1:] if layout == "nchw" else (shape[3], *shape[1:3])
        if channels <= 1 or height * width <= 1:
            return None
        return LayerSpec(event.name, layout, 0, (channels, height, width), event.level)

    def token_spec(self, event: Event, prefix_tokens: int | None) -> LayerSpec | None:
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


def probe_layers(model: nn.Module, input_shape: tuple[int, ...]) -> Probe:
    """Run a network, or the backbone of a detector, once and note what every module returns.

    Raises:
        ValueError: the input does not go through the network.
    """
    network, pyramid = type(model).__name__, None
    for path, part in model.named_modules():
        if _is_detector(part):
            # The backbone alone: what follows depends on values, and runs from coarse to fine.
            pyramid, model = f"{path}.backbone".removeprefix("."), part.backbone
            input_shape = _resized(part.transform, input_shape)
            break
    with suppress(Exception):  # not everything can be copied or runs without values; the real pass has the last word
        probe = Probe(network, input_shape, pyramid)
        _on_meta(model, probe)
        return probe
    probe = Probe(network, input_shape, pyramid)
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


def _on_meta(model: nn.Module, probe: Probe) -> None:
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


def _on_device(model: nn.Module, probe: Probe) -> None:
    """Run the model itself, with copies of its buffers in their place."""
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        _record(model, probe, device)


def _record(model: nn.Module, probe: Probe, device: torch.device) -> None:
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


def _recorder(name: str, probe: Probe) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        for level, tensor in tensors_of(output).items():
            probe.events.append(Event(name, module, tensor, level))

    return hook


@contextmanager
def _spanned(owner: nn.Module, probe: Probe) -> Iterator[None]:
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

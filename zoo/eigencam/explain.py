"""From a network and images to heatmaps: look into the network once, then draw as many maps as are wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from zoo.eigencam.cam import eigen_cam
from zoo.eigencam.capture import Capture
from zoo.eigencam.heatmaps import aug_smooth, fuse, heatmap
from zoo.eigencam.layers import LayerSpec, to_nchw
from zoo.eigencam.relatives import WEIGHTS, WITH_GRADIENT, WITHOUT_GRADIENT, eigen_grad_cam, weighted
from zoo.eigencam.scores import class_score, predicted_classes
from zoo.eigencam.settings import MapSettings


@dataclass(frozen=True)
class Observation:
    """What a network did with some images.

    Attributes:
        output: of the network, as it is.
        activations: of each layer, (B, C, h, w).
        gradients: of the class score with respect to them; empty if none were asked for.
        classes: (B,) int64, whose score the gradients are of; None without gradients.
        size: height and width of the images.
        extent: fractions of the activations' height and width that show the image; detectors pad it at the bottom and
            the right.
    """

    output: Any
    activations: list[Tensor]
    gradients: list[Tensor]
    classes: Tensor | None
    size: tuple[int, int]
    extent: tuple[float, float]


@dataclass(frozen=True)
class Explanation:
    """A map of some images.

    Attributes:
        heatmap: (B, H, W), of the size of the images, in [0, 1].
        raw: of each layer, (B, h, w), signed.
        gap: s_2 / s_1 of the first layer for maps that are principal components, (B,); else 0. Near 1 the map is
            arbitrary.
    """

    heatmap: Tensor
    raw: list[Tensor]
    gap: Tensor


def observe(
    network: nn.Module,
    images: Tensor,
    layers: list[LayerSpec],
    classes: Tensor | None = None,
    gradients: bool = False,
) -> Observation:
    """Run the network once, in evaluation mode, and keep what the layers said.

    Args:
        network: any network.
        images: (B, 3, H, W), as it takes them.
        layers: from `find_cam_layers`.
        classes: (B,), whose scores are differentiated; by default those that are predicted.
        gradients: keep the gradients of the scores, too; works under inference mode.

    Raises:
        ValueError: the network's output has no class scores, or a class is out of range; or see `Capture`.
    """
    captured = Capture(network, layers, gradients=gradients)(images)
    found = dict(zip((spec.key for spec in layers), layers, strict=True))
    # Images of a batch have one size.
    height, width = (1.0, 1.0) if captured.extent is None else captured.extent[0].tolist()
    activations = [to_nchw(captured.activations[key].detach(), spec) for key, spec in found.items()]
    slopes: list[Tensor] = []
    if gradients:
        with torch.inference_mode(False), torch.enable_grad():
            classes = predicted_classes(captured.output) if classes is None else classes.clone()
            score = class_score(captured.output, classes)
            raw = torch.autograd.grad(score, list(captured.activations.values()))
        slopes = [to_nchw(slope, spec) for slope, spec in zip(raw, layers, strict=True)]
    output = tree_map_only(Tensor, Tensor.detach, captured.output)
    return Observation(output, activations, slopes, classes, (images.size(-2), images.size(-1)), (height, width))


def draw(observation: Observation, settings: MapSettings) -> Explanation:
    """Draw a map of what was observed; `smooth="aug"` needs `explain` instead.

    Raises:
        ValueError: the map needs gradients and there are none.
    """
    if settings.needs_gradient and not observation.gradients:
        raise ValueError(f"method={settings.method!r} needs gradients; observe with gradients=True")
    heatmaps, raw, gaps, shares = [], [], [], []
    for activations, gradient in zip_longest(observation.activations, observation.gradients):
        map_, gap, share = _raw_map(activations, gradient, settings)
        raw.append(map_)
        gaps.append(gap)
        shares.append(share)
        heatmaps.append(heatmap(map_, observation.size, settings.rectifies, observation.extent))
    return Explanation(fuse(heatmaps, shares, settings.fusion), raw, gaps[0])


def explain(
    network: nn.Module,
    images: Tensor,
    layers: list[LayerSpec],
    settings: MapSettings,
    classes: Tensor | None = None,
) -> tuple[Observation, Explanation]:
    """Run the network and draw one map; see `observe` and `draw`."""
    observation = observe(network, images, layers, classes, settings.needs_gradient)
    explanation = draw(observation, settings)
    if settings.smooth == "aug":
        # The views are asked about the class of the image itself.
        classes = observation.classes

        def view(images: Tensor) -> Tensor:
            return draw(observe(network, images, layers, classes, settings.needs_gradient), settings).heatmap

        explanation = replace(explanation, heatmap=aug_smooth(view, images))
    return observation, explanation


def _raw_map(activations: Tensor, gradients: Tensor | None, settings: MapSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Return the raw map (B, h, w), the gap (B,) and the share of the variance that the map explains (B,)."""
    activations = activations.float() if activations.dtype in (torch.float16, torch.bfloat16) else activations
    zero, one = activations.new_zeros(len(activations)), activations.new_ones(len(activations))
    if settings.method == "eigen":
        maps = eigen_cam(
            activations,
            mode=settings.mode,
            sign=settings.sign or "energy",
            standardize=settings.standardize,
            shared_basis=settings.shared_basis,
        )
        return maps.maps[:, 0], maps.gap, maps.explained[:, 0]
    if settings.method in WITHOUT_GRADIENT:
        return WITHOUT_GRADIENT[settings.method](activations), zero, one
    assert gradients is not None  # `draw` saw to it
    gradients = gradients.to(activations.dtype)
    if settings.method == "eigen-grad":
        options = {} if settings.sign is None else {"sign": settings.sign}
        return eigen_grad_cam(activations, gradients, mode=settings.mode, **options), zero, one
    if settings.smooth == "eigen":
        channels = weighted(activations, WEIGHTS[settings.method](activations, gradients))
        return eigen_cam(channels, mode="centered", sign="mean").maps[:, 0], zero, one
    return WITH_GRADIENT[settings.method](activations, gradients), zero, one

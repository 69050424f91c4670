"""Eigen-CAM: the projection alone, and the whole way from images to heatmaps, against peers.

Peers come with `pip install -e '.[bench]'`; those that are not installed are left out, with a line that says so.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import resnet50, vgg16

from trainers.benchmark import Case, Variant, installed
from zoo.eigencam.cam import eigen_cam
from zoo.eigencam.capture import Capture
from zoo.eigencam.layers import find_cam_layers
from zoo.eigencam.prediction import predict_maps
from zoo.eigencam.settings import MapSettings
from zoo.eigencam.view import View

BATCH = 32
IN_A_ROW = 8
"""Projections in a step: the first of them is measured with caches full of the peer's work."""
CENTERED = MapSettings(mode="centered")


def images(number: int) -> Tensor:
    """Return smooth random images, (B, 3, 224, 224)."""
    coarse = torch.randn(number, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, size=(224, 224), mode="bilinear")


def projection(name: str, project: Callable[[Tensor], Tensor], activations: Tensor) -> Variant:
    """Return the projection of activations; what must be equal is the map up to its sign."""

    def step() -> None:
        for _ in range(IN_A_ROW):
            project(activations)

    return Variant(name, step, lambda: project(activations).abs())


def ours(activations: Tensor) -> Tensor:
    """Return our centred maps."""
    return eigen_cam(activations, mode="centered").maps[:, 0]


def by_batched_svd(activations: Tensor) -> Tensor:
    """Return the projection by torch's batched thin decomposition."""
    features = activations.flatten(2).mT
    features = features - features.mean(1, keepdim=True)
    u, s, _ = torch.linalg.svd(features, full_matrices=False)
    return (u[..., 0] * s[:, :1]).reshape(len(activations), *activations.shape[2:])


def by_grad_cam(activations: Tensor) -> Tensor:
    """Return the projection of the package `grad-cam`."""
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    return torch.from_numpy(np.asarray(get_2d_projection(activations.numpy())))


def projections(name: str, network: nn.Module) -> Case:
    """Return the projection of the last map of a network with random weights."""
    specs = find_cam_layers(network)
    (activations,) = Capture(network, specs)(images(BATCH)).activations.values()
    peers = [projection("torch batched SVD", by_batched_svd, activations)]
    if installed("pytorch_grad_cam"):
        peers.append(projection("grad-cam", by_grad_cam, activations))
    shape = "x".join(map(str, activations.shape[1:]))
    return Case(f"{name}, {IN_A_ROW} times {BATCH} x {shape}, projection", projection("ours", ours, activations), peers)


def end_to_end() -> Case:
    """Return ResNet-50 from images to heatmaps; what must be equal is the logits, which nobody may change."""
    network, batch = resnet50().eval(), images(BATCH)
    view = View(network)

    @torch.no_grad()
    def predict() -> Tensor:
        return predict_maps(view, batch, CENTERED, threshold=0.5)["logits"]

    @torch.no_grad()
    def forward() -> Tensor:
        return network(batch)

    def grad_cam() -> Tensor:
        from pytorch_grad_cam import EigenCAM

        with EigenCAM(network, [network.layer4]) as cam:
            cam(batch, targets=[])
            return cam.outputs.detach()

    def torchcam() -> Tensor:
        from torchcam.methods import GradCAM

        with GradCAM(network, "layer4") as extract:
            logits = network(batch)
            extract(logits.argmax(1).tolist(), logits)
            return logits.detach()

    def variant(name: str, run: Callable[[], Tensor]) -> Variant:
        def step() -> None:
            run()

        return Variant(name, step, run)

    peers = [variant("forward alone", forward)]
    if installed("pytorch_grad_cam"):
        peers.append(variant("grad-cam EigenCAM", grad_cam))
    if installed("torchcam"):
        peers.append(variant("torchcam GradCAM", torchcam))
    return Case(f"ResNet-50, {BATCH} images, heatmaps", variant("ours", predict), peers)


def cases() -> list[Case]:
    """Return the workloads."""
    torch.manual_seed(0)
    return [projections("ResNet-50", resnet50()), projections("VGG-16", vgg16()), end_to_end()]

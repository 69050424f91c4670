"""Outputs of the package `grad-cam` itself, up to its arbitrary sign; skipped where it is not installed."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate
from torchvision.models import resnet18

from zoo.eigencam.explain import explain
from zoo.eigencam.heatmaps import fuse, heatmap
from zoo.eigencam.layers import find_cam_layers
from zoo.eigencam.settings import MapSettings

peer = pytest.importorskip("pytorch_grad_cam", reason="the peer is not installed: pip install 'eigenzoo[bench]'")

CLOSE = 5e-4  # the peer resizes by OpenCV, in float32
CLASSES = [3, 1]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return resnet18(num_classes=5).eval()


@pytest.fixture(scope="module")
def images():
    coarse = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, size=(96, 96), mode="bilinear")


def theirs(name, network, images, layers=("layer4",), **options):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(number) for number in CLASSES]
    modules = [network.get_submodule(layer) for layer in layers]
    with getattr(peer, name)(network, modules) as cam:
        return cam(images.clone(), targets, **options)


def ours(network, images, settings, layers=("layer4",)):
    specs = find_cam_layers(network, images.shape, layer=list(layers))
    return explain(network, images, specs, settings, torch.tensor(CLASSES))[1]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("GradCAM", {"method": "grad"}),
        ("GradCAMPlusPlus", {"method": "grad++"}),
        ("FEM", {"method": "fem", "rectify": True}),
        ("SegEigenCAM", {"method": "seg-eigen"}),
    ],
)
def test_maps_with_a_sign(network, images, name, settings):
    expected = theirs(name, network, images)
    np.testing.assert_allclose(ours(network, images, MapSettings(**settings)).heatmap.numpy(), expected, atol=CLOSE)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("EigenCAM", {"mode": "centered"}),
        ("EigenGradCAM", {"method": "eigen-grad", "mode": "centered"}),
        ("KPCA_CAM", {"method": "kpca", "rectify": True}),
    ],
)
def test_maps_up_to_their_sign(network, images, name, settings):
    expected = theirs(name, network, images)
    raw = ours(network, images, MapSettings(**settings)).raw[0]
    for row, map_ in enumerate(raw):
        both = [fuse([heatmap(sign * map_[None], (96, 96), rectify=True)], [])[0].numpy() for sign in (1, -1)]
        assert min(np.abs(candidate - expected[row]).max() for candidate in both) < CLOSE


def test_smoothing(network, images):
    found = ours(network, images, MapSettings(method="grad", smooth="aug")).heatmap.numpy()
    np.testing.assert_allclose(found, theirs("GradCAM", network, images, aug_smooth=True), atol=CLOSE)
    raw = ours(network, images, MapSettings(method="grad", smooth="eigen")).raw[0]
    expected = theirs("GradCAM", network, images, eigen_smooth=True)
    for row, map_ in enumerate(raw):
        both = [fuse([heatmap(sign * map_[None], (96, 96), rectify=True)], [])[0].numpy() for sign in (1, -1)]
        assert min(np.abs(candidate - expected[row]).max() for candidate in both) < CLOSE


def test_several_layers(network, images):
    layers = ("layer3", "layer4")
    found = ours(network, images, MapSettings(method="grad"), layers).heatmap.numpy()
    np.testing.assert_allclose(found, theirs("GradCAM", network, images, layers), atol=CLOSE)

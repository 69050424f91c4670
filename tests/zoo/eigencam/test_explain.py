"""From networks to heatmaps: what is drawn equals what is computed by hand from a plain forward and backward pass."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from zoo.eigencam import relatives
from zoo.eigencam.cam import eigen_cam
from zoo.eigencam.explain import draw, explain, observe
from zoo.eigencam.heatmaps import aug_smooth, fuse, heatmap, min_max
from zoo.eigencam.layers import find_cam_layers
from zoo.eigencam.network import SmallCNN
from zoo.eigencam.settings import MapSettings

EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SmallCNN(5, [8, 16, 12]).double().eval()


@pytest.fixture
def images():
    coarse = torch.randn(3, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, size=(32, 32), mode="bilinear")


def by_hand(network, images, classes):
    """Return activations and gradients of the last layer of positions."""
    activations = network.features(images)
    logits = network.head(activations.mean((2, 3)))
    score = logits[range(len(images)), classes].sum()
    return activations.detach(), torch.autograd.grad(score, activations)[0]


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("method", relatives.METHODS)
def test_every_map_is_that_of_activations_and_gradients(network, images, method, inference):
    classes = torch.tensor([1, 4, 0])
    activations, gradients = by_hand(network, images, classes)
    settings = MapSettings(method=method)
    with torch.inference_mode(inference):
        observation, explanation = explain(network, images, find_cam_layers(network, images.shape), settings, classes)
    if method == "eigen":
        expected = eigen_cam(activations).maps[:, 0]
    elif method == "eigen-grad":
        expected = relatives.eigen_grad_cam(activations, gradients)
    elif method in relatives.WITH_GRADIENT:
        expected = relatives.WITH_GRADIENT[method](activations, gradients)
    else:
        expected = relatives.WITHOUT_GRADIENT[method](activations)
    torch.testing.assert_close(explanation.raw[0], expected, **EXACT)
    drawn = min_max(heatmap(expected, (32, 32), settings.rectifies))
    torch.testing.assert_close(explanation.heatmap, drawn, **EXACT)
    assert torch.equal(observation.output, network(images))


def test_without_classes_the_predicted_ones_are_explained(network, images):
    specs, settings = find_cam_layers(network, images.shape), MapSettings(method="grad")
    observation, explanation = explain(network, images, specs, settings)
    assert torch.equal(observation.classes, network(images).argmax(1))
    again = explain(network, images, specs, settings, network(images).argmax(1))[1]
    assert torch.equal(again.heatmap, explanation.heatmap)


def test_eigen_cam_knows_no_class_and_eigen_grad_cam_does(network, images):
    specs = find_cam_layers(network, images.shape)

    def raw(method):
        return explain(network, images, specs, MapSettings(method=method))[1].raw[0]

    before = {method: raw(method) for method in ("eigen", "eigen-grad")}
    nn.init.normal_(network.head.weight)
    assert torch.equal(raw("eigen"), before["eigen"])
    assert not torch.allclose(raw("eigen-grad"), before["eigen-grad"])


def test_eigen_smoothing_is_the_first_component_of_weighted_channels(network, images):
    classes = torch.tensor([1, 4, 0])
    activations, gradients = by_hand(network, images, classes)
    specs = find_cam_layers(network, images.shape)
    found = explain(network, images, specs, MapSettings(method="grad", smooth="eigen"), classes)[1].raw[0]
    weights = gradients.mean((2, 3), keepdim=True)
    expected = eigen_cam(weights * activations, mode="centered", sign="mean").maps[:, 0]
    torch.testing.assert_close(found, expected, **EXACT)


@pytest.mark.parametrize("method", ["eigen", "grad"])
def test_augmentation_smoothing_asks_about_the_class_of_the_image(network, images, method):
    specs, plain = find_cam_layers(network, images.shape), MapSettings(method=method)
    classes = network(images).argmax(1)
    expected = aug_smooth(lambda views: explain(network, views, specs, plain, classes)[1].heatmap, images)
    smooth = explain(network, images, specs, MapSettings(method=method, smooth="aug"))[1].heatmap
    torch.testing.assert_close(smooth, expected, **EXACT)


def test_layers_are_fused(network, images):
    specs = find_cam_layers(network, images.shape, layer=["features.3", "features.7"])
    for fusion in ("mean", "max", "energy"):
        explanation = explain(network, images, specs, MapSettings(fusion=fusion))[1]
        maps = [eigen_cam(part) for part in observe(network, images, specs).activations]
        single = [heatmap(part.maps[:, 0], (32, 32), rectify=False) for part in maps]
        shares = [part.explained[:, 0] for part in maps]
        torch.testing.assert_close(explanation.heatmap, fuse(single, shares, fusion), **EXACT)
        assert [raw.shape[1:] for raw in explanation.raw] == [(16, 16), (8, 8)]


def test_gradients_and_flags_are_left_alone(network, images):
    network.train()
    network.features[1].eval()
    flags = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    explain(network, images, find_cam_layers(network, images.shape), MapSettings(method="grad"))
    assert [module.training for module in network.modules()] == flags
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in state.items())
    assert not any(module._forward_hooks for module in network.modules())


def test_a_padded_map_is_cut():
    maps = torch.rand(1, 8, 8)
    whole = interpolate(min_max(maps)[:, None], size=(64, 64), mode="bilinear")[:, 0]
    found = heatmap(maps, (48, 64), rectify=False, extent=(0.75, 1.0))
    torch.testing.assert_close(found, whole[:, :48])


@pytest.mark.parametrize("method", ["eigen", "grad"])
def test_segmentation(method):
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    network = lraspp_mobilenet_v3_large(num_classes=4, weights_backbone=None).eval()
    images = torch.rand(2, 3, 96, 96)
    specs = find_cam_layers(network, images.shape)
    observation, explanation = explain(network, images, specs, MapSettings(method=method))
    assert explanation.heatmap.shape == (2, 96, 96)
    assert torch.equal(observation.output["out"], network(images)["out"])


def test_detection():
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=3).eval()
    images = torch.rand(2, 3, 100, 135)
    specs = find_cam_layers(network, images.shape)
    observation, explanation = explain(network, images, specs, MapSettings())
    assert explanation.heatmap.shape == (2, 100, 135) and len(explanation.raw) == len(specs) > 1
    assert observation.extent != (1.0, 1.0)
    with pytest.raises(ValueError, match="without class scores"):
        explain(network, images, specs, MapSettings(method="grad"))


def test_maps_with_gradients_need_them(network, images):
    observation = observe(network, images, find_cam_layers(network, images.shape))
    with pytest.raises(ValueError, match="needs gradients"):
        draw(observation, MapSettings(method="grad"))

"""Activations and gradients of layers, from a forward pass that leaves the network as it was."""

import pytest
import torch
from torch import nn
from torchvision.models import googlenet, resnet18
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from zoo.eigencam.capture import Capture, get_layer, unwrap
from zoo.eigencam.layers import find_cam_layers
from zoo.eigencam.wrapping import TorchvisionNetwork


class Toy(nn.Module):
    """A batch norm before a ReLU that works in place, a block that runs twice, and dropout."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.relu, self.twice = nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 5)

    def forward(self, images):
        hidden = self.relu(self.norm(self.conv(images)))
        hidden = self.twice(self.twice(hidden))
        return self.head(self.drop(hidden.mean((2, 3))))


@pytest.fixture
def toy():
    torch.manual_seed(0)
    return Toy()


@pytest.fixture
def images():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def by_hand(toy, images):
    """Return what the norm and the second run of the block give in evaluation mode."""
    toy = toy.eval()
    norm = toy.norm(toy.conv(images))
    return norm, toy.twice(toy.twice(norm.relu()))


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("inference", [False, True])
def test_activations_are_copies_of_the_last_call(toy, images, gradients, inference):
    with torch.inference_mode(inference):
        captured = Capture(toy, ["norm", "twice"], gradients=gradients)(images)
    norm, twice = by_hand(toy, images)
    assert list(captured.activations) == ["norm", "twice"]
    assert captured.activations["norm"].min() < 0  # the ReLU after it works in place
    torch.testing.assert_close(captured.activations["norm"].detach(), norm.detach())
    torch.testing.assert_close(captured.activations["twice"].detach(), twice.detach())
    assert torch.equal(captured.output.detach(), toy(images).detach())
    assert captured.extent is None


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_are_those_of_the_output(toy, images, inference, frozen):
    toy.requires_grad_(not frozen)
    with torch.inference_mode(inference):
        captured = Capture(toy, ["twice"], gradients=True)(images)
        with torch.inference_mode(False), torch.enable_grad():
            (found,) = torch.autograd.grad(captured.output[:, 2].sum(), [captured.activations["twice"]])
    expected = (toy.head.weight[2] / 64)[None, :, None, None].expand(2, 4, 8, 8)
    torch.testing.assert_close(found, expected)
    assert all(parameter.grad is None for parameter in toy.parameters())


def test_the_network_is_left_as_it_was(toy, images):
    toy.train()
    toy.norm.eval()
    flags = [module.training for module in toy.modules()]
    state = {name: value.clone() for name, value in toy.state_dict().items()}
    Capture(toy, ["norm"], gradients=True)(images)
    assert [module.training for module in toy.modules()] == flags
    assert all(torch.equal(toy.state_dict()[name], value) for name, value in state.items())
    assert not any(module._forward_hooks for module in toy.modules())


def test_hooks_are_removed_when_the_network_fails(toy):
    toy.train()
    with pytest.raises(RuntimeError):
        Capture(toy, ["norm"])(torch.randn(2, 1, 8, 8))
    assert toy.training and not any(module._forward_hooks for module in toy.modules())


def test_hooks_of_others_stay(toy, images):
    calls = []
    handle = toy.norm.register_forward_hook(lambda *_: calls.append(1))
    Capture(toy, ["norm"])(images)
    toy(images)
    assert len(calls) == 2
    handle.remove()


def test_compiled_networks_run_uncompiled(toy, images):
    compiled = torch.compile(toy, backend="eager")
    compiled.eval()(images)  # hooks that come after the first call would be ignored
    captured = Capture(compiled, ["norm"])(images)
    torch.testing.assert_close(captured.activations["norm"], by_hand(toy, images)[0].detach())


def test_wrappers(toy, images):
    wrapped = nn.DataParallel(toy)
    assert unwrap(wrapped) is toy
    assert torch.equal(Capture(wrapped, ["norm"])(images).output, toy.eval()(images))
    network = TorchvisionNetwork("resnet18", num_classes=3)
    assert unwrap(network) is network.model


def test_half_precision(toy, images):
    toy = toy.to(torch.bfloat16)
    assert Capture(toy, ["norm"])(images.bfloat16()).activations["norm"].dtype == torch.bfloat16


def test_levels_of_a_detector_and_how_much_of_them_is_image():
    network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=3)
    images = torch.rand(2, 3, 100, 135)
    captured = Capture(network, find_cam_layers(network, images.shape))(images)
    assert list(captured.activations) == ["backbone[0]", "backbone[1]", "backbone[pool]"]
    torch.testing.assert_close(captured.extent, torch.tensor([[1.0, 432 / 448]] * 2))
    assert network.training


@pytest.mark.parametrize(("builder", "layer"), [(resnet18, "layer4"), (googlenet, "inception5b")])
def test_the_feature_extractor_gives_the_same_without_the_head(builder, layer):
    options = {"init_weights": False} if builder is googlenet else {}
    network = builder(weights=None, **options).eval()
    images = torch.randn(1, 3, 64, 64)
    by_hooks = Capture(network, [layer])(images)
    by_graph = Capture(network, [layer], backend="fx")(images)
    torch.testing.assert_close(by_graph.activations[layer], by_hooks.activations[layer])
    assert by_graph.output is None and by_hooks.output is not None


def test_networks_that_cannot_be_traced_are_told():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, images):
            return self.layer(images) if images.sum() > 0 else images

    with pytest.raises(ValueError, match="backend='fx' cannot trace Branching"):
        Capture(Branching(), ["layer"], backend="fx")


def test_a_layer_that_did_not_run_is_told(images):
    network = nn.Sequential(nn.Conv2d(3, 3, 1))
    network.add_module("idle", nn.ReLU())
    network.forward = lambda images: network[0](images)
    with pytest.raises(ValueError, match="'idle' gave no activation"):
        Capture(network, ["idle"])(images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["nrm"]}, "norm"),
        ({"layers": []}, "layers="),
        ({"layers": "norm"}, "layers="),
        ({"layers": ["norm"], "backend": "trace"}, "backend='trace'"),
    ],
)
def test_bad_arguments_are_named(toy, arguments, message):
    with pytest.raises(ValueError, match=message):
        Capture(toy, **arguments)
    assert get_layer(toy, "norm") is toy.norm

"""Activations are the layer's own, the output is the network's own, and the network stays as it was."""

import copy

import pytest
import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torchvision import models

from tests.tolerances import tolerance
from tests.zoo.eigencam.networks import (
    Branching,
    InPlace,
    Repeated,
    Returning,
    WithIdleLayer,
    torchvision_network,
    unchanged,
)
from zoo.eigencam.capture import Capture, evaluation, get_layer, unwrap
from zoo.eigencam.layers import find_cam_layer, find_cam_layers
from zoo.eigencam.wrapping import TorchvisionNetwork

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def resnet():
    model = models.resnet18(weights=None)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_()
    return model


def by_hand(model, images=IMAGES):
    """Activation of layer4 and output of a ResNet, step by step."""
    hidden = model.maxpool(model.relu(model.bn1(model.conv1(images))))
    last = model.layer4(model.layer3(model.layer2(model.layer1(hidden))))
    return last, model.fc(torch.flatten(model.avgpool(last), 1))


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("wrapper", [lambda model: model, nn.DataParallel, torch.compile])
def test_output_and_activation_bit_for_bit(wrapper, gradients):
    model = resnet()
    wrapped = wrapper(model).train()
    with torch.no_grad():
        activation, output = by_hand(copy.deepcopy(model).eval())
    with unchanged(model):
        captured = Capture(wrapped, ["layer4"], gradients=gradients)(IMAGES)
    assert torch.equal(captured.output, output)
    assert torch.equal(captured.activations["layer4"], activation)
    assert captured.output.requires_grad == captured.activations["layer4"].requires_grad == gradients


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small", "mnasnet0_5"])
def test_outputs_of_wrapped_networks_bit_for_bit(name):
    network = TorchvisionNetwork(name)
    with torch.no_grad():
        expected = network.model.eval()(IMAGES)
        assert torch.equal(network(IMAGES), expected)
    spec = find_cam_layer(network, IMAGES.shape)
    captured = Capture(network, [spec])(IMAGES)
    assert torch.equal(captured.output, expected)
    assert captured.activations[spec.key].shape == (2, *spec.shape)


def test_gradients_are_those_of_the_rest_of_the_network():
    model = resnet().eval()
    captured = Capture(model, ["layer4"], gradients=True)(IMAGES)
    gradient = torch.autograd.grad(captured.output[:, 7].sum(), captured.activations["layer4"])[0]
    activation, _ = by_hand(model)
    leaf = activation.detach().requires_grad_()
    model.fc(torch.flatten(model.avgpool(leaf), 1))[:, 7].sum().backward()
    torch.testing.assert_close(gradient, leaf.grad, **tolerance(torch.float32))


def test_gradients_of_several_layers_before_an_operation_in_place():
    model = InPlace().double()
    layers = ["conv", "norm", "relu"]
    captured = Capture(model, layers, gradients=True)(IMAGES.double())
    assert captured.activations["norm"].min() < 0 == captured.activations["relu"].min()
    gradients = torch.autograd.grad(captured.output[:, 1].sum(), list(captured.activations.values()))
    after_relu = (model.fc.weight[1] / (64 * 64))[None, :, None, None].expand_as(gradients[2])
    after_norm = after_relu * (captured.activations["norm"] > 0)
    norm = model.norm
    after_conv = after_norm * (norm.weight / (norm.running_var + norm.eps).sqrt())[None, :, None, None]
    for actual, expected in zip(gradients, (after_conv, after_norm, after_relu), strict=True):
        torch.testing.assert_close(actual, expected, **tolerance(torch.float64))


def test_gradients_reach_the_weights_before_the_layer():
    model = InPlace()
    captured = Capture(model, ["norm"], gradients=True)(IMAGES)
    captured.activations["norm"].square().sum().backward()
    assert model.conv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_under_inference_mode(frozen):
    model = resnet().requires_grad_(not frozen)
    expected = Capture(model, ["layer4"], gradients=True)(IMAGES)
    expected = torch.autograd.grad(expected.output[:, 0].sum(), expected.activations["layer4"])[0]
    with torch.inference_mode():
        images = IMAGES * 1
        captured = Capture(model, ["layer4"], gradients=True)(images)
        with torch.inference_mode(False), torch.enable_grad():
            gradient = torch.autograd.grad(captured.output[:, 0].sum(), captured.activations["layer4"])[0]
        assert Capture(model, ["layer4"])(images).activations["layer4"].is_inference()
    assert torch.equal(gradient, expected) and gradient.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("inference", [False, True])
def test_what_runs_in_place_later_does_not_change_the_activation(inference):
    model = InPlace().eval()
    with torch.no_grad():
        norm = model.norm(model.conv(IMAGES))
    with torch.inference_mode(inference):
        captured = Capture(model, ["norm", "relu"])(IMAGES)
    assert torch.equal(captured.activations["norm"], norm) and norm.min() < 0
    assert torch.equal(captured.activations["relu"], norm.relu())


def test_the_last_of_several_calls():
    model = Repeated().eval()
    with torch.no_grad():
        expected = model.again(model.again(model.again(model.first(IMAGES))))
    for backend in ("hooks", "fx"):
        assert torch.equal(Capture(model, ["again"], backend=backend)(IMAGES).activations["again"], expected)


@pytest.mark.parametrize("gradients", [False, True])
def test_tuples_and_dicts(gradients):
    pair = Returning(lambda hidden: [hidden.mean((2, 3)), (hidden, hidden[:, :2])], lambda packed: packed[1][0])
    captured = Capture(pair, ["body"], gradients=gradients)(IMAGES)
    assert torch.equal(captured.activations["body"], pair.body.conv(IMAGES))
    assert torch.equal(captured.output, pair(IMAGES))
    levels = Returning(lambda hidden: {"fine": hidden, "coarse": hidden[..., ::2, ::2]}, lambda packed: packed["fine"])
    captured = Capture(levels, ["body"], gradients=gradients)(IMAGES)
    assert {key: map_.shape[-1] for key, map_ in captured.activations.items()} == {"body[fine]": 64, "body[coarse]": 32}
    assert torch.equal(captured.output, levels(IMAGES))
    if gradients:
        gradient = torch.autograd.grad(captured.output.sum(), captured.activations["body[fine]"])[0]
        assert gradient.abs().sum() > 0
    coarse = find_cam_layers(levels, IMAGES.shape, layer="body[coarse]")
    captured = Capture(levels, coarse, gradients=gradients)(IMAGES)
    assert list(captured.activations) == ["body[coarse]"]


def test_layers_come_in_the_order_given():
    captured = Capture(resnet(), ["layer4", "conv1", "layer2"])(IMAGES)
    assert list(captured.activations) == ["layer4", "conv1", "layer2"]


def test_everything_returns_where_the_pass_fails():
    model = resnet().train()
    model.layer4.eval()
    with unchanged(model), pytest.raises(RuntimeError, match="3 channels"):
        Capture(model, ["layer4"])(IMAGES[:, :1])
    model.fc = nn.Linear(3, 2)  # after the hook
    with unchanged(model), pytest.raises(RuntimeError, match="shapes"):
        Capture(model, ["layer4"])(IMAGES)
    model = WithIdleLayer().train()
    with unchanged(model), pytest.raises(ValueError, match=r"'idle' gave no activation: .*WithIdleLayer"):
        Capture(model, ["conv", "idle"])(IMAGES)


def test_the_users_hooks_stay_and_run():
    model, seen = InPlace(), []
    model.norm.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with unchanged(model):
        Capture(model, ["norm"])(IMAGES)
    assert seen == [(2, 4, 64, 64)]


def test_training_statistics_do_not_move_and_dropout_is_off():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten()).train()
    with unchanged(model):
        first, second = (Capture(model, ["1"])(IMAGES) for _ in range(2))
    assert torch.equal(first.output, second.output)


def test_modes_are_restored_through_the_networks_own_train():
    class Merging(nn.Module):
        """Merges its update into its weight in evaluation, as low-rank adapters do; its batch norm never trains."""

        def __init__(self):
            super().__init__()
            self.weight, self.merged = 1.0, False
            self.frozen = nn.BatchNorm2d(3)

        def train(self, mode=True):
            super().train(mode)
            if self.merged == mode:
                self.weight += -1 if mode else 1
                self.merged = not mode
            self.frozen.training = False
            return self

    model = nn.Sequential(Merging(), nn.ReLU()).train()
    model[1].eval()
    with evaluation(model):
        assert model[0].weight == 2 and not model.training
    assert model[0].weight == 1 and [module.training for module in model.modules()] == [True, True, False, False]


def test_half_precision():
    model = InPlace().to(torch.bfloat16)
    assert Capture(model, ["norm"])(IMAGES.bfloat16()).activations["norm"].dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert Capture(InPlace(), ["conv"])(IMAGES).activations["conv"].dtype == torch.bfloat16


# Wrappers.


def test_layers_added_after_compilation_are_seen():
    model = resnet().eval()
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        output = compiled(IMAGES)  # hooks that come after the first call are ignored
        activation, _ = by_hand(model)
        captured = Capture(compiled, ["layer4"])(IMAGES)
        assert torch.equal(captured.activations["layer4"], activation)
        torch.testing.assert_close(captured.output, output, **tolerance(torch.float32))
        model.compile(backend="eager")  # in place
        model(IMAGES)
        assert torch.equal(Capture(model, ["layer4"])(IMAGES).activations["layer4"], activation)


def test_distributed_data_parallel(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = resnet().train()
        wrapped = DistributedDataParallel(model)
        assert unwrap(torch.compile(wrapped)) is model
        with unchanged(model):
            captured = Capture(wrapped, [find_cam_layer(wrapped, IMAGES.shape)])(IMAGES)
        with torch.no_grad():
            assert torch.equal(captured.output, by_hand(model.eval())[1])
    finally:
        torch.distributed.destroy_process_group()


def test_scripted_networks_are_refused():
    with pytest.warns((FutureWarning, DeprecationWarning), match=r"torch\.jit\.script"):
        model = torch.jit.script(InPlace())
    with pytest.raises(ValueError, match="InPlace is scripted"):
        Capture(model, ["norm"])
    with pytest.raises(ValueError, match="InPlace is scripted"):
        find_cam_layer(model, IMAGES.shape)


# Detectors.


def detector():
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=16, padding=1), nn.ReLU(inplace=True))
    backbone.out_channels = 8
    anchors = models.detection.anchor_utils.AnchorGenerator(((16, 32),), ((1.0,),))
    return models.detection.FasterRCNN(backbone, 3, rpn_anchor_generator=anchors, min_size=64, max_size=128)


def test_the_part_of_a_detectors_map_that_is_image():
    model = detector()
    spec = find_cam_layer(model, (1, 3, 64, 64))
    wide, high = torch.rand(3, 64, 120), torch.rand(3, 100, 64)
    captured = Capture(model, [spec])([wide, high])
    # Both are padded to 128 x 128, the next multiple of 32 above 100 and 120.
    torch.testing.assert_close(captured.extent, torch.tensor([[64 / 128, 120 / 128], [100 / 128, 64 / 128]]))
    assert captured.activations[spec.key].shape == (2, 8, 8, 8)
    assert Capture(model, [spec])(torch.rand(2, 3, 64, 64)).extent.tolist() == [[1, 1], [1, 1]]
    assert Capture(resnet(), ["layer4"])(IMAGES).extent is None


def test_a_detectors_output_and_gradients():
    model = detector().eval()
    images = [torch.rand(3, 64, 64)]
    with torch.no_grad():
        expected = model(images)[0]
    spec = find_cam_layer(model, (1, 3, 64, 64))
    with torch.inference_mode():
        captured = Capture(model, [spec], gradients=True)(images)
    assert all(torch.equal(captured.output[0][key], expected[key]) for key in expected)
    gradient = torch.autograd.grad(captured.output[0]["scores"].sum(), captured.activations[spec.key])[0]
    assert gradient.abs().sum() > 0


def test_all_levels_of_a_pyramid():
    network = TorchvisionNetwork("fasterrcnn_mobilenet_v3_large_320_fpn", num_classes=3)
    specs = find_cam_layers(network, (1, 3, 100, 135))
    captured = Capture(network, specs)(torch.rand(2, 3, 100, 135))
    shapes = {key: tuple(map_.shape[1:]) for key, map_ in captured.activations.items()}
    assert shapes == {spec.key: spec.shape for spec in specs}
    assert list(shapes) == ["backbone[0]", "backbone[1]", "backbone[pool]"]
    torch.testing.assert_close(captured.extent, torch.tensor([[1.0, 432 / 448]] * 2))
    assert network.training


# The other backend.


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ["layer4", "layer2", "bn1"]),
        ("densenet121", ["features"]),
        ("googlenet", ["inception5b"]),
        ("squeezenet1_1", ["features"]),
        ("shufflenet_v2_x0_5", ["conv5"]),
    ],
)
def test_both_backends_agree(name, layers):
    network = TorchvisionNetwork(name).train()
    hooks = Capture(network, layers)(IMAGES)
    with unchanged(network):
        fx = Capture(network, layers, backend="fx")(IMAGES)
    assert fx.output is None
    assert list(fx.activations) == layers
    for layer in layers:
        assert torch.equal(fx.activations[layer], hooks.activations[layer])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer"),
    [("vgg11", "features.19"), ("swin_t", "permute"), ("vit_b_32", "encoder"), ("maxvit_t", "blocks.3")],
)
def test_both_backends_agree_on_large_networks(name, layer):
    network = TorchvisionNetwork(name)
    images = torch.randn(1, 3, 224, 224)
    by_hooks, by_graph = (Capture(network, [layer], backend=backend)(images) for backend in ("hooks", "fx"))
    torch.testing.assert_close(by_graph.activations, by_hooks.activations, **tolerance(torch.float32))


def test_the_head_is_skipped():
    model, calls = resnet(), []
    model.fc.register_forward_hook(lambda *_: calls.append(1))
    Capture(model, ["layer4"], backend="fx")(IMAGES)
    assert not calls


def test_the_other_backend_is_differentiable_and_sees_new_weights():
    model = InPlace()
    capture = Capture(model, ["norm"], gradients=True, backend="fx")
    before = capture(IMAGES).activations["norm"]
    before.square().sum().backward()
    assert model.conv.weight.grad.abs().sum() > 0
    model.conv.weight.data *= 2
    assert not torch.equal(capture(IMAGES).activations["norm"], before)


def test_what_the_other_backend_cannot_trace():
    for model in (torchvision_network("ssdlite320_mobilenet_v3_large", weights_backbone=None), Branching()):
        layer = next(name for name, _ in model.named_children())
        with pytest.raises(ValueError, match=r"backend='fx' cannot trace .*use backend='hooks'"):
            Capture(model, [layer], backend="fx")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["nrm"]}, "unknown layer of InPlace 'nrm'; did you mean 'norm'"),
        ({"layers": []}, "layers="),
        ({"layers": "norm"}, "layers="),
        ({"layers": ["norm"], "backend": "jit"}, "backend='jit'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    model = InPlace()
    with pytest.raises(ValueError, match=message):
        Capture(model, **arguments)
    assert get_layer(model, "norm") is model.norm

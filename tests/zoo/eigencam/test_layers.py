"""The layer to look at, in every classifier, detector and segmentation network of torchvision and families of timm."""

import functools

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model_builder, list_models, regnet
from torchvision.models.detection import (
    fasterrcnn_mobilenet_v3_large_fpn,
    fasterrcnn_resnet50_fpn,
    fcos_resnet50_fpn,
    retinanet_resnet50_fpn,
    ssd300_vgg16,
    ssdlite320_mobilenet_v3_large,
)
from torchvision.models.segmentation import deeplabv3_resnet50, lraspp_mobilenet_v3_large

from zoo.eigencam.layers import LayerSpec, find_cam_layer, find_cam_layers, to_nchw

NAMES = list_models(torchvision.models)


def expected(name):
    """Return layer, layout, channels (None: any) and side of a torchvision classifier at its own input size."""
    vgg = {
        "vgg11": 19,
        "vgg13": 23,
        "vgg16": 29,
        "vgg19": 35,
        "vgg11_bn": 27,
        "vgg13_bn": 33,
        "vgg16_bn": 42,
        "vgg19_bn": 51,
    }
    if name in vgg:
        return f"features.{vgg[name]}", "nchw", 512, 14
    if name.startswith("vit"):
        return "encoder", "tokens", None, {"16": 14, "32": 7, "14": 16}[name[-2:]]
    for prefix, found in {
        "alexnet": ("features.11", 256, 13),
        "wide_resnet": ("layer4", 2048, 7),
        "resnext": ("layer4", 2048, 7),
        "resnet": ("layer4", 512 if name in ("resnet18", "resnet34") else 2048, 7),
        "squeezenet": ("features", 512, 13),
        "densenet": ("features", None, 7),
        "googlenet": ("inception5b", 1024, 7),
        "inception": ("Mixed_7c", 2048, 8),
        "mobilenet": ("features", None, 7),
        "efficientnet": ("features", None, 7),
        "convnext": ("features", None, 7),
        "mnasnet": ("layers", 1280, 7),
        "shufflenet": ("conv5", None, 7),
        "regnet": ("trunk_output", None, 7),
        "maxvit": ("blocks.3", 512, 7),
        "swin": ("permute", None, 7),
    }.items():
        if name.startswith(prefix):
            return found[0], "nchw", *found[1:]
    raise AssertionError(f"{name} is new: say which layer is meant")


def without_values(name, monkeypatch):
    """Build a network that has shapes but no weights; RegNet reads numbers from tensors while it is built."""
    original = regnet.BlockParams.from_init_params

    def on_cpu(*args, **kwargs):
        with torch.device("cpu"):
            return original(*args, **kwargs)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", on_cpu)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        return get_model_builder(name)(weights=None, **options)


ONE_PER_FAMILY = (
    *("alexnet", "vgg11", "vgg13_bn", "resnet18", "wide_resnet50_2", "squeezenet1_0", "densenet121", "googlenet"),
    *("inception_v3", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "mnasnet0_5"),
    *("shufflenet_v2_x0_5", "regnet_y_400mf", "maxvit_t", "swin_t", "vit_b_32"),
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ONE_PER_FAMILY else pytest.mark.slow) for name in NAMES]
)
def test_torchvision_classifiers(name, monkeypatch):
    layer, layout, channels, side = expected(name)
    size = 299 if name == "inception_v3" else 224
    spec = find_cam_layer(without_values(name, monkeypatch), (1, 3, size, size))
    assert (spec.name, spec.layout, spec.shape[1:]) == (layer, layout, (side, side))
    assert channels in (None, spec.shape[0])
    assert spec.prefix_tokens == (1 if layout == "tokens" else 0)


NOTHING = {"weights": None, "weights_backbone": None}


@pytest.mark.parametrize(
    ("builder", "levels", "channels"),
    [
        (fasterrcnn_resnet50_fpn, ["0", "1", "2", "3", "pool"], 256),
        (fasterrcnn_mobilenet_v3_large_fpn, ["0", "1", "pool"], 256),
        (retinanet_resnet50_fpn, ["0", "1", "2", "p6", "p7"], 256),
        (fcos_resnet50_fpn, ["0", "1", "2", "p6", "p7"], 256),
    ],
)
def test_levels_of_detectors(builder, levels, channels):
    specs = find_cam_layers(builder(**NOTHING), (1, 3, 300, 400))
    assert [spec.level for spec in specs] == levels
    assert {spec.name for spec in specs} == {"backbone"} and {spec.shape[0] for spec in specs} == {channels}
    areas = [spec.shape[1] * spec.shape[2] for spec in specs]
    assert areas == sorted(areas, reverse=True) and areas[-1] >= 9


def test_single_shot_detectors_lose_levels_without_positions():
    shapes = [spec.shape for spec in find_cam_layers(ssd300_vgg16(**NOTHING), (1, 3, 300, 300))]
    assert shapes == [(512, 38, 38), (1024, 19, 19), (512, 10, 10), (256, 5, 5), (256, 3, 3)]
    shapes = [spec.shape for spec in find_cam_layers(ssdlite320_mobilenet_v3_large(**NOTHING), (1, 3, 320, 320))]
    assert shapes == [(672, 20, 20), (480, 10, 10), (512, 5, 5), (256, 3, 3)]


@pytest.mark.parametrize(
    ("builder", "name", "shape"),
    [
        (deeplabv3_resnet50, "backbone.layer4", (2048, 28, 28)),
        (lraspp_mobilenet_v3_large, "backbone.16", (960, 14, 14)),
    ],
)
def test_segmentation_networks(builder, name, shape):
    spec = find_cam_layer(builder(**NOTHING))
    assert (spec.name, spec.shape) == (name, shape)


TIMM = {
    "resnet18": (512, 7),
    "vgg11": (512, 14),
    "efficientnet_lite0": (1280, 7),
    "mobilenetv3_small_050": (288, 7),
    "convnext_atto": (320, 7),
    "selecsls42": (1280, 4),
    "nfnet_f0": (3072, 7),
    "poolformer_s12": (512, 7),
    "swin_tiny_patch4_window7_224": (768, 7),
    "vit_tiny_patch16_224": (192, 14),
    "deit_tiny_distilled_patch16_224": (192, 14),
    "mixer_s32_224": (512, 7),
}


@pytest.mark.parametrize("name", TIMM)
def test_timm_families(name):
    timm = pytest.importorskip("timm", reason="timm is not installed: pip install 'eigenzoo[timm]'")
    with torch.device("meta"):
        network = timm.create_model(name)
    spec = find_cam_layer(network)
    channels, side = TIMM[name]
    assert spec.shape == (channels, side, side)


@pytest.mark.parametrize("name", ["tnt_s_legacy_patch16_224", "crossvit_tiny_240", "levit_128s", "cait_xxs24_224"])
def test_odd_tokens_need_an_explicit_layer(name):
    timm = pytest.importorskip("timm", reason="timm is not installed: pip install 'eigenzoo[timm]'")
    network = timm.create_model(name) if name in timm.list_models() else pytest.skip(f"this timm has no {name}")
    size = 240 if "240" in name else 224
    with pytest.raises(ValueError, match="grid of the tokens cannot be known") as error:
        find_cam_layer(network, (1, 3, size, size))
    assert "shapes seen" in str(error.value) and "LayerSpec" in str(error.value)


class Toy(nn.Module):
    """Two stages and a head, with a batch norm whose statistics must not move."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.Dropout(0.5), nn.ReLU())
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, images):
        return self.head(self.second(self.first(images))).mean((2, 3))


SHAPE = (1, 3, 16, 12)


def test_the_head_is_no_layer_to_look_at():
    assert find_cam_layer(Toy(), SHAPE) == LayerSpec("second", "nchw", 0, (8, 8, 6))


def test_an_earlier_stage_by_size_or_by_name():
    toy = Toy()
    assert find_cam_layer(toy, SHAPE, min_size=12).name == "first"
    by_name = find_cam_layers(toy, SHAPE, layer=["first", "second.1"])
    assert [(spec.name, spec.shape) for spec in by_name] == [("first", (4, 16, 12)), ("second.1", (8, 8, 6))]
    assert find_cam_layer(toy, SHAPE, layer=toy.first[0]).name == "first.0"
    own = LayerSpec("head", "nchw", 0, (5, 8, 6))
    assert find_cam_layers(toy, SHAPE, layer=own) == [own]


def test_looking_changes_nothing():
    toy = Toy().train()
    toy.second.eval()
    flags = [module.training for module in toy.modules()]
    state = {name: value.clone() for name, value in toy.state_dict().items()}
    random = torch.get_rng_state()
    find_cam_layer(toy, SHAPE)
    assert [module.training for module in toy.modules()] == flags
    assert all(torch.equal(toy.state_dict()[name], value) for name, value in state.items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks for module in toy.modules())


def test_wrappers_are_taken_off():
    assert find_cam_layer(nn.DataParallel(Toy()), SHAPE).name == "second"
    assert find_cam_layer(torch.compile(Toy()), SHAPE).name == "second"


def test_networks_without_a_map_are_told_with_what_was_seen():
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 10), nn.ReLU(), nn.Linear(10, 2))
    with pytest.raises(ValueError, match=r"no layer with a map .* shapes seen: .*\(1, 10\)"):
        find_cam_layer(network, (1, 3, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "secnd"}, "second"),
        ({"layer": []}, "layer="),
        ({"layer": 3}, "layer="),
        ({"layer": nn.Conv2d(3, 3, 1)}, "layer="),
        ({"min_size": 0}, "min_size=0"),
        ({"min_size": 100}, "min_size=100"),
        ({"min_size": 4, "layer": "first"}, "min_size=4"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_cam_layers(Toy(), SHAPE, **arguments)
    with pytest.raises(ValueError, match="input_shape"):
        find_cam_layers(Toy(), (3, 16, 12))


def test_an_input_that_does_not_fit_is_told():
    with pytest.raises(ValueError, match="does not go through Toy"):
        find_cam_layer(Toy(), (1, 1, 16, 12))


def test_activations_of_every_layout_become_maps():
    maps = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    make = functools.partial(LayerSpec, "layer", shape=(3, 4, 5))
    assert torch.equal(to_nchw(maps, make(layout="nchw", prefix_tokens=0)), maps)
    assert torch.equal(to_nchw(maps.permute(0, 2, 3, 1), make(layout="nhwc", prefix_tokens=0)), maps)
    tokens = torch.cat([torch.full((2, 2, 3), -1.0), maps.flatten(2).mT], dim=1)
    assert torch.equal(to_nchw(tokens, make(layout="tokens", prefix_tokens=2)), maps)
    with pytest.raises(ValueError, match="grid of 4 x 5"):
        to_nchw(tokens[:, :-1], make(layout="tokens", prefix_tokens=2))
    with pytest.raises(ValueError, match="3 channels was expected"):
        to_nchw(maps.flip(1)[:, :2], make(layout="nchw", prefix_tokens=0))

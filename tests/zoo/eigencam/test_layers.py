"""The layer to look at, in all of torchvision and in the families of timm."""

import re

import pytest
import torch
from torch import nn
from torchvision import models

from tests.zoo.eigencam.networks import (
    Branching,
    Packed,
    Repeated,
    Returning,
    WithIdleLayer,
    torchvision_network,
    unchanged,
    without_values,
)
from zoo.eigencam.capture import Capture
from zoo.eigencam.layers import LayerSpec, find_cam_layer, find_cam_layers, to_nchw
from zoo.eigencam.wrapping import TorchvisionNetwork

# family: layer, height and width, channels (None where they are the inputs of the first linear map of the head)
FAMILIES = {
    "alexnet": ("features.11", 13, 256),
    "vgg11": ("features.19", 14, 512),
    "vgg13": ("features.23", 14, 512),
    "vgg16": ("features.29", 14, 512),
    "vgg19": ("features.35", 14, 512),
    "vgg11_bn": ("features.27", 14, 512),
    "vgg13_bn": ("features.33", 14, 512),
    "vgg16_bn": ("features.42", 14, 512),
    "vgg19_bn": ("features.51", 14, 512),
    "(wide_)?resne(x)?t.*": ("layer4", 7, None),
    "squeezenet1_.": ("features", 13, 512),
    "densenet.*": ("features", 7, None),
    "googlenet": ("inception5b", 7, 1024),
    "inception_v3": ("Mixed_7c", 8, 2048),
    "mobilenet_v.*|efficientnet_.*|convnext_.*": ("features", 7, None),
    "mnasnet.*": ("layers", 7, None),
    "shufflenet_v2_.*": ("conv5", 7, None),
    "regnet_.*": ("trunk_output", 7, None),
    "maxvit_t": ("blocks.3", 7, 512),
    "swin_.*": ("permute", 7, None),
    "vit_._16": ("encoder", 14, None),
    "vit_._32": ("encoder", 7, None),
    "vit_h_14": ("encoder", 16, None),
}
ALL = models.list_models(models)
FAST = {  # one or two of each family; the others take long to build
    *(name for name in ALL if name.startswith(("alexnet", "vgg", "squeezenet"))),
    *("resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "googlenet", "inception_v3"),
    *("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "mnasnet0_5", "shufflenet_v2_x0_5"),
    *("regnet_x_400mf", "regnet_y_400mf", "maxvit_t", "swin_t", "swin_v2_t", "vit_b_16", "vit_b_32"),
}


def test_the_table_covers_torchvision():
    assert len(ALL) >= 80
    assert all(sum(re.fullmatch(family, name) is not None for family in FAMILIES) == 1 for name in ALL)


@pytest.mark.parametrize("name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in ALL])
def test_torchvision_classifiers(name):
    layer, size, channels = next(row for family, row in FAMILIES.items() if re.fullmatch(family, name))
    model = torchvision_network(name)
    if channels is None:
        head = next(getattr(model, child) for child in ("fc", "classifier", "head", "heads") if hasattr(model, child))
        channels = next(module for module in head.modules() if isinstance(module, nn.Linear)).in_features
    tokens = name.startswith("vit")
    side = 299 if name == "inception_v3" else 224
    expected = LayerSpec(layer, "tokens" if tokens else "nchw", int(tokens), (channels, size, size))
    assert find_cam_layer(model, (1, 3, side, side)) == expected


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("deeplabv3_resnet50", "backbone.layer4", (2048, 28, 28)),
        ("deeplabv3_resnet101", "backbone.layer4", (2048, 28, 28)),
        ("fcn_resnet50", "backbone.layer4", (2048, 28, 28)),
        ("fcn_resnet101", "backbone.layer4", (2048, 28, 28)),
        ("deeplabv3_mobilenet_v3_large", "backbone.16", (960, 14, 14)),
        ("lraspp_mobilenet_v3_large", "backbone.16", (960, 14, 14)),
    ],
)
def test_segmentation(name, layer, shape):
    model = torchvision_network(name, weights_backbone=None)
    assert find_cam_layers(model) == [LayerSpec(layer, "nchw", 0, shape)]


def pyramid(*channels_and_sizes, names="012345"):
    levels = zip(channels_and_sizes, names, strict=False)
    return [LayerSpec("backbone", "nchw", 0, (channels, size, size), name) for (channels, size), name in levels]


FPN = pyramid(*((256, size) for size in (200, 100, 50, 25, 13)), names=[*"0123", "pool"])
FPN_FROM_STRIDE_8 = pyramid(*((256, size) for size in (100, 50, 25, 13, 7)), names=[*"012", "p6", "p7"])
DETECTORS = {
    "fasterrcnn_resnet50_fpn": FPN,
    "fasterrcnn_resnet50_fpn_v2": FPN,
    "maskrcnn_resnet50_fpn": FPN,
    "maskrcnn_resnet50_fpn_v2": FPN,
    "keypointrcnn_resnet50_fpn": FPN,
    "fasterrcnn_mobilenet_v3_large_fpn": pyramid((256, 25), (256, 25), (256, 13), names=["0", "1", "pool"]),
    "fasterrcnn_mobilenet_v3_large_320_fpn": pyramid((256, 10), (256, 10), (256, 5), names=["0", "1", "pool"]),
    "retinanet_resnet50_fpn": FPN_FROM_STRIDE_8,
    "retinanet_resnet50_fpn_v2": FPN_FROM_STRIDE_8,
    "fcos_resnet50_fpn": FPN_FROM_STRIDE_8,
    # A sixth level of 1 x 1 is dropped, and here one of 2 x 2, too.
    "ssd300_vgg16": pyramid((512, 38), (1024, 19), (512, 10), (256, 5), (256, 3)),
    "ssdlite320_mobilenet_v3_large": pyramid((672, 20), (480, 10), (512, 5), (256, 3)),
}


@pytest.mark.parametrize("name", models.list_models(models.detection))
def test_detectors_at_the_size_they_resize_to(name):
    assert find_cam_layers(torchvision_network(name, weights_backbone=None)) == DETECTORS[name]


def test_levels_can_be_named_or_required_to_be_large():
    model = torchvision_network("fasterrcnn_resnet50_fpn", weights_backbone=None)
    assert find_cam_layer(model, layer="backbone[1]") == FPN[1]
    assert find_cam_layers(model, layer=["backbone[3]", "backbone.body.layer4"]) == [
        FPN[3],
        LayerSpec("backbone.body.layer4", "nchw", 0, (2048, 25, 25)),
    ]
    assert find_cam_layers(model, layer="backbone") == FPN
    assert find_cam_layers(model, min_size=25) == FPN[:4]
    with pytest.raises(ValueError, match=r"several levels, backbone\[0\].*find_cam_layers"):
        find_cam_layer(model)
    with pytest.raises(ValueError, match="min_size=300"):
        find_cam_layers(model, min_size=300)


def test_a_detector_whose_backbone_has_one_level():
    backbone = nn.Sequential(nn.Conv2d(3, 16, 3, stride=32), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
    backbone.out_channels = 16
    anchors = models.detection.anchor_utils.AnchorGenerator(((32, 64),), ((1.0,),))
    model = models.detection.FasterRCNN(backbone, 2, rpn_anchor_generator=anchors, min_size=64, max_size=64)
    with unchanged(model):
        spec = find_cam_layer(model, (1, 3, 64, 64))
    assert spec == LayerSpec("backbone.2", "nchw", 0, (16, 2, 2))
    assert Capture(model, [spec])(torch.rand(1, 3, 64, 64)).activations[spec.key].shape == (1, 16, 2, 2)


# Rules, on networks with one peculiarity each.


class TwoStages(nn.Module):
    """Two stages, and a head that is convolutional."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.Dropout(0.5), nn.ReLU())
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, images):
        return self.head(self.second(self.first(images))).mean((2, 3))


def test_a_head_is_no_layer_to_look_at():
    assert find_cam_layer(TwoStages(), (1, 3, 16, 12)) == LayerSpec("second", "nchw", 0, (8, 8, 6))
    assert find_cam_layer(TwoStages(), (1, 3, 16, 12), layer="head") == LayerSpec("head", "nchw", 0, (5, 8, 6))
    assert find_cam_layer(TwoStages(), (1, 3, 16, 12), min_size=12).name == "first"


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer3"),
        ("resnet50", "layer3"),  # not the first convolution of layer4, which is as large
        ("densenet121", "features.denseblock3"),  # not the transition, which ends in a pooling
        ("mobilenet_v2", "features.13"),
        ("efficientnet_b0", "features.5"),
        ("shufflenet_v2_x1_0", "stage3"),
        ("googlenet", "inception4e"),
        ("regnet_y_400mf", "trunk_output.block3"),
        ("maxvit_t", "blocks.2"),
        ("swin_t", "features.5"),
        ("vgg16", "features.29"),
        ("vit_b_16", "encoder"),
    ],
)
def test_an_earlier_stage(name, layer):
    spec = find_cam_layer(torchvision_network(name), min_size=14)
    assert (spec.name, spec.shape[1:]) == (layer, (14, 14))
    assert spec.layout == {"swin_t": "nhwc", "vit_b_16": "tokens"}.get(name, "nchw")


def test_no_stage_is_large_enough():
    with pytest.raises(ValueError, match=r"min_size=300 in ResNet .*layer4 \(1, 512, 7, 7\)"):
        find_cam_layer(torchvision_network("resnet18"), min_size=300)
    with pytest.raises(ValueError, match="min_size=8 in VisionTransformer"):
        find_cam_layer(torchvision_network("vit_b_32"), min_size=8)


def test_images_that_are_not_square():
    assert find_cam_layer(torchvision_network("resnet18"), (2, 3, 64, 160)).shape == (512, 2, 5)
    swin = torchvision_network("swin_t")
    assert find_cam_layer(swin, (1, 3, 96, 224)).shape == (768, 3, 7)
    assert find_cam_layer(swin, (1, 3, 96, 224), layer="features.3") == LayerSpec(
        "features.3", "nhwc", 0, (192, 12, 28)
    )


def test_layers_given_by_name_by_module_and_as_a_list():
    model = torchvision_network("resnet18")
    specs = find_cam_layers(model, layer=["layer2", model.layer3])
    assert [(spec.name, spec.shape) for spec in specs] == [("layer2", (128, 28, 28)), ("layer3", (256, 14, 14))]
    given = find_cam_layer(torchvision_network("vit_b_32"), layer="encoder.layers.encoder_layer_11.ln_1")
    assert (given.layout, given.prefix_tokens, given.shape) == ("tokens", 1, (768, 7, 7))
    spec = LayerSpec("anything", "tokens", 3, (8, 2, 2))
    assert find_cam_layers(nn.Identity(), layer=spec) == [spec]  # nothing runs
    assert find_cam_layers(model, layer=[spec, "layer2"])[0] is spec


def test_wrappers_do_not_change_the_names():
    wrapped = TorchvisionNetwork("squeezenet1_1")
    expected = find_cam_layer(wrapped.model)
    for wrapper in (wrapped, nn.DataParallel(wrapped), torch.compile(wrapped)):
        assert find_cam_layer(wrapper) == expected
    inside = nn.Sequential(nn.Identity(), wrapped.model)  # normalisation before a network, say
    assert find_cam_layer(inside).name == "1.features"  # not the class maps in the nested classifier


def test_the_first_map_of_a_tuple_and_all_maps_of_a_dict():
    pair = Returning(lambda hidden: (hidden.mean((2, 3)), hidden, hidden[:, :2]), lambda packed: packed[1])
    assert find_cam_layer(pair, (1, 3, 8, 8)) == LayerSpec("body", "nchw", 0, (4, 8, 8))
    levels = Returning(lambda hidden: {"fine": hidden, "coarse": hidden[..., ::2, ::2]}, lambda packed: packed["fine"])
    assert find_cam_layer(levels, (1, 3, 8, 8)).name == "body.conv"
    found = find_cam_layers(levels, (1, 3, 8, 8), layer="body")
    assert [(spec.key, spec.shape) for spec in found] == [("body[fine]", (4, 8, 8)), ("body[coarse]", (4, 4, 4))]


def test_the_last_call_of_a_layer_counts():
    assert find_cam_layer(Repeated(), (1, 3, 8, 8)).name == "again"


def test_poolings_are_passed_over_even_inside_containers():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)), nn.Dropout(), nn.Flatten())
    assert find_cam_layer(model, (1, 3, 8, 8)).name == "0.1"


def test_values_are_looked_at_where_that_is_needed():
    assert find_cam_layer(Branching(), (1, 3, 8, 8)) == LayerSpec("norm", "nchw", 0, (4, 8, 8))


class Tokens(nn.Module):
    """A transformer without attention: patches, further tokens before them, blocks and a head."""

    def __init__(self, prefix):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.prefix = nn.Parameter(torch.zeros(1, prefix, 6))
        self.blocks = nn.Sequential(*(nn.LayerNorm(6) for _ in range(4)))
        self.head = nn.Linear(6, 2)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        return self.head(self.blocks(torch.cat([self.prefix.expand(len(tokens), -1, -1), tokens], 1)))[:, 0]


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
@pytest.mark.parametrize("size", [(16, 16), (16, 24), (18, 27)])
def test_prefix_tokens_follow_from_the_grid_of_patches(prefix, size):
    spec = find_cam_layer(Tokens(prefix), (1, 3, *size))
    assert spec == LayerSpec("blocks", "tokens", prefix, (6, size[0] // 4, size[1] // 4))


def test_a_few_sequences_in_a_head_make_no_transformer():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.rnn = nn.Conv2d(3, 4, 3, padding=1), nn.GRU(4, 5, batch_first=True)

        def forward(self, images):
            return self.rnn(self.conv(images).mean(2).transpose(1, 2))[0][:, -1]

    assert find_cam_layer(Reader(), (1, 3, 8, 8)).name == "conv"


# What cannot be known is said.


def test_a_perceptron_has_no_map():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(ValueError, match=r"no layer with a map .* in Sequential .*shapes seen: \(1, 2\), \(1, 5\)"):
        find_cam_layer(model, (1, 3, 2, 2))


def test_a_layer_without_a_name_is_none():
    with pytest.raises(ValueError, match="no layer with a map"):
        find_cam_layer(nn.Conv2d(3, 4, 3), (1, 3, 8, 8))
    assert find_cam_layer(Packed(lambda hidden: hidden), (1, 3, 8, 8)).name == "conv"


def test_tokens_without_a_grid():
    with pytest.raises(ValueError, match=r"the 28 tokens cannot be known.*LayerSpec.*blocks \(1, 28, 6\)"):
        find_cam_layer(Tokens(12), (1, 3, 16, 16))
    with pytest.raises(ValueError, match=r"the tokens of layer='blocks.1' cannot be known.*LayerSpec"):
        find_cam_layer(Tokens(12), (1, 3, 16, 16), layer="blocks.1")


def test_inputs_that_do_not_fit():
    with pytest.raises(ValueError, match=r"input_shape=\(1, 1, 16, 16\) does not go through TwoStages: .*3 channels"):
        find_cam_layer(TwoStages(), (1, 1, 16, 16))


@pytest.mark.parametrize("shape", [(3, 224, 224), (1, 3, 0, 224), (1, 3, 224.0, 224)])
def test_bad_input_shapes(shape):
    with pytest.raises(ValueError, match=re.escape(f"input_shape={shape}")):
        find_cam_layer(WithIdleLayer(), shape)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "convv"}, "did you mean 'conv'"),
        ({"layer": "zzz"}, "allowed: conv, idle"),
        ({"layer": "idle"}, "layer='idle' did not run"),
        ({"layer": nn.ReLU()}, r"layer=.*a module of WithIdleLayer"),
        ({"layer": 3}, "layer=3"),
        ({"layer": []}, r"layer=\[\]"),
        ({"min_size": 0}, "min_size=0"),
        ({"min_size": 1.5}, "min_size=1.5"),
        ({"min_size": True}, "min_size=True"),
        ({"min_size": 7, "layer": "conv"}, r"min_size=7.*None where the layer is given"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_cam_layers(WithIdleLayer(), (1, 3, 8, 8), **arguments)


def test_a_given_layer_without_positions():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for layer, shape in (("1", r"\(1, 4, 1, 1\)"), ("2", r"\(1, 4\)")):
        with pytest.raises(ValueError, match=rf"layer='{layer}' returns {shape}, no map"):
            find_cam_layer(model, (1, 3, 8, 8), layer=layer)


# Reading activations as maps.


def test_layouts_are_read_alike():
    maps = torch.randn(2, 5, 3, 4)
    tokens = torch.cat([torch.full((2, 2, 5), torch.nan), maps.flatten(2).transpose(1, 2)], 1)
    for layout, activation, prefix in (
        ("nchw", maps, 0),
        ("nhwc", maps.permute(0, 2, 3, 1).contiguous(), 0),
        ("tokens", tokens, 2),
    ):
        assert torch.equal(to_nchw(activation, LayerSpec("layer", layout, prefix, (5, 3, 4))), maps)


def test_activations_that_do_not_fit_the_layout():
    spec = LayerSpec("layer", "tokens", 1, (5, 3, 4))
    with pytest.raises(ValueError, match=r"'layer' has 16 tokens and 1 before them.*3 x 4.*input_shape"):
        to_nchw(torch.zeros(2, 17, 5), spec)
    for activation in (torch.zeros(2, 13, 6), torch.zeros(2, 5, 3, 4)):
        with pytest.raises(ValueError, match="layout 'tokens' with 5 channels"):
            to_nchw(activation, spec)
    with pytest.raises(ValueError, match=r"'body\[fine\]'"):
        to_nchw(torch.zeros(2, 6, 3, 4), LayerSpec("body", "nchw", 0, (5, 3, 4), "fine"))


def assert_maps_follow_the_image(model, size):
    """What changes in a quarter of the image changes the map most in that quarter: no axis is taken for another."""
    for name, parameter in model.named_parameters():
        if name.endswith(("gamma", "layer_scale", "scale")):
            parameter.data.fill_(1.0)  # at their small start, blocks do next to nothing
    spec = find_cam_layer(model, (1, 3, size, size))
    capture = Capture(model, [spec])
    images = torch.randn(1, 3, size, size)

    def maps(images):
        return to_nchw(capture(images).activations[spec.key], spec)[0]

    before = maps(images)
    assert before.shape == spec.shape
    for below, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        changed = images.clone()
        top, left, side = size // 8 + below * size // 2, size // 8 + right * size // 2, size // 4
        changed[:, :, top : top + side, left : left + side] += 3 * torch.randn(1, 3, side, side)
        change = (maps(changed) - before).square().sum(0)
        row, column = divmod(int(change.argmax()), change.shape[1])
        assert (2 * row >= change.shape[0], 2 * column >= change.shape[1]) == (bool(below), bool(right))


def test_maps_follow_the_image():
    for name in ("squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small"):
        assert_maps_follow_the_image(TorchvisionNetwork(name), 128)
    assert_maps_follow_the_image(models.VisionTransformer(64, 8, 2, 3, 48, 96), 64)
    assert_maps_follow_the_image(models.SwinTransformer([2, 2], 24, [2, 2], [2, 4], [4, 4]), 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "densenet121", "swin_t", "swin_v2_t", "vit_b_32", "convnext_tiny"])
def test_maps_of_large_networks_follow_the_image(name):
    assert_maps_follow_the_image(TorchvisionNetwork(name), 224)


# timm.

TIMM = {
    "resnet18": ("layer4", "nchw", 0, (512, 7, 7)),
    "vgg11": ("features.19", "nchw", 0, (512, 14, 14)),  # forward_features ends in a pooling
    "densenet121": ("features", "nchw", 0, (1024, 7, 7)),
    "mobilenetv3_small_050": ("blocks", "nchw", 0, (288, 7, 7)),
    "efficientnet_lite0": ("bn2", "nchw", 0, (1280, 7, 7)),
    "convnext_atto": ("norm_pre", "nchw", 0, (320, 7, 7)),
    "regnetx_002": ("final_conv", "nchw", 0, (368, 7, 7)),
    "poolformer_s12": ("stages", "nchw", 0, (512, 7, 7)),  # blocks named after pooling are none
    "selecsls42": ("head", "nchw", 0, (1280, 4, 4)),  # a layer named head that is none
    "lowformer_b0": ("stages", "nchw", 0, (256, 7, 7)),  # a convolution after the pooling
    "swin_tiny_patch4_window7_224": ("norm", "nhwc", 0, (768, 7, 7)),
    "swinv2_tiny_window8_256": ("norm", "nhwc", 0, (768, 8, 8)),
    "mambaout_femto": ("stages", "nhwc", 0, (288, 7, 7)),
    "nest_tiny": ("norm", "nhwc", 0, (384, 14, 14)),
    "vit_tiny_patch16_224": ("norm", "tokens", 1, (192, 14, 14)),
    "deit_tiny_distilled_patch16_224": ("norm", "tokens", 2, (192, 14, 14)),
    "mixer_s32_224": ("norm", "tokens", 0, (512, 7, 7)),
}


def timm_network(name, **kwargs):
    timm = pytest.importorskip("timm", reason="timm is not installed: pip install 'eigenzoo[timm]'")
    if name not in timm.list_models():
        pytest.skip(f"this timm has no {name}")
    model = without_values(timm.create_model, name, **kwargs)
    return model, (1, *model.pretrained_cfg["input_size"])


@pytest.mark.parametrize("name", TIMM)
def test_timm(name):
    model, shape = timm_network(name)
    assert find_cam_layer(model, shape) == LayerSpec(*TIMM[name])


def test_a_network_of_timm_inside_another():
    trunk, shape = timm_network("selecsls42", num_classes=0)
    assert find_cam_layer(nn.Sequential(nn.Identity(), trunk), shape).name == "1.head"


@pytest.mark.parametrize(
    "name", ["tnt_s_patch16_224", "crossvit_tiny_240", "coat_lite_tiny", "levit_128s", "cait_xxs24_224"]
)
def test_tokens_whose_reading_has_to_be_said(name):
    model, shape = timm_network(name, **({"depth": 2} if name.startswith(("tnt", "cait")) else {}))
    with pytest.raises(ValueError, match=r"grid of the tokens.*shapes seen: .*LayerSpec\(.*candidates: .*\(1, "):
        find_cam_layer(model, shape)


def test_saying_how_tokens_are_read():
    model, shape = timm_network("cait_xxs24_224", depth=2)
    assert find_cam_layer(model, shape, layer="blocks.1") == LayerSpec("blocks.1", "tokens", 0, (192, 14, 14))
    spec = LayerSpec("norm", "tokens", 1, (192, 14, 14))
    assert find_cam_layer(model, shape, layer=spec) is spec


def test_an_earlier_stage_of_timm():
    model, shape = timm_network("convnext_atto")
    assert find_cam_layer(model, shape, min_size=14).name == "stages.2"
    model, shape = timm_network("mambaout_femto")
    assert find_cam_layer(model, shape, min_size=14) == LayerSpec("stages.2", "nhwc", 0, (192, 14, 14))


def families():
    try:
        import timm
    except ImportError:
        return []
    # The weights of sequencer's recurrent layers are made orthogonal, which takes long.
    return [timm.list_models(module=module)[0] for module in timm.list_modules() if module != "sequencer"]


@pytest.mark.slow
@pytest.mark.parametrize("name", families())
def test_every_family_of_timm(name):
    model, shape = timm_network(name)
    if {base.__name__ for base in type(model).__mro__} & {"TNT", "CrossVit", "CoaT", "Levit", "Cait"}:
        with pytest.raises(ValueError, match="grid of the tokens"):
            find_cam_layer(model, shape)
        return
    spec = find_cam_layer(model, shape)
    channels, height, width = spec.shape
    assert height * shape[3] == width * shape[2] and height * width > 1
    if name.startswith(("vgg", "pit", "efficientvim")):  # they end in a pooling, a class token, a list of all stages
        return
    # Whatever the layout, forward_features returns these positions and channels.
    with torch.no_grad():
        features = model.eval().forward_features(torch.zeros(shape, device="meta"))
    assert features.numel() == channels * (height * width + spec.prefix_tokens)
    assert channels == model.num_features
    assert channels in (features.shape[1], features.shape[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("nest_tiny", "hiera_tiny_224", "hieradet_small", "mambaout_femto", "swin_tiny_patch4_window7_224"),
        *("swinv2_cr_tiny_224", "twins_pcpvt_small", "twins_svt_small", "mvitv2_tiny", "efficientformer_l1"),
        *("volo_d1_224", "xcit_nano_12_p16_224", "mixer_s32_224", "vit_tiny_patch16_224", "pit_ti_224"),
        *("deit_tiny_distilled_patch16_224", "vit_tiny_r_s16_p8_224", "efficientvim_m1", "convnext_atto"),
        *("edgenext_xx_small", "coatnet_nano_rw_224", "vitamin_small_224"),
    ],
)
def test_maps_of_timm_follow_the_image(name):
    timm = pytest.importorskip("timm")
    model = timm.create_model(name)
    assert_maps_follow_the_image(model, model.pretrained_cfg["input_size"][1])

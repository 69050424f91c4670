"""Networks of other packages by name, and weights that fit completely or not at all."""

import re
import sys
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.models import resnet18

import zoo
from tests.paths import SHARED
from tests.tolerances import tolerance
from tests.zoo.eigencam.networks import without_values
from zoo.eigencam.wrapping import TimmNetwork, TorchvisionNetwork, load_weights


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TorchvisionNetwork("resnet18", num_classes=4).eval()


@pytest.fixture
def trained():
    torch.manual_seed(1)
    return resnet18(num_classes=4).eval()


IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet18", "fasterrcnn_mobilenet_v3_large_320_fpn", "lraspp_mobilenet_v3_large"])
def test_networks_by_name(name):
    network = zoo.get_network("torchvision", name=name, num_classes=3).eval()
    output = network(IMAGES)
    expected = network.model(IMAGES)
    if name == "resnet18":
        assert torch.equal(output, expected) and output.shape == (2, 3)
    elif name.startswith("faster"):
        assert [set(one) for one in output] == [{"boxes", "labels", "scores"}] * 2
    else:
        assert torch.equal(output["out"], expected["out"]) and output["out"].shape == (2, 3, 64, 64)


def test_timm_by_name():
    pytest.importorskip("timm", reason="timm is not installed: pip install 'eigenzoo[timm]'")
    network = TimmNetwork("resnet18.a1_in1k", num_classes=3).eval()
    assert network(IMAGES).shape == (2, 3)
    with pytest.raises(ValueError, match="did you mean 'resnet18"):
        TimmNetwork("resnt18")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".npz"])
def test_weights_of_every_format(network, trained, tmp_path, suffix):
    path, state = tmp_path / f"mine{suffix}", trained.state_dict()
    if suffix == ".safetensors":
        save_file(state, path)
    elif suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in state.items()})
    else:
        torch.save(state, path)
    assert load_weights(network, str(path)) == []
    assert torch.equal(network(IMAGES), trained(IMAGES))


def test_a_head_for_other_classes_is_kept_on_demand(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "mine.safetensors")
    network = TorchvisionNetwork("resnet18", num_classes=7)
    head = network.model.fc.weight.clone()
    with pytest.raises(ValueError, match=r"of another shape .*fc\.weight.*new_head=True"):
        load_weights(network, str(tmp_path / "mine.safetensors"))
    assert load_weights(network, str(tmp_path / "mine.safetensors"), new_head=True) == ["fc.weight", "fc.bias"]
    assert torch.equal(network.model.fc.weight, head)
    assert torch.equal(network.model.conv1.weight, trained.conv1.weight)


def changed(state, change):
    state = dict(state)
    if change == "missing":
        del state["conv1.weight"]
    elif change == "superfluous":
        state["extra.weight"] = torch.ones(1)
    else:
        state["conv1.weight"] = torch.ones(64, 3, 3, 3)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"1 missing \(conv1\.weight\)"),
        ("superfluous", r"1 superfluous \(extra\.weight\)"),
        ("reshaped", r"of another shape \(conv1\.weight"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(network, trained, tmp_path, change, message):
    save_file(changed(trained.state_dict(), change), tmp_path / "mine.safetensors")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_weights(network, str(tmp_path / "mine.safetensors"), new_head=True)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


class Harmful:
    """A pickle that would make a folder when it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.folder),)


def test_nothing_in_a_file_is_executed(network, tmp_path):
    torch.save(Harmful(tmp_path / "owned"), tmp_path / "bad.pt")
    np.savez(tmp_path / "bad.npz", a=np.array([Harmful(tmp_path / "owned")], dtype=object))
    for name in ("bad.pt", "bad.npz"):
        with pytest.raises(ValueError, match="cannot be read as a state dict"):
            load_weights(network, str(tmp_path / name))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [{"state_dict": {}}, [torch.ones(1)]])
def test_files_without_a_state_dict_are_told(network, tmp_path, content):
    torch.save(content, tmp_path / "mine.pt")
    with pytest.raises(ValueError, match="must hold a state dict"):
        load_weights(network, str(tmp_path / "mine.pt"))


def test_published_weights_are_not_fetched_offline(network, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    with pytest.raises(RuntimeError, match="EIGENZOO_OFFLINE"):
        load_weights(network, "IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("none.pt", FileNotFoundError, r"none\.pt"),
        ("IMAGENET1K_V7", ValueError, "IMAGENET1K_V1"),
    ],
)
def test_unknown_weights_are_told(network, weights, error, message):
    with pytest.raises(error, match=message):
        load_weights(network, weights)
    with pytest.raises(ValueError, match="not allowed for Sequential"):
        load_weights(torch.nn.Sequential(), "IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "resnet19"}, ValueError, "did you mean"),
        ({"name": "resnet18", "num_classes": 0}, ValueError, "num_classes=0"),
        ({"name": "resnet18", "weights": "DEFAULT"}, ValueError, "weights='DEFAULT'"),
        ({"name": "resnet18", "width": 3}, TypeError, "width"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        TorchvisionNetwork(**arguments)


@pytest.mark.skipif(
    SHARED is None or not (SHARED / "data" / "eigencam").is_dir(), reason="the real weights are not here"
)
def test_real_weights_of_squeezenet():
    folder = SHARED / "data" / "eigencam"
    network = TorchvisionNetwork("squeezenet1_0").eval()
    load_weights(network, str(folder / "squeezenet1_0_imagenet_deepcompressed.npz"))
    with np.load(folder / "squeezenet1_0_imagenet_deepcompressed.npz") as arrays:
        assert all(np.array_equal(value.numpy(), arrays[name]) for name, value in network.model.state_dict().items())
    with np.load(folder / "images_224.npz") as arrays:
        photos, logits = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["logits"])
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    with torch.no_grad():
        found = network(((photos / 255 - mean) / std).permute(0, 3, 1, 2))
    assert found.argmax(1).tolist() == [285, 967, 872, 733]
    torch.testing.assert_close(found, logits, rtol=1e-3, atol=1e-3)


# Published weights, with files of the published kind in place of the download.


def arbitrary(model, generator):
    """A state dict of a model with values that tell every tensor and small variances, where an epsilon shows."""
    own, state = model.state_dict(), OrderedDict()
    for key, value in own.items():
        normal = torch.randn(value.shape, generator=generator)
        if key.endswith("running_var"):
            state[key] = 1e-4 * (1 + normal.abs())
        elif f"{key.removesuffix('weight')}running_var" in own:
            state[key] = 1e-2 * normal.sign()
        elif value.is_floating_point():
            state[key] = normal * (value[0].numel() ** -0.5 if value.ndim > 1 else 0.1)
        else:
            state[key] = value
    return state


def published(name, monkeypatch, weights, **kwargs):
    """Return torchvision's own network with pretend weights, and pretend downloads of them from now on."""
    builder, entry = models.get_model_builder(name), models.get_model_weights(name)[weights]
    state, fetched, template = OrderedDict(), [], nn.Identity()

    def fetch(url, **options):
        fetched.append((url, options.get("check_hash")))
        copied = OrderedDict(state)
        if not name.startswith("densenet"):
            copied._metadata = template.state_dict()._metadata
        return copied

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fetch)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # googlenet's auxiliary heads are not pretrained
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        template = builder(weights=entry, **({"aux_logits": True} if name == "googlenet" else {}), **kwargs)
    state.update(arbitrary(template, torch.Generator().manual_seed(0)))
    if name.startswith("densenet"):  # files from before names had no dots and batch norms counted
        for key in [key for key in state if key.endswith("num_batches_tracked")]:
            del state[key]
        for key in list(state):
            state[re.sub(r"(denselayer\d+\.(norm|conv))([12])", r"\1.\3", key)] = state.pop(key)
    return builder(weights=entry, **kwargs).eval(), fetched


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet18", {}),
        ("squeezenet1_1", {}),
        ("densenet121", {}),  # names of old
        ("mnasnet0_5", {}),  # which looks at the version of the file
        ("googlenet", {"transform_input": True, "aux_logits": False}),
        ("inception_v3", {"transform_input": True}),
    ],
)
def test_published_weights_of_classifiers(name, arguments, monkeypatch):
    expected, fetched = published(name, monkeypatch, "IMAGENET1K_V1")
    network = TorchvisionNetwork(name, **arguments).eval()
    assert load_weights(network, "IMAGENET1K_V1") == []
    assert fetched[-1] == (models.get_model_weights(name)["IMAGENET1K_V1"].url, True)
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        output = network(images)
        assert output.isfinite().all() and torch.equal(output, expected(images))
    full_name = f"{models.get_model_weights(name).__name__}.IMAGENET1K_V1"
    assert load_weights(network, full_name) == load_weights(network, "DEFAULT") == []


def test_published_weights_of_segmentation_with_and_without_their_auxiliary_head(monkeypatch):
    expected, _ = published("deeplabv3_mobilenet_v3_large", monkeypatch, "DEFAULT", weights_backbone=None)
    images = torch.randn(1, 3, 64, 64)
    for aux_loss in (True, False):
        network = TorchvisionNetwork("deeplabv3_mobilenet_v3_large", aux_loss=aux_loss).eval()
        load_weights(network, "DEFAULT")
        with torch.no_grad():
            output = network(images)
            assert torch.equal(output["out"], expected(images)["out"])
        assert ("aux" in output) == aux_loss


@pytest.mark.parametrize(
    "name",
    [
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "retinanet_resnet50_fpn",  # whose frozen batch norms have no epsilon
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                *("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn", "ssd300_vgg16"),
                *("maskrcnn_resnet50_fpn_v2", "keypointrcnn_resnet50_fpn", "retinanet_resnet50_fpn_v2"),
                *("fcos_resnet50_fpn", "ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_fpn"),
            )
        ),
    ],
)
def test_published_weights_of_detectors(name, monkeypatch):
    expected, _ = published(name, monkeypatch, "COCO_V1", weights_backbone=None)
    network = TorchvisionNetwork(name).eval()
    load_weights(network, "COCO_V1")
    images = torch.randn(1, 3, *([300, 300] if name.startswith("ssd") else [64, 64]))
    with torch.no_grad():
        levels, wanted = network.model.backbone(images), expected.backbone(images)
    assert list(levels) == list(wanted)
    for level, value in wanted.items():
        assert value.abs().max() > 0
        # Frozen batch norms round otherwise.
        torch.testing.assert_close(levels[level] / value.std(), value / value.std(), **tolerance(torch.float32))


def test_weights_rescaled_for_another_input_are_refused(monkeypatch):
    published("googlenet", monkeypatch, "DEFAULT")
    with pytest.raises(ValueError, match=r"transform_input=False is not allowed.*transform_input=True"):
        load_weights(TorchvisionNetwork("googlenet"), "DEFAULT")


def test_weights_for_larger_images_are_refused(monkeypatch):
    published("vit_b_16", monkeypatch, "IMAGENET1K_SWAG_E2E_V1")
    network = TorchvisionNetwork("vit_b_16")
    for new_head in (False, True):
        with pytest.raises(ValueError, match=r"1 of another shape \(encoder.pos_embedding \(1, 577, 768\)") as error:
            load_weights(network, "IMAGENET1K_SWAG_E2E_V1", new_head=new_head)
        assert "new_head" not in str(error.value)


def test_a_detector_for_other_classes(monkeypatch):
    published("fasterrcnn_mobilenet_v3_large_320_fpn", monkeypatch, "COCO_V1", weights_backbone=None)
    network = TorchvisionNetwork("fasterrcnn_mobilenet_v3_large_320_fpn", num_classes=3)
    kept = load_weights(network, "COCO_V1", new_head=True)
    assert {name.rpartition(".")[0] for name in kept} == {
        "roi_heads.box_predictor.cls_score",
        "roi_heads.box_predictor.bbox_pred",
    }


def test_what_is_in_the_cache_is_loaded_offline(network, monkeypatch, tmp_path):
    published("resnet18", monkeypatch, "IMAGENET1K_V1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").touch()
    load_weights(network, "IMAGENET1K_V1", new_head=True)


def test_old_batch_norms_do_not_count(network, trained, tmp_path):
    state = {key: value for key, value in trained.state_dict().items() if not key.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "old.safetensors")
    load_weights(network, str(tmp_path / "old.safetensors"))
    assert torch.equal(network(IMAGES), trained(IMAGES))


def test_networks_of_the_users_own_read_files(tmp_path):
    own = nn.Linear(2, 3)
    save_file({"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, tmp_path / "own.safetensors")
    load_weights(own, str(tmp_path / "own.safetensors"))
    assert own.weight.eq(1).all()


def test_no_network_reads_weights_while_it_is_built(monkeypatch):
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: pytest.fail("fetched"))
    for name in ("fcn_resnet50", "retinanet_resnet50_fpn"):
        without_values(TorchvisionNetwork, name)
    with pytest.raises(ValueError, match=r"weights_backbone='DEFAULT' is not allowed here; .*load_weights"):
        TorchvisionNetwork("fcn_resnet50", weights_backbone="DEFAULT")


def test_the_same_seed_gives_the_builders_own_weights():
    for name, options in (("squeezenet1_1", {}), ("googlenet", {"init_weights": True, "aux_logits": False})):
        arguments = {key: value for key, value in options.items() if key != "init_weights"}
        torch.manual_seed(0)
        network = TorchvisionNetwork(name, 7, **arguments)
        torch.manual_seed(0)
        expected = models.get_model(name, weights=None, num_classes=7, **options)
        assert all(map(torch.equal, network.model.state_dict().values(), expected.state_dict().values()))


@pytest.mark.slow
def test_every_classifier_detector_and_segmentation_network():
    for package in (models, models.detection, models.segmentation):
        for name in models.list_models(package):
            assert without_values(TorchvisionNetwork, name).name == name


# timm.


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="timm is not installed: pip install 'eigenzoo[timm]'")


def test_published_weights_of_timm(timm, monkeypatch):
    build, asked = timm.create_model, []

    def create_model(name, pretrained=False, **arguments):
        asked.append((name, pretrained, arguments))
        torch.manual_seed(3 if pretrained else 0)
        return build(name, pretrained=False, **arguments)

    monkeypatch.setattr(timm, "create_model", create_model)
    network = TimmNetwork("resnet18.a1_in1k", in_chans=1).eval()
    load_weights(network, "DEFAULT")
    assert asked[-1] == ("resnet18.a1_in1k", True, {"in_chans": 1})
    torch.manual_seed(3)
    expected = build("resnet18", in_chans=1).eval()
    assert torch.equal(network(IMAGES[:, :1]), expected(IMAGES[:, :1]))
    load_weights(network, "a2_in1k")
    assert asked[-1][:2] == ("resnet18.a2_in1k", True)
    small = TimmNetwork("resnet18", num_classes=5)
    assert load_weights(small, "a1_in1k", new_head=True) == ["fc.weight", "fc.bias"]


def test_weights_of_timm_that_cannot_be_had(timm, monkeypatch):
    network = TimmNetwork("resnet18")
    with pytest.raises(ValueError, match="unknown weights of 'resnet18' 'a1_in2k'; did you mean 'a1_in1k'"):
        load_weights(network, "a1_in2k")
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    with pytest.raises(RuntimeError, match=r"EIGENZOO_OFFLINE.*'a1_in1k' of 'resnet18'"):
        load_weights(network, "a1_in1k")
    with pytest.raises(ValueError, match="pretrained=True is not allowed here"):
        TimmNetwork("resnet18", pretrained=True)


def test_a_missing_timm_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"eigenzoo\[timm\]"):
        TimmNetwork("resnet18")

"""Networks of other packages by name, and weights that fit completely or not at all."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

import zoo
from tests.paths import SHARED
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
    network = TorchvisionNetwork("squeezenet1_0")
    load_weights(network, str(SHARED / "data" / "eigencam" / "squeezenet1_0_imagenet_deepcompressed.npz"))
    with np.load(SHARED / "data" / "eigencam" / "squeezenet1_0_imagenet_deepcompressed.npz") as arrays:
        assert all(np.array_equal(value.numpy(), arrays[name]) for name, value in network.model.state_dict().items())

"""Looking for a layer changes nothing of the network, whether its values are needed or not."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm
from torchvision import models

from tests.zoo.eigencam.networks import Branching, InPlace, torchvision_network, unchanged
from zoo.eigencam import probe as probe_file
from zoo.eigencam.layers import find_cam_layer
from zoo.eigencam.probe import probe_layers


class Noisy(nn.Module):
    """Draws random numbers in evaluation, too."""

    def __init__(self, stop=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.stop = stop

    def forward(self, images):
        hidden = self.conv(images + torch.rand_like(images))
        if self.stop and hidden.isfinite().all().item():
            raise RuntimeError("stopped")
        return hidden.mean((2, 3))


def partly_frozen(model):
    model.train()
    list(model.children())[-1].eval()
    return model


@pytest.mark.parametrize("build", [InPlace, Branching, Noisy, lambda: models.resnet18(weights=None)])
def test_nothing_changes(build):
    model = partly_frozen(build())
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    with unchanged(model):
        find_cam_layer(model, (2, 3, 32, 32))


def test_nothing_changes_where_the_pass_fails():
    model = partly_frozen(Noisy(stop=True))
    with unchanged(model), pytest.raises(ValueError, match="does not go through Noisy: stopped"):
        find_cam_layer(model, (1, 3, 8, 8))


def test_both_ways_find_the_same(monkeypatch):
    model = partly_frozen(models.squeezenet1_1(weights=None))
    expected = find_cam_layer(model)
    monkeypatch.setattr(probe_file, "_on_meta", lambda *_: torch.zeros(1).no_such_method())
    with unchanged(model):
        assert find_cam_layer(model) == expected


def test_values_do_not_matter_where_they_are_not_needed():
    """Nothing is computed: a network that exists on no device is enough, as is one whose weights are not finite."""
    model = models.resnet18(weights=None)
    for parameter in model.parameters():
        parameter.data.fill_(torch.nan)
    assert find_cam_layer(model) == find_cam_layer(torchvision_network("resnet18"))


def test_the_users_hooks_do_not_see_the_pass():
    model = InPlace()
    seen = []
    model.conv.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    with unchanged(model):
        find_cam_layer(model, (1, 3, 8, 8))
    assert not seen


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions(dtype):
    assert find_cam_layer(InPlace().to(dtype), (1, 3, 8, 8)).name == "relu"
    assert find_cam_layer(Branching().to(dtype), (1, 3, 8, 8)).name == "norm"


def test_reparametrised_and_tied_weights():
    with pytest.warns(FutureWarning, match="weight_norm"):
        old = weight_norm(nn.Conv2d(3, 4, 3, padding=1))
    old(torch.randn(1, 3, 8, 8))  # its weight is now the result of a computation
    new = parametrizations.weight_norm(nn.Conv2d(4, 4, 3, padding=1))
    tied = nn.Conv2d(4, 4, 3, padding=1)
    tied.weight = new.parametrizations.weight.original1
    model = nn.Sequential(old, new, tied, nn.Flatten())
    with unchanged(model):
        assert find_cam_layer(model, (1, 3, 8, 8)).name == "2"


def test_under_inference_mode_the_model_stays_trainable():
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.grid = nn.Conv2d(3, 4, 3, padding=1), None

        def forward(self, images):
            if self.grid is None:
                self.grid = torch.ones(images.shape[-2:]) * images.new_ones(()).item()  # needs a value
            return (self.conv(images) * self.grid).mean((2, 3))

    model = Caching()
    with torch.inference_mode():
        find_cam_layer(model, (1, 3, 8, 8))
    model(torch.randn(2, 3, 8, 8)).sum().backward()


def test_a_forward_features_of_the_instance_returns():
    model = Branching()

    def forward_features(images):
        return model.norm(model.conv(images))

    model.forward_features = forward_features
    with unchanged(model):
        find_cam_layer(model, (1, 3, 8, 8))
    assert vars(model)["forward_features"] is forward_features


def test_no_values_are_copied():
    """A hundred million weights that are one number in memory stay one number."""
    model = torchvision_network("vgg16")
    model.classifier[0].weight = nn.Parameter(torch.zeros(1).expand(4096, 512 * 7 * 7), requires_grad=False)
    probe = probe_layers(model, (1, 3, 224, 224))
    assert all(event.output.is_meta for event in probe.events)


@torch.no_grad()
def test_compiled_submodules():
    model = InPlace()
    model.conv.compile(backend="eager")
    model.norm = torch.compile(model.norm, backend="eager")
    expected = copy.deepcopy(model).eval()(torch.ones(1, 3, 8, 8))
    assert find_cam_layer(model, (1, 3, 8, 8)).name == "relu"
    torch.testing.assert_close(model.eval()(torch.ones(1, 3, 8, 8)), expected, rtol=0, atol=0)

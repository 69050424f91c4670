"""Networks of torchvision and timm without values, and small ones with one peculiarity each."""

import contextlib

import torch
from torch import nn
from torchvision import models
from torchvision.models import regnet


def without_values(build, *args, **kwargs):
    """Build on the meta device; RegNets compute their widths with tensors, which need values."""
    original = regnet.BlockParams.__dict__["from_init_params"]

    def on_cpu(cls, *args, **kwargs):
        with torch.device("cpu"):
            return original.__func__(cls, *args, **kwargs)

    regnet.BlockParams.from_init_params = classmethod(on_cpu)
    try:
        with torch.device("meta"):
            return build(*args, **kwargs)
    finally:
        regnet.BlockParams.from_init_params = original


def torchvision_network(name, **kwargs):
    if name in ("googlenet", "inception_v3"):
        kwargs["init_weights"] = True
    return without_values(models.get_model, name, weights=None, **kwargs)


class Branching(nn.Module):
    """Looks at a value before it decides, which nothing without values can do; counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images):
        self.calls += 1
        if images.sum().item() > 1e9:
            raise RuntimeError("never")
        return self.norm(self.conv(images)).mean((2, 3))


class InPlace(nn.Module):
    """A batch norm whose output an in-place ReLU overwrites."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 5)

    def forward(self, images):
        return self.fc(self.relu(self.norm(self.conv(images))).mean((2, 3)))


class Returning(nn.Module):
    """A layer that returns whatever `pack` makes of its map, and a head that takes it apart with `unpack`."""

    def __init__(self, pack, unpack):
        super().__init__()
        self.body = Packed(pack)
        self.unpack = unpack
        self.fc = nn.Linear(4, 5)

    def forward(self, images):
        return self.fc(self.unpack(self.body(images)).mean((2, 3)))


class Packed(nn.Module):
    def __init__(self, pack):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.pack = pack

    def forward(self, images):
        return self.pack(self.conv(images))


class Repeated(nn.Module):
    """Calls one layer three times."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.again = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, images):
        hidden = self.first(images)
        for _ in range(3):
            hidden = self.again(hidden)
        return hidden.mean((2, 3))


class WithIdleLayer(nn.Module):
    """Has a layer that no forward pass runs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.idle = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, images):
        return self.conv(images).mean((2, 3))


def state_of(model):
    """Everything of a model that must not change: hooks, flags, values, and where the values lie."""
    return {
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "flags": [m.training for m in model.modules()],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "addresses": [t.data_ptr() for t in (*model.parameters(), *model.buffers())],
        "versions": [t._version for t in (*model.parameters(), *model.buffers())],
        "values": [t.detach().clone() for t in (*model.parameters(), *model.buffers())],
        "gradients": [p.grad for p in model.parameters()],
        "random": torch.get_rng_state(),
    }


@contextlib.contextmanager
def unchanged(model):
    before = state_of(model)
    yield
    for name, value in state_of(model).items():
        if name == "random":
            assert torch.equal(value, before[name])
        elif name == "values":
            assert all(torch.equal(a, b) for a, b in zip(value, before[name], strict=True))
        else:
            assert value == before[name], name

"""Networks of torchvision and timm by name, and pretrained weights for them.

The constructors make networks with random weights and read no file; `load_weights` does, once. A network is so rebuilt
from its arguments and a state dict, with nothing to fetch.
"""

from __future__ import annotations

import inspect
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from torch import Tensor, nn

from zoo.checks import require
from zoo.registry import register, unknown

WEIGHT_ARGUMENTS = ("weights", "weights_backbone", "pretrained", "checkpoint_path", "pretrained_cfg")

# Published for frozen batch norms without epsilon, see torchvision's `overwrite_eps`.
WITHOUT_EPSILON = (
    "fasterrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
)

# Dense layers are named "norm.1" in the published files, "norm1" in the network.
OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")

AUXILIARY = ("aux", "AuxLogits")


class WrappedNetwork(nn.Module):
    """A network of another package, whose output is returned as it is.

    Layers have the names of the wrapped network, see `zoo.eigencam.capture.unwrap`.

    Args:
        model: the network.
        name: its name in its package.
    """

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.model = model
        self.name = name

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Return what the wrapped network returns."""
        return self.model(*inputs, **kwargs)


@register("torchvision")
class TorchvisionNetwork(WrappedNetwork):
    """A classifier, detector or segmentation network of torchvision, with random weights.

    Args:
        name: name of its builder, for instance "resnet50", "fasterrcnn_resnet50_fpn" or "deeplabv3_resnet50".
        num_classes: number of classes, with the background where there is one; the builder's own number if None.
        **kwargs: further plain arguments of the builder, for instance `image_size=384` or `aux_loss=True`.

    Raises:
        ValueError: torchvision has no such network, or an argument asks for weights.
        TypeError: the builder takes no such argument.
    """

    def __init__(self, name: str, num_classes: int | None = None, **kwargs: Any) -> None:
        from torchvision.models import detection, get_model_builder, list_models, segmentation

        import torchvision  # isort: skip

        packages: tuple[ModuleType, ...] = (torchvision.models, detection, segmentation)
        names = [known for package in packages for known in list_models(package)]
        if name not in names:
            raise unknown("torchvision network", name, names)
        arguments = _arguments(num_classes, kwargs)
        builder = get_model_builder(name)
        if "weights_backbone" in inspect.signature(builder).parameters:
            arguments["weights_backbone"] = None  # the builder would fetch them
        if name in ("googlenet", "inception_v3"):
            arguments.setdefault("init_weights", True)  # what None means, too, but with a warning
        super().__init__(builder(weights=None, **arguments), name)


@register("timm")
class TimmNetwork(WrappedNetwork):
    """A network of timm, with random weights.

    Args:
        name: its name, for instance "resnet50" or, with the tag of weights, "resnet50.a1_in1k".
        num_classes: number of classes; timm's own number if None.
        **kwargs: further plain arguments of `timm.create_model`.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no such network, or an argument asks for weights.
        TypeError: the network takes no such argument.
    """

    def __init__(self, name: str, num_classes: int | None = None, **kwargs: Any) -> None:
        timm = _timm()
        architecture = name.partition(".")[0]
        if architecture not in timm.list_models():
            raise unknown("timm network", architecture, timm.list_models())
        arguments = _arguments(num_classes, kwargs)
        super().__init__(timm.create_model(name, pretrained=False, **arguments), name)
        self.arguments = kwargs


def load_weights(network: nn.Module, weights: str, *, new_head: bool = False) -> list[str]:
    """Load pretrained weights into a network, all of them or none.

    Args:
        network: a network of this file, or any other for a file of its own weights.
        weights: a file of a state dict (.safetensors, .npz, or .pt and .pth, which are read in safe mode), with the
            names of the wrapped network; or, for networks of this file, the name of published weights: "DEFAULT", one
            of torchvision's such as "IMAGENET1K_V2" (fetched and verified by torchvision), or a tag of timm's such as
            "a1_in1k" (fetched by timm).
        new_head: keep the network's own tensors where they differ from the weights in the number of classes alone, so
            that a network for other classes can start from them.

    Returns:
        Names of the tensors that were kept; empty without `new_head`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no weights have the name; the file holds no state dict; or the weights do not fit: the message names
            the tensors that are missing, superfluous, or of another shape, or the argument to build the network with.
        RuntimeError: `EIGENZOO_OFFLINE` forbids the download.
    """
    path = Path(weights).expanduser()
    state: Mapping[str, Tensor]
    if path.suffix in READERS:
        state = _read(path)
    elif isinstance(network, TorchvisionNetwork):
        state = _torchvision_weights(network, weights)
    elif isinstance(network, TimmNetwork):
        state = _timm_weights(network, weights)
    else:
        raise ValueError(
            f"weights={weights!r} is not allowed for {type(network).__name__}; give a file that ends in one of "
            f"{', '.join(READERS)}"
        )
    return _load(network.model if isinstance(network, WrappedNetwork) else network, state, weights, new_head)


def _arguments(num_classes: int | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    for name in WEIGHT_ARGUMENTS:
        if name in kwargs:
            raise ValueError(f"{name}={kwargs[name]!r} is not allowed here; load weights with load_weights")
    if num_classes is None:
        return dict(kwargs)
    require(type(num_classes) is int and num_classes >= 1, "num_classes", num_classes, "an integer >= 1, or None")
    return {"num_classes": num_classes, **kwargs}


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError("networks of timm need the optional extra `timm`: pip install 'eigenzoo[timm]'") from error
    return timm


# Where weights come from.


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _read_pickle(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_arrays(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


READERS: dict[str, Callable[[Path], Any]] = {
    ".safetensors": _read_safetensors,
    ".pt": _read_pickle,
    ".pth": _read_pickle,
    ".npz": _read_arrays,
}


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights {path}")
    try:
        state = READERS[path.suffix](path)
    except Exception as error:  # each format has errors of its own
        raise ValueError(f"weights={str(path)!r} cannot be read as a state dict: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        held = f"the keys {', '.join(map(repr, list(state)[:5]))}" if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"weights={str(path)!r} must hold a state dict, tensors by name; it holds {held}")
    return state


def _require_online(what: str) -> None:
    if os.environ.get("EIGENZOO_OFFLINE", "0") not in ("", "0"):
        raise RuntimeError(f"EIGENZOO_OFFLINE is set, but {what} would be downloaded; give the path of a file instead")


def _torchvision_weights(network: TorchvisionNetwork, weights: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    published = get_model_weights(network.name)
    name = weights.removeprefix(f"{published.__name__}.")
    if name not in published.__members__:
        raise unknown(f"weights of {network.name!r}", weights, published.__members__)
    entry = published[name]
    if getattr(network.model, "transform_input", True) is False:
        raise ValueError(
            f"transform_input=False is not allowed with weights={weights!r}, which were trained on inputs of another "
            f"scale; build {network.name!r} with transform_input=True"
        )
    if not (Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name).exists():
        _require_online(f"weights={weights!r} of {network.name!r}")
    state = entry.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    wanted = set(network.model.state_dict())
    adapted: OrderedDict[str, Tensor] = OrderedDict()
    for key, value in state.items():
        key = OLD_DENSE_LAYER.sub(r"\1\2", key)
        if key in wanted or not key.startswith(AUXILIARY):  # heads that help in training may be left out
            adapted[key] = value
    if network.name in WITHOUT_EPSILON and entry.name == "COCO_V1":
        for key, module in network.model.named_modules():
            if isinstance(module, nn.BatchNorm2d) and f"{key}.running_var" in adapted:
                adapted[f"{key}.running_var"] = adapted[f"{key}.running_var"] - module.eps
    adapted._metadata = getattr(state, "_metadata", None)  # type: ignore[attr-defined]
    return adapted


def _timm_weights(network: TimmNetwork, weights: str) -> Mapping[str, Tensor]:
    timm = _timm()
    architecture = network.name.partition(".")[0]
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if weights not in ("DEFAULT", *tags):
        raise unknown(f"weights of {network.name!r}", weights, ["DEFAULT", *tags] if tags else [])
    _require_online(f"weights={weights!r} of {network.name!r}")
    name = network.name if weights == "DEFAULT" else f"{architecture}.{weights}"
    return timm.create_model(name, pretrained=True, **network.arguments).state_dict()


# Into the network.


def _load(model: nn.Module, state: Mapping[str, Tensor], weights: str, new_head: bool) -> list[str]:
    own = model.state_dict()
    # Frozen and old batch norms do not count their batches.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    extra = [key for key in state if key not in own]
    differing = [key for key in own if key in state and own[key].shape != state[key].shape]
    # One row for each class, and the rest of a row alike.
    heads = [key for key in differing if own[key].ndim > 0 and own[key].shape[1:] == state[key].shape[1:]]
    wrong = [key for key in differing if not (new_head and key in heads)]
    if missing or extra or wrong:
        shapes = [f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}" for key in wrong]
        parts = [_listed("missing", missing), _listed("superfluous", extra), _listed("of another shape", shapes)]
        hint = "; new_head=True keeps the network's own where the number of classes differs"
        raise ValueError(
            f"weights={weights!r} do not fit {type(model).__name__}: {', '.join(part for part in parts if part)}"
            + (hint if not (missing or extra) and wrong == heads else "")
        )
    kept = heads if new_head else []
    complete = OrderedDict({**own, **{key: value for key, value in state.items() if key not in kept}})
    complete._metadata = getattr(state, "_metadata", None) or own._metadata  # type: ignore[attr-defined]
    model.load_state_dict(complete)
    return kept


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} {what} ({shown})" if names else ""

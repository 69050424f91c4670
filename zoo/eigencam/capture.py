"""Activations of named layers from one forward pass that leaves the network as it was.

Hooks live only during the pass, the training flags return, and the output is the network's own, bit for bit. A layer
that runs several times gives its last activation, a layer that returns a tuple its first four-dimensional tensor, one
that returns a dict all of them.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.utils import _pytree as pytree

from zoo.checks import require, require_choice
from zoo.eigencam.layer_spec import LayerSpec, layer_key
from zoo.eigencam.wrapping import WrappedNetwork
from zoo.registry import unknown

Backend = Literal["hooks", "fx"]
BACKENDS = ("hooks", "fx")


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network below DataParallel, DistributedDataParallel, `torch.compile` and the zoo's own wrappers.

    Names of layers are the names in this network.

    Raises:
        ValueError: the network is scripted, and so has no hooks.
    """
    while True:
        if isinstance(model, (DataParallel, DistributedDataParallel)):
            model = model.module
        elif isinstance(model, WrappedNetwork):
            model = model.model
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod  # type: ignore[assignment]
        elif isinstance(model, torch.jit.ScriptModule):
            raise ValueError(f"{model.original_name} is scripted, which allows no hooks; give the network itself")
        else:
            return model


def tensors_of(output: Any) -> dict[str | None, Tensor]:
    """Return the activations in a layer's output by level; the level is None unless the output is a dict.

    Args:
        output: a tensor, a dict (its tensors of four dimensions count), or a nest of tuples and lists (the first tensor
            of four dimensions counts, else the first one).
    """
    if isinstance(output, Tensor):
        return {None: output}
    if isinstance(output, dict):
        return {str(key): value for key, value in output.items() if isinstance(value, Tensor) and value.ndim == 4}
    tensors = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
    first = next((tensor for tensor in tensors if tensor.ndim == 4), tensors[0] if tensors else None)
    return {} if first is None else {None: first}


def resizing_transform(model: nn.Module) -> nn.Module | None:
    """Return the module of a torchvision detector that resizes and pads the images; None for any other network."""
    # Whoever built a detector has imported it; nobody else needs to pay for the import.
    module = sys.modules.get("torchvision.models.detection.transform")
    if module is None:
        return None
    return next((child for child in model.modules() if isinstance(child, module.GeneralizedRCNNTransform)), None)


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Run in evaluation mode and without compiled code, which ignores new hooks; then restore every training flag."""
    flags = {module: module.training for module in model.modules()}
    with ExitStack() as stack:
        if "torch._dynamo" in sys.modules:  # otherwise nothing can be compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            model.eval()
            yield
        finally:
            # By train(), because networks override it (to merge weights, to swap graphs); it changes the children too,
            # so the flags themselves come last.
            for module, training in flags.items():
                if module.training != training:
                    module.train(training)
            for module, training in flags.items():
                module.training = training


@dataclass(frozen=True)
class Captured:
    """One forward pass.

    Attributes:
        output: what the network returned, unchanged; None with backend "fx", which skips the head.
        activations: copies of the layers' outputs in their own layout, by `LayerSpec.key` in the order of the layers.
        extent: (B, 2) float32, the fraction of a map's height and width that is image, where the network resized its
            inputs and padded them at the bottom and right (torchvision's detectors); None where a map is all image.
    """

    output: Any
    activations: dict[str, Tensor]
    extent: Tensor | None = None


class Capture:
    """Forward passes of a network that also give the activations of some layers.

        captured = Capture(model, [spec])(images)

    Args:
        model: any network; wrappers are taken off by `unwrap`.
        layers: specifications from `find_cam_layers`, or names of layers.
        gradients: run with autograd, also inside `torch.inference_mode`, so that the output can be differentiated by
            the activations; else without it.
        backend: "hooks" works with every network; "fx" runs torchvision's feature extractor, which stops after the last
            layer asked for and so has no output, but cannot trace detectors or control flow that depends on data.

    Raises:
        ValueError: the network has no such layer, `layers` is empty or the backend cannot trace the network.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[LayerSpec | str],
        *,
        gradients: bool = False,
        backend: Backend = "hooks",
    ) -> None:
        require_choice("backend", backend, BACKENDS)
        require(not isinstance(layers, str) and len(layers) > 0, "layers", layers, "a list of one layer or more")
        self.model = unwrap(model)
        self.gradients = gradients
        # Level None of a name asks for all levels.
        self._wanted = [(spec, None) if isinstance(spec, str) else (spec.name, spec.level) for spec in layers]
        self._modules = {name: get_layer(self.model, name) for name, _ in self._wanted}
        self._extract = _feature_extractor(self.model, list(self._modules)) if backend == "fx" else None

    def __call__(self, *inputs: Any, **kwargs: Any) -> Captured:
        """Run the network in evaluation mode.

        Args:
            inputs: arguments of the network's forward; with `gradients` they are copied, since tensors made under
                inference mode cannot enter autograd.
            kwargs: its keyword arguments.

        Raises:
            ValueError: a layer did not run, or returned no tensor (or not the level asked for).
        """
        with ExitStack() as stack:
            stack.enter_context(evaluation(self.model))
            if self.gradients:
                stack.enter_context(torch.inference_mode(False))
                inputs, kwargs = pytree.tree_map_only(Tensor, torch.clone, (inputs, kwargs))
            stack.enter_context(torch.set_grad_enabled(self.gradients))
            if self._extract is not None:
                return Captured(None, self._in_order(self._extract(*inputs, **kwargs)))
            return self._run_with_hooks(inputs, kwargs)

    def _run_with_hooks(self, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Captured:
        found: dict[str, dict[str | None, Tensor]] = {}
        extents: list[Tensor] = []
        with ExitStack() as stack:
            for name, module in self._modules.items():
                stack.callback(module.register_forward_hook(self._hook(name, found)).remove)
            transform = resizing_transform(self.model)
            if transform is not None:
                hook = transform.register_forward_hook(lambda _, __, output: extents.append(_extent(output[0])))
                stack.callback(hook.remove)
            output = self.model(*inputs, **kwargs)
        flat = {layer_key(name, level): tensor for name in found for level, tensor in found[name].items()}
        return Captured(output, self._in_order(flat), extents[-1] if extents else None)

    def _hook(self, name: str, found: dict[str, dict[str | None, Tensor]]) -> Callable[..., Any]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            # A copy, because a later operation may work in place, as ReLU often does.
            copies = {level: tensor.clone() for level, tensor in tensors_of(output).items()}
            found[name] = copies
            if not self.gradients:
                return None
            for copy in copies.values():
                if not copy.requires_grad:  # all before it is frozen
                    copy.requires_grad_()
            # The rest of the network must depend on what is captured, yet not change it: it goes on with a copy of it.
            replaced = {id(tensor): copies[level] for level, tensor in tensors_of(output).items()}
            return pytree.tree_map_only(
                Tensor, lambda tensor: replaced[id(tensor)].clone() if id(tensor) in replaced else tensor, output
            )

        return hook

    def _in_order(self, activations: dict[str, Tensor]) -> dict[str, Tensor]:
        ordered: dict[str, Tensor] = {}
        for name, level in self._wanted:
            keys = [layer_key(name, level)]
            if level is None and name not in activations:
                keys = [key for key in activations if key.startswith(f"{name}[")]
            if not keys or keys[0] not in activations:
                raise ValueError(
                    f"layer {layer_key(name, level)!r} gave no activation: the forward pass of "
                    f"{type(self.model).__name__} did not run it as a module, or it returned no tensor there"
                )
            ordered.update({key: activations[key] for key in keys})
        return ordered


def get_layer(model: nn.Module, name: str, also: Sequence[str] = ()) -> nn.Module:
    """Return a layer of a network by its dotted name.

    Args:
        model: the network.
        name: the name.
        also: further names that an error may suggest.

    Raises:
        ValueError: the network has none of that name.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if name not in modules:
        close = difflib.get_close_matches(name, [*modules, *also])
        raise unknown(f"layer of {type(model).__name__}", name, close or dict(model.named_children()))
    return modules[name]


def _extent(images: Any) -> Tensor:
    """Return the fraction of a padded batch (torchvision's ImageList) that each image fills, (B, 2)."""
    return torch.tensor(images.image_sizes, dtype=torch.float32) / torch.tensor(images.tensors.shape[-2:])


def _feature_extractor(model: nn.Module, names: list[str]) -> nn.Module:
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    with evaluation(model):
        try:
            nodes = get_graph_node_names(model, suppress_diff_warning=True)[1]
            wanted = {_last_call(model, name, nodes): name for name in names}
            extractor = create_feature_extractor(model, wanted, suppress_diff_warning=True).eval()
        except Exception as error:
            raise ValueError(
                f"backend='fx' cannot trace {type(model).__name__} for {names}: {error}; use backend='hooks'"
            ) from error
        graph = extractor.graph
        output = next(node for node in graph.nodes if node.op == "output")
        for node in set(output.args[0].values()):
            with graph.inserting_after(node):  # a copy, as in the hooks
                output.replace_input_with(node, graph.call_method("clone", (node,)))
        extractor.recompile()
        return extractor


def _last_call(model: nn.Module, name: str, nodes: list[str]) -> str:
    """Return the graph's name of a layer's last call: repeated calls of one layer are numbered."""
    modules = dict(model.named_modules())
    repeated = re.compile(rf"{re.escape(name)}_\d+")
    return [name, *(node for node in nodes if repeated.fullmatch(node) and node not in modules)][-1]

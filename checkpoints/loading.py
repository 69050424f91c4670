"""Rebuild a module from a checkpoint, believing nothing that has not been checked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import zoo
from checkpoints import tensors
from checkpoints.errors import (
    ExtraKeyError,
    HyperparameterError,
    MissingKeyError,
    ReferenceMismatchError,
    TensorMismatchError,
    UnknownMethodError,
)
from checkpoints.format import REFERENCE, WEIGHTS
from checkpoints.shipped import locate, read_config

if TYPE_CHECKING:
    from zoo.module import ZooModule

INPUT, OUTPUT = "input.", "output"
"""Names in `reference.safetensors`: the packed batch under "input.<key>", the reference output under "output"."""


def load(source: str | os.PathLike[str], *, map_location: str | torch.device = "cpu", verify: bool = True) -> ZooModule:
    """Load a checkpoint: a pretrained module in evaluation mode.

    The digests of its files are verified, the module is built from the zoo's closed list of methods and its stored
    hyper-parameters, the weights must fit it exactly, and the stored input must give the stored output. Nothing in the
    folder is executed, and the state of the random generator is left as it was.

    Args:
        source: name of a shipped checkpoint (`list_checkpoints()`), path of a checkpoint folder, or
            "hf-hub:owner/name@revision".
        map_location: device of the result.
        verify: run the stored input (on the CPU). Without it, everything else is still checked.

    Returns:
        The module, in evaluation mode; parameters keep the dtype that they were stored in.

    Raises:
        CheckpointError: a subclass for each thing that can be wrong, see `checkpoints.errors`.
    """
    folder = locate(source)
    config = read_config(folder)
    weights = tensors.read(folder / WEIGHTS, config["files"][WEIGHTS])
    reference = tensors.read(folder / REFERENCE, config["files"][REFERENCE])
    module = _build(config)
    _fill(module, weights)
    module.eval()
    if verify:
        _check_reference(module, reference, config["reference"])
    return module.to(map_location)


def verify(source: str | os.PathLike[str]) -> None:
    """Check everything about a checkpoint that `load` checks.

    Args:
        source: as in `load`.

    Raises:
        CheckpointError: a subclass for each thing that can be wrong, see `checkpoints.errors`.
    """
    load(source)


def module_class(method: str) -> type[ZooModule]:
    """Return the class of a method, from the zoo's closed list.

    Raises:
        UnknownMethodError: the zoo has no such method.
    """
    try:
        return zoo.get_module_class(method)
    except ValueError as error:
        raise UnknownMethodError(str(error)) from error


def reference_output(module: ZooModule, packed: dict[str, Tensor]) -> Tensor:
    """Return a module's reference output for a batch given as named tensors."""
    with torch.no_grad():
        return module.reference_output(module.unpack(packed))


def _build(config: dict[str, Any]) -> ZooModule:
    build = module_class(config["method"])
    try:
        with torch.random.fork_rng(devices=[]):
            return build(**config["hparams"])
    # A constructor may fail in any way on arguments that somebody else wrote.
    except Exception as error:
        raise HyperparameterError(f"{build.__name__} refuses the stored hyper-parameters: {error}") from error


def _fill(module: ZooModule, weights: dict[str, Tensor]) -> None:
    expected = module.state_dict()
    if missing := expected.keys() - weights.keys():
        raise MissingKeyError(f"the weights lack {_some(missing)}, which {type(module).__name__} has")
    if extra := weights.keys() - expected.keys():
        raise ExtraKeyError(f"the weights have {_some(extra)}, which {type(module).__name__} lacks")
    for name, tensor in expected.items():
        _check_same_kind(name, tensor, weights[name])
    # Copying into a tensor of lower precision would round without a word.
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if name in weights:
            tensor.data = tensor.data.to(weights[name].dtype)
    module.load_state_dict(weights, strict=True)


def _check_same_kind(name: str, expected: Tensor, stored: Tensor) -> None:
    if stored.shape != expected.shape:
        raise TensorMismatchError(f"{name} has shape {tuple(stored.shape)}, the module needs {tuple(expected.shape)}")
    both_floating = stored.is_floating_point() and expected.is_floating_point()
    if stored.dtype != expected.dtype and not both_floating:
        raise TensorMismatchError(f"{name} is {stored.dtype}, the module needs {expected.dtype}")


def _check_reference(module: ZooModule, reference: dict[str, Tensor], tolerance: dict[str, Any]) -> None:
    expected = reference.pop(OUTPUT, None)
    if expected is None:
        raise ReferenceMismatchError(f"{REFERENCE} has no {OUTPUT!r}")
    try:
        output = reference_output(module, {name.removeprefix(INPUT): tensor for name, tensor in reference.items()})
    # Whatever the stored input makes the module do, the answer is the same: it does not reproduce.
    except Exception as error:
        raise ReferenceMismatchError(f"the module fails on the stored input: {error!r}") from error
    if output.shape != expected.shape:
        shapes = f"{tuple(output.shape)} instead of {tuple(expected.shape)}"
        raise ReferenceMismatchError(f"the stored input gives an output of shape {shapes}")
    rtol, atol = tolerance["rtol"], tolerance["atol"]
    if not torch.allclose(output.double(), expected.double(), rtol=rtol, atol=atol):
        difference = (output.double() - expected.double()).abs().max().item()
        raise ReferenceMismatchError(
            f"the stored input gives another output than the stored one: largest difference {difference:.3g}, allowed "
            f"{atol:.3g} + {rtol:.3g} * |stored|; the code computes something else than when the checkpoint was saved"
        )


def _some(names: Iterable[str], limit: int = 5) -> str:
    names = sorted(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")

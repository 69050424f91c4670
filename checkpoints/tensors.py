"""Named tensors to and from safetensors bytes: reproducible when written, verified before they are parsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from checkpoints.errors import CheckpointError, ChecksumError, CorruptFileError, MissingFileError
from checkpoints.files import sha256

STORABLE = (torch.float64, torch.float32, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


def encode(tensors: dict[str, Tensor]) -> bytes:
    """Write tensors as safetensors: equal tensors give equal bytes, whatever device and strides they have.

    Args:
        tensors: name -> dense tensor of a dtype in `STORABLE`. Tensors that share memory are stored once each.

    Raises:
        CheckpointError: something is no tensor, or of a dtype or layout that is not storable.
    """
    for name, tensor in tensors.items():
        _check_storable(name, tensor)
    # A copy of each, since safetensors refuses views and shared memory; no metadata, whose order would vary.
    own = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    return safetensors.torch.save(own)


def read(path: Path, entry: dict[str, Any]) -> dict[str, Tensor]:
    """Read a safetensors file after checking that it is the one `config.json` speaks of.

    The file is read once, so that the bytes that are parsed are the bytes that were verified.

    Args:
        path: the file.
        entry: its `sha256` and `bytes`.

    Raises:
        MissingFileError: it is not there.
        CorruptFileError: its size is wrong, or it is not safetensors of storable dtypes.
        ChecksumError: its digest is wrong.
    """
    if not path.is_file():
        raise MissingFileError(f"{path.parent} has no {path.name}")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise CorruptFileError(f"{path} has {size} bytes instead of {entry['bytes']}: truncated, or another file")
    data = path.read_bytes()
    digest = sha256(data)
    if digest != entry["sha256"]:
        raise ChecksumError(f"{path} has sha256 {digest}, but its config.json says {entry['sha256']}")
    try:
        tensors = safetensors.torch.load(data)
    # KeyError is what the library raises for a dtype that torch lacks.
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CorruptFileError(f"{path} is not a safetensors file: {error}") from error
    for name, tensor in tensors.items():
        if tensor.dtype not in STORABLE:
            raise CorruptFileError(f"{path} holds {name} of {tensor.dtype}, which no checkpoint stores")
    return tensors


def _check_storable(name: str, tensor: object) -> None:
    if not isinstance(tensor, Tensor):
        raise CheckpointError(f"{name} is a {type(tensor).__name__}; only tensors are stored")
    if tensor.is_complex():
        raise CheckpointError(f"{name} is {tensor.dtype}; hold complex numbers as real pairs, see torch.view_as_real")
    if tensor.dtype not in STORABLE or tensor.layout != torch.strided:
        allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in STORABLE)
        raise CheckpointError(f"{name} is {tensor.dtype} and {tensor.layout}; give a dense tensor of one of {allowed}")

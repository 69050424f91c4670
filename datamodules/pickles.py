"""Pickle files of tensors, read without executing anything that they ask for."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch._utils import _rebuild_tensor_v2


def _storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True)  # torch's own function would unpickle freely


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch.storage", "_load_from_bytes"): _storage,
}


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return ALLOWED[module, name]


def load_tensors(path: str | Path) -> Any:
    """Read a pickle file of tensors, numbers and strings in lists, tuples, dicts and sets.

    Raises:
        ValueError: the file asks for anything else, or is no pickle file.
    """
    with open(path, "rb") as file:
        try:
            return _TensorUnpickler(file).load()
        except (
            pickle.UnpicklingError,
            EOFError,
            RuntimeError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
        ) as error:
            raise ValueError(f"{path} cannot be read as pickle file of tensors: {error}") from error

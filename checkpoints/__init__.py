"""Eigenzoo's pretrained checkpoints: weights that are data, with provenance, and nothing that is executed.

A checkpoint is a folder of four files: `weights.safetensors`, `config.json`, `reference.safetensors` (an input and
its output) and `README.md` (the model card, generated from `config.json`). Importing this package is cheap: torch
comes with the first checkpoint that is loaded or saved.

Example:
    >>> import checkpoints
    >>> checkpoints.list_checkpoints("no-such-*")
    []
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from checkpoints.errors import CheckpointError
from checkpoints.shipped import info, list_checkpoints

if TYPE_CHECKING:
    from checkpoints.loading import load, verify
    from checkpoints.saving import save

__all__ = ["CheckpointError", "info", "list_checkpoints", "load", "save", "verify"]

_HEAVY = {"load": "checkpoints.loading", "verify": "checkpoints.loading", "save": "checkpoints.saving"}


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module 'checkpoints' has no attribute {name!r}")
    return getattr(import_module(_HEAVY[name]), name)

"""Eigenzoo's pretrained checkpoints: weights that are data, with provenance, and nothing that is executed.

A checkpoint is a folder of four files: `weights.safetensors`, `config.json`, `reference.safetensors` (an input and
its output) and `README.md` (the model card, generated from `config.json`). Importing this package is cheap: torch
comes with the first checkpoint that is loaded or saved.

Example:
    >>> import checkpoints
    >>> checkpoints.list_checkpoints("no-such-*")
    []
"""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from checkpoints.errors import CheckpointError as CheckpointError
    from checkpoints.loading import load as load
    from checkpoints.loading import verify as verify
    from checkpoints.saving import save as save
    from checkpoints.shipped import info as info
    from checkpoints.shipped import list_checkpoints as list_checkpoints

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "errors": ["CheckpointError"],
        "loading": ["load", "verify"],
        "saving": ["save"],
        "shipped": ["info", "list_checkpoints"],
    },
)

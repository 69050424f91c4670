"""Where checkpoints are: shipped inside this package, in a folder of the user's, or on the hub."""

from __future__ import annotations

import difflib
import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from checkpoints import hub
from checkpoints.errors import CorruptFileError, MissingFileError, UnknownCheckpointError
from checkpoints.format import CONFIG, decode
from checkpoints.schema import is_name, validate

FOLDER = Path(__file__).resolve().parent
_LARGEST_CONFIG = 2**20


def list_checkpoints(pattern: str = "*") -> list[str]:
    """Return the names of the shipped checkpoints that match a shell-style pattern, sorted."""
    names = (path.parent.name for path in FOLDER.glob(f"*/{CONFIG}"))
    return sorted(name for name in names if is_name(name) and fnmatchcase(name, pattern))


def info(source: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the validated `config.json` of a checkpoint: hyper-parameters, metrics, provenance, digests.

    Args:
        source: as in `load`.

    Raises:
        CheckpointError: it is not found, or its config is malformed or of a newer format.
    """
    return read_config(locate(source))


def locate(source: str | os.PathLike[str]) -> Path:
    """Return the folder of a checkpoint.

    A text without a path separator is the name of a shipped checkpoint and nothing else, whatever lies in the working
    directory; a path is relative to the working directory and never to this package.

    Args:
        source: a shipped name, a folder (as a text: with a separator, "./mine"), or "hf-hub:owner/name@revision".

    Raises:
        UnknownCheckpointError: no shipped checkpoint has the name.
        MissingFileError: there is no such folder.
        HubError: the hub cannot deliver it.
    """
    text = os.fspath(source)
    if text.startswith(hub.PREFIX):
        return hub.download(text)
    if isinstance(source, str) and "/" not in text and os.sep not in text:
        return _shipped(text)
    if not Path(text).is_dir():
        raise MissingFileError(f"there is no checkpoint folder {text!r}")
    return Path(text)


def _shipped(name: str) -> Path:
    names = list_checkpoints()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"shipped: {', '.join(names) or 'none'}"
        raise UnknownCheckpointError(f"unknown checkpoint {name!r}; {hint}; for a folder of that name give './{name}'")
    return FOLDER / name


def read_config(folder: Path) -> dict[str, Any]:
    """Read and validate the `config.json` of a checkpoint folder.

    Raises:
        MissingFileError: it is not there.
        CheckpointError: it is malformed or of a newer format.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise MissingFileError(f"{folder} has no {CONFIG}")
    if path.stat().st_size > _LARGEST_CONFIG:
        raise CorruptFileError(f"{path} has {path.stat().st_size} bytes; at most {_LARGEST_CONFIG} are read")
    config = decode(path.read_bytes())
    validate(config)
    return config

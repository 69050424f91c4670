"""The files of a checkpoint folder, and how its `config.json` is written, read and brought up to date.

What the config says is in `checkpoints.schema`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from checkpoints.errors import MalformedConfigError, NewerFormatError

WEIGHTS, CONFIG, REFERENCE, CARD = "weights.safetensors", "config.json", "reference.safetensors", "README.md"
FILES = (WEIGHTS, CONFIG, REFERENCE, CARD)
"""The files of a checkpoint folder; nothing else is read, written or downloaded."""

FORMAT_VERSION = 1
"""Raised by one with every change of `config.json` that this code could not read."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""For each earlier format version, the function that takes its config to the next version."""


def encode(config: dict[str, Any]) -> bytes:
    """Write a config as canonical JSON: equal configs give equal bytes.

    Raises:
        MalformedConfigError: something in it is not plain JSON (numbers must be finite).
    """
    try:
        return (json.dumps(config, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise MalformedConfigError(
            f"{CONFIG} cannot be written: {error}; give finite numbers, strings, booleans, None, lists and dicts"
        ) from error


def decode(data: bytes) -> dict[str, Any]:
    """Read a config and bring it to the present format version; `checkpoints.schema.validate` comes next.

    Raises:
        MalformedConfigError: it is not a JSON object, or has no format version.
        NewerFormatError: it was written by a later version of Eigenzoo.
    """
    try:
        config = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedConfigError(f"{CONFIG} is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise MalformedConfigError(f"{CONFIG} holds a {type(config).__name__}; it must hold an object")
    version: Any = config.get("format_version")
    if type(version) is not int or version < 1:
        raise MalformedConfigError(f"{CONFIG}: format_version={version!r} is not allowed; give an integer >= 1")
    if version > FORMAT_VERSION:
        raise NewerFormatError(
            f"the checkpoint has format_version {version}, this version of Eigenzoo reads up to {FORMAT_VERSION}; "
            "upgrade Eigenzoo"
        )
    for earlier in range(version, FORMAT_VERSION):
        config = MIGRATIONS[earlier](config)
    return config


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A repeated key would let two readers of one file see two different configs.
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("an object repeats a key")
    return mapping


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")

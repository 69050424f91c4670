"""What `config.json` says, field by field; every field is required and there are no others."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from checkpoints.errors import MalformedConfigError
from checkpoints.format import CONFIG, FORMAT_VERSION, REFERENCE, WEIGHTS


class Field(NamedTuple):
    """A field of the config: which values it may have, and the words for them."""

    is_valid: Callable[[Any], bool]
    allowed: str


def is_name(value: object) -> bool:
    """Tell whether a value can be the name of a checkpoint: no separator, no "..", hence no way out of a folder."""
    return isinstance(value, str) and re.fullmatch(r"[a-z0-9]+([-._][a-z0-9]+)*", value, re.ASCII) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_integer(value: object) -> bool:
    return type(value) is int


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def _is_metrics(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_seeds(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_integer, value))


def _is_paper(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, dict)
        and row.keys() == {"metric", "value", "source"}
        and (row["value"] is None or _is_number(row["value"]))
        and _is_text(row["metric"])
        and _is_text(row["source"])
        for row in value
    )


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _or_null(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_valid(value)


FIELDS = {
    "format_version": Field(lambda value: value == FORMAT_VERSION, str(FORMAT_VERSION)),
    "name": Field(is_name, 'lower-case letters and digits in words joined by "-", "." or "_", such as "spe-zinc"'),
    "method": Field(_is_text, 'a folder of `zoo`, such as "spe"'),
    "hparams": Field(_is_object, "an object with the arguments that rebuild the module"),
    "recipe": Field(_or_null(_is_text), 'a text such as "spe/zinc", or null without one'),
    "weights": Field(lambda value: value in ("raw", "ema"), '"raw", or "ema" for an exponential moving average'),
    "metrics": Field(_is_metrics, "an object with finite numbers"),
    "provenance": Field(_is_object, "an object, see PROVENANCE"),
    "files": Field(_is_object, "an object with the digests of the files"),
    "reference": Field(_is_object, "an object with the tolerance of the stored output"),
}
"""The config itself."""

PROVENANCE = {
    "data": Field(_or_null(_is_object), "an object: the datamodule's metadata"),
    "split": Field(_or_null(_is_text), "a text: what was trained, validated and tested on"),
    "protocol": Field(_or_null(_is_text), "a text: whose protocol, and every deviation from it"),
    "seeds": Field(_or_null(_is_seeds), "a list of integers"),
    "hardware": Field(_or_null(_is_text), "a text"),
    "epochs": Field(_or_null(_is_number), "a number"),
    "time": Field(_or_null(_is_number), "a number: seconds of training"),
    "commit": Field(_or_null(_is_text), "a text: the revision of the code"),
    "licence": Field(_or_null(_is_text), "a text: the licence of the weights"),
    "paper": Field(_or_null(_is_paper), "a list of {metric, value (or null), source}, the headline first"),
    "command": Field(_or_null(_is_text), "a text: the command that trains it again"),
    "limits": Field(_or_null(_is_text), "a text: where the model is untested or must not be used"),
}
"""Where a checkpoint comes from. All must be given; null says "not recorded", which no shipped checkpoint may say."""

_FILE = {
    "sha256": Field(_is_sha256, "64 hexadecimal digits"),
    "bytes": Field(lambda value: _is_integer(value) and value >= 0, "an integer >= 0"),
}

_TOLERANCE = {
    "rtol": Field(lambda value: _is_number(value) and value >= 0, "a number >= 0"),
    "atol": Field(lambda value: _is_number(value) and value >= 0, "a number >= 0"),
    "dtype": Field(_is_text, "the dtype of the weights, which decides the tolerance"),
}


def validate(config: dict[str, Any]) -> None:
    """Check every field of a config of the present format version.

    Raises:
        MalformedConfigError: with the field, the value and what is allowed.
    """
    _validate("", config, FIELDS)
    _validate("provenance.", config["provenance"], PROVENANCE)
    _validate("files.", config["files"], dict.fromkeys((WEIGHTS, REFERENCE), Field(_is_object, "an object")))
    for file, entry in config["files"].items():
        _validate(f"files.{file}.", entry, _FILE)
    _validate("reference.", config["reference"], _TOLERANCE)


def _validate(prefix: str, values: dict[str, Any], fields: Mapping[str, Field]) -> None:
    if missing := [prefix + name for name in fields if name not in values]:
        raise MalformedConfigError(f"{CONFIG} lacks {', '.join(missing)}")
    if extra := [prefix + name for name in values if name not in fields]:
        raise MalformedConfigError(f"{CONFIG} has unknown {', '.join(extra):.200}; allowed: {', '.join(fields)}")
    for name, field in fields.items():
        if not field.is_valid(values[name]):
            raise MalformedConfigError(
                f"{CONFIG}: {prefix}{name}={values[name]!r:.200} is not allowed; give {field.allowed}"
            )

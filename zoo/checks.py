"""Refusal of bad arguments at the door: a ValueError that names the argument, what was given, and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise a ValueError that names the argument unless the condition holds."""
    if not condition:
        raise ValueError(f"{name}={value!r} is not allowed; give {allowed}")


def require_choice(name: str, value: object, allowed: Iterable[object]) -> None:
    """Raise a ValueError that names the argument unless its value is one of the allowed."""
    allowed = list(allowed)
    require(value in allowed, name, value, f"one of {', '.join(map(repr, allowed))}")


def require_positive(**values: int) -> None:
    """Raise a ValueError that names the argument unless each value is an integer >= 1."""
    for name, value in values.items():
        require(type(value) is int and value >= 1, name, value, "an integer >= 1")


def require_probability(**values: float) -> None:
    """Raise a ValueError that names the argument unless each value lies in [0, 1)."""
    for name, value in values.items():
        require(type(value) in (int, float) and 0 <= value < 1, name, value, "a number in [0, 1)")


def require_finite(**values: float) -> None:
    """Raise a ValueError that names the argument unless each value is a finite number."""
    for name, value in values.items():
        require(type(value) in (int, float) and math.isfinite(value), name, value, "a finite number")


def require_above(least: float, **values: float) -> None:
    """Raise a ValueError that names the argument unless each value is a finite number > `least`."""
    for name, value in values.items():
        finite = type(value) in (int, float) and math.isfinite(value)
        require(finite and value > least, name, value, f"a number > {least:g}")

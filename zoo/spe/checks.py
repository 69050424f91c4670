"""Refusal of bad arguments at construction."""

from __future__ import annotations

from collections.abc import Iterable


def require_choice(name: str, value: object, allowed: Iterable[object]) -> None:
    """Raise a ValueError that names the argument unless its value is one of the allowed."""
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not allowed; give one of {', '.join(map(repr, allowed))}")


def require_positive(**values: int) -> None:
    """Raise a ValueError that names the argument unless each value is an integer >= 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r} is not allowed; give an integer >= 1")


def require_probability(**values: float) -> None:
    """Raise a ValueError that names the argument unless each value lies in [0, 1)."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"{name}={value!r} is not allowed; give a number in [0, 1)")

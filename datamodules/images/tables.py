"""Text files with one row per line, as benchmarks list their images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def read_rows(path: Path, types: tuple[Callable[[str], Any], ...], separator: str | None = None) -> list[list[Any]]:
    """Read the rows of a text file; empty lines are left out.

    Args:
        path: the file.
        types: what turns each field of a row into its value.
        separator: between the fields; None for blanks.

    Raises:
        ValueError: a row has other fields; the message names the file and the line.
        FileNotFoundError: there is no such file.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.strip().split(separator)
        if not line.strip():
            continue
        try:
            rows.append([convert(field) for convert, field in zip(types, fields, strict=True)])
        except ValueError as error:
            expected = ", ".join(convert.__name__ for convert in types)
            raise ValueError(f"{path}, line {number}: {line!r} is no row of {expected}") from error
    return rows

"""Result tables: collected from finished runs into CSV files, and shown by the READMEs that name them.

A README shows a table between two comments, the first of which names its file (relative to the README) and its columns:

    <!-- table: results/counting.csv; model, parameters, test/mae -->
    <!-- end of table -->
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import checkpoints
from checkpoints.files import write_file

TABLE = re.compile(r"(<!-- table: (?P<file>\S+); (?P<columns>.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def collect(runs: Mapping[str, str | Path]) -> list[dict[str, Any]]:
    """Return one row per finished run: what was trained on what, at what cost, and every metric of its test.

    Args:
        runs: label of the model -> checkpoint as in `checkpoints.load`: a run's folder "checkpoint", or a shipped name.

    Raises:
        CheckpointError: a checkpoint cannot be read.
    """
    rows = []
    for label, source in runs.items():
        config = checkpoints.info(source)
        provenance = config["provenance"]
        parameters = sum(parameter.numel() for parameter in checkpoints.load(source).parameters())
        metrics = {name: value for name, value in sorted(config["metrics"].items()) if name.startswith("test/")}
        rows.append(
            {
                "model": label,
                "parameters": parameters,
                **metrics,
                "data": provenance["split"],
                "epochs": provenance["epochs"],
                "seeds": " ".join(map(str, provenance["seeds"] or [])),
                "hardware": provenance["hardware"],
                "minutes": provenance["time"] / 60,
                "commit": _short(provenance["commit"] or ""),
            }
        )
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as CSV, atomically, with every column that some row has."""
    stream = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, stream.getvalue().encode())
    return path


def render(readme: Path) -> str:
    """Return the text of a README with its tables filled in from their CSV files.

    Raises:
        FileNotFoundError: a table's file is not there.
        ValueError: a table names a column that its file lacks.
    """

    def fill(match: re.Match[str]) -> str:
        return match[1] + _markdown(readme.parent / match["file"], match["columns"]) + match[4]

    return TABLE.sub(fill, readme.read_text())


def _short(commit: str) -> str:
    return commit[:12] + ("+" if commit.endswith("+") else "")


def _markdown(path: Path, columns: str) -> str:
    names = [name.strip() for name in columns.split(",")]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if missing := [name for row in rows for name in names if name not in row]:
        raise ValueError(f"{path} has no column {missing[0]!r}; it has {', '.join(rows[0])}")
    lines = [names, ["---"] * len(names), *([_cell(row[name]) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """Return a number with four digits, anything else as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"

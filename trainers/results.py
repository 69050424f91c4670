"""Result tables: collected from finished runs into CSV files, and shown by the READMEs that name them.

A README shows a table between two comments, the first of which names its file (relative to the README) and its columns:

    <!-- table: results/counting.csv; model, parameters, test/mae -->
    <!-- end of table -->
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import checkpoints
from checkpoints.files import write_file

TABLE = re.compile(r"(<!-- table: (?P<file>\S+); (?P<columns>.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def collect(runs: Sequence[tuple[str, str | Path]], variants: bool = True) -> list[dict[str, Any]]:
    """Return one row per label: what was trained on what, at what cost, and every metric of its test.

    Runs with the same label differ by their seeds: metrics and minutes are means over them, with the standard deviation
    of each metric in a column of its own. Metrics of variants, named "test/<variant>/<metric>", get rows of their own,
    labelled by the variant.

    Args:
        runs: label of the model, and a checkpoint as in `checkpoints.load`: a run's folder "checkpoint", or a shipped
            name.
        variants: whether these get rows, which those of different models would share.

    Raises:
        CheckpointError: a checkpoint cannot be read.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for label, source in runs:
        for row in _rows(label, source):
            if variants or row["model"] == label:
                groups.setdefault(row["model"], []).append(row)
    return [rows[0] if len(rows) == 1 else _mean(rows) for rows in groups.values()]


def _rows(label: str, source: str | Path) -> Iterator[dict[str, Any]]:
    config = checkpoints.info(source)
    provenance = config["provenance"]
    parameters = sum(parameter.numel() for parameter in checkpoints.load(source).parameters())
    variants: dict[str, dict[str, float]] = {label: {}}
    for name, value in sorted(config["metrics"].items()):
        stage, *variant, metric = name.split("/")
        if stage == "test":
            variants.setdefault("/".join(variant) or label, {})[f"test/{metric}"] = value
    for variant, metrics in variants.items():
        yield {
            "model": variant,
            "parameters": parameters,
            **metrics,
            "data": provenance["split"],
            "epochs": provenance["epochs"],
            "seeds": " ".join(map(str, provenance["seeds"] or [])),
            "hardware": provenance["hardware"],
            "minutes": provenance["time"] / 60,
            "commit": _short(provenance["commit"] or ""),
        }


def _mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
    measured = [name for name in rows[0] if name.startswith("test/")]
    averages = {name: mean(row[name] for row in rows) for name in [*measured, "minutes"]}
    spreads = {f"{name} std": stdev(row[name] for row in rows) for name in measured}
    joined = {name: " ".join(dict.fromkeys(row[name] for row in rows)) for name in ("seeds", "commit")}
    return rows[0] | averages | spreads | joined


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

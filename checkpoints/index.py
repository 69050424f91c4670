"""`index.csv`: the table of shipped checkpoints, one row each, regenerated from their folders and never typed."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from checkpoints.files import write_file
from checkpoints.format import WEIGHTS
from checkpoints.shipped import FOLDER, info, list_checkpoints

COLUMNS = ("name", "method", "benchmark", "metric", "ours", "paper", "data", "licence", "size", "sha256", "command")
"""`ours` and `paper` are values of `metric`, `data` is the split, `size` (bytes) and `sha256` are of the weights."""


def render() -> str:
    """Return the table of the shipped checkpoints as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(info(name)) for name in list_checkpoints())
    return stream.getvalue()


def write(path: Path = FOLDER / "index.csv") -> Path:
    """Write the table and return its path."""
    write_file(path, render().encode())
    return path


def _row(config: dict[str, Any]) -> dict[str, Any]:
    provenance, weights, metrics = config["provenance"], config["files"][WEIGHTS], config["metrics"]
    # The headline is what the provenance compares with the paper first.
    headline = (provenance["paper"] or [{"metric": min(metrics, default=""), "value": None}])[0]
    return {
        "name": config["name"],
        "method": config["method"],
        "benchmark": (config["recipe"] or "").rpartition("/")[2],
        "metric": headline["metric"],
        "ours": metrics.get(headline["metric"]),
        "paper": headline["value"],
        "data": provenance["split"],
        "licence": provenance["licence"],
        "size": weights["bytes"],
        "sha256": weights["sha256"],
        "command": provenance["command"],
    }

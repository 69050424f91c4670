"""Run a method beside its peers: `python scripts/benchmark.py spe [--repeats 5] [--threads 1] [--output spe.csv]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # peers are kept with the tests, which are not installed

from trainers.benchmark import measure, table, write_csv  # noqa: E402


def main() -> None:
    """Measure the cases of `scripts/benchmarks/<method>.py`, print them and write them where asked."""
    methods = sorted(path.stem for path in (REPOSITORY / "scripts" / "benchmarks").glob("[a-z]*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=methods)
    parser.add_argument("--repeats", type=int, default=5, help="turns per case")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    arguments = parser.parse_args()
    for name in ("repeats", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(arguments, name)}")
    torch.set_num_threads(arguments.threads)
    cases = importlib.import_module(f"scripts.benchmarks.{arguments.method}").cases()
    rows = measure(cases, arguments.repeats)
    print(table(rows))
    if arguments.output:
        write_csv(rows, arguments.output)


if __name__ == "__main__":
    main()

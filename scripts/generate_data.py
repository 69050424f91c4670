"""Prepare a benchmark's data before a run: generate or download it and compute what is cached.

    python scripts/generate_data.py --data datamodules.graphs.SubstructureCounting --data.seed 1
    python scripts/generate_data.py --data datamodules.graphs.ZINC --home /scratch/eigenzoo

A run prepares its data by itself; this is for machines without a network, or to look at what the data are.
"""

import json
import os
from collections.abc import Sequence

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from datamodules import list_datamodules
from datamodules.module import ZooDataModule
from datamodules.sources import cache_home


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare the data and print where they come from."""
    parser = ArgumentParser(description=f"Prepare a benchmark's data. Benchmarks: {', '.join(list_datamodules())}")
    parser.add_subclass_arguments(ZooDataModule, "data", required=True, help="benchmark and its arguments")
    parser.add_argument(
        "--home", type=str, default=None, help="folder to prepare in, for runs with EIGENZOO_HOME=FOLDER"
    )
    options = parser.parse_args(arguments)
    if options.home is not None:
        os.environ["EIGENZOO_HOME"] = options.home
    datamodule = parser.instantiate_classes(options).data

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{type(datamodule).__name__}: preparing in {cache_home()}", total=None)
        datamodule.prepare_data()
        datamodule.setup()
        progress.update(task, total=1, completed=1)
    console.print_json(json.dumps(datamodule.metadata()))


if __name__ == "__main__":
    main()

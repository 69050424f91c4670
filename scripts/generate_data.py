"""Prepare a benchmark's data before a run: generate or download it and compute what is cached.

    python scripts/generate_data.py SubstructureCounting --seed 1
    python scripts/generate_data.py ZINC --num_eigs 8 --home /scratch/eigenzoo

A run prepares its data by itself; this is for machines without a network, and to look at what the data are.
"""

import importlib
import json
import os

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from datamodules import list_datamodules
from datamodules.module import ZooDataModule
from datamodules.sources import cache_home


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = ArgumentParser(description="Prepare a benchmark's data.")
    benchmarks = parser.add_subcommands(dest="benchmark")
    classes = {path.rsplit(".", 1)[1]: _class_of(path) for path in list_datamodules()}
    for name, datamodule_class in classes.items():
        arguments = ArgumentParser()
        arguments.add_class_arguments(datamodule_class)
        arguments.add_argument("--home", type=str, help="folder to prepare in, for runs with EIGENZOO_HOME=FOLDER")
        benchmarks.add_subcommand(name, arguments)
    options = parser.parse_args(args)

    values = options[options.benchmark].as_dict()
    home = values.pop("home")
    if home is not None:
        os.environ["EIGENZOO_HOME"] = home
    try:
        metadata = prepare(classes[options.benchmark](**values))
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise SystemExit(f"error: {error}") from error
    Console().print_json(json.dumps(metadata))


def _class_of(path: str) -> type[ZooDataModule]:
    folder, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(folder), name)


def prepare(datamodule: ZooDataModule) -> dict[str, object]:
    """Prepare the data of a datamodule under a progress bar and return where they come from."""
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task(f"{type(datamodule).__name__} in {cache_home()}", total=None)
        datamodule.prepare_data()
        datamodule.setup()
        progress.update(task, total=1, completed=1)
    return datamodule.metadata()


if __name__ == "__main__":
    main()

"""Predict from a user's own file with a checkpoint; the datamodule that it was trained on reads the inputs."""

from __future__ import annotations

import csv
import importlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor
from tqdm.auto import tqdm

import checkpoints
from checkpoints.files import write_file
from datamodules import list_datamodules
from trainers.catalogue import recipe_path

if TYPE_CHECKING:
    from datamodules.module import ZooDataModule

PATIENCE = 2
"""Seconds after which a progress bar is worth its line."""


def predict_file(
    checkpoint: str | os.PathLike[str], path: str, *, batch_size: int = 128, device: str | torch.device = "cpu"
) -> tuple[list[str], list[str], Tensor]:
    """Predict every input in a file.

    Args:
        checkpoint: name, folder or hub id, see `checkpoints.load`.
        path: a file in a format that `read_inputs` of the checkpoint's datamodule documents.
        batch_size: inputs per forward pass, > 0.
        device: where the model runs.

    Returns:
        Names of the inputs, names of the targets, and predictions (inputs, targets) in the user's units, on the CPU.

    Raises:
        ValueError: `batch_size` is out of range, the checkpoint or the file cannot be used.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} is not allowed; give an integer >= 1")
    datamodule = build_datamodule(checkpoints.info(checkpoint)["recipe"])
    module = checkpoints.load(checkpoint, map_location=device)
    names, inputs = datamodule.read_inputs(path)
    outputs = []
    for start in tqdm(range(0, len(inputs), batch_size), desc="predict", unit="batch", delay=PATIENCE):
        samples = [inputs[index] for index in range(start, min(start + batch_size, len(inputs)))]
        with torch.no_grad():
            outputs.append(module.predict_step(move_data_to_device(datamodule.collate(samples), device)).cpu())
    return names, list(datamodule.target_names), torch.cat(outputs)


def build_datamodule(recipe: str | None) -> ZooDataModule:
    """Build the datamodule that a recipe names, which must be one of the zoo's.

    Raises:
        ValueError: there is no recipe, or it is unknown, or its datamodule is not in `datamodules.list_datamodules()`.
    """
    if recipe is None:
        raise ValueError("the checkpoint records no recipe, so that nothing says how to read inputs for it")
    data = yaml.safe_load(recipe_path(recipe).read_text())["data"]
    # A class path is an import; only those that the zoo lists are followed.
    if data["class_path"] not in list_datamodules():
        raise ValueError(
            f"recipe {recipe!r} has the datamodule {data['class_path']!r}; allowed: {', '.join(list_datamodules())}"
        )
    home, _, name = data["class_path"].rpartition(".")
    return getattr(importlib.import_module(home), name)(**data.get("init_args", {}))


def write_predictions(path: str | os.PathLike[str], names: list[str], target_names: list[str], outputs: Tensor) -> Path:
    """Write predictions as CSV, atomically: a column `id` and one per target, numbers to the last digit.

    Args:
        path: the file to write; an existing one is replaced.
        names: names of the inputs.
        target_names: names of the targets.
        outputs: predictions, (inputs, targets).
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", *target_names])
    # As numpy scalars, whose text is the shortest that gives back the same float32.
    writer.writerows([name, *map(str, row)] for name, row in zip(names, outputs.numpy(), strict=True))
    write_file(Path(path), stream.getvalue().encode())
    return Path(path)

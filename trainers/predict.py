"""Predict from a user's own file with a checkpoint; the datamodule that it was trained on reads the inputs."""

from __future__ import annotations

import csv
import importlib
import io
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from tqdm.auto import tqdm

import checkpoints
from checkpoints.files import write_file
from datamodules import list_datamodules
from trainers.catalogue import recipe_path

if TYPE_CHECKING:
    from datamodules.module import ZooDataModule
    from zoo.module import ZooModule

PATIENCE = 2
"""Seconds after which a progress bar is worth its line."""


def predict_file(
    checkpoint: str | os.PathLike[str],
    path: str,
    output: str | os.PathLike[str],
    *,
    batch_size: int = 128,
    device: str | torch.device = "cpu",
) -> PredictionFiles:
    """Predict every input in a file, and write the predictions as they come.

    Args:
        checkpoint: name, folder or hub id, see `checkpoints.load`.
        path: a file in a format that `read_inputs` of the checkpoint's datamodule documents.
        output: the CSV file to write; an existing one is replaced.
        batch_size: inputs per forward pass, > 0.
        device: where the model runs.

    Returns:
        What was written.

    Raises:
        ValueError: `batch_size` is out of range, the checkpoint or the file cannot be used.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} is not allowed; give an integer >= 1")
    datamodule = build_datamodule(checkpoint)
    module = checkpoints.load(checkpoint, map_location=device)
    names, inputs = datamodule.read_inputs(path)
    with PredictionFiles(output, names) as files:
        for start in tqdm(range(0, len(inputs), batch_size), desc="predict", unit="batch", delay=PATIENCE):
            samples = [inputs[index] for index in range(start, min(start + batch_size, len(inputs)))]
            with torch.no_grad():
                prediction = module.predict_step(move_data_to_device(datamodule.collate(samples), device))
            files.add(module, prediction)
        files.summarize(module)
    return files


class PredictionFiles:
    """A CSV file with a row per input and, beside it, a folder with an .npz file per input for what is too large.

    What a module says of all inputs together goes to "<file>_<name>.csv" beside them. A context manager: nothing
    appears under the final names before everything is written, and nothing if that fails.

    Args:
        path: the CSV file; the folder has its name without the suffix, and is made only if it is needed.
        names: names of the inputs, in the order of the predictions; they are numbered without.

    Attributes:
        names: may be given later, before the first `add`.
        columns: names of the columns after the first, `id`.
        rows: number of inputs written.
        folder: the folder with the arrays, None without any.
        summaries: the files with tables on all inputs together.
    """

    def __init__(self, path: str | os.PathLike[str], names: list[str] | None = None) -> None:
        self.path = Path(path)
        self.columns: list[str] = []
        self.rows = 0
        self.folder: Path | None = None
        self.names = names
        self.summaries: list[Path] = []
        self._tables: dict[Path, str] = {}
        self._partial = self.path.with_name(f".{self.path.stem}.partial")
        self._stream = io.StringIO()
        self._writer = csv.writer(self._stream, lineterminator="\n")

    def __enter__(self) -> PredictionFiles:
        """Forget what a writer that died has left."""
        shutil.rmtree(self._partial, ignore_errors=True)
        return self

    def add(self, module: ZooModule, prediction: Any) -> None:
        """Add the predictions of a batch."""
        table = {name: _on_host(column) for name, column in module.tabulate(prediction).items()}
        arrays = {name: _on_host(array) for name, array in module.arrays(prediction).items()}
        if not self.rows:
            self.columns = list(table)
            self._writer.writerow(["id", *self.columns])
        # As numpy scalars, whose text is the shortest that gives back the same float32.
        for number, values in enumerate(zip(*table.values(), strict=True)):
            name = self.names[self.rows] if self.names else str(self.rows)
            self._writer.writerow([name, *map(str, values)])
            if arrays:
                self._partial.mkdir(parents=True, exist_ok=True)
                stem = f"{self.rows:06d}_{_safe(name)}"
                np.savez_compressed(
                    self._partial / f"{stem}.npz", **{key: array[number] for key, array in arrays.items()}
                )
            self.rows += 1

    def summarize(self, module: ZooModule) -> None:
        """Add what the module says of all inputs together."""
        for name, rows in module.summaries().items():
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            self._tables[self.path.with_name(f"{self.path.stem}_{_safe(name)}.csv")] = text.getvalue()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Let everything appear, or nothing."""
        if error is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        if self._partial.is_dir():
            self.folder = self.path.with_suffix("")
            shutil.rmtree(self.folder, ignore_errors=True)
            self._partial.rename(self.folder)
        for path, text in self._tables.items():
            write_file(path, text.encode())
        self.summaries = list(self._tables)
        write_file(self.path, self._stream.getvalue().encode())


def _on_host(values: Any) -> Any:
    return values.cpu().numpy() if isinstance(values, Tensor) else values


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name)[-80:]


class WritePredictions(Callback):
    """Hand each batch of `trainer.predict` to the files and keep none.

    Args:
        files: where to.
    """

    def __init__(self, files: PredictionFiles) -> None:
        self.files = files

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the names of a user's inputs."""
        self.files.names = trainer.datamodule.predict_ids  # type: ignore[attr-defined]

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the predictions of a batch."""
        self.files.add(pl_module, outputs)  # type: ignore[arg-type]

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what is to be said of all inputs together."""
        self.files.summarize(pl_module)  # type: ignore[arg-type]


def build_datamodule(checkpoint: str | os.PathLike[str]) -> ZooDataModule:
    """Build the datamodule that a checkpoint was trained on, with the arguments that it had then.

    Raises:
        ValueError: the checkpoint records neither datamodule nor recipe, or one that is not in
            `datamodules.list_datamodules()`.
    """
    config = checkpoints.info(checkpoint)
    data = config["provenance"]["data"] or {}
    if "class_path" not in data:
        if config["recipe"] is None:
            raise ValueError("the checkpoint records no recipe, so that nothing says how to read inputs for it")
        data = yaml.safe_load(recipe_path(config["recipe"]).read_text())["data"]
    # A class path is an import; only those that the zoo lists are followed.
    if data["class_path"] not in list_datamodules():
        raise ValueError(
            f"the checkpoint's datamodule is {data['class_path']!r}; allowed: {', '.join(list_datamodules())}"
        )
    home, _, name = data["class_path"].rpartition(".")
    return getattr(importlib.import_module(home), name)(**data.get("init_args", {}))

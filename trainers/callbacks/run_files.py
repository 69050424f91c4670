"""data.json and metrics.json of the run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from checkpoints.files import write_file

STAGES = ("train/", "val/", "test/")


class RunFiles(Callback):
    """Write what the data is, and the newest metrics of each stage.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write data.json: the datamodule's metadata."""
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        if hasattr(datamodule, "metadata"):
            self._write(trainer, "data.json", datamodule.metadata())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write metrics.json."""
        self._write_metrics(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write metrics.json."""
        self._write_metrics(trainer)

    def _write_metrics(self, trainer: Trainer) -> None:
        path = self.folder / "metrics.json"
        earlier = json.loads(path.read_text()) if path.is_file() else {}
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(STAGES)}
        progress = {"epoch": trainer.current_epoch, "step": trainer.global_step} if trainer.state.fn == "fit" else {}
        self._write(trainer, path.name, earlier | progress | metrics)

    def _write(self, trainer: Trainer, name: str, content: dict[str, Any]) -> None:
        if not trainer.is_global_zero or trainer.fast_dev_run or trainer.sanity_checking:  # type: ignore[attr-defined]
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.folder / name, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())

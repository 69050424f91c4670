"""The run's result as a checkpoint folder."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

import checkpoints
import zoo
from datamodules.module import ZooDataModule
from trainers.callbacks.ema import EMA
from trainers.revision import revision
from trainers.runs import BEST
from zoo.module import ZooModule

REFERENCE_SAMPLES = 4


class ExportCheckpoint(Callback):
    """Write the best weights as a checkpoint folder at the end of `fit`, and again, with its metrics, after their test.

    Every module of the zoo can be exported; others are left alone. With wandb the folder is logged as an artifact each
    time.

    Args:
        folder: the run folder; the checkpoint is its folder "checkpoint".
        recipe: what the module is trained with, for instance "spe/zinc".
        command: the command that trains it; a resumed run records the one that it was started with.
    """

    def __init__(self, folder: str | Path, recipe: str | None = None, command: str | None = None) -> None:
        self.best, self.folder = Path(folder, BEST), Path(folder, "checkpoint")
        self.recipe, self.command = recipe, command
        self._seconds, self._started = 0.0, time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Return the command, and the seconds of training so far, over all resumes."""
        return {"command": self.command, "seconds": self._seconds + time.perf_counter() - self._started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the first command, and count on from the seconds before."""
        self.command = state_dict["command"]
        self._seconds = state_dict["seconds"]

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Export the best weights, or the last where nothing was validated."""
        if self._exports(trainer, pl_module):
            module, metrics = self._best(pl_module)
            self._save(trainer, module, metrics, self._provenance(trainer))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the test's metrics, if it was the exported weights that were tested."""
        tested = str(trainer.ckpt_path or "")
        if not self._exports(trainer, pl_module) or tested != str(self.best) or not self.folder.is_dir():
            return
        exported = checkpoints.info(self.folder)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._save(trainer, pl_module, exported["metrics"] | metrics, exported["provenance"])

    def _exports(self, trainer: Trainer, pl_module: LightningModule) -> bool:
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return False
        if not isinstance(pl_module, ZooModule) or not isinstance(trainer.datamodule, ZooDataModule):  # type: ignore[attr-defined]
            return False
        own = pl_module.method in zoo.list_modules() and zoo.get_module_class(pl_module.method) is type(pl_module)
        return own and pl_module.not_exportable_because is None

    def _best(self, module: LightningModule) -> tuple[LightningModule, dict[str, float]]:
        if not self.best.is_file():
            return module, {}
        checkpoint = torch.load(self.best, map_location="cpu", weights_only=True)
        best = type(module)(**module.hparams)
        if best.dtype != module.dtype:  # asked, since statistics stay in float64 where the rest is in float32
            best = best.to(module.dtype)
        best.load_state_dict(checkpoint["state_dict"])
        states = (state for name, state in checkpoint["callbacks"].items() if name.startswith("Checkpoints"))
        return best, {str(module.monitor): float(state["best_model_score"]) for state in states}

    def _save(self, trainer: Trainer, module: Any, metrics: dict[str, float], provenance: dict[str, Any]) -> None:
        loader = trainer.datamodule.test_dataloader()  # type: ignore[attr-defined]
        samples = [loader.dataset[index] for index in range(min(REFERENCE_SAMPLES, len(loader.dataset)))]
        averaged = any(isinstance(callback, EMA) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        checkpoints.save(
            module,
            self.folder,
            metrics=metrics,
            provenance=provenance,
            reference_batch=loader.collate_fn(samples),
            recipe=self.recipe,
            weights="ema" if averaged else "raw",
            overwrite=True,
        )
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                _log_artifact(logger, self.folder, metrics)

    def _provenance(self, trainer: Trainer) -> dict[str, Any]:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        # With these a user's own inputs are read as the training data was.
        arguments = {name: value for name, value in datamodule.hparams.items() if name != "predict_path"}
        home, name = type(datamodule).__module__.rpartition(".")[0], type(datamodule).__name__
        data = datamodule.metadata() | {"class_path": f"{home}.{name}", "init_args": arguments}
        return {
            "data": data,
            "split": data.get("split"),
            "protocol": None,
            "seeds": [int(os.environ["PL_GLOBAL_SEED"])] if "PL_GLOBAL_SEED" in os.environ else None,
            "hardware": f"{trainer.world_size} x {_device(trainer)}",
            "epochs": trainer.current_epoch,
            "time": self.state_dict()["seconds"],
            "commit": revision(),
            "licence": None,
            "paper": None,
            "command": self.command,
            "limits": None,
        }


def _device(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"


def _log_artifact(logger: WandbLogger, folder: Path, metrics: dict[str, float]) -> None:
    import wandb

    artifact = wandb.Artifact(f"checkpoint-{logger.version}", type="model", metadata=metrics)
    artifact.add_dir(str(folder))
    logger.experiment.log_artifact(artifact)

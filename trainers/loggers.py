"""Loggers: CSV always, wandb or TensorBoard when asked."""

from __future__ import annotations

import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from trainers.runs import is_rank_zero

LoggerName = Literal["csv", "wandb", "tensorboard"]
LOGGERS = ("csv", "wandb", "tensorboard")
PROJECT = "eigenzoo"


def build_loggers(logger: LoggerName | None, folder: Path, name: str = "python", job_type: str = "fit") -> list[Logger]:
    """Return the loggers of a run.

    Args:
        logger: "csv"; "wandb" or "tensorboard" beside it; None for no loggers at all.
        folder: the run folder.
        name: the recipe, "<method>/<benchmark>".
        job_type: "fit", "validate", "test" or "predict".

    Raises:
        ValueError: there is no such logger.
        ModuleNotFoundError: its package is not installed; the message says which extra has it.
    """
    if logger is None:
        return []
    if logger not in LOGGERS:
        raise ValueError(f"logger={logger!r} is not allowed; give one of {', '.join(LOGGERS)}, or None")
    # CSVLogger deletes the file of an earlier run of the same version: without a version it takes the next, and the
    # segments of a resumed run stay side by side.
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    if logger == "wandb":
        _require("wandb", "wandb")
        loggers.append(_wandb(folder, name, job_type))
    if logger == "tensorboard":
        _require("tensorboard", "tensorboard")
        loggers.append(TensorBoardLogger(folder, name="tensorboard", version=""))
    return loggers


class ZooWandbLogger(WandbLogger):
    """A wandb logger that ends its run, as failed, when the trainer is interrupted or raises."""

    def finalize(self, status: str) -> None:
        """Keep a successful run open, for the test that follows; end any other."""
        super().finalize(status)
        if status != "success":
            self.finish(exit_code=1)

    def finish(self, exit_code: int = 0) -> None:
        """End the run; one that has ended or has never begun stays as it is."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=exit_code)
            self._experiment = None


def _wandb(folder: Path, name: str, job_type: str) -> ZooWandbLogger:
    group = name.rsplit("/", 1)[-1]
    seed = os.environ.get("PL_GLOBAL_SEED", "none")
    return ZooWandbLogger(
        name=f"{name.replace('/', '-')}-s{seed}",
        project=PROJECT,
        group=group,
        job_type=job_type,
        save_dir=folder,
        id=_run_id(folder),
    )


def _run_id(folder: Path) -> str | None:
    # In a file of our own: wandb offline cannot say which run a folder belongs to.
    path = folder / "wandb_run_id"
    if path.is_file():
        return path.read_text().strip()
    if not is_rank_zero():
        return None
    run_id = secrets.token_hex(4)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(run_id + "\n")
    return run_id


def _require(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise ModuleNotFoundError(
            f"logger={package!r} needs the optional extra `{extra}`: pip install 'eigenzoo[{extra}]'"
        )

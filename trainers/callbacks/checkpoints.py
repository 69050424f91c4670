"""last.ckpt and best.ckpt: what a run continues from, and what it is judged by."""

from __future__ import annotations

import math
import os
import signal
import threading
import warnings
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.types import STEP_OUTPUT

from trainers.runs import BEST, LAST

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints beside their final name: a killed process leaves the old file or the new one, never half."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Save under a temporary name, then rename."""
        # Lightning's own temporary file lies in another folder, whence moving is copying on many machines.
        partial = f"{path}.partial"
        super().save_checkpoint(checkpoint, partial, storage_options)
        os.replace(partial, path)


class Checkpoints(ModelCheckpoint):
    """Keep the best weights by the module's `monitor`, and the state to continue from.

    last.ckpt is written at the end of every epoch, every n training steps if asked, and on SIGTERM or SIGUSR1, after
    which the run stops. It is never written between a batch and the validation that follows it, which a resumed run
    would skip, nor between two batches whose gradients are accumulated.

    Args:
        folder: the run folder.
        every_n_train_steps: also write last.ckpt each time so many optimiser steps are done; None: only between epochs.

    Raises:
        ValueError: every_n_train_steps is not positive.
    """

    def __init__(self, folder: str | Path, every_n_train_steps: int | None = None) -> None:
        if every_n_train_steps is not None and every_n_train_steps < 1:
            raise ValueError(f"every_n_train_steps={every_n_train_steps} is not allowed; give an integer >= 1 or None")
        best = Path(folder, BEST)
        super().__init__(best.parent, filename=best.stem, save_on_train_epoch_end=False, enable_version_counter=False)
        self._last = Path(folder, LAST)
        self._every_n_steps = every_n_train_steps
        self._step_of_last = 0
        self._stop = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Monitor what the module says; modules that say nothing keep the newest weights as the best."""
        self.monitor = getattr(pl_module, "monitor", None)
        self.mode = getattr(pl_module, "mode", "min")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to the signals; Lightning puts the former handlers back when the run is over."""
        super().on_train_start(trainer, pl_module)
        self._step_of_last = trainer.global_step
        self._stop = False
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOP_SIGNALS:
            # Lightning's handler for SIGTERM starts collectives in the handler, in the midst of others; SLURM's for
            # requeueing stays.
            if number == signal.SIGTERM or signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._ask_to_stop)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Write last.ckpt if it is due or the run is to stop."""
        batches = batch_idx + 1
        validation_follows = trainer.enable_validation and batches % (trainer.val_check_batch or math.inf) == 0
        if validation_follows or batches == trainer.num_training_batches or batches % trainer.accumulate_grad_batches:
            return
        stop = self._agree_to_stop(trainer)
        due = self._every_n_steps is not None and trainer.global_step - self._step_of_last >= self._every_n_steps
        if stop or due:
            self._save_last(trainer)
        if stop:
            raise SIGTERMException(128 + signal.SIGTERM)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write last.ckpt."""
        self._save_last(trainer)
        if self._agree_to_stop(trainer):
            raise SIGTERMException(128 + signal.SIGTERM)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value so far; where its file lies follows from the run folder, which may be moved."""
        return {"best_model_score": self.best_model_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value if its weights are here."""
        score, best = state_dict["best_model_score"], os.path.join(str(self.dirpath), BEST.name)
        if score is not None and os.path.isfile(best):
            self.best_model_score = self.current_score = self.kth_value = score
            self.best_model_path = self.kth_best_model_path = best
            self.best_k_models = {best: score}

    def _save_last(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._step_of_last = trainer.global_step
            trainer.save_checkpoint(self._last, weights_only=False)

    def _ask_to_stop(self, number: int, frame: Any) -> None:
        self._stop = True

    def _agree_to_stop(self, trainer: Trainer) -> bool:
        # A scheduler may signal one process or all, at slightly different moments; all must stop after the same batch.
        return trainer.strategy.reduce_boolean_decision(self._stop, all=False)

"""How fast a run goes and how much memory it needs."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset


class Throughput(Callback):
    """Log, per epoch, training samples per second over all ranks and the peak memory so far of rank 0.

    Names: `throughput/samples_per_second` (without validation), or `throughput/batches_per_second` where the loader is
    not one `DataLoader` over a dataset with a length; `throughput/peak_memory_gb` (of the process) and, on a GPU,
    `throughput/peak_gpu_memory_gb` (of the allocator).
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock: a run resumed in the middle of an epoch begins here."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._seconds, self._batches = 0.0, 0
        self._resumed_at = time.perf_counter()

    # Validation may come in the middle of an epoch or at its end; the clock stands still during it.
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._seconds += time.perf_counter() - self._resumed_at

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on."""
        self._resumed_at = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch."""
        self._batches += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch."""
        seconds = self._seconds + time.perf_counter() - self._resumed_at
        loader: Any = trainer.train_dataloader
        rate = self._batches * trainer.world_size / seconds
        values = {"throughput/peak_memory_gb": _peak_memory()}
        if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
            sampler: Any = getattr(loader.batch_sampler, "sampler", loader.sampler)
            batch_size = -(-len(sampler) // len(loader))
            values["throughput/samples_per_second"] = rate * batch_size
        else:
            values["throughput/batches_per_second"] = rate
        if pl_module.device.type == "cuda":
            values["throughput/peak_gpu_memory_gb"] = torch.cuda.max_memory_allocated(pl_module.device) / 1e9
        # To the loggers at once: these are no results, which Lightning would want to average over ranks.
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9

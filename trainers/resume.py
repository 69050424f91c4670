"""Exact resume: a run that is continued from a checkpoint ends with the bits of one that was never interrupted.

Lightning stores weights, optimisers, schedules and progress. What it lacks is added here: the random states of all
ranks, where the sampler stood, the averages of an epoch so far, and the update of plateau schedules, which comes after
the checkpoint of the epoch.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch.utils.data import BatchSampler, Sampler, SequentialSampler

from trainers.epoch_averages import Sums, add_sums, running_sums
from trainers.samplers import CompleteBatches, Position, ShardedSampler
from zoo.statistics_module import StatisticsModule

KEY = "exact_resume"
ENTRIES = ("position", "random_states", "averages", "plateau", "hparams", "loggers")
FREE = ("data.num_workers", "data.predict_path")
"""Hyper-parameters that do not change results, and may be others after a resume."""


class ExactResume(Callback):
    """Give the datamodule its samplers, and make resuming exact, in the middle of an epoch too.

    Exact on as many processes as before, for modules and data that draw random numbers from the global generators or
    from generators seeded by (seed, epoch, index). Items that loader workers make (num_workers > 0) may only draw from
    the latter: a worker's own random states are not stored. On another number of processes the global batches stay the
    same, the random states do not.

    A run is continued as it was started: other hyper-parameters of the module or the datamodule are an error, except
    those that do not change results.
    """

    def __init__(self) -> None:
        self._position = Position()
        self._random_state: dict[str, Any] | None = None
        self._averages: Sums = {}
        self._plateau: dict[str, float] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the datamodule's loaders, which are made after this, sample through `ShardedSampler`.

        Raises:
            ValueError: there are several processes, and nothing would share the samples among them.
        """
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(datamodule, "sampler_factory"):
            if trainer.world_size > 1 and not trainer._accelerator_connector.use_distributed_sampler:
                raise ValueError(
                    f"each of the {trainer.world_size} processes would see all samples; give the data as a "
                    "ZooDataModule, or build the trainer with use_distributed_sampler=True"
                )
            return

        def make_sampler(dataset: Any, training: bool) -> Sampler[int] | BatchSampler:
            if trainer.overfit_batches:  # type: ignore[attr-defined]
                return SequentialSampler(dataset)
            if len(dataset) < trainer.world_size:
                # Lightning leaves an evaluation without a batch before its collectives; other ranks would wait forever.
                raise ValueError(
                    f"{len(dataset)} samples cannot be shared by {trainer.world_size} processes; use fewer"
                )
            # Later loaders of the same run (reload_dataloaders_every_n_epochs) start their own epoch.
            start = max(self._position, Position(trainer.current_epoch)) if training else Position()
            if training and isinstance(pl_module, StatisticsModule):
                return CompleteBatches(
                    dataset, datamodule.batch_size, trainer.global_rank, trainer.world_size, start=start
                )
            return ShardedSampler(
                dataset,
                batch_size=datamodule.batch_size,
                rank=trainer.global_rank,
                world_size=trainer.world_size,
                training=training,
                shuffle=training,
                seed=datamodule.seed,
                start=start,
            )

        datamodule.sampler_factory = make_sampler

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the datamodule as it was, for any other trainer."""
        if hasattr(trainer.datamodule, "sampler_factory"):  # type: ignore[attr-defined]
            trainer.datamodule.sampler_factory = None  # type: ignore[attr-defined]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not store; runs on every rank."""
        position = _position(trainer)
        averages = running_sums(trainer) | self._averages if position.batches_done else {}
        checkpoint[KEY] = {
            "position": tuple(position),
            "random_states": _gather(trainer, _random_state(trainer)),
            "averages": _gather(trainer, averages),
            "plateau": _awaited_by_plateau_schedules(trainer),
            "hparams": _hparams(trainer),
            "loggers": {type(logger).__name__: logger.version for logger in trainer.loggers},
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the position for the samplers, and keep random state and averages until they are needed.

        Warns:
            UserWarning: the checkpoint was written without this callback, or by another number of processes.

        Raises:
            ValueError: the run was started with other hyper-parameters, or by a version that stored less.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        if KEY not in checkpoint:
            rank_zero_warn(
                "the checkpoint was written without ExactResume: weights and optimisers are continued, the order of "
                "the samples and random numbers are not"
            )
            return
        saved = checkpoint[KEY]
        missing = [name for name in ENTRIES if name not in saved]
        if missing:
            raise ValueError(
                f"the checkpoint lacks {', '.join(missing)}: an earlier version of eigenzoo wrote it; resume it with "
                "that version, or start a new run"
            )
        _require_same(saved["hparams"], _hparams(trainer))
        self._position = Position(*saved["position"])
        self._plateau = saved["plateau"]
        # Lightning looks for a loader that resumes; here it is the sampler that does.
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch ended")
        if len(saved["random_states"]) == trainer.world_size:
            self._random_state = saved["random_states"][trainer.global_rank]
            self._averages = saved["averages"][trainer.global_rank]
        else:
            rank_zero_warn(
                f"the checkpoint was written by {len(saved['random_states'])} processes and is resumed by "
                f"{trainer.world_size}: the batches are the same; random numbers (dropout) and what is averaged over "
                "this epoch are not"
            )

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Between epochs, restore the random state before the loaders start."""
        if self._position.batches_done == 0:
            self._restore_random_state(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the update of plateau schedules that followed the checkpoint."""
        for config in trainer.lr_scheduler_configs:
            if config.reduce_on_plateau and config.monitor in self._plateau:
                pl_module.lr_scheduler_step(config.scheduler, self._plateau[config.monitor])
        self._plateau = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """In the middle of an epoch, restore the random state once the loaders have started."""
        self._restore_random_state(trainer)
        # As long as Lightning takes this epoch for a restarted one, it leaves out its update of plateau schedules.
        trainer.fit_loop._restarting = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Add the batches before the resume to the averages of the epoch, as soon as their values are logged again."""
        if self._averages:
            self._averages = add_sums(trainer, self._averages)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop what was not logged again."""
        self._averages = {}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let later calls of the trainer start from what they are given."""
        self._position = Position()
        trainer.ckpt_path = None

    def _restore_random_state(self, trainer: Trainer) -> None:
        if self._random_state is not None:
            _set_random_state(trainer, self._random_state)
            self._random_state = None


def _hparams(trainer: Trainer) -> dict[str, Any]:
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    parts = {"model": dict(trainer.lightning_module.hparams), "data": dict(datamodule.hparams) if datamodule else {}}
    return dict(_plain_fields("", parts))


def _plain_fields(prefix: str, values: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    # Other values than plain ones would keep the file from loading in torch's safe mode.
    for name, value in values.items():
        if isinstance(value, (dict, list, tuple)):
            items = value if isinstance(value, dict) else dict(enumerate(value))
            yield from _plain_fields(f"{prefix}{name}.", items)
        elif value is None or type(value) in (bool, int, float, str):
            yield f"{prefix}{name}", value


def _require_same(saved: dict[str, Any], given: dict[str, Any]) -> None:
    unset = "unset"
    pairs = {name: (saved.get(name, unset), given.get(name, unset)) for name in sorted({*saved, *given} - {*FREE})}
    changes = [f"{name}: {before!r} -> {now!r}" for name, (before, now) in pairs.items() if before != now]
    if changes:
        raise ValueError(f"the run was started with other hyper-parameters (saved -> given): {'; '.join(changes)}")


def _position(trainer: Trainer) -> Position:
    epochs: Any = trainer.fit_loop.epoch_progress.current
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    if epochs.started == epochs.processed:
        return Position(epochs.processed)
    if batches.processed >= trainer.num_training_batches:
        return Position(epochs.processed + 1)
    return Position(epochs.processed, batches.processed)


def _awaited_by_plateau_schedules(trainer: Trainer) -> dict[str, float]:
    # Lightning updates these between on_train_epoch_end, where last.ckpt is written, and the end of the epoch.
    epochs: Any = trainer.fit_loop.epoch_progress.current
    if epochs.processed == epochs.completed:
        return {}
    return {
        config.monitor: float(trainer.callback_metrics[config.monitor])
        for config in trainer.lr_scheduler_configs
        if config.reduce_on_plateau
        and config.interval == "epoch"
        and epochs.processed % config.frequency == 0
        and config.monitor in trainer.callback_metrics
    }


def _random_state(trainer: Trainer) -> dict[str, Any]:
    # Tensors and plain numbers only: the file must load in torch's safe mode.
    _, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - the global state is what is saved
    device = trainer.strategy.root_device
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": (torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "python": random.getstate(),
    }


def _set_random_state(trainer: Trainer, state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    device = trainer.strategy.root_device
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])


def _gather(trainer: Trainer, state: Any) -> list[Any]:
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, state)
    return states

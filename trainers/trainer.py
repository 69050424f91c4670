"""A Lightning trainer with the zoo's samplers, resume, callbacks and loggers, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor

from trainers import strategies
from trainers.callbacks import Checkpoints, ExportCheckpoint, Figures, GradientNorms, RunFiles, StopOnNaN, Throughput
from trainers.callbacks.checkpoints import AtomicCheckpointIO
from trainers.catalogue import preset_arguments
from trainers.loggers import LoggerName, build_loggers
from trainers.resume import ExactResume
from trainers.runs import claim_run_folder
from trainers.statistics import SumOverData

DEFAULTS: dict[str, Any] = {"use_distributed_sampler": False}
"""Where the zoo differs from Lightning: its own sampler shuffles, shards and resumes."""


def build_trainer(
    preset: str | Sequence[str] | None = None,
    logger: LoggerName | None = "csv",
    output: str | Path | None = None,
    resume: str | Path | None = None,
    callbacks: Callback | Sequence[Callback] | None = None,
    *,
    recipe: str | None = None,
    job_type: str = "fit",
    command: str | None = None,
    every_n_train_steps: int | None = None,
    **trainer_arguments: Any,
) -> Trainer:
    """Return a plain `lightning.Trainer` that is set up the way the zoo runs its experiments.

    Args:
        preset: one or more names from `trainers.catalogue.list_presets()`; later ones win.
        logger: "csv", or "wandb" or "tensorboard" beside it; None logs nothing.
        output: the run folder; by default the next number in runs/<recipe>.
        resume: "auto" continues the newest run, or the one in `output`, if it wrote a checkpoint; else the path of a
            run folder or of a checkpoint file. The first `fit` starts from it.
        callbacks: more callbacks; one of a default's class replaces the default.
        recipe: what is run, for instance "spe/zinc"; it names the run.
        job_type: "fit", "validate", "test" or "predict": how wandb sorts the run.
        command: the command that repeats the run; it is recorded in the exported checkpoint.
        every_n_train_steps: write last.ckpt each time so many steps are done, too; by default only between epochs.
        **trainer_arguments: arguments of `lightning.Trainer`; they win over the presets.

    Raises:
        ValueError: an unknown preset or logger, or a folder that already holds a run.
        FileNotFoundError: there is nothing at `resume`.
        ModuleNotFoundError: the logger's package is not installed.

    Example:
        >>> from trainers import build_trainer
        >>> trainer = build_trainer(preset="cpu", logger=None, max_epochs=1)  # doctest: +SKIP
        >>> trainer.fit(module, datamodule)  # doctest: +SKIP
        >>> trainer.test(module, datamodule)  # doctest: +SKIP
    """
    strategies.register()
    arguments = dict(DEFAULTS)
    for name in [preset] if isinstance(preset, str) else preset or []:
        arguments |= preset_arguments(name)
    arguments |= trainer_arguments
    folder, checkpoint = claim_run_folder(output, recipe or "python", resume)
    loggers = build_loggers(logger, folder, recipe or "python", job_type)
    own = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or [])
    defaults: list[Callback] = [
        ExactResume(),
        SumOverData(),
        StopOnNaN(),
        Throughput(),
        GradientNorms(),
        Figures(folder),
        RunFiles(folder),
        ExportCheckpoint(folder, recipe, command),
    ]
    if arguments.get("enable_checkpointing", True):
        defaults.append(Checkpoints(folder, every_n_train_steps))
    if loggers:
        defaults.append(LearningRateMonitor())
    replaced = {type(callback) for callback in own}
    arguments["callbacks"] = [*(callback for callback in defaults if type(callback) not in replaced), *own]
    plugins = arguments.get("plugins") or []
    arguments["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
    trainer = Trainer(logger=loggers or False, default_root_dir=folder, **arguments)
    trainer.ckpt_path = checkpoint
    return trainer

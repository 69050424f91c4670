"""From a recipe and the words of the command line to a run, and the run itself."""

from __future__ import annotations

import argparse
import shlex
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import ArgumentError, ArgumentParser
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

import checkpoints
from checkpoints.files import write_file
from datamodules.module import ZooDataModule
from trainers import catalogue
from trainers.loggers import ZooWandbLogger
from trainers.predict import PredictionFiles, WritePredictions
from trainers.runs import BEST
from trainers.trainer import DEFAULTS, build_trainer

USER_ERRORS = (ArgumentError, ValueError, TypeError, OSError, ModuleNotFoundError, checkpoints.CheckpointError)
"""What preparing a run raises when it is the words that are wrong."""

DEFAULT_SEED = 0

WIDE = 130
"""Characters in a line of a table that goes to a file."""

_OF_BUILD_TRAINER = {"default_root_dir": "--output", "logger": "--logger"}
"""Trainer arguments that an option of the command line gives."""


class Run(NamedTuple):
    """Everything that a stage needs."""

    trainer: Trainer
    module: LightningModule
    datamodule: LightningDataModule


def prepare(command: str, options: argparse.Namespace, overrides: list[str], shown: list[str]) -> Run:
    """Parse the recipe, the presets and the overrides, and build what they describe.

    Args:
        command: "fit", "validate", "test" or "predict".
        options: recipe, preset, logger, output and checkpoint; for "fit" also resume and every_n_train_steps.
        overrides: the other words, such as ["--model.lr", "3e-4"].
        shown: all words after the command, for the record.

    Raises:
        ArgumentError: an unknown or malformed field.
        ValueError: an unknown recipe, preset or value; a folder that already holds a run.
    """
    if not options.recipe and not {"--config", "--model"} & {word.split("=")[0] for word in overrides}:
        raise ValueError(f"give --recipe NAME; recipes: {', '.join(catalogue.list_recipes())}")
    cli = _CLI(command, options, overrides, shlex.join(["eigenzoo", command, *shown]))
    return Run(cli.trainer, _with_checkpoint(command, cli.model, options.checkpoint), cli.datamodule)


def execute(command: str, run: Run) -> None:
    """Run a stage, print what came out of it, and end the loggers whatever happened."""
    exit_code = 1
    try:
        {"fit": _fit, "validate": _validate, "test": _test, "predict": _predict}[command](run)
        exit_code = 0
    finally:
        for logger in run.trainer.loggers:
            if isinstance(logger, ZooWandbLogger):
                logger.finish(exit_code)


def print_fields(options: argparse.Namespace) -> None:
    """Print every field of a recipe's model and data and of the trainer, with types and defaults."""
    recipe = yaml.safe_load(catalogue.recipe_path(options.recipe).read_text())
    description = f"Fields of {options.recipe}; each can be given as --FIELD VALUE."
    parser = ArgumentParser(usage=argparse.SUPPRESS, description=description)
    for key in ("model", "data"):
        parser.add_class_arguments(_import(recipe[key]["class_path"]), key, fail_untyped=False)
        parser.set_defaults({f"{key}.{name}": value for name, value in recipe[key].get("init_args", {}).items()})
    parser.add_class_arguments(Trainer, "trainer", fail_untyped=False, instantiate=False)
    parser.set_defaults({f"trainer.{name}": value for name, value in (DEFAULTS | recipe.get("trainer", {})).items()})
    seed = recipe.get("seed_everything", DEFAULT_SEED)
    parser.add_argument("--seed_everything", type=int, default=seed, help="Seed of the run.")
    parser.print_help()


class _CLI(LightningCLI):
    """Lightning's command line, with the zoo's trainer."""

    def __init__(self, command: str, options: argparse.Namespace, overrides: list[str], shown: str) -> None:
        self.command, self.options, self.shown = command, options, shown
        configs = [catalogue.recipe_path(options.recipe)] if options.recipe else []
        configs += [catalogue.preset_path(preset) for preset in options.preset]
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            trainer_defaults=DEFAULTS,
            seed_everything_default=DEFAULT_SEED,
            auto_configure_optimizers=False,
            # It would put the command line's own keys among the hyper-parameters.
            load_from_checkpoint_support=False,
            save_config_callback=None,
            parser_kwargs={"exit_on_error": False},
            args=[*(word for path in configs for word in ("--config", str(path))), *overrides],
            run=False,
        )

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse the words given, whatever the process was started with."""
        self.config = parser.parse_args(args)

    def instantiate_classes(self) -> None:
        """Build the objects; Lightning uses a name that newer jsonargparse deprecates."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\s*(By default only one Jsonargparse|``instantiate_classes``)")
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the zoo's trainer."""
        arguments = {name: value for name, value in self.config_init["trainer"].items() if value is not None}
        for name, option in _OF_BUILD_TRAINER.items():
            if name in arguments:
                raise ValueError(f"--trainer.{name} is not allowed; give {option}")
        if self.command == "predict":
            # The rows of the file must come in the order of the inputs.
            arguments |= {"devices": 1, "num_nodes": 1, "strategy": "auto"}
        own = arguments.pop("callbacks", [])
        save_config = _SaveConfig(self.parser, self.config, save_to_log_dir=False)
        return build_trainer(
            logger=self.options.logger,
            output=self.options.output,
            resume=getattr(self.options, "resume", None),
            callbacks=[*(own if isinstance(own, list) else [own]), save_config],
            recipe=self._recipe_name(),
            job_type=self.command,
            command=self.shown,
            every_n_train_steps=getattr(self.options, "every_n_train_steps", None),
            **arguments,
        )

    def _recipe_name(self) -> str | None:
        recipe = self.options.recipe
        return recipe if recipe in catalogue.list_recipes() else Path(recipe).stem if recipe else None


class _SaveConfig(SaveConfigCallback):
    """Write config.yaml, with every field resolved, into the run folder, and to wandb."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        resolved = self.parser.dump(self.config)
        write_file(Path(trainer.default_root_dir, "config.yaml"), resolved.encode())
        for logger in trainer.loggers:
            if isinstance(logger, ZooWandbLogger):
                logger.log_hyperparams({"config": yaml.safe_load(resolved)})


def _with_checkpoint(command: str, module: LightningModule, source: str | None) -> LightningModule:
    if source is None:
        if command == "fit" or getattr(module, "pretrained", False):
            return module
        raise ValueError(f"{command} needs --checkpoint: a name from `eigenzoo list`, a folder, or a hub id")
    loaded = checkpoints.load(source)
    if command != "fit":
        return loaded
    try:
        module.load_state_dict(loaded.state_dict())
    except RuntimeError as error:
        raise ValueError(f"the weights of {source} do not fit the recipe's model: {error}") from error
    return module


def _fit(run: Run) -> None:
    trainer, module, datamodule = run
    trainer.fit(module, datamodule=datamodule)
    folder = Path(trainer.default_root_dir)
    best = folder / BEST
    weights = best if best.is_file() else None
    _print_metrics(trainer.test(module, datamodule=datamodule, ckpt_path=weights, verbose=False))
    exported = folder / "checkpoint"
    _print(f"run: {folder}" + (f"\ncheckpoint: {exported}" if exported.is_dir() else ""))
    for figure in sorted(folder.glob("figures/*.png")):
        _print(f"figure: {figure}")


def _validate(run: Run) -> None:
    _print_metrics(run.trainer.validate(run.module, datamodule=run.datamodule, verbose=False))


def _test(run: Run) -> None:
    _print_metrics(run.trainer.test(run.module, datamodule=run.datamodule, verbose=False))


def _predict(run: Run) -> None:
    trainer, module, datamodule = run
    if not isinstance(datamodule, ZooDataModule):
        raise TypeError(f"predict needs a datamodule of the zoo, not a {type(datamodule).__name__}")
    path = Path(trainer.default_root_dir, "predictions.csv")
    with PredictionFiles(path) as files:
        trainer.callbacks.append(WritePredictions(files))  # type: ignore[attr-defined]
        trainer.predict(module, datamodule=datamodule, return_predictions=False)
    _print(f"predictions: {path}" + (f"\narrays: {files.folder}" if files.folder else ""))
    for summary in files.summaries:
        _print(f"summary: {summary}")


def _print_metrics(loaders: Sequence[Mapping[str, float]]) -> None:
    for metrics in loaders:
        single = Table("metric", "value")
        variants: dict[str, dict[str, float]] = {}
        for name, value in metrics.items():
            stage, *variant, metric = name.split("/")
            if variant:
                variants.setdefault("/".join(variant), {})[metric] = value
            else:
                single.add_row(name, f"{value:.6g}")
        _print(single)
        if variants:
            _print(_comparison(stage, metrics, variants))


def _comparison(stage: str, metrics: Mapping[str, float], variants: dict[str, dict[str, float]]) -> Table:
    """Return a row for the module itself and one for each variant, named "<stage>/<variant>/<metric>"."""
    columns = list(next(iter(variants.values())))
    table = Table("", *columns)
    own = {metric: metrics[f"{stage}/{metric}"] for metric in columns if f"{stage}/{metric}" in metrics}
    for name, row in {**({"this one": own} if own else {}), **variants}.items():
        table.add_row(name, *(f"{row[metric]:.4g}" if metric in row else "" for metric in columns))
    return table


@rank_zero_only
def _print(what: Any) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDE)  # a file has no width to respect
    console.print(what)


def _import(class_path: str) -> type:
    module, name = class_path.rsplit(".", 1)
    return getattr(__import__(module, fromlist=[name]), name)

"""The command line: `eigenzoo fit|validate|test|predict|list|doctor`.

Nothing heavy is imported before it is needed: the help answers at once.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import NoReturn

from trainers import catalogue

STAGES = {
    "fit": "train, test the best weights and export them as a checkpoint folder",
    "validate": "evaluate a checkpoint on the validation set",
    "test": "evaluate a checkpoint on the test set",
    "predict": "write a checkpoint's predictions to predictions.csv",
}
OTHERS = {
    "list": "models, benchmarks, recipes, presets and checkpoints",
    "doctor": "versions, devices, threads, cache, backends; a one-second all-reduce",
}


def main(args: list[str] | None = None) -> None:
    """Run a command.

    Args:
        args: the words after `eigenzoo`; by default those of the command line.

    Raises:
        SystemExit: with code 2 and one message on the standard error if the command cannot be understood.
    """
    silence_other_packages()
    words = list(sys.argv[1:] if args is None else args)
    command, *rest = words or ["--help"]
    wants_help = bool({"-h", "--help"} & set(words))
    if command in ("-h", "--help") or (wants_help and "--recipe" not in rest):
        print(_usage())
    elif command == "list":
        _print_lists()
    elif command == "doctor":
        _print_report()
    elif command in STAGES:
        _run_stage(command, rest, wants_help)
    else:
        _fail("eigenzoo", f"unknown command {command!r}; give one of {', '.join([*STAGES, *OTHERS])}")


def silence_other_packages() -> None:
    """Leave out warnings that nobody at the command line can do anything about."""
    # torch_geometric still scripts functions when it is imported.
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated")


def _run_stage(command: str, words: list[str], wants_help: bool) -> None:
    program = f"eigenzoo {command}"
    options, overrides = _parser(program, command).parse_known_args(words)
    try:
        # Before anything heavy is imported: a misspelt name is told at once.
        if options.recipe:
            catalogue.recipe_path(options.recipe)
        for preset in options.preset:
            catalogue.preset_path(preset)
    except ValueError as error:
        _fail(program, str(error))
    from trainers import stages

    try:
        if wants_help:
            stages.print_fields(options)
            return
        run = stages.prepare(command, options, overrides, shown=words)
    except stages.USER_ERRORS as error:
        _fail(program, _relevant(str(error)))
    stages.execute(command, run)


def _parser(program: str, command: str) -> argparse.ArgumentParser:
    parser = _OneLineParser(prog=program, add_help=False, allow_abbrev=False)
    parser.add_argument("--recipe")
    parser.add_argument("--preset", action="append", default=[])
    parser.add_argument("--logger", choices=("csv", "wandb", "tensorboard"), default="csv")
    parser.add_argument("--output")
    parser.add_argument("--checkpoint")
    if command == "fit":
        parser.add_argument("--resume")
        parser.add_argument("--every_n_train_steps", type=int)
    return parser


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(str(self.prog), message)


def _relevant(message: str) -> str:
    """Drop what jsonargparse says of the types that were never meant and of the whole configuration."""
    noise = (
        'Parser key "model"',
        'Parser key "data"',
        "Does not validate",
        "Subtypes:",
        "Errors:",
        "- Expected a <class 'NoneType'>",
        "Given value",
    )
    lines = (line.strip() for line in message.splitlines())
    kept = [line.removeprefix("- ") for line in lines if line and not line.startswith(noise)]
    return "\n".join(kept) or message


def _fail(program: str, message: str) -> NoReturn:
    print(f"{program}: error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _usage() -> str:
    commands = "\n".join(f"  {name:<10}{text}" for name, text in {**STAGES, **OTHERS}.items())
    return f"""eigenzoo COMMAND [--recipe NAME] [options] [--FIELD VALUE ...]

commands
{commands}

options of fit, validate, test and predict
  --recipe NAME       a recipe (below), or a path to a YAML file
  --preset NAME       {", ".join(catalogue.list_presets())}; may be given again, later ones win
  --checkpoint NAME   a checkpoint by name, a folder, or hf-hub:owner/name@revision; fit starts from its weights
  --logger NAME       csv (always), or wandb or tensorboard beside it
  --output DIR        the run folder; by default runs/<recipe>/<number>
  --resume auto|PATH  (fit) continue the newest run, a run folder, or a checkpoint file, to the same bits
  --every_n_train_steps N
                      (fit) write last.ckpt each N steps, too: a killed run loses no more than these

every field of model, data and trainer can be given
  --model.lr 3e-4  --data.batch_size 64  --trainer.max_epochs 2  --seed_everything 1
  eigenzoo fit --recipe NAME --help lists them all

recipes
  {", ".join(catalogue.list_recipes()) or "none"}"""


def _print_lists() -> None:
    import checkpoints
    import datamodules
    import zoo

    lists = {
        "models": zoo.list_models(),
        "benchmarks": datamodules.list_datamodules(),
        "recipes": catalogue.list_recipes(),
        "presets": catalogue.list_presets(),
        "checkpoints": checkpoints.list_checkpoints(),
    }
    for title, names in lists.items():
        print("\n  ".join([title, *(names or ["none"])]))


def _print_report() -> None:
    from trainers import doctor

    for name, finding in doctor.report().items():
        print(f"{name:<18}{finding}")

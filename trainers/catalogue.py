"""The names of recipes and presets, and the files behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from zoo.registry import unknown

_FOLDER = Path(__file__).resolve().parent
_RECIPES, _PRESETS = _FOLDER / "recipes", _FOLDER / "presets"


def list_recipes() -> list[str]:
    """Return the recipes as "<method>/<benchmark>", sorted."""
    return sorted(path.relative_to(_RECIPES).with_suffix("").as_posix() for path in _RECIPES.glob("*/*.yaml"))


def list_presets() -> list[str]:
    """Return the presets, sorted."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def recipe_path(recipe: str) -> Path:
    """Return the file of a recipe, given by name or as a path to a YAML file.

    Raises:
        ValueError: there is no such recipe.
    """
    return _path(recipe, "recipe", _RECIPES, list_recipes())


def preset_path(preset: str) -> Path:
    """Return the file of a preset, given by name or as a path to a YAML file.

    Raises:
        ValueError: there is no such preset.
    """
    return _path(preset, "preset", _PRESETS, list_presets())


def preset_arguments(preset: str) -> dict[str, Any]:
    """Return the Trainer arguments of a preset.

    Raises:
        ValueError: there is no such preset.
    """
    return yaml.safe_load(preset_path(preset).read_text())["trainer"]


def _path(name: str, kind: str, folder: Path, names: list[str]) -> Path:
    if name in names:
        return folder / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    raise unknown(kind, name, names)

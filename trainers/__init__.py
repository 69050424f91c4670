"""How a run is executed: samplers, exact resume, callbacks, loggers, presets, recipes and the command line.

Importing this package is cheap: torch and Lightning come with the first trainer that is built.

Example:
    >>> from trainers import build_trainer
    >>> trainer = build_trainer(preset="cpu", logger=None, max_epochs=1)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.trainer import build_trainer

__all__ = ["build_trainer"]


def __getattr__(name: str) -> Any:
    if name != "build_trainer":
        raise AttributeError(f"module 'trainers' has no attribute {name!r}")
    from trainers.trainer import build_trainer

    return build_trainer

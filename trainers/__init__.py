"""How a run is executed: samplers, exact resume, callbacks, loggers, presets, recipes and the command line.

Importing this package is cheap: torch and Lightning come with the first trainer that is built.

Example:
    >>> from trainers import build_trainer
    >>> trainer = build_trainer(preset="cpu", logger=None, max_epochs=1)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from trainers.trainer import build_trainer as build_trainer

__getattr__, __dir__, __all__ = lazy(__name__, {"trainer": ["build_trainer"]})

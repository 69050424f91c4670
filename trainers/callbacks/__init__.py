"""Lightning callbacks, one idea per file; each is imported with its first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.callbacks.cams import CAMCallback
    from trainers.callbacks.checkpoints import Checkpoints
    from trainers.callbacks.ema import EMA
    from trainers.callbacks.export import ExportCheckpoint
    from trainers.callbacks.figures import Figures
    from trainers.callbacks.gradient_norms import GradientNorms
    from trainers.callbacks.nan_guard import NonFiniteError, StopOnNaN
    from trainers.callbacks.run_files import RunFiles
    from trainers.callbacks.throughput import Throughput

_FILES = {
    "CAMCallback": "cams",
    "Checkpoints": "checkpoints",
    "EMA": "ema",
    "ExportCheckpoint": "export",
    "Figures": "figures",
    "GradientNorms": "gradient_norms",
    "NonFiniteError": "nan_guard",
    "RunFiles": "run_files",
    "StopOnNaN": "nan_guard",
    "Throughput": "throughput",
}

__all__ = [
    "EMA",
    "CAMCallback",
    "Checkpoints",
    "ExportCheckpoint",
    "Figures",
    "GradientNorms",
    "NonFiniteError",
    "RunFiles",
    "StopOnNaN",
    "Throughput",
]


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module 'trainers.callbacks' has no attribute {name!r}")
    return getattr(import_module(f"trainers.callbacks.{_FILES[name]}"), name)

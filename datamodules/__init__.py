"""Eigenzoo's benchmarks: one datamodule per benchmark, in one folder per kind of data.

Importing this package is cheap: Lightning comes with the first datamodule.

Example:
    >>> import datamodules
    >>> "datamodules.graphs.ZINC" in datamodules.list_datamodules()
    True
"""

import importlib
import pkgutil
from fnmatch import fnmatch

__all__ = ["list_datamodules"]


def list_datamodules(pattern: str = "*") -> list[str]:
    """Return the class paths of the datamodules that match a shell-style pattern, sorted."""
    folders = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__) if module.ispkg]
    paths = [f"{folder}.{name}" for folder in folders for name in importlib.import_module(folder).__all__]
    return sorted(path for path in paths if fnmatch(path, pattern))

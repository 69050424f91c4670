"""Benchmarks on graphs."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.graphs.counting import SubstructureCounting as SubstructureCounting
    from datamodules.graphs.zinc import ZINC as ZINC

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "counting": ["SubstructureCounting"],
        "zinc": ["ZINC"],
    },
)

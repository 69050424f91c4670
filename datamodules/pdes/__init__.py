"""PDEs on boxes with exact solutions, and anyone's from a file."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.pdes.module import HighFrequencyPDE as HighFrequencyPDE

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "module": ["HighFrequencyPDE"],
    },
)

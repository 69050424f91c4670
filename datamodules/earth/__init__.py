"""Places on Earth: a generated Earth whose best possible predictor is known, and maps of the real one."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.earth.synthetic_earth import SyntheticEarth as SyntheticEarth

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "synthetic_earth": ["SyntheticEarth"],
    },
)

"""SPE: stable and expressive positional encodings of graphs (Huang et al., ICLR 2024, arXiv 2310.02579)."""

from zoo.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "encoding": ["SPE"],
        "gine": ["SPEGINE"],
        "module": ["SPEModule"],
        "transformer": ["SPETransformer"],
    },
)

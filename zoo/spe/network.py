"""The registered networks: GINE and a graph transformer, both with stable and expressive positional encodings."""

from zoo.spe.gine import SPEGINE
from zoo.spe.transformer import SPETransformer

__all__ = ["SPEGINE", "SPETransformer"]

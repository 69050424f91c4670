"""The registered networks: a dictionary, and the autoencoder with an operator of its own."""

from zoo.koopman.autoencoder import LuschAutoencoder
from zoo.koopman.networks import TanhNetwork

__all__ = ["LuschAutoencoder", "TanhNetwork"]

"""A network, and how to look into it: the layers are found once for each size of image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from zoo.eigencam.explain import Explanation, Observation, explain, observe
from zoo.eigencam.layers import LayerSpec, find_cam_layers
from zoo.eigencam.scores import logits_of
from zoo.eigencam.settings import MapSettings


class View:
    """Looks into a network.

    Args:
        network: any network.
        layers: names of the layers to look into; None finds the last one that has positions.
    """

    def __init__(self, network: nn.Module, layers: list[str] | None = None) -> None:
        self.network = network
        self.layers = layers
        self._specs: dict[tuple[int, ...], list[LayerSpec]] = {}

    def specs(self, images: Tensor) -> list[LayerSpec]:
        """Return the layers that are looked into, see `find_cam_layers`."""
        shape = tuple(images.shape[1:])
        if shape not in self._specs:  # the grid of tokens depends on the size of the image
            self._specs[shape] = find_cam_layers(self.network, (1, *shape), layer=self.layers)
        return self._specs[shape]

    def fitted(self, images: Tensor) -> Tensor:
        """Return images in the precision that the network computes in; loaders give float32."""
        return images.to(next(self.network.parameters(), images).dtype)

    def observe(self, images: Tensor, maps: Iterable[MapSettings]) -> Observation:
        """Run the network on images (B, 3, H, W), once for all maps that are to be drawn."""
        gradients = any(settings.needs_gradient for settings in maps)
        return observe(self.network, self.fitted(images), self.specs(images), gradients=gradients)

    def explain(
        self, images: Tensor, settings: MapSettings, classes: Tensor | None = None
    ) -> tuple[Observation, Explanation]:
        """Run the network on images (B, 3, H, W) and draw a map."""
        return explain(self.network, self.fitted(images), self.specs(images), settings, classes)

    def answer(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of images.

        Raises:
            ValueError: the network is no classifier.
        """
        return classifier_logits(self.network(self.fitted(images)))


def classifier_logits(output: Any) -> Tensor:
    """Return the logits (B, K) in a network's output.

    Raises:
        ValueError: it has none, since the network is no classifier.
    """
    logits = logits_of(output)
    if logits is None or logits.dim() != 2:
        kind = type(output).__name__ if logits is None else f"tensor of shape {tuple(logits.shape)}"
        raise ValueError(f"this needs a classifier, whose output is (B, classes); the network answers a {kind}")
    return logits

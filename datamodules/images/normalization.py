"""How networks want their pixels: x -> (x - mean) / std for each channel of an image in [0, 1]."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

NormalizationName = Literal["imagenet", "inception", "clip", "shapetex", "none"]


class Normalization(NamedTuple):
    """Mean and standard deviation of the channels red, green and blue."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return normalised images of images in [0, 1], (..., 3, H, W) of any floating dtype."""
        mean, std = self._columns(pixels)
        return (pixels - mean) / std

    def denormalize(self, images: Tensor) -> Tensor:
        """Return images in [0, 1] of normalised images, (..., 3, H, W) of any floating dtype."""
        mean, std = self._columns(images)
        return images * std + mean

    def _columns(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values, dtype=images.dtype, device=images.device) for values in self)
        return mean[:, None, None], std[:, None, None]


NORMALIZATIONS: dict[str, Normalization] = {
    "imagenet": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": Normalization((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "shapetex": Normalization((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    "none": Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

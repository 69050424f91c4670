"""Images, boxes and masks brought to the size that a network reads, all by the same map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Array = NDArray[Any]
InterpolationName = Literal["bilinear", "bicubic"]

INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Resize:
    """Map of original pixels to S x S pixels: warped, or scaled alike in both directions and cropped to the centre.

    Cropping is torchvision's evaluation preset (`ImageClassification(crop_size=S, resize_size=R)`), bit for bit.

    Attributes:
        image_size: S, height and width of the result.
        resize_size: R >= S, length of the shorter side before the central S x S pixels are cut out; None warps.
        interpolation: of images, "bilinear" or "bicubic", with antialiasing; masks take the nearest pixel.
    """

    image_size: int
    resize_size: int | None = None
    interpolation: InterpolationName = "bilinear"

    def image(self, image: Image.Image) -> Tensor:
        """Return an RGB image as uint8 (3, S, S)."""
        resized = self._resized(image, INTERPOLATIONS[self.interpolation])
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()

    def mask(self, mask: Array) -> Tensor:
        """Return a mask (height, width) as uint8 (S, S)."""
        resized = self._resized(Image.fromarray(mask.astype(np.uint8)), Image.Resampling.NEAREST)
        return torch.from_numpy(np.array(resized))

    def boxes(self, boxes: Array, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return boxes in pixels of the result, without what the crop cuts off.

        Args:
            boxes: (K, 4), x0, y0, x1, y1, end-exclusive, in pixels of the original image.
            height: of the original image.
            width: of the original image.

        Returns:
            The boxes of which something is left, float32 (k, 4), and which these are, bool (K,).
        """
        scaled_height, scaled_width, top, left = self._frame(height, width)
        scale = np.tile([scaled_width / width, scaled_height / height], 2)
        mapped = np.clip(boxes.reshape(-1, 4) * scale - np.tile([left, top], 2), 0, self.image_size)
        kept = (mapped[:, 0] < mapped[:, 2]) & (mapped[:, 1] < mapped[:, 3])
        return torch.from_numpy(mapped[kept].astype(np.float32)), torch.from_numpy(kept)

    def frame(self, height: int, width: int) -> Tensor:
        """Return what of the original image the result shows: x0, y0, x1, y1 in its pixels, float32 (4,)."""
        scaled_height, scaled_width, top, left = self._frame(height, width)
        window = np.array([left, top, left + self.image_size, top + self.image_size])
        return torch.from_numpy(
            (window * np.tile([width / scaled_width, height / scaled_height], 2)).astype(np.float32)
        )

    def _frame(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return height and width after scaling, and the first row and column that are kept."""
        if self.resize_size is None:
            return self.image_size, self.image_size, 0, 0
        shorter = min(height, width)
        scaled = [int(self.resize_size * side / shorter) for side in (height, width)]
        top, left = (round((side - self.image_size) / 2) for side in scaled)
        return scaled[0], scaled[1], top, left

    def _resized(self, image: Image.Image, resampling: Image.Resampling) -> Image.Image:
        height, width, top, left = self._frame(image.height, image.width)
        resized = image.resize((width, height), resampling)
        return resized.crop((left, top, left + self.image_size, top + self.image_size))

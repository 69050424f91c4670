"""The networks that Eigen-CAM looks into: a small one of its own, and any of torchvision's and timm's by name."""

from __future__ import annotations

from torch import Tensor, nn

import zoo.eigencam.wrapping  # noqa: F401 - registers the networks "torchvision" and "timm"
from zoo.checks import require, require_positive
from zoo.registry import register

POOLED = 2
"""After each of the first so many blocks the image is halved."""


@register("eigencam-cnn")
class SmallCNN(nn.Module):
    """A classifier of small images: convolution, batch norm and ReLU in blocks, a mean over positions, a linear map.

    The image is halved after each of the first two blocks, so that 48 x 48 pixels end as 12 x 12 positions.

    Args:
        num_classes: K, number of logits.
        widths: channels after each block.

    Raises:
        ValueError: a size is not positive, or there is no block.
    """

    def __init__(self, num_classes: int = 6, widths: list[int] | tuple[int, ...] = (24, 48, 64, 64)) -> None:
        super().__init__()
        require_positive(num_classes=num_classes)
        require(len(widths) > 0, "widths", widths, "one or more integers >= 1")
        for width in widths:
            require_positive(widths=width)
        blocks: list[nn.Module] = []
        for number, (before, after) in enumerate(zip((3, *widths), widths, strict=False)):
            blocks += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            if number < POOLED:
                blocks.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images (B, 3, H, W): (B, K)."""
        return self.head(self.features(images).mean((2, 3)))

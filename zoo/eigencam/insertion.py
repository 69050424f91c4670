"""Insertion and deletion (Petsiuk et al., RISE, BMVC 2018): pixels shown or removed in the order of a map."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn.functional import pad
from torchmetrics import Metric

from zoo.checks import require, require_positive
from zoo.eigencam.faithfulness import Network, check_images, confidence
from zoo.eigencam.scoremaps import check_maps, resize_maps

KERNEL, SIGMA = 11, 5


def ranks(maps: Tensor) -> Tensor:
    """Return the place of each pixel by descending value, from 0; of equal ones the first comes first: (B, H, W)."""
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=maps.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).reshape(maps.shape)


def blur(images: Tensor) -> Tensor:
    """Blur normalised images (B, C, H, W) as RISE does: kernel of 11 pixels, sigma 5, the mean colour outside."""
    # RISE blurs a unit impulse that is 11 pixels wide: what would lie outside is reflected, which flattens the kernel.
    kernel = gaussian_filter1d(np.eye(KERNEL)[KERNEL // 2], SIGMA).tolist()
    for _ in range(2):  # along the height, then along the width: a sum of slices stays exact under TF32 and autocast
        size = images.shape[2]
        padded = pad(images, (0, 0, KERNEL // 2, KERNEL // 2))
        images = sum(weight * padded[:, :, i : i + size] for i, weight in enumerate(kernel)).mT
    return images


class InsertionDeletion(Metric):
    """Area under the confidence while pixels are shown (insertion) or removed (deletion) in descending order of a map.

    Every step changes `step` pixels; the softmax probability of the class before, between and after all steps is
    integrated by the trapezoidal rule over the share of changed pixels, in [0, 1], and averaged over images.

        insertion   from the blurred image to the image: more is better
        deletion    from the image to zero, the mean colour of normalised images: less is better

    Args:
        step: pixels per step; one row of the image if None, which is the published 224 for images of 224 x 224.
        batch_size: images per forward pass.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    full_state_update = False

    insertion: Tensor
    deletion: Tensor
    total: Tensor

    def __init__(self, step: int | None = None, batch_size: int = 64) -> None:
        super().__init__()
        require(step is None or (type(step) is int and step >= 1), "step", step, "an integer >= 1, or None")
        require_positive(batch_size=batch_size)
        self.step = step
        self.batch_size = batch_size
        for name in ("insertion", "deletion"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, network: Network, images: Tensor, maps: Tensor, classes: Tensor) -> None:
        """Add a batch.

        Args:
            network: images (B, C, H, W) to logits (B, classes), in evaluation mode.
            images: (B, C, H, W), normalised for the network.
            maps: (B, h, w), of any scale; resized to the images.
            classes: (B,) int64, whose confidence is meant: usually the predicted one.

        Raises:
            ValueError: maps are not finite, or see `check_images` and `confidence`.
        """
        check_maps(maps)
        check_images(images, maps, classes)
        height, width = images.shape[2:]
        places = ranks(resize_maps(maps, (height, width)))
        for name, start, end in (
            ("insertion", blur(images), images),
            ("deletion", images, torch.zeros_like(images)),
        ):
            curve = self._curve(network, start, end, places, classes)
            area = (curve.sum(0) - (curve[0] + curve[-1]) / 2) / (len(curve) - 1)
            setattr(self, name, getattr(self, name) + area.sum())
        self.total = self.total + len(images)

    def _curve(self, network: Network, start: Tensor, end: Tensor, places: Tensor, classes: Tensor) -> Tensor:
        """Return the confidences after 0, 1, .. steps from start to end, (steps + 1, B)."""
        step = self.step or places.shape[2]
        changed = step * torch.arange(-(-places[0].numel() // step) + 1, device=places.device)
        parts = []
        # As many steps at once as fill a batch.
        for counts in changed.split(max(1, self.batch_size // len(start))):
            is_end = places < counts[:, None, None, None]
            views = torch.where(is_end[:, :, None], end, start).flatten(0, 1)
            parts.append(confidence(network, views, classes.repeat(len(counts)), self.batch_size))
        return torch.cat(parts).reshape(len(changed), -1)

    def compute(self) -> dict[str, Tensor]:
        """Return mean areas, in [0, 1], by name; NaN without images."""
        return {"insertion": self.insertion / self.total, "deletion": self.deletion / self.total}

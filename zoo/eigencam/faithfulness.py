"""Does a map show what the network's decision rests on? How far the confidence changes when only that is kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.checks import require, require_positive
from zoo.eigencam.scoremaps import check_unit_maps, resize_maps

Network = Callable[[Tensor], Tensor]


def check_images(images: Tensor, maps: Tensor, classes: Tensor) -> None:
    """Raise a ValueError unless images (B, C, H, W), maps (B, ...) and classes (B,) int64 belong together."""
    require(images.ndim == 4 and len(images) > 0, "images", tuple(images.shape), "a tensor of shape (B, C, H, W)")
    require(len(maps) == len(images), "maps", tuple(maps.shape), f"{len(images)} maps, one of each image")
    fits = classes.shape == (len(images),) and classes.dtype == torch.int64
    require(fits, "classes", (tuple(classes.shape), classes.dtype), f"{len(images)} classes, int64")


def confidence(network: Network, images: Tensor, classes: Tensor, batch_size: int) -> Tensor:
    """Return the softmax probability of one class of each image, (B,) float64.

    Args:
        network: images (B, C, H, W) to logits (B, classes), in evaluation mode.
        images: as the network takes them.
        classes: (B,) int64.
        batch_size: images per forward pass.

    Raises:
        ValueError: the network is in training mode, where its answer would depend on the batch; its output is no
            logits; or a class is not among them.
    """
    training = isinstance(network, nn.Module) and network.training
    require(not training, "network", "a module in training mode", "one in evaluation mode: network.eval()")
    logits = torch.cat([network(part) for part in images.split(batch_size)])
    require(logits.ndim == 2, "network", f"output of shape {tuple(logits.shape)}", "logits of shape (B, classes)")
    known = bool(((classes >= 0) & (classes < logits.shape[1])).all())
    require(known, "classes", classes.tolist(), f"numbers from 0 to {logits.shape[1] - 1}")
    return logits.double().softmax(1).gather(1, classes[:, None])[:, 0]


def confidence_drop(before: Tensor, after: Tensor) -> Tensor:
    """Return the share of the confidence that is lost, max(0, before - after) / before, in [0, 1]."""
    return (before - after).clamp(min=0) / before.clamp(min=torch.finfo(before.dtype).tiny)


def masked_images(images: Tensor, maps: Tensor) -> Tensor:
    """Return normalised images times heatmaps (B, h, w), which are resized: where the map is 0, the mean colour."""
    height, width = images.shape[2:]
    return images * resize_maps(maps.to(images.dtype), (height, width))[:, None]


class AverageDrop(Metric):
    """Average drop and increase of the confidence when only what the map shows is kept (Grad-CAM++, WACV 2018).

    With p the softmax probability of a class for an image x, and p' that for the normalised image times the heatmap:

        average_drop        mean of max(0, p - p') / p, less is better; papers print percent
        average_increase    share of images with p' > p, more is better
        absolute_drop       mean of max(0, p - p'): what `grad-cam` calls drop in confidence, not divided by p

    Args:
        batch_size: images per forward pass.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    full_state_update = False

    drop: Tensor
    increase: Tensor
    absolute: Tensor
    total: Tensor

    def __init__(self, batch_size: int = 64) -> None:
        super().__init__()
        require_positive(batch_size=batch_size)
        self.batch_size = batch_size
        for name in ("drop", "absolute"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("increase", "total"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, network: Network, images: Tensor, maps: Tensor, classes: Tensor) -> None:
        """Add a batch.

        Args:
            network: images (B, C, H, W) to logits (B, classes), in evaluation mode.
            images: (B, C, H, W), normalised for the network.
            maps: heatmaps (B, h, w) in [0, 1]; resized to the images.
            classes: (B,) int64, whose confidence is meant: usually the predicted one.

        Raises:
            ValueError: maps are not in [0, 1], or see `check_images` and `confidence`.
        """
        check_unit_maps(maps)
        check_images(images, maps, classes)
        before = confidence(network, images, classes, self.batch_size)
        after = confidence(network, masked_images(images, maps), classes, self.batch_size)
        self.drop = self.drop + confidence_drop(before, after).sum()
        self.absolute = self.absolute + (before - after).clamp(min=0).sum()
        self.increase = self.increase + (after > before).sum()
        self.total = self.total + len(images)

    def compute(self) -> dict[str, Tensor]:
        """Return means over images, in [0, 1], by name; NaN without images."""
        return {
            "average_drop": self.drop / self.total,
            "average_increase": self.increase.double() / self.total,
            "absolute_drop": self.absolute / self.total,
        }

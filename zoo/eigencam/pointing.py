"""Does a map point at the object? By its maximum, and by the share of its mass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchmetrics import Metric

from zoo.checks import require, require_choice
from zoo.eigencam.boxes import check_boxes, check_size, rasterize, valid_boxes
from zoo.eigencam.scoremaps import check_maps, check_masks, resize_maps, unit_maps

Target = Literal["boxes", "masks"]
TARGETS = ("boxes", "masks")

# Resizing repeats values at the border, up to rounding, which must not decide where the maximum is.
SAME = 1e-6
"""Values as close to the maximum as this share of the map's range are maxima, too."""


def _object_masks(
    target: Target,
    maps: Tensor,
    boxes: Tensor | None,
    num_boxes: Tensor | None,
    image_size: Sequence[int] | None,
    masks: Tensor | None,
) -> Tensor:
    """Return the masks of the objects, (B, H, W): 0 background, 1 object, 255 ignored."""
    if target == "masks":
        if masks is None:
            raise ValueError("masks=None is not allowed with target='masks'; give masks")
        check_masks(masks, maps)
        return masks
    if boxes is None or num_boxes is None or image_size is None:
        raise ValueError("target='boxes' needs boxes, num_boxes and image_size; give all three")
    check_boxes(boxes, num_boxes, maps)
    return rasterize(boxes, valid_boxes(boxes, num_boxes), check_size("image_size", image_size))


class PointingGame(Metric):
    """Pointing game (Zhang et al., ECCV 2016): share of maps whose maximum lies on the object.

    A map is resized to the image. Of several maxima, to within a millionth of the map's range, the first in reading
    order counts; it hits if it lies on a pixel of the object, or at most `tolerance` pixels away from one. Ignored
    pixels of masks are no object, and the maximum is looked for outside of them.

    Args:
        target: what the object is given by, "boxes" or "masks".
        tolerance: in pixels of the image, >= 0; the original game allows 15.
        num_classes: if given, the game is played once for each class present in an image, and the result is the mean
            over classes of the shares, as the original's for PASCAL VOC. Only with target "boxes".

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    hits: Tensor
    total: Tensor

    def __init__(self, target: Target = "boxes", tolerance: float = 0.0, num_classes: int | None = None) -> None:
        super().__init__()
        require_choice("target", target, TARGETS)
        require(tolerance >= 0, "tolerance", tolerance, "a number >= 0")
        allowed = "an integer >= 1 with target='boxes', or None"
        classes = num_classes is None or (type(num_classes) is int and num_classes >= 1 and target == "boxes")
        require(classes, "num_classes", num_classes, allowed)
        self.target: Target = target
        self.tolerance = tolerance
        self.num_classes = num_classes
        for name in ("hits", "total"):
            self.add_state(name, torch.zeros(num_classes or 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        maps: Tensor,
        boxes: Tensor | None = None,
        num_boxes: Tensor | None = None,
        image_size: Sequence[int] | None = None,
        masks: Tensor | None = None,
        box_labels: Tensor | None = None,
    ) -> None:
        """Add a batch.

        Args:
            maps: (B, h, w). For maps of one class each, give only the boxes of that class.
            boxes: (B, K, 4), in pixels of the image; for target "boxes".
            num_boxes: (B,), how many of the K are boxes, at least one; for target "boxes".
            image_size: height and width of the image; for target "boxes".
            masks: (B, H, W), 0 background, 1 object, 255 ignored; for target "masks".
            box_labels: class of each box, (B, K) int64; for `num_classes`.

        Raises:
            ValueError: maps are not finite, boxes are empty, shapes do not fit, or something needed is missing.
        """
        check_maps(maps)
        objects = _object_masks(self.target, maps, boxes, num_boxes, image_size, masks)
        classes = torch.zeros(len(maps), dtype=torch.int64, device=maps.device)
        if self.num_classes is not None:
            assert boxes is not None and num_boxes is not None  # `_object_masks` saw to it
            if box_labels is None or box_labels.shape != boxes.shape[:2]:
                raise ValueError(f"num_classes={self.num_classes} needs box_labels of shape {tuple(boxes.shape[:2])}")
            # One game for each image and class.
            valid = valid_boxes(boxes, num_boxes)
            of_class = one_hot(box_labels.where(valid, 0), self.num_classes).bool() & valid[..., None]
            image, classes = of_class.any(1).nonzero(as_tuple=True)
            maps = maps[image]
            objects = rasterize(boxes[image], of_class[image, :, classes], objects.shape[1:])
        games = one_hot(classes, len(self.total))
        self.hits = self.hits + games[self._hits(maps, objects)].sum(0)
        self.total = self.total + games.sum(0)

    def _hits(self, maps: Tensor, objects: Tensor) -> Tensor:
        height, width = objects.shape[1:]
        values = resize_maps(unit_maps(maps), (height, width)).masked_fill(objects == 255, -torch.inf)
        maxima = values >= values.amax((1, 2), keepdim=True) - SAME
        position = maxima.flatten(1).byte().argmax(1)[:, None, None]
        rows = torch.arange(height, device=maps.device)[:, None] - position // width
        columns = torch.arange(width, device=maps.device) - position % width
        near = rows.square() + columns.square() <= self.tolerance**2
        return (near & (objects == 1)).flatten(1).any(1)

    def compute(self) -> Tensor:
        """Return the share of hits, in [0, 1], or its mean over the classes that occurred; NaN without images."""
        played = self.total > 0
        return (self.hits[played] / self.total[played].double()).mean()


class EnergyPointing(Metric):
    """Energy-based pointing game (Wang et al., Score-CAM, CVPRW 2020): share of a map's sum that lies on the object.

    A map is resized to the image; the result is the mean over images. A map that is 0 everywhere has share 0. Ignored
    pixels of masks count neither in the part nor in the whole.

    Args:
        target: what the object is given by, "boxes" or "masks".

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    share: Tensor
    total: Tensor

    def __init__(self, target: Target = "boxes") -> None:
        super().__init__()
        require_choice("target", target, TARGETS)
        self.target: Target = target
        self.add_state("share", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        maps: Tensor,
        boxes: Tensor | None = None,
        num_boxes: Tensor | None = None,
        image_size: Sequence[int] | None = None,
        masks: Tensor | None = None,
    ) -> None:
        """Add a batch.

        Args:
            maps: (B, h, w), >= 0.
            boxes: (B, K, 4), in pixels of the image; for target "boxes".
            num_boxes: (B,), how many of the K are boxes, at least one; for target "boxes".
            image_size: height and width of the image; for target "boxes".
            masks: (B, H, W), 0 background, 1 object, 255 ignored; for target "masks".

        Raises:
            ValueError: maps are not finite or negative somewhere, boxes are empty, shapes do not fit, or something
                needed is missing.
        """
        check_maps(maps)
        require(bool((maps >= 0).all()), "maps", "negative somewhere", "maps >= 0: scale or rectify them first")
        objects = _object_masks(self.target, maps, boxes, num_boxes, image_size, masks)
        height, width = objects.shape[1:]
        values = resize_maps(maps.double(), (height, width)).masked_fill(objects == 255, 0.0)
        whole = values.sum((1, 2))
        part = (values * (objects == 1)).sum((1, 2))
        self.share = self.share + (part / torch.where(whole > 0, whole, 1.0)).sum()
        self.total = self.total + len(maps)

    def compute(self) -> Tensor:
        """Return the mean share, in [0, 1]; NaN without images."""
        return self.share / self.total

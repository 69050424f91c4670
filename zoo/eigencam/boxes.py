"""Boxes around the objects of a map: what is above a threshold, its contours, and overlaps with true boxes.

Boxes are x0, y0, x1, y1 in pixels. Everywhere in the zoo they are end-exclusive: x1 = last pixel + 1. Two overlaps are
in use in the field:

    end-exclusive   width = x1 - x0         the geometric one
    inclusive       width = x1 - x0 + 1     that of the protocol of Choe et al. (CVPR 2020), which takes x1, y1 as part
                                            of the box although its predictions (OpenCV's x + w, y + h) lie one beyond
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo.checks import require
from zoo.eigencam.scoremaps import check_maps

Contours = Literal["external", "tree"]
CONTOURS = ("external", "tree")

THRESHOLDS = np.arange(0, 1, 0.001)
"""Fractions of a map's maximum at which the protocol of Choe et al. cuts it."""

# Boxes come as float32, where 61 * (224 / 427) = 32 would be truncated to 31. Fractions of scaled whole pixels are
# larger than this in images up to 10000 pixels wide.
TRUNCATION_GUARD = 1e-4


def check_boxes(boxes: Tensor, num_boxes: Tensor, maps: Tensor) -> None:
    """Raise a ValueError unless each map has at least one box, and no box is empty.

    Args:
        boxes: (B, K, 4), padded.
        num_boxes: (B,), how many of the K are boxes.
        maps: (B, h, w).
    """
    batch = len(maps)
    shaped = boxes.ndim == 3 and len(boxes) == batch and boxes.shape[-1] == 4
    require(shaped, "boxes", tuple(boxes.shape), f"a tensor of shape ({batch}, K, 4)")
    require(num_boxes.shape == (batch,), "num_boxes", tuple(num_boxes.shape), f"a tensor of shape ({batch},)")
    counted = bool(((num_boxes >= 1) & (num_boxes <= boxes.shape[1])).all())
    require(counted, "num_boxes", num_boxes.tolist(), f"numbers between 1 and {boxes.shape[1]}: each map needs a box")
    broken = valid_boxes(boxes, num_boxes) & ~((boxes[..., 2:] > boxes[..., :2]).all(-1) & (boxes >= 0).all(-1))
    require(not bool(broken.any()), "boxes", boxes[broken].tolist()[:3], "0 <= x0 < x1 and 0 <= y0 < y1")


def check_size(name: str, size: Sequence[int]) -> tuple[int, int]:
    """Return height and width as a tuple; raise a ValueError unless they are two positive numbers."""
    require(len(size) == 2 and min(size) > 0, name, size, "height and width > 0")
    height, width = size
    return int(height), int(width)


def valid_boxes(boxes: Tensor, num_boxes: Tensor) -> Tensor:
    """Tell boxes from padding: (B, K)."""
    return torch.arange(boxes.shape[1], device=boxes.device) < num_boxes[:, None]


def box_iou(first: Tensor, second: Tensor, inclusive: bool = False) -> Tensor:
    """Return intersection over union of all pairs of boxes: (..., M, 4) and (..., K, 4) to (..., M, K) float64.

    Args:
        first: boxes.
        second: boxes.
        inclusive: x1, y1 belong to the box, so that its width is x1 - x0 + 1; otherwise they are its end. Boxes without
            area overlap by 0.
    """
    one = 1.0 if inclusive else 0.0
    first, second = first.double().unsqueeze(-2), second.double().unsqueeze(-3)
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    overlap = (high - low + one).clamp(min=0).prod(-1)
    union = sum((box[..., 2:] - box[..., :2] + one).prod(-1) for box in (first, second)) - overlap
    return torch.where(union > 0, overlap / union, 0.0)


def scale_boxes(boxes: Tensor, image_size: Sequence[int], size: Sequence[int]) -> Tensor:
    """Scale boxes with an image that is resized without keeping its aspect.

    Args:
        boxes: (..., 4), in pixels of the image.
        image_size: height and width of the image.
        size: height and width it is resized to.

    Returns:
        (..., 4) float64.

    Raises:
        ValueError: a size is not positive.
    """
    sizes = (check_size("size", size), check_size("image_size", image_size))
    new, old = torch.tensor([(width, height) * 2 for height, width in sizes], device=boxes.device)
    return boxes.double() * new / old


def truncate_boxes(boxes: Tensor) -> Tensor:
    """Round coordinates >= 0 down to whole pixels, as the protocol of Choe et al. does."""
    return (boxes + TRUNCATION_GUARD).floor()


def rasterize(boxes: Tensor, valid: Tensor, size: Sequence[int]) -> Tensor:
    """Return masks of the pixels whose centres lie in a box: (B, *size) uint8.

    Args:
        boxes: (B, K, 4).
        valid: which of them are boxes and no padding, (B, K) bool.
        size: height and width of the masks.
    """
    inside = []
    for axis in (0, 1):
        centres = torch.arange(size[1 - axis], device=boxes.device) + 0.5
        inside.append((boxes[..., axis, None] <= centres) & (centres < boxes[..., axis + 2, None]))
    columns, rows = inside
    # A product counts the boxes over each pixel without holding a mask of each box.
    return ((rows & valid[..., None]).float().mT @ columns.float() > 0).byte()


def contour_boxes(mask: np.ndarray, contours: Contours = "external") -> tuple[np.ndarray, int]:
    """Return the boxes of the 8-connected parts of a mask, by OpenCV's contours.

    Args:
        mask: (H, W) uint8, not 0 where an object is.
        contours: "external" for outer contours; "tree" for those of holes, and of what lies in holes, too.

    Returns:
        Boxes (n, 4) int64, end-exclusive, one 0, 0, 0, 0 if the mask is empty; and the index of that whose contour
        encloses the largest area, which is measured between pixel centres.
    """
    import cv2

    hierarchy = cv2.RETR_EXTERNAL if contours == "external" else cv2.RETR_TREE
    found, _ = cv2.findContours(mask, hierarchy, cv2.CHAIN_APPROX_SIMPLE)
    if not found:
        return np.zeros((1, 4), dtype=np.int64), 0
    largest = 0 if len(found) == 1 else max(range(len(found)), key=lambda index: cv2.contourArea(found[index]))
    boxes = np.array([cv2.boundingRect(contour) for contour in found], dtype=np.int64)
    boxes[:, 2:] += boxes[:, :2]
    return boxes, largest


def largest_boxes(maps: Tensor, tau: float) -> Tensor:
    """Return the box of the largest contour of each map above a fraction of its maximum.

    Args:
        maps: (B, h, w); the fraction means something for maps that start at 0, for instance heatmaps.
        tau: a pixel belongs to the object if it is above tau times the maximum.

    Returns:
        (B, 4) float32, end-exclusive, in pixels of the map; 0, 0, 0, 0 for a map without positive values.

    Raises:
        ValueError: maps are not (B, h, w) or not finite, or tau is not in [0, 1).
    """
    check_maps(maps)
    require(0 <= tau < 1, "tau", tau, "a number in [0, 1)")
    above = maps > tau * maps.amax((1, 2), keepdim=True).clamp(min=0)
    boxes = []
    for mask in above.cpu().numpy().view(np.uint8):
        candidates, largest = contour_boxes(mask)
        boxes.append(candidates[largest])
    return torch.from_numpy(np.array(boxes, dtype=np.float32).reshape(-1, 4)).to(maps.device)


class ThresholdedBoxes:
    """Boxes of one 8-bit map at all of `THRESHOLDS`: at most 255 of the 1000 masks differ.

    Args:
        scoremap: (H, W) uint8.
        contours: see `contour_boxes`.

    Attributes:
        boxes: of all distinct masks, (n, 4) int64, end-exclusive but not beyond the last pixel, as the protocol has it.
    """

    def __init__(self, scoremap: np.ndarray, contours: Contours = "external") -> None:
        import cv2

        levels = (THRESHOLDS * scoremap.max()).astype(np.int64)
        values = np.flatnonzero(np.bincount(scoremap.ravel(), minlength=256))
        # Masks differ where the number of grey values up to the level does.
        rank = np.searchsorted(values, levels, side="right")
        _, representative, self._mask_of_threshold = np.unique(rank, return_index=True, return_inverse=True)
        masks = (cv2.threshold(scoremap, level, 255, cv2.THRESH_BINARY)[1] for level in levels[representative].tolist())
        found = [contour_boxes(mask, contours) for mask in masks]
        self._start = np.cumsum([0] + [len(boxes) for boxes, _ in found])[:-1]
        self._largest = self._start + [largest for _, largest in found]
        self.boxes = np.concatenate([boxes for boxes, _ in found])
        self.boxes[:, 2:] = np.minimum(self.boxes[:, 2:], np.array(scoremap.shape[::-1]) - 1)

    def of_largest(self, score: np.ndarray) -> np.ndarray:
        """Return a score (n,) of boxes for the largest contour at each threshold, (1000,)."""
        return score[self._largest][self._mask_of_threshold]

    def best(self, score: np.ndarray) -> np.ndarray:
        """Return the best score (n,) of all contours at each threshold, (1000,)."""
        return np.maximum.reduceat(score, self._start)[self._mask_of_threshold]

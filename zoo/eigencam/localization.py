"""Does the box of a map fit the object? Accuracies of weakly supervised localisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.checks import require, require_choice
from zoo.eigencam.boxes import (
    CONTOURS,
    THRESHOLDS,
    Contours,
    ThresholdedBoxes,
    box_iou,
    check_boxes,
    check_size,
    largest_boxes,
    scale_boxes,
    truncate_boxes,
    valid_boxes,
)
from zoo.eigencam.scoremaps import check_maps, resize_maps, unit_maps


class MaxBoxAcc(Metric):
    """MaxBoxAcc and MaxBoxAccV2 (Choe et al., CVPR 2020 and TPAMI 2022): box accuracy at the best threshold.

    A map is scaled to [0, 1], resized to a square, cut to 8 bits, and thresholded at int(tau * maximum) for tau = 0,
    .001, .. .999. True boxes are scaled to the square and truncated to whole pixels. Overlaps are inclusive ones, of
    predicted boxes x, y, x + w, y + h clipped to the last pixel and of true boxes x0, y0, x1, y1 as given.

        max_box_acc             share of images where the box of the largest contour overlaps a true one by IoU >= 0.5,
                                at the best tau of all images together
        max_box_acc_tau         that tau, the first if several are best
        max_box_acc_v2_iou30    (and 50, 70): the same with IoU >= 0.3 .. if any contour's box counts
        max_box_acc_v2          mean of these three

    Args:
        resolution: side of the square in pixels; None to keep the size of the maps.
        contours: candidates of V2: "external" for outer contours; "tree" to count those of holes and of what lies in
            holes too, as the published evaluation does.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    IOU_THRESHOLDS = (0.3, 0.5, 0.7)

    correct: Tensor
    correct_v2: Tensor
    total: Tensor

    def __init__(self, resolution: int | None = 224, contours: Contours = "external") -> None:
        super().__init__()
        allowed = "an integer >= 1, or None"
        require(resolution is None or (type(resolution) is int and resolution >= 1), "resolution", resolution, allowed)
        require_choice("contours", contours, CONTOURS)
        self.resolution = resolution
        self.contours = contours
        steps = len(THRESHOLDS)
        self.add_state("correct", torch.zeros(steps, dtype=torch.int64), dist_reduce_fx="sum")
        counts = torch.zeros(len(self.IOU_THRESHOLDS), steps, dtype=torch.int64)
        self.add_state("correct_v2", counts, dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, maps: Tensor, boxes: Tensor, num_boxes: Tensor, image_size: Sequence[int]) -> None:
        """Add a batch.

        Args:
            maps: (B, h, w), raw or heatmaps: they are scaled here.
            boxes: (B, K, 4), in pixels of the image.
            num_boxes: (B,), how many of the K are boxes, at least one.
            image_size: height and width of the image that boxes are given in.

        Raises:
            ValueError: maps are not finite, boxes are empty, or shapes do not fit.
        """
        check_maps(maps)
        check_boxes(boxes, num_boxes, maps)
        height, width = maps.shape[1:]
        size = (height, width) if self.resolution is None else (self.resolution, self.resolution)
        scoremaps = (resize_maps(unit_maps(maps), size) * 255).byte().cpu().numpy()
        targets = truncate_boxes(scale_boxes(boxes, image_size, size)).cpu()
        correct, correct_v2 = np.zeros(self.correct.shape, np.int64), np.zeros(self.correct_v2.shape, np.int64)
        for scoremap, target, count in zip(scoremaps, targets, num_boxes.tolist(), strict=True):
            candidates = ThresholdedBoxes(scoremap, self.contours)
            iou = box_iou(torch.from_numpy(candidates.boxes), target[:count], inclusive=True).amax(1).numpy()
            correct += candidates.of_largest(iou) >= 0.5
            correct_v2 += candidates.best(iou) >= np.array(self.IOU_THRESHOLDS)[:, None]
        self.correct = self.correct + torch.from_numpy(correct).to(self.correct.device)
        self.correct_v2 = self.correct_v2 + torch.from_numpy(correct_v2).to(self.correct_v2.device)
        self.total = self.total + len(maps)

    def compute(self) -> dict[str, Tensor]:
        """Return accuracies, in [0, 1], and the best threshold by name; NaN without images."""
        best, index = self.correct.max(0)
        v2 = self.correct_v2.amax(1).double() / self.total
        return {
            "max_box_acc": best.double() / self.total,
            "max_box_acc_tau": torch.from_numpy(THRESHOLDS).to(index.device)[index],
            "max_box_acc_v2": v2.mean(),
        } | {f"max_box_acc_v2_iou{iou * 100:.0f}": v2[i] for i, iou in enumerate(self.IOU_THRESHOLDS)}


class LocalizationAccuracy(Metric):
    """Accuracy of boxes at a fixed threshold, with the class counted too: the classical ILSVRC numbers.

    The box is that of the largest contour above `tau` times the maximum, after the map has been scaled to [0, 1] and
    resized to the image. It is right if it overlaps a true box by IoU >= `iou_threshold`, end-exclusively.

        gt_known    share of images whose box is right
        loc1        and the class of largest logit is, too
        loc5        and one of the five classes of largest logit is, too: a class-agnostic map has one box for all five

    Localisation errors, as papers print them, are 1 - loc1 and 1 - loc5.

    Args:
        tau: threshold; 0.15 is Grad-CAM's.
        iou_threshold: least overlap.
        top: how many classes may be tried, a localisation accuracy for each number; none for `gt_known` alone.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    correct: Tensor
    total: Tensor

    def __init__(self, tau: float = 0.15, iou_threshold: float = 0.5, top: Sequence[int] = (1, 5)) -> None:
        super().__init__()
        require(0 <= tau < 1, "tau", tau, "a number in [0, 1)")
        require(0 < iou_threshold <= 1, "iou_threshold", iou_threshold, "a number in (0, 1]")
        require(all(type(k) is int and k >= 1 for k in top), "top", top, "integers >= 1")
        self.tau = tau
        self.iou_threshold = iou_threshold
        self.top = tuple(top)
        self.add_state("correct", torch.zeros(1 + len(self.top), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        maps: Tensor,
        boxes: Tensor,
        num_boxes: Tensor,
        image_size: Sequence[int],
        logits: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> None:
        """Add a batch.

        Args:
            maps: (B, h, w), raw or heatmaps: they are scaled here.
            boxes: (B, K, 4), in pixels of the image.
            num_boxes: (B,), how many of the K are boxes, at least one.
            image_size: height and width of the image that boxes are given in.
            logits: (B, classes); needed unless `top` is empty.
            labels: true classes (B,) int64; needed unless `top` is empty.

        Raises:
            ValueError: maps are not finite, boxes are empty, shapes do not fit, or classes are needed and missing.
        """
        check_maps(maps)
        check_boxes(boxes, num_boxes, maps)
        predicted = largest_boxes(resize_maps(unit_maps(maps), check_size("image_size", image_size)), self.tau)
        iou = box_iou(predicted[:, None], boxes)[:, 0]
        found = (iou.masked_fill(~valid_boxes(boxes, num_boxes), 0.0) >= self.iou_threshold).any(1)
        counts = [found]
        if self.top:
            if logits is None or labels is None:
                raise ValueError(f"top={self.top} needs logits and labels; give both, or top=()")
            fits = logits.ndim == 2 and len(logits) == len(maps) and labels.shape == (len(maps),)
            shapes = f"{tuple(logits.shape)} and {tuple(labels.shape)}"
            require(fits, "logits and labels", shapes, f"shapes ({len(maps)}, classes) and ({len(maps)},)")
            ranked = logits.argsort(dim=1, descending=True, stable=True)
            hit = ranked == labels[:, None]
            counts += [found & hit[:, :k].any(1) for k in self.top]
        self.correct = self.correct + torch.stack(counts).sum(1).to(self.correct.device)
        self.total = self.total + len(maps)

    def compute(self) -> dict[str, Tensor]:
        """Return accuracies, in [0, 1], by name; NaN without images."""
        names = ["gt_known", *(f"loc{k}" for k in self.top)]
        return dict(zip(names, self.correct.double() / self.total, strict=True))

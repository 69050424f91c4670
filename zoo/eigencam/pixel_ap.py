"""How well does a map rank the pixels of objects? Average precision over all pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.eigencam.boxes import THRESHOLDS
from zoo.eigencam.scoremaps import check_maps, check_masks, resize_maps, unit_maps


class PixelAP(Metric):
    """PxAP (Choe et al., CVPR 2020): area under the precision-recall curve of the pixels of all images together.

    Maps are scaled to [0, 1] and resized to the masks. A pixel is predicted to be of an object if its value is at least
    tau = 0, .001, .. .999, 1; the area is sum_k (recall_k - recall_{k-1}) precision_k with descending tau, as
    in scikit-learn's average precision. Pixels marked 255 are dropped.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    objects: Tensor
    backgrounds: Tensor

    def __init__(self) -> None:
        super().__init__()
        # One bin more for maps that attain 1.
        for name in ("objects", "backgrounds"):
            self.add_state(name, torch.zeros(len(THRESHOLDS) + 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, maps: Tensor, masks: Tensor) -> None:
        """Add a batch.

        Args:
            maps: (B, h, w), raw or heatmaps: they are scaled here.
            masks: (B, H, W), 0 background, 1 object, 255 ignored.

        Raises:
            ValueError: maps are not finite, masks hold other values, or shapes do not fit.
        """
        check_maps(maps)
        check_masks(masks, maps)
        height, width = masks.shape[1:]
        values = resize_maps(unit_maps(maps), (height, width))
        edges = torch.from_numpy(THRESHOLDS).to(values.device)
        # Values in [edge_k-1, edge_k) fall into bin k-1; what attains 1 has a bin of its own.
        bins = torch.where(values >= 1, len(THRESHOLDS), torch.bucketize(values, edges, right=True) - 1)
        for state, value in (("objects", 1), ("backgrounds", 0)):
            histogram = bins[masks == value].bincount(minlength=len(THRESHOLDS) + 1)
            setattr(self, state, getattr(self, state) + histogram)

    def compute(self) -> Tensor:
        """Return the average precision, in [0, 1]; NaN if no pixel belongs to an object."""
        true = self.objects.flip(0).cumsum(0)
        predicted = true + self.backgrounds.flip(0).cumsum(0)
        precision = true.double() / predicted.clamp(min=1)
        return (precision * self.objects.flip(0)).sum() / self.objects.sum()

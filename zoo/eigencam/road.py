"""ROAD, remove and debias (Rong et al., ICML 2022): confidence after pixels were removed without a trace."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.checks import require, require_positive
from zoo.eigencam.faithfulness import Network, check_images, confidence
from zoo.eigencam.imputation import impute
from zoo.eigencam.insertion import ranks
from zoo.eigencam.scoremaps import check_maps, resize_maps

PERCENTILES = tuple(range(10, 100, 10))

NOISE = 0.01
"""Standard deviation of the noise on filled pixels, in units of the normalised image."""


def check_percentiles(percentiles: Sequence[int]) -> None:
    """Raise a ValueError unless there are percentages, integers from 1 to 99."""
    allowed = len(percentiles) > 0 and all(type(p) is int and 1 <= p <= 99 for p in percentiles)
    require(allowed, "percentiles", percentiles, "one or more integers from 1 to 99")


def removed_count(pixels: int, percent: int) -> int:
    """Return how many of n pixels are at or above the (100 - percent)-th percentile, if no two are equal."""
    return pixels + (pixels - 1) * (percent - 100) // 100


def road_changes(
    network: Network,
    images: Tensor,
    maps: Tensor,
    classes: Tensor,
    percentiles: Sequence[int],
    seed: int,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Return the mean changes of confidence, most and least relevant pixels removed first: (B,) float64 each.

    See `ROAD` for the arguments.
    """
    height, width = images.shape[2:]
    places = ranks(resize_maps(maps, (height, width)))
    # One field for all images: no result depends on the batches, or on how many processes share the images.
    noise = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(seed)).to(images) * NOISE
    precise = torch.promote_types(images.dtype, torch.float32)
    before = confidence(network, images, classes, batch_size)
    changes = []
    for order in (places, height * width - 1 - places):
        change = torch.zeros_like(before)
        for percent in percentiles:
            removed = order < removed_count(height * width, percent)
            filled = impute(images.to(precise), removed).to(images.dtype) + removed[:, None] * noise
            change = change + confidence(network, filled, classes, batch_size) - before
        changes.append(change / len(percentiles))
    return changes[0], changes[1]


class ROAD(Metric):
    """Change of the confidence when p % of the pixels are removed, most or least relevant first, mean over p.

    Removed pixels are filled from their surroundings, see `zoo.eigencam.imputation`, and get noise of N(0, 0.01^2) in
    units of the normalised image, so that the network cannot see where they were. With p the softmax probability of the
    class:

        road_morf   mean of p after - p before, most relevant pixels removed: negative for good maps
        road_lerf   the same, least relevant pixels removed: near 0 for good maps
        road        (road_lerf - road_morf) / 2, more is better

    As many pixels are removed as lie at or above the (100 - p)-th percentile of a map without equal values; of equal
    values the first pixels count as more relevant. (`grad-cam` removes all or none of them, and all of the image where
    the percentile is the map's minimum.)

    Args:
        percentiles: percentages p, integers from 1 to 99.
        seed: of the noise.
        batch_size: images per forward pass.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    morf: Tensor
    lerf: Tensor
    total: Tensor

    def __init__(self, percentiles: Sequence[int] = PERCENTILES, seed: int = 0, batch_size: int = 64) -> None:
        super().__init__()
        check_percentiles(percentiles)
        require_positive(batch_size=batch_size)
        self.percentiles = tuple(percentiles)
        self.seed = seed
        self.batch_size = batch_size
        for name in ("morf", "lerf"):
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
        morf, lerf = road_changes(network, images, maps, classes, self.percentiles, self.seed, self.batch_size)
        self.morf = self.morf + morf.sum()
        self.lerf = self.lerf + lerf.sum()
        self.total = self.total + len(images)

    def compute(self) -> dict[str, Tensor]:
        """Return means over images by name; NaN without images."""
        morf, lerf = self.morf / self.total, self.lerf / self.total
        return {"road": (lerf - morf) / 2, "road_morf": morf, "road_lerf": lerf}

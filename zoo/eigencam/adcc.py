"""One number for a map: the harmonic mean of its coherency, its simplicity and its faithfulness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.checks import require_positive
from zoo.eigencam.faithfulness import Network, check_images, confidence, confidence_drop, masked_images
from zoo.eigencam.heatmaps import correlation
from zoo.eigencam.road import check_percentiles, road_changes
from zoo.eigencam.scoremaps import check_maps, check_unit_maps, resize_maps

Explain = Callable[[Tensor], Tensor]


def complexity(maps: Tensor) -> Tensor:
    """Return the mean absolute value of each heatmap (B, h, w), (B,) float64: how much of the image it shows."""
    return maps.double().abs().mean((1, 2))


def coherency(maps: Tensor, maps_of_masked: Tensor) -> Tensor:
    """Return (1 + Pearson correlation) / 2 of each map with that of the masked image, (B,) float64 in [0, 1].

    Args:
        maps: (B, h, w).
        maps_of_masked: maps of the images times `maps`, (B, h, w). The correlation with a constant map counts as 0.
    """
    return ((1 + correlation(maps.double(), maps_of_masked.double())) / 2).clamp(0, 1)


def harmonic_mean(*shares: Tensor) -> Tensor:
    """Return the harmonic mean of numbers in [0, 1], element by element; 0 where one of them is."""
    return len(shares) / torch.stack(shares).reciprocal().sum(0)


class ADCC(Metric):
    """ADCC (Poppi et al., CVPRW 2021): harmonic mean of coherency, 1 - complexity and 1 - average drop.

    With M the heatmap of an image x, resized to it, and p the softmax probability of a class:

        adcc                3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - average_drop))
        adcc_coherency      (1 + Pearson correlation of M and the map of x * M) / 2
        adcc_complexity     mean of |M|
        adcc_average_drop   max(0, p(x) - p(x * M)) / p(x)

    Each is computed for every image and then averaged.

    Args:
        batch_size: images per forward pass.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    SCORES: tuple[str, ...] = ("adcc", "adcc_coherency", "adcc_complexity", "adcc_average_drop")

    sums: Tensor
    total: Tensor

    def __init__(self, batch_size: int = 64) -> None:
        super().__init__()
        require_positive(batch_size=batch_size)
        self.batch_size = batch_size
        self.add_state("sums", torch.zeros(len(self.SCORES), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, explain: Explain) -> None:
        """Add a batch.

        Args:
            network: images (B, C, H, W) to logits (B, classes), in evaluation mode.
            images: (B, C, H, W), normalised for the network.
            maps: heatmaps (B, h, w) in [0, 1]; resized to the images.
            classes: (B,) int64, whose confidence is meant: usually the predicted one.
            explain: what made the maps: images (B, C, H, W) to maps (B, h, w), of the same classes if it knows any. It
                is called without gradients and has to enable those that it needs.

        Raises:
            ValueError: maps are not in [0, 1], or see `check_images` and `confidence`.
        """
        check_unit_maps(maps)
        check_images(images, maps, classes)
        height, width = images.shape[2:]
        maps = resize_maps(maps, (height, width))
        masked = masked_images(images, maps)
        maps_of_masked = explain(masked)
        check_maps(maps_of_masked)
        coherent = coherency(maps, resize_maps(maps_of_masked, (height, width)))
        complexities = complexity(maps)
        faithful, reported = self._faithfulness(network, images, masked, maps, classes)
        score = harmonic_mean(coherent, (1 - complexities).clamp(0, 1), faithful)
        scores = torch.stack((score, coherent, complexities, reported))
        self.sums = self.sums + scores.sum(1)
        self.total = self.total + len(images)

    def _faithfulness(
        self, network: Network, images: Tensor, masked: Tensor, maps: Tensor, classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the third term of the harmonic mean, in [0, 1], and the score it is made of."""
        before = confidence(network, images, classes, self.batch_size)
        drop = confidence_drop(before, confidence(network, masked, classes, self.batch_size))
        return 1 - drop, drop

    def compute(self) -> dict[str, Tensor]:
        """Return means over images by name; NaN without images."""
        return dict(zip(self.SCORES, self.sums / self.total, strict=True))


class ARCC(ADCC):
    """ARCC (arXiv 2605.14641): ADCC with ROAD in place of the average drop.

        arcc   3 / (1 / coherency + 1 / (1 - complexity) + 1 / min(1, max(0, 2 road)))

    and `arcc_coherency`, `arcc_complexity` and `arcc_road`, means over images like it.

    Args:
        percentiles: of ROAD, integers from 1 to 99.
        seed: of ROAD's noise.
        batch_size: images per forward pass.

    Raises:
        ValueError: an argument is out of its range.
    """

    SCORES = ("arcc", "arcc_coherency", "arcc_complexity", "arcc_road")

    def __init__(self, percentiles: Sequence[int] = (20, 40, 60, 80), seed: int = 0, batch_size: int = 64) -> None:
        super().__init__(batch_size)
        check_percentiles(percentiles)
        self.percentiles = tuple(percentiles)
        self.seed = seed

    def _faithfulness(
        self, network: Network, images: Tensor, masked: Tensor, maps: Tensor, classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        morf, lerf = road_changes(network, images, maps, classes, self.percentiles, self.seed, self.batch_size)
        road = (lerf - morf) / 2
        return (2 * road).clamp(0, 1), road

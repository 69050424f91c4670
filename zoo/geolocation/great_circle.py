"""The usual accuracies: shares of images whose predicted point lies within 1, 25, 200, 750 and 2500 km of the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.checks import require
from zoo.spectral.sphere import DISCS_KM, check_latlon, distance_km


def within_radii(predicted: Tensor, latlon: Tensor, radii_km: Sequence[float]) -> Tensor:
    """Return whether predicted places lie within great-circle distances of the truth, (B, R) bool.

    Args:
        predicted: (B, 2), latitudes and longitudes in degrees.
        latlon: (B, 2), the truth.
        radii_km: the R distances.

    Raises:
        ValueError: a place is none, or the shapes differ.
    """
    predicted, latlon = check_latlon(predicted, "predicted"), check_latlon(latlon)
    require(predicted.shape == latlon.shape, "predicted.shape", tuple(predicted.shape), f"{tuple(latlon.shape)}")
    distance = distance_km(predicted, latlon)[:, None]
    return distance <= torch.tensor(radii_km, dtype=torch.float64, device=distance.device)


class GreatCircleAccuracy(Metric):
    """Shares of images within great-circle distances.

    Args:
        radii_km: the distances, > 0.
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        ValueError: a distance is not positive.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    within: Tensor
    images: Tensor

    def __init__(self, radii_km: Sequence[float] = DISCS_KM, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(min(radii_km, default=0) > 0, "radii_km", radii_km, "distances > 0 in km")
        self.radii_km = list(radii_km)
        self.add_state("within", torch.zeros(len(self.radii_km), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, latlon: Tensor) -> None:
        """Add predicted and true places, (B, 2) in degrees each.

        Raises:
            ValueError: a place is none, or the shapes differ.
        """
        within = within_radii(predicted, latlon, self.radii_km)
        self.within = self.within + within.sum(0)
        self.images = self.images + len(within)

    def compute(self) -> dict[str, Tensor]:
        """Return the shares, named "within_200km"; NaN without images."""
        shares = (self.within.to(torch.float64) / self.images).unbind()
        return {f"within_{radius:g}km": share for radius, share in zip(self.radii_km, shares, strict=True)}

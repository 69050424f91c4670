"""What posterior maps are judged by, in numbers that a run can log: ranking, confidence, and the best single place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.geolocation.great_circle import within_radii
from zoo.geolocation.ranking import densities
from zoo.geolocation.recall_vs_area import RecallVsArea
from zoo.spectral.grids import Grid
from zoo.spectral.sphere import EARTH_AREA_KM2

RADII_KM = (200.0, 750.0, 2500.0)
"""The radii of the usual accuracies that cells of a hundred kilometres can tell."""

SUMMARY_BUDGET_KM2 = 1e6
"""Recall at this area is logged."""


class MapJudge(RecallVsArea):
    """Recall versus area of posterior maps, the information that they hold, and how far their densest cell is off.

    Results are flat: with strata named "<stratum>_<name>", those without any image left out.

    Args:
        grid: the cells.
        strata: see `RecallVsArea`.
        min_area_km2: see `RecallVsArea`.
    """

    information: Tensor
    within: Tensor

    def __init__(self, grid: Grid, strata: Sequence[str] | None = None, min_area_km2: float = 100.0) -> None:
        super().__init__(grid, [SUMMARY_BUDGET_KM2], strata=strata, min_area_km2=min_area_km2)
        groups = len(self.strata or [""])
        self._centers = grid.centers
        self.add_state("information", torch.zeros(groups, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("within", torch.zeros(groups, len(RADII_KM), dtype=torch.int64), dist_reduce_fx="sum")

    def update(  # type: ignore[override]
        self, log_mass: Tensor, truth: Tensor, stratum: Tensor | None = None, latlon: Tensor | None = None
    ) -> None:
        """Add normalised posterior maps.

        Args:
            log_mass: (B, N), logarithms of masses of sum 1.
            truth: (B,) int64 cells.
            stratum: see `RecallVsArea.update`.
            latlon: (B, 2), the true places in degrees, if more is known of them than their cells: distances are to the
                centres of the cells otherwise.
        """
        super().update(log_mass, truth, stratum=stratum, log=True)
        group = torch.zeros_like(truth) if self.strata is None or stratum is None else stratum
        at_truth = log_mass.gather(1, truth[:, None])[:, 0].to(torch.float64)
        areas, centers = self.grid.areas.to(truth.device), self._centers.to(truth.device)
        bits = (at_truth - (areas[truth] / EARTH_AREA_KM2).log()) / math.log(2)
        self.information = self.information.index_add(0, group, bits)
        density, _ = densities(log_mass, truth, areas, log=True)
        assert isinstance(density, Tensor)
        best = centers[density.argmax(1)]
        within = within_radii(best, centers[truth] if latlon is None else latlon.to(truth.device), RADII_KM)
        self.within = self.within.index_add(0, group, within.to(torch.int64))

    def compute(self) -> dict[str, Any]:
        """Return, for all images or each stratum.

        Returns:
            `auc_log`, `auc_linear`, `median_area` in km^2, `recall_1e6` at 1e6 km^2, `support_miss`: see
            `RecallVsArea`; `bits`, the mean of log2(density at the truth / uniform density); `within_750km` and others,
            the shares of images whose true place is so near to the centre of the densest cell.
        """
        if self.strata is None:
            return self._flat(slice(None))
        present = [index for index in range(len(self.strata)) if self.images[index]]
        return {
            f"{self.strata[index]}_{name}": value
            for index in present
            for name, value in self._flat(slice(index, index + 1)).items()
        }

    def _flat(self, groups: slice) -> dict[str, Tensor]:
        summary = self._summary(groups)
        images = summary["images"].to(torch.float64)
        shares = (self.within[groups].sum(0) / images).unbind()
        return {
            **{name: summary[name] for name in ("auc_log", "auc_linear", "median_area")},
            "support_miss": summary["support_miss"].to(torch.float64),
            "recall_1e6": summary["recall"][0],
            "bits": self.information[groups].sum() / images,
            **{f"within_{radius:g}km": share for radius, share in zip(RADII_KM, shares, strict=True)},
        }

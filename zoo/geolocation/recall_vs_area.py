r"""Recall versus area: how often the truth is found if the best A km^2 of each score map are searched.

    RvA(A) = mean_i R_i(A),    R_i(A) = 1[A_i <= A],    A_i = area searched until image i's truth is found

with ties as `searched_area` says. The state is a few kilobytes of counts and sums: any split of the images over batches
and processes gives the same counts.

Which numbers sort the cells matters where their areas differ: recall is largest at every budget if the cells are
ranked by mass per area (Neyman and Pearson). `rank_by="density"` divides masses by areas; `rank_by="score"` takes the
scores as they are, for values that are per area already.

Source: Bianco, Eigen, Gormish, arXiv 2407.13862. Their treatment of ties and of unequal cells is not known to us.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.checks import require, require_above, require_choice
from zoo.geolocation.indices import check_indices
from zoo.geolocation.quantiles import area_of_ramps, first_reaching
from zoo.geolocation.ranking import densities
from zoo.geolocation.searched_area import TIES, TILE, Scores, Searched, Ties, searched_area
from zoo.spectral.grids import Grid, check_areas
from zoo.spectral.sphere import DISCS_KM, EARTH_AREA_KM2, cap_area_km2, check_latlon, distance_km

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RankBy = Literal["density", "score"]

DISC_AREAS_KM2 = tuple(cap_area_km2(torch.tensor(DISCS_KM, dtype=torch.float64)).tolist())
"""Areas of the discs of the usual accuracies within 1, 25, 200, 750 and 2500 km."""

BUDGETS_KM2 = tuple(sorted([*(10.0**power for power in range(2, 9)), *DISC_AREAS_KM2]))
"""The default budgets: powers of ten, and the discs."""

HISTOGRAM = torch.logspace(-3, math.log10(EARTH_AREA_KM2), 2049, dtype=torch.float64)
"""Areas in km^2 at which curves are kept, and between which needed areas are counted, 1.3 % apart."""

ROWS = 256
"""Images whose curves are in memory together."""

LEAST_AREA_KM2 = 1e-6
"""A square metre: a point predicted exactly needs no area, and is worth no more bits than one that needs this."""


class RecallVsArea(Metric):
    """Recall as a function of the searched area, and its summaries.

    Args:
        grid: the cells of the score maps.
        budgets_km2: areas at which recall is counted, > 0, ascending.
        ties: what is searched first among cells of the same score, see `zoo.geolocation.searched_area`.
        rank_by: "density" if scores are masses of cells (or their logarithms), "score" if they are per area already.
        strata: names of groups of images, each with a curve of its own; None for no groups.
        keep_ranks: keep what every image needs, 40 bytes each: exact quantiles, and `paired_bootstrap`.
        min_area_km2: the area at which `auc_log` begins, > 0. Values with another do not compare.
        tile: see `searched_area`.
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        ValueError: an argument is out of its range.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    images: Tensor
    misses: Tensor
    weights: Tensor
    squares: Tensor
    found: Tensor
    found_weights: Tensor
    counts: Tensor
    count_weights: Tensor
    curves: Tensor
    curve_weights: Tensor
    curve_parts: Tensor
    sums: Tensor
    ranks: list[Tensor]

    def __init__(
        self,
        grid: Grid,
        budgets_km2: Sequence[float] = BUDGETS_KM2,
        ties: Ties = "linear",
        rank_by: RankBy = "density",
        strata: Sequence[str] | None = None,
        keep_ranks: bool = False,
        min_area_km2: float = 100.0,
        tile: int = TILE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require_choice("ties", ties, TIES)
        require_choice("rank_by", rank_by, ("density", "score"))
        require_above(0, min_area_km2=min_area_km2)
        check_areas(grid.areas, "grid.areas")
        budgets = [float(budget) for budget in budgets_km2]
        ascending = bool(budgets) and all(a < b for a, b in zip([0.0, *budgets], budgets, strict=False))
        require(ascending, "budgets_km2", budgets_km2, "ascending areas > 0 in km^2")
        require(strata is None or len(set(strata)) == len(strata) > 0, "strata", strata, "distinct names, or None")
        self.grid, self.ties, self.rank_by, self.tile = grid, ties, rank_by, tile
        self.budgets_km2, self.min_area_km2, self.keep_ranks = budgets, min_area_km2, keep_ranks
        self.strata = None if strata is None else list(strata)
        groups, size, bins = len(self.strata or [""]), len(budgets), len(HISTOGRAM) + 1
        integers = {
            "images": (groups,),
            "misses": (groups,),
            "found": (groups, size),
            "counts": (groups, bins),
            "curves": (groups, bins),
        }
        floats = {
            "weights": (groups,),
            "squares": (groups,),
            "found_weights": (groups, size),
            "count_weights": (groups, bins),
            "curve_weights": (groups, bins),
            "curve_parts": (groups, bins - 1),
        }
        for name, shape in integers.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")
        for name, shape in [*floats.items(), ("sums", (groups, 3))]:
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        if keep_ranks:
            self.add_state("ranks", [], dist_reduce_fx="cat")

    # ---- images

    def update(
        self,
        scores: Scores,
        truth: Tensor,
        weight: Tensor | None = None,
        stratum: Tensor | None = None,
        *,
        log: bool = False,
        truth_scores: Tensor | None = None,
    ) -> None:
        """Add score maps.

        Args:
            scores: (B, N), or a function that gives some of their columns, see `searched_area`; masses of 0, and -inf
                where scores are no masses, are allowed: a truth there is found last of all, and counted in
                `support_miss`.
            truth: (B,) int64 cells, or (B, 2) latitudes and longitudes in degrees.
            weight: (B,) >= 0, for instance importance weights; ones if None.
            stratum: (B,) int64, which of `strata` each image belongs to; needed if there are any.
            log: the scores are logarithms of masses; only matters for `rank_by="density"`. They keep apart what masses
                in float32 merge at 0.
            truth_scores: see `searched_area`; of masses, not of densities.

        Raises:
            ValueError: see `searched_area`; or a mass is negative, as logarithms without `log=True` are; or weights or
                strata are missing, of another shape or out of their range.
        """
        if truth.is_floating_point() or truth.dim() == 2:
            truth = self.grid.locate(truth.cpu()).to(truth.device)
        require(truth.dim() == 1, "truth.shape", tuple(truth.shape), "(B,) cells, or (B, 2) places")
        if self.rank_by == "density":
            scores, truth_scores = densities(scores, truth, self.grid.areas, log=log, truth_scores=truth_scores)
        searched = searched_area(scores, truth, self.grid.areas, truth_scores=truth_scores, tile=self.tile)
        masses = self.rank_by == "density" and not log
        missed = searched.score <= 0 if masses else torch.isneginf(searched.score)
        self._add(searched, missed, weight, stratum)

    def update_points(
        self, predicted: Tensor, latlon: Tensor, weight: Tensor | None = None, stratum: Tensor | None = None
    ) -> None:
        """Add predicted points: around each the search goes in circles, so that no grid is needed.

        Recall at the area of a disc of radius r is the share of images within r then.

        Args:
            predicted: (B, 2), latitudes and longitudes in degrees.
            latlon: (B, 2), the truth.
            weight: see `update`.
            stratum: see `update`.

        Raises:
            ValueError: a place is none, the shapes differ; or see `update`.
        """
        predicted, latlon = check_latlon(predicted, "predicted"), check_latlon(latlon)
        require(predicted.shape == latlon.shape, "predicted.shape", tuple(predicted.shape), f"{tuple(latlon.shape)}")
        area = cap_area_km2(distance_km(predicted, latlon))
        nothing = torch.zeros_like(area)
        # What torchmetrics does around `update`.
        self._computed = None
        self._update_count += 1
        self._add(Searched(area, nothing, nothing, -area), torch.zeros_like(area, dtype=torch.bool), weight, stratum)

    def _add(self, searched: Searched, missed: Tensor, weight: Tensor | None, stratum: Tensor | None) -> None:
        number, device = len(searched.before), searched.before.device
        group = torch.zeros(number, dtype=torch.int64, device=device)
        if self.strata is not None:
            require(stratum is not None, "stratum", stratum, f"(B,) int64, one of {len(self.strata)} for each image")
            assert stratum is not None
            check_indices("stratum", stratum, len(self.strata), number)
            group = stratum.to(device, torch.int64)
        if weight is not None:
            fine = weight.shape == (number,) and bool((torch.isfinite(weight) & (weight >= 0)).all())
            require(fine, "weight", weight.tolist(), f"({number},) finite numbers >= 0")
            weight = weight.to(device, torch.float64)
        needed = searched.needed(self.ties)
        budgets = torch.tensor(self.budgets_km2, dtype=torch.float64, device=device)
        recall = searched.recall(budgets, self.ties)
        low, high = math.log(self.min_area_km2), math.log(EARTH_AREA_KM2)
        summary = torch.stack(
            [
                needed / EARTH_AREA_KM2,
                ((needed.log() - low) / (high - low)).clamp(0, 1),
                math.log2(EARTH_AREA_KM2) - needed.clamp(min=LEAST_AREA_KM2).log2(),
            ],
            dim=1,
        )
        bins = torch.bucketize(needed, HISTOGRAM.to(device))
        # A little less, as sums of areas are rounded.
        whole = (searched.before + searched.tied if self.ties == "linear" else needed) * (1 - 1e-12)
        ends = torch.bucketize(whole, HISTOGRAM.to(device))
        if self.ties == "linear":
            for rows in torch.arange(number, device=device).split(ROWS):
                self._add_ramps(searched, ends, rows, group, weight)
        ones = torch.ones(number, dtype=torch.int64, device=device)
        self.images = self.images.index_add(0, group, ones)
        self.misses = self.misses.index_add(0, group, missed.to(torch.int64))
        if weight is None:
            # Whole finds are counted, so that their sum does not depend on its order.
            self.weights = self.weights.index_add(0, group, ones.to(torch.float64))
            self.squares = self.squares.index_add(0, group, ones.to(torch.float64))
            self.found = self.found.index_add(0, group, (recall == 1).to(torch.int64))
            partly = torch.where(recall == 1, 0.0, recall)
            self.found_weights = self.found_weights.index_add(0, group, partly)
            self.counts = self.counts.index_put((group, bins), ones, accumulate=True)
            self.curves = self.curves.index_put((group, ends), ones, accumulate=True)
            self.sums = self.sums.index_add(0, group, summary)
        else:
            self.weights = self.weights.index_add(0, group, weight)
            self.squares = self.squares.index_add(0, group, weight**2)
            self.found_weights = self.found_weights.index_add(0, group, recall * weight[:, None])
            self.count_weights = self.count_weights.index_put((group, bins), weight, accumulate=True)
            self.curve_weights = self.curve_weights.index_put((group, ends), weight, accumulate=True)
            self.sums = self.sums.index_add(0, group, summary * weight[:, None])
        if self.keep_ranks:
            one = torch.ones_like(needed) if weight is None else weight
            parts = [needed, group.to(torch.float64), one, searched.before, searched.tied]
            self.ranks.append(torch.stack(parts, dim=1))

    def _add_ramps(self, searched: Searched, ends: Tensor, rows: Tensor, group: Tensor, weight: Tensor | None) -> None:
        """Add the recall of some images at those areas of the curve where it is neither 0 nor 1: mostly none or few."""
        areas = HISTOGRAM.to(rows.device)
        begins = torch.bucketize(searched.before[rows], areas)
        lengths = (ends[rows] - begins).clamp(min=0)
        image = rows.repeat_interleave(lengths)
        offsets = torch.arange(len(image), device=rows.device) - (lengths.cumsum(0) - lengths).repeat_interleave(
            lengths
        )
        place = begins.repeat_interleave(lengths) + offsets
        part = ((areas[place] - searched.before[image]) / searched.tied[image]).clamp(0, 1)
        part = part if weight is None else part * weight[image]
        self.curve_parts = self.curve_parts.index_put((group[image], place), part, accumulate=True)

    # ---- results

    def compute(self) -> dict[str, Any]:
        """Return the curve and its summaries.

        Returns:
            `budgets` (K,) in km^2 and `recall` (K,); `auc_linear`, the mean share of the Earth that need not be
            searched, 1/2 by chance; `auc_log`, the same on a logarithmic scale from `min_area_km2` to the whole Earth;
            `median_area` in km^2, of the needed areas, each the mean one where ties leave it open: for "linear" it may
            differ from `area_at_recall(0.5)`; `bits`, the mean of log2(Earth / needed area); `support_miss`, the number
            of images whose truth has no score; `images`, their number; `areas` (M,), the needed ones, with
            `keep_ranks`; and `strata`, the same for each of them by name. Without any image they are NaN.
        """
        result: dict[str, Any] = self._summary(slice(None))
        if self.strata is not None:
            result["strata"] = {name: self._summary(slice(i, i + 1)) for i, name in enumerate(self.strata)}
        return result

    def _summary(self, groups: slice) -> dict[str, Tensor]:
        images = self.images[groups].sum()
        total = self.weights[groups].sum()
        sums = self.sums[groups].sum(0) / total
        recall = (self.found[groups].sum(0) + self.found_weights[groups].sum(0)) / total
        summary = {
            "budgets": torch.tensor(self.budgets_km2, dtype=torch.float64, device=recall.device),
            "recall": recall,
            "auc_linear": 1 - sums[0],
            "auc_log": 1 - sums[1],
            "median_area": self._quantile(groups, 0.5),
            "bits": sums[2],
            "support_miss": self.misses[groups].sum(),
            "images": images,
        }
        if self.keep_ranks:
            summary["areas"] = self._ranks(groups)[:, 0]
        return summary

    def area_at_recall(self, recall: float, stratum: str | None = None) -> Tensor:
        """Return the smallest area in km^2 at which `recall` reaches a share, with the same ties.

        Exact with `keep_ranks`, to 1.3 % without.

        Args:
            recall: the share, in (0, 1].
            stratum: of the images of this stratum, by name; of all if None.
        """
        require(0 < recall <= 1, "recall", recall, "a number in (0, 1]")
        if self.keep_ranks:
            ranks = self._ranks(self._groups(stratum))
            if self.ties == "linear" and len(ranks):
                return area_of_ramps(before=ranks[:, 3], tied=ranks[:, 4], weight=ranks[:, 2], share=recall)
            return self._quantile(self._groups(stratum), recall)
        areas, found = self.curve(stratum)
        if bool(torch.isnan(found).any()):
            return torch.full((), math.nan, dtype=torch.float64, device=found.device)
        # The last area is the Earth.
        return first_reaching(areas, found, recall)

    def curve(self, stratum: str | None = None) -> tuple[Tensor, Tensor]:
        """Return 2049 areas in km^2 and the recall at each of them, as `compute` would give it at these budgets.

        Args:
            stratum: of the images of this stratum, by name; of all if None.
        """
        groups = self._groups(stratum)
        found = (self.curves[groups] + self.curve_weights[groups]).sum(0).cumsum(0)[:-1]
        found = found + self.curve_parts[groups].sum(0)
        return HISTOGRAM.to(found.device), found / self.weights[groups].sum()

    def effective_images(self, stratum: str | None = None) -> float:
        """Return how many images of equal weights are as sure: (sum w)^2 / sum w^2, 0 without any weight.

        Args:
            stratum: of the images of this stratum, by name; of all if None.

        Source: Kish, "Survey Sampling" (1965).
        """
        groups = self._groups(stratum)
        squares = float(self.squares[groups].sum())
        return float(self.weights[groups].sum()) ** 2 / squares if squares > 0 else 0.0

    def _groups(self, stratum: str | None) -> slice:
        if stratum is None:
            return slice(None)
        require_choice("stratum", stratum, self.strata or [])
        index = (self.strata or []).index(stratum)
        return slice(index, index + 1)

    def _ranks(self, groups: slice) -> Tensor:
        # After a reduction over processes the list is one tensor.
        parts = self.ranks if isinstance(self.ranks, list) else [self.ranks]
        ranks = torch.cat(parts) if parts else torch.zeros(0, 5, dtype=torch.float64)
        wanted = torch.arange(len(self.images), device=ranks.device)[groups]
        return ranks[torch.isin(ranks[:, 1].long(), wanted)]

    def _quantile(self, groups: slice, share: float) -> Tensor:
        if self.keep_ranks:
            ranks = self._ranks(groups)
            order = ranks[:, 0].argsort()
            values, weights = ranks[order, 0], ranks[order, 2].cumsum(0)
        else:
            counts = (self.counts[groups] + self.count_weights[groups]).sum(0)
            kept = counts.nonzero()[:, 0]
            values, weights = HISTOGRAM.to(counts.device)[kept.clamp(max=len(HISTOGRAM) - 1)], counts[kept].cumsum(0)
        if len(values) == 0:
            return torch.full((), math.nan, dtype=torch.float64, device=self.images.device)
        return first_reaching(values, weights, share * weights[-1])

    def plot(self, val: Any = None, ax: Axes | None = None, delta: float = 0.05) -> tuple[Figure, Axes]:
        """Draw the curve, or one for each stratum, with the band in which it lies with probability 1 - delta.

        The band is that of the effective number of images; with weights its probability is an approximation.

        Args:
            val: not used; torchmetrics hands it on.
            ax: where to draw; a new figure if None.
            delta: see above.
        """
        from zoo.geolocation.figures import draw_recall

        return draw_recall({"": self}, ax, delta)


def recall_vs_area(
    scores: Tensor, truth: Tensor, grid: Grid, budgets_km2: Sequence[float] = BUDGETS_KM2, **options: Any
) -> dict[str, Any]:
    """Return recall versus area of score maps (B, N) at once.

    Args:
        scores: see `RecallVsArea.update`.
        truth: see `RecallVsArea.update`.
        grid: the cells.
        budgets_km2: see `RecallVsArea`.
        **options: of `RecallVsArea`, and `log` of its `update`.

    Returns:
        See `RecallVsArea.compute`.
    """
    log = options.pop("log", False)
    metric = RecallVsArea(grid, budgets_km2, **options)
    metric.update(scores, truth, log=log)
    return metric.compute()

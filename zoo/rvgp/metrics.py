"""How good a predicted vector field is: torchmetrics, exact on any number of processes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.checks import require, require_above
from zoo.rvgp.singularities import Singularities, match_singularities


class FieldErrors(Metric):
    """Errors of vectors, as means over all points seen.

    `compute` returns a dict:

        alignment      mean <truth, prediction> / |truth|, 1 at best for vectors of length 1, as published
        cosine         mean cosine of the angle between them
        angle          mean angle, in degrees
        relative_l2    |prediction - truth| / |truth|, over all points together
    """

    full_state_update = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(6, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Add vectors (..., D); points whose truth is 0 have no direction and count in `relative_l2` alone.

        Raises:
            ValueError: shapes differ.
        """
        require(prediction.shape == truth.shape, "prediction.shape", tuple(prediction.shape), f"{tuple(truth.shape)}")
        prediction, truth = prediction.detach().double(), truth.detach().double()
        inner, length = (prediction * truth).sum(-1), truth.norm(dim=-1)
        directed = length > 0
        alignment = inner[directed] / length[directed]
        predicted = prediction.norm(dim=-1)[directed]
        cosine = torch.where(predicted > 0, alignment / predicted.clamp(min=1e-300), 0.0).clamp(-1, 1)
        errors = ((prediction - truth) ** 2).sum(), (truth**2).sum()
        angles = torch.rad2deg(cosine.acos()).sum()
        parts = [directed.sum().double(), alignment.sum(), cosine.sum(), angles, *errors]
        self.sums = self.sums + torch.stack(parts).to(self.sums.device)

    def compute(self) -> dict[str, Tensor]:
        """Return all of them."""
        number, alignment, cosine, angle, error, square = self.sums
        return {
            "alignment": alignment / number,
            "cosine": cosine / number,
            "angle": angle / number,
            "relative_l2": (error / square).sqrt(),
        }


class Calibration(Metric):
    """How honest predicted covariances are.

    `compute` returns a dict: `nlpd`, the mean negative log density of the observed vectors, and `coverage`, the share
    that lies in its ellipse of the given probability.

    Args:
        probability: of the ellipses, in (0, 1).
    """

    full_state_update = False
    sums: Tensor

    def __init__(self, probability: float = 0.95) -> None:
        super().__init__()
        require(0 < probability < 1, "probability", probability, "a number in (0, 1)")
        self.probability = probability
        self.add_state("sums", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, mean: Tensor, covariance: Tensor, truth: Tensor) -> None:
        """Add vectors (m, d) with means (m, d) and covariances (m, d, d), noise included."""
        dim = mean.shape[-1]
        factor = torch.linalg.cholesky(covariance.detach().double())
        error = (truth - mean).detach().double()
        scaled = torch.linalg.solve_triangular(factor, error[..., None], upper=False)[..., 0]
        distance = (scaled**2).sum(-1)
        log_determinant = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        nlpd = (distance + log_determinant + dim * math.log(2 * math.pi)) / 2
        # The probability of a smaller distance is that of a chi-square variable.
        inside = torch.special.gammainc(torch.full_like(distance, dim / 2), distance / 2) <= self.probability
        parts = [torch.tensor(len(distance), dtype=torch.float64), nlpd.sum(), inside.sum().double()]
        self.sums = self.sums + torch.stack(parts).to(self.sums.device)

    def compute(self) -> dict[str, Tensor]:
        """Return both."""
        return {"nlpd": self.sums[1] / self.sums[0], "coverage": self.sums[2] / self.sums[0]}


class SingularityScore(Metric):
    """Precision and recall of singularities: those of the same Poincare-Hopf index within a radius.

    `compute` returns a dict with `precision` and `recall`; 1 where there was nothing to be found, or nothing found.

    Args:
        radius: largest distance, in the unit of the points; twice the mean distance of neighbours is usual.

    Raises:
        ValueError: the radius is not > 0.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, radius: float) -> None:
        super().__init__()
        require_above(0, radius=radius)
        self.radius = radius
        self.add_state("counts", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, found: Singularities, truth: Singularities) -> None:
        """Add the singularities of one field and of its truth, from `find_singularities`."""
        counts = match_singularities(found, truth.positions, truth.index, self.radius)
        self.counts = self.counts + torch.tensor(counts, device=self.counts.device)

    def compute(self) -> dict[str, Tensor]:
        """Return both."""
        matched, true, found = self.counts.double()
        one = torch.ones_like(matched)
        return {
            "precision": torch.where(found > 0, matched / found.clamp(min=1), one),
            "recall": torch.where(true > 0, matched / true.clamp(min=1), one),
        }

"""The LightningModule of geolocation: score maps of several predictors, pooled with exponents that are learned."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

import torch
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MetricCollection

from zoo.checks import require, require_above, require_finite
from zoo.geolocation.figures import posterior_maps, recall_by_stratum
from zoo.geolocation.fitting import CoefficientFit
from zoo.geolocation.great_circle import GreatCircleAccuracy
from zoo.geolocation.intervals import dkw_halfwidth
from zoo.geolocation.judge import RADII_KM, MapJudge
from zoo.geolocation.pooling import Pool, Pooling, product
from zoo.geolocation.prediction import describe
from zoo.geolocation.predictors import Predictors, read_predictors
from zoo.geolocation.recall_vs_area import DISC_AREAS_KM2, RecallVsArea
from zoo.geolocation.weights import WeightRule, Weights
from zoo.module import ZooModule
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.healpix import check_nside
from zoo.spectral.spherical_harmonics import SphericalHarmonicTransform

SHOWN = 6
"""Test images that are drawn."""

ITERATIONS = 3
"""Corrections of the analysis by degree."""

CURVE_KM2 = tuple(sorted([*(10 ** (power / 10) for power in range(20, 87)), *DISC_AREAS_KM2[1:]]))
"""Areas at which the recall of predicted inputs is told: ten for each power of ten, and the discs from 25 km on."""

EVERY = 16
"""A checkpoint recognises itself by every so many cells of its maps."""

Batch = dict[str, Tensor]


class GeoEnsemble(ZooModule):
    """An ensemble of score maps on a HEALPix grid, whose exponents minimise the negative log-likelihood of places.

    Nothing is trained by gradient descent: an epoch adds up loss, gradient and Hessian of all images, over all
    processes, and ends with a step of Newton's method, until the least loss is `tolerance` away. For `pooling="log"`
    the problem is convex, whatever the kind of weights.

    Args:
        predictors: what is pooled or compared, by name; see `zoo.geolocation.predictors.Predictor` for the fields.
        nside: resolution of the grid; the data must have the same.
        pooling: "log", a weighted product of maps; or "linear", a weighted mean.
        weights: "scalar", "stratum", "degree" or "gated", see `zoo.geolocation.weights`.
        gate: the entry of the batch that weights depend on, see `WeightRule`.
        num_gates: number of its values or columns, see `WeightRule`.
        bands: bands of degrees, see `WeightRule`.
        compare: products with fixed exponents that are judged beside in the test, {name: {predictor: exponent}}.
        strata: names of the values of the batch's entry `stratum`, judged apart in the test.
        min_area_km2: where `auc_log` begins, see `RecallVsArea`.
        l2: penalty l2 / 2 of squared distances from where the coefficients start, in nats, >= 0: it decides where the
            data do not, as between two copies of a predictor.
        floor: share of every map that says nothing, in (0, 1): a map may hold -inf, and a product of two that forbid
            different places forbids all. Points have none, as their density is nowhere 0.
        tolerance: nats from the least loss at which training stops, > 0.

    Raises:
        ValueError: an argument is out of its range.
        TypeError: see `ZooModule`.
    """

    monitor: ClassVar[str] = "val/bits"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def __init__(
        self,
        predictors: dict[str, dict[str, Any]],
        nside: int = 64,
        pooling: Pooling = "log",
        weights: Weights = "scalar",
        gate: str | None = None,
        num_gates: int = 1,
        bands: list[int] | None = None,
        compare: dict[str, dict[str, float]] | None = None,
        strata: list[str] | None = None,
        min_area_km2: float = 100.0,
        l2: float = 1e-4,
        floor: float = 1e-6,
        tolerance: float = 1e-9,
    ) -> None:
        read = read_predictors(predictors)
        check_nside(nside)
        self.rule = WeightRule(pooling, weights, gate, num_gates, tuple(bands or ()), 3 * nside)
        require(strata is None or len(set(strata)) == len(strata) > 0, "strata", strata, "distinct names, or None")
        require_above(0, min_area_km2=min_area_km2, tolerance=tolerance)
        require_finite(l2=l2)
        require(l2 >= 0, "l2", l2, "a number >= 0")
        require_above(0, floor=floor)
        require(floor < 1, "floor", floor, "a number in (0, 1)")
        for name, exponents in (compare or {}).items():
            fine = "/" not in name and isinstance(exponents, dict) and bool(exponents) and set(exponents) <= set(read)
            require(fine, f"compare.{name}", exponents, f"exponents of {', '.join(read)}; no slash in the name")
        self.pooled = [name for name, predictor in read.items() if predictor.pooled]
        require(bool(self.pooled), "predictors", predictors, "one or more with pooled=True")
        self.grid, self.strata, self.compare = HEALPixGrid(nside), strata, dict(compare or {})
        self.min_area_km2 = min_area_km2
        super().__init__()
        self.predictors = Predictors(read, nside, floor)
        self.transform = None
        if self.rule.bands:
            self.transform = SphericalHarmonicTransform(self.grid, self.rule.bands[-1] - 1, ITERATIONS).float()
        start = self.rule.start(len(self.pooled))
        self.pool = Pool(pooling, start)
        self.fit = CoefficientFit(start, l2, tolerance)
        self.test_metrics = self._judges("test/")
        self.compared = nn.ModuleList(self._judges(f"test/{name}/") for name in self.compare)
        self.predicted = RecallVsArea(self.grid, CURVE_KM2, min_area_km2=min_area_km2)
        self.accuracy = GreatCircleAccuracy(RADII_KM)
        self._shown: tuple[Tensor, Tensor] | None = None

    def metrics(self) -> MetricCollection:
        """Return the judge of all images together."""
        return MetricCollection({"maps": MapJudge(self.grid, None, self.min_area_km2)})

    def _judges(self, prefix: str) -> MetricCollection:
        return MetricCollection({"maps": MapJudge(self.grid, self.strata, self.min_area_km2)}, prefix=prefix)

    def setup(self, stage: str) -> None:
        """Take over the maps of the data before training.

        Raises:
            ValueError: a map is missing or has another shape, epochs would leave images out, or a process would see
                none of them.
        """
        if stage != "fit":
            return
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        number, size = len(datamodule.dataset("train")), datamodule.batch_size
        require(number % size == 0 or number < size, "batch_size", size, f"a divisor of the {number} training images")
        # One without any would not take part in the sums, and the others would wait for it.
        processes = self.trainer.world_size
        require(number >= processes, "num_train", number, f"an image or more for each of the {processes} processes")
        if self.predictors.sources:
            self.predictors.fill(datamodule.maps, datamodule.priors)

    def log_maps(self, batch: Batch) -> Tensor:
        """Return the log-maps (B, K, N) that are pooled; of each predictor one for each band of degrees."""
        return self._split(self.predictors(batch, self.pooled))

    def _split(self, maps: dict[str, Tensor]) -> Tensor:
        stacked = torch.stack([maps[name] for name in self.pooled], dim=1)
        if self.transform is None:
            return stacked
        # A table that is not stored is not cast with the rest.
        return self.transform.to(stacked.dtype).bands(stacked, list(self.rule.bands)).flatten(1, 2)

    def forward(self, batch: Batch) -> Tensor:
        """Return the pooled posterior: log masses (B, N) of sum 1."""
        return self._pooled(self.log_maps(batch), batch)

    def _pooled(self, maps: Tensor, batch: Batch) -> Tensor:
        return self.pool(maps, self.rule.features(batch, len(maps), maps), self.predictors.log_base)

    def truth(self, batch: Batch) -> Tensor:
        """Return the true cells (B,): the entry `cell`, else those of the places (B, 2) in `latlon`."""
        if "cell" in batch:
            return batch["cell"]
        require("latlon" in batch, "batch", sorted(batch), "an entry 'cell' or 'latlon' with the truth")
        return self.grid.locate(batch["latlon"].cpu()).to(batch["latlon"].device)

    def training_step(self, batch: Batch, batch_idx: int = 0) -> Tensor:
        """Add the images of a batch to the sums; what is returned only tells Lightning that something was done."""
        with torch.no_grad():
            self.accumulate(batch)
        return torch.zeros((), device=self.device)

    def accumulate(self, batch: Batch) -> None:
        """Add the images of a batch to the sums of an epoch."""
        maps, truth = self.log_maps(batch), self.truth(batch)
        gates = self.rule.features(batch, len(maps), maps)
        log_base = self.predictors.log_base
        self.fit.add(self.pool.moments(maps, gates, log_base, truth), gates, log_base[truth])

    def end_epoch(self) -> None:
        """Take a step from the sums of all processes, if there are any."""
        if self.fit.begun:
            self.pool.coefficients.copy_(self.fit.step(self.device))

    @torch.no_grad()
    def fit_batches(self, batches: Iterable[Batch], max_epochs: int = 50) -> Self:
        """Train without a trainer, on batches that can be gone through again and again."""
        for _ in range(max_epochs):
            for batch in batches:
                self.accumulate(batch)
            self.end_epoch()
            if self.fit.converged:
                break
        return self

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Do nothing: derivatives are part of the sums."""

    def configure_optimizers(self) -> None:
        """Return no optimiser: Newton's method is part of the module."""
        warnings.filterwarnings("ignore", message=".*this fit will run with no optimizer")

    def on_validation_start(self) -> None:
        """Take the step before the validation that ends an epoch: it judges what the epoch leads to."""
        trainer = self.trainer
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking and trainer.is_last_batch:
            self.end_epoch()

    def on_train_epoch_end(self) -> None:
        """Take the step if no validation did, and stop where there is nothing left to gain."""
        self.end_epoch()
        self.log("train/loss", self.fit.loss, prog_bar=True, sync_dist=True)
        if self.rule.weights == "scalar":
            for name, exponent in zip(self.pooled, self.pool.coefficients[0], strict=True):
                self.log(f"train/weight_{name}", exponent, sync_dist=True)
        if self.fit.converged:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Newton's method knows and the sums of all processes; runs on every one of them."""
        checkpoint["fit"] = self.fit.state_dict(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue them."""
        self.fit.load_state_dict(checkpoint["fit"])

    def validation_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the validation metrics."""
        self.val_metrics.update(self(batch), self.truth(batch), None, batch.get("latlon"))

    def test_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the test metrics of the ensemble and of the products that it is compared with."""
        truth = self.truth(batch), batch["stratum"] if self.strata else None, batch.get("latlon")
        # What is compared shares its predictors.
        names = dict.fromkeys(name for exponents in self.compare.values() for name in exponents)
        maps = self.predictors(batch, [*self.pooled, *(name for name in names if name not in self.pooled)])
        posterior = self._pooled(self._split(maps), batch)
        self.test_metrics.update(posterior, *truth)
        for exponents, metrics in zip(self.compare.values(), self.compared, strict=True):
            pairs = [(maps[name], exponent) for name, exponent in exponents.items()]
            metrics.update(product(pairs, self.predictors.log_base), *truth)  # type: ignore[operator]
        if batch_idx == 0:
            self._shown = posterior[:SHOWN].cpu(), truth[0][:SHOWN].cpu()

    def on_test_epoch_end(self) -> None:
        """Log the test metrics, reduced over processes."""
        super().on_test_epoch_end()
        for metrics in self.compared:
            self._log_metrics(metrics)  # type: ignore[arg-type]
        self._shown = None

    def on_predict_start(self) -> None:
        """Forget the inputs that were predicted before."""
        self.predicted.reset()
        self.accuracy.reset()

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> dict[str, Tensor]:
        """Return what the pooled posterior says of each image, see `describe`.

        Where the batch knows the places, recall versus area and accuracies over all images are part of `summaries`.
        """
        posterior = self(batch)
        truth = self.truth(batch) if "cell" in batch or "latlon" in batch else None
        described = describe(posterior, self.grid, truth)
        if truth is not None:
            self.predicted.update(posterior, truth, log=True)
            place = torch.stack([described["latitude"], described["longitude"]], dim=1)
            self.accuracy.update(place, batch["latlon"] if "latlon" in batch else self.grid.centers.to(place)[truth])
        return described

    def summaries(self) -> dict[str, list[dict[str, Any]]]:
        """Return recall versus area of the predicted inputs whose places are known, and the usual accuracies.

        Columns of `recall`: `area_km2`; `recall`; `low` and `high`, between which the whole curve of the population
        lies with probability 0.95 if the images are independent; and `images`, their number. Columns of `accuracy`:
        `radius_km`; `within`, the share of images whose predicted place is so near to the true one; and `images`.
        """
        images = int(self.predicted.images.sum())
        if not images:
            return {}
        half = dkw_halfwidth(images)
        recall = self.predicted.compute()["recall"].tolist()
        rows = [
            {"area_km2": area, "recall": share, "low": max(share - half, 0.0), "high": min(share + half, 1.0)}
            for area, share in zip(CURVE_KM2, recall, strict=True)
        ]
        shares = zip(RADII_KM, self.accuracy.compute().values(), strict=True)
        near = [{"radius_km": radius, "within": float(share), "images": images} for radius, share in shares]
        return {"recall": [{**row, "images": images} for row in rows], "accuracy": near}

    def tabulate(self, prediction: dict[str, Tensor]) -> dict[str, Any]:
        """Return place, areas and information of each image."""
        return {name: column for name, column in prediction.items() if name != "log_mass"}

    def arrays(self, prediction: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the pooled map of each image."""
        return {"log_mass": prediction["log_mass"]}

    def reference_output(self, batch: Batch) -> Tensor:
        """Return some cells of the pooled maps: (B, N / 16)."""
        return self(batch)[:, ::EVERY]

    def pack(self, batch: Batch) -> dict[str, Tensor]:
        """Return the entries of a batch."""
        return {name: entry.cpu() for name, entry in batch.items()}

    def unpack(self, tensors: dict[str, Tensor]) -> Batch:
        """Rebuild a batch from the result of `pack`."""
        return dict(tensors)

    def figures(self) -> dict[str, Figure]:
        """Return recall versus area of the test that is about to end, and the posteriors of its first images."""
        if self._shown is None:
            return {}
        judges: dict[str, Any] = {"learned": self.test_metrics["maps"]}
        judges |= {name: metrics["maps"] for name, metrics in zip(self.compare, self.compared, strict=True)}  # type: ignore[index]
        posterior, truth = self._shown
        land = self.predictors.land().cpu()
        maps = posterior_maps(posterior.float(), self.grid, self.grid.centers[truth], land)
        return {"recall": recall_by_stratum(judges, self.strata), "maps": maps}

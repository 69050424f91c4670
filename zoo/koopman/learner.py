"""What all Koopman learners share as LightningModules: how they are judged, logged and drawn, and what they predict.

How dictionary and matrix are found is the learner's own affair. Whether an eigenvalue means anything is decided by data
that the learner has not seen: validation and test compute the residual ||(K - lambda) phi|| / ||phi|| of every pair,
and the test an interval for it (`zoo.koopman.certificate`).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import MetricCollection

from zoo.checks import require
from zoo.koopman.certificate import Certificate
from zoo.koopman.closed_eigenpairs import Batch
from zoo.koopman.estimator import KoopmanEstimator
from zoo.koopman.holdout import PairFactors, RelativeError
from zoo.koopman.known_pairs import KnownPairs

STRETCH = 100
"""Consecutive rows of a user's trajectory that belong to one shard."""

LISTED = 12
"""Pairs that a test lists one by one, those of smallest residual first."""


WITHOUT_PAIRS = {"median_residual": math.inf}
"""What a learner without eigenpairs is judged as."""


class KoopmanLearner(KoopmanEstimator):
    """Base of the Koopman learners; see `ClosedEigenpairs` for what subclasses define.

    Attributes:
        certificate: of the last test, None before.
    """

    mode: ClassVar[Literal["min", "max"]] = "min"
    certificate: Certificate | None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.certificate = None
        self._known_predicted = 0
        self.further: dict[str, Tensor] = {}
        if self.hparams["target_names"] is not None:
            self.build(self.hparams["target_names"])

    def build(self, target_names: list[str]) -> None:
        """See `ClosedEigenpairs.build`; also make the metrics."""
        super().build(target_names)
        width, shards = (1 + self.successors) * self.num_features, self.hparams["shards"]
        self.val_factors = PairFactors(width, self.rows_dtype, 1)
        self.test_factors = PairFactors(width, self.rows_dtype, shards)
        self.predict_factors = PairFactors(width, self.rows_dtype, shards)
        self.val_metrics = MetricCollection({"error": RelativeError(len(self.target_names))}, prefix="val/")
        self.test_metrics = self.val_metrics.clone(prefix="test/")

    def metrics(self) -> MetricCollection:
        """Return no metrics: those of a learner follow from the coordinates, see `build`."""
        return MetricCollection({})

    def setup(self, stage: str) -> None:
        """Take the coordinates, and in training the time step and where the states are, from the datamodule.

        Raises:
            ValueError: the data has other coordinates than the learner.
        """
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        names = list(getattr(datamodule, "target_names", self.hparams["target_names"] or []))
        if self.hparams["target_names"] is None:
            require(bool(names), "target_names", None, "names: the data has none")
            self.build(names)
        own = self.hparams["target_names"]
        require(names == own, "target_names", own, f"those of the data, {names}")
        if stage == "fit":
            self.lag.fill_(getattr(datamodule, "lag", 1))
            if self.hparams["dt"] is None:
                self.hparams["dt"] = float(getattr(datamodule, "dt", 1.0))
            if hasattr(datamodule, "entries") and not self.is_fitted:
                self.adapt(datamodule.entries("train")["state"])
                self.dictionary.load_state_dict(self.trainer.strategy.broadcast(self.dictionary.state_dict()))

    # ---- validation and test

    def validation_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the validation metrics."""
        self._evaluate(batch, batch_idx, self.val_metrics, self.val_factors)

    def test_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the test metrics and to the certificate."""
        self._evaluate(batch, batch_idx, self.test_metrics, self.test_factors)

    def _evaluate(self, batch: Batch, batch_idx: int, metrics: MetricCollection, factors: PairFactors) -> None:
        weights = batch["weight"] if "weight" in batch else torch.ones(len(batch["state"]))
        forecast = self.forecast(batch["state"], 1)[:, 1]
        metrics.update(forecast, self.observed(batch["next_state"]), weights)
        index = batch["index"].cpu() if "index" in batch else torch.full((len(weights),), batch_idx)
        loaders: Any = self.trainer.test_dataloaders if self.trainer.testing else self.trainer.val_dataloaders
        total = len(loaders.dataset) if "index" in batch else len(loaders)
        self.add_held_out(factors, batch, index, total)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, reduced over ranks."""
        super().on_validation_epoch_end()
        shards = self._factors_of_all_ranks(self.val_factors)
        certificate = self.certificate_of(shards) if shards and self.is_fitted else None
        for name, value in (certificate.summary() if certificate else WITHOUT_PAIRS).items():
            self.log(f"val/{name}", value, prog_bar=f"val/{name}" == self.monitor, sync_dist=True)

    def on_test_start(self) -> None:
        """Forget the certificate of an earlier test."""
        self.certificate, self.further = None, {}

    def on_test_epoch_end(self) -> None:
        """Log the test metrics, and the pairs of smallest residual one by one."""
        super().on_test_epoch_end()
        self._certify_test()
        if self.certificate is None:
            return
        for name, value in self.certificate.summary().items():
            self.log(f"test/{name}", value, sync_dist=True)
        rows = self.certificate.rows(half=not self.is_complex, further=self.further)
        for number, row in enumerate(rows[:LISTED], start=1):
            for name, entry in row.items():
                # There is no interval where there is one shard.
                if isinstance(entry, float) and math.isfinite(entry):
                    self.log(f"test/pair {number:02d}/{name}", entry, sync_dist=True)

    def _certify_test(self) -> None:
        """Compute the certificate of the running test, once; on every rank, as they exchange what they have seen."""
        if self.certificate is None and self.is_fitted:
            shards = self._factors_of_all_ranks(self.test_factors)
            if shards:
                self.certificate = self.certificate_of(shards)
                self.further = self.further_columns(shards)

    @staticmethod
    def _factors_of_all_ranks(factors: PairFactors) -> list[Tensor]:
        shards = factors.compute()
        with torch.inference_mode(False):
            factors.reset()
        return shards

    def further_columns(self, shards: list[Tensor]) -> dict[str, Tensor]:
        """Return what else is to be said of every pair, (r,) each, from the factors of held-out data: nothing."""
        return {}

    def figures(self) -> dict[str, Figure]:
        """Return the eigenvalues of the last test over what the training data verify."""
        from zoo.koopman.figures import spectrum_figure

        if self.trainer.testing:
            self._certify_test()  # figures are drawn before the epoch's end is handled
        if self.certificate is None:
            return {}
        return {"spectrum": spectrum_figure(self.certificate, self.factors)}

    # ---- predictions

    def on_predict_start(self) -> None:
        """Forget the pairs of earlier predictions."""
        self.predict_factors.reset()
        self._known_predicted = 0

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> dict[str, Tensor]:
        """Return the forecast of `horizon` lags, (B, horizon + 1, d), and the eigenfunctions, (B, N).

        Where the batch knows successors, the residuals of the eigenpairs on them are part of `summaries`.
        """
        states = batch["state"]
        if "next_state" in batch and self.successors == 1:
            known = torch.isfinite(batch["next_state"]).all(1)
            pairs = {name: batch[name][known] for name in ("state", "next_state")}
            self._known_predicted += KnownPairs(self.known).count(pairs["state"], pairs["next_state"])
            index = batch["index"][known] if "index" in batch else torch.full((int(known.sum()),), batch_idx)
            shard = index.cpu() // STRETCH % self.predict_factors.shards
            self.add_held_out(self.predict_factors, pairs, shard, self.predict_factors.shards)
        eigenfunctions = self.features(states).to(torch.complex128) @ torch.view_as_complex(self.right)
        return {"forecast": self.forecast(states, self.hparams["horizon"]), "eigenfunctions": eigenfunctions}

    def summaries(self) -> dict[str, list[dict[str, Any]]]:
        """Return the eigenvalues, with their residuals on the trajectories predicted from where these are known."""
        if not self.is_fitted:
            return {}
        if bool(self.predict_factors.triangles.any()):
            certificate = self.certificate_of(self.predict_factors.compute())
            data = "training data among them" if self._known_predicted else "not seen in training"
            return {"eigenvalues": [{**row, "data": data} for row in certificate.rows()]}
        return {"eigenvalues": [{"real": value.real, "imag": value.imag} for value in self.eigenvalues_.tolist()]}

    def reference_output(self, batch: Batch) -> Tensor:
        """Return the forecast of one lag, (B, d)."""
        return self.forecast(batch["state"], 1)[:, 1]

    def tabulate(self, prediction: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the forecast after every lag, a column for each coordinate."""
        steps = prediction["forecast"].unbind(1)[1:]
        return {
            f"{name}+{step}": values[:, index]
            for step, values in enumerate(steps, start=1)
            for index, name in enumerate(self.target_names)
        }

    def pack(self, batch: Batch) -> dict[str, Tensor]:
        """Return the tensors of a batch by name."""
        return {name: entry.cpu() for name, entry in batch.items()}

    def unpack(self, tensors: dict[str, Tensor]) -> Batch:
        """Rebuild a batch from the result of `pack`."""
        return dict(tensors)

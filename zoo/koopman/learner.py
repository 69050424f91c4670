"""What all Koopman learners share: one API from Python, one way of being judged, one set of predictions.

A learner has a dictionary, psi: states to N values, and a matrix K with psi(F(x)) ~ psi(x) K, from which follow
eigenvalues lambda_j, eigenfunctions phi_j = psi v_j, and the modes xi_j of the state, so that

    x_n ~ sum_j lambda_j^n phi_j(x_0) xi_j.

How dictionary and matrix are found is the learner's own affair. Whether an eigenvalue means anything is decided by data
that the learner has not seen: validation and test compute the residual ||(K - lambda) phi|| / ||phi|| of every pair,
and the test an interval for it (`zoo.koopman.certificate`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import MetricCollection
from tqdm.auto import tqdm

from zoo.checks import require, require_above, require_choice, require_positive
from zoo.closed_form import SECONDS_WITHOUT_PROGRESS, ClosedForm
from zoo.koopman import edmd
from zoo.koopman.certificate import Assumption, Certificate, Origin, certify
from zoo.koopman.dictionaries import Dictionary
from zoo.koopman.edmd import Eigenpairs
from zoo.koopman.factors import RANK_TOLERANCE, Factors, RankDeficiencyWarning, factorize, factorize_gram
from zoo.koopman.gram import triangle_of_gram
from zoo.koopman.holdout import PairFactors, RelativeError
from zoo.koopman.snapshots import Array, Snapshots, read_snapshots, read_states
from zoo.spectral.accumulators import GramAccumulator, RowAccumulator, TSQRAccumulator

Batch = dict[str, Tensor]

CHUNK = 1 << 12
"""Pairs whose features are in memory at once, where a learner is used without a trainer."""

STRETCH = 100
"""Consecutive rows of a user's trajectory that belong to one shard."""

LISTED = 12
"""Pairs that a test lists one by one, those of smallest residual first."""

STATISTICS: dict[str, type[RowAccumulator]] = {"tsqr": TSQRAccumulator, "gram": GramAccumulator}


class KoopmanLearner(ClosedForm):
    """Base of the Koopman learners.

    Subclasses call `build` once they know the coordinates, define `make_dictionary`, and may redefine `features`,
    `eigenpairs` and `solve`.

    Attributes:
        certificate: of the last test, None before.
    """

    mode: ClassVar[Literal["min", "max"]] = "min"

    is_complex: bool
    num_features: int
    certificate: Certificate | None
    eigenvalues: Tensor
    right: Tensor
    matrix: Tensor
    coefficients: Tensor
    modes: Tensor
    rank: Tensor
    statistic: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        for name in ("delays", "horizon", "shards"):
            require_positive(**{name: self.hparams[name]})
        require_choice("assumption", self.hparams["assumption"], get_args(Assumption))
        if self.hparams["dt"] is not None:
            require_above(0, dt=self.hparams["dt"])
        self.certificate = None
        self._lag = 1
        self._seen = np.empty(0, dtype=np.int64)
        self.further: dict[str, Tensor] = {}
        if self.hparams["target_names"] is not None:
            self.build(self.hparams["target_names"])

    # ---- what a learner may choose

    @property
    def statistic_name(self) -> str:
        """Which statistic is summed: "tsqr" or "gram"."""
        return "tsqr"

    @property
    def successors(self) -> int:
        """Number of successors of every state."""
        return 1

    @property
    def rank_tolerance(self) -> float:
        """Relative singular value below which functions are dropped."""
        return RANK_TOLERANCE

    @property
    def feature_dtype(self) -> torch.dtype:
        """The precision of the features."""
        return torch.float64

    # ---- what depends on the coordinates

    def make_dictionary(self, dim: int) -> Dictionary:
        """Return the dictionary of states (M, dim); called once."""
        raise NotImplementedError(f"{type(self).__name__} must define make_dictionary()")

    def build(self, target_names: list[str]) -> None:
        """Make everything whose shape follows from the coordinates of a state.

        Args:
            target_names: names of the coordinates, of all snapshots of a window, the oldest first.

        Raises:
            ValueError: a name is repeated, or there are not as many for each snapshot.
        """
        names, delays = list(target_names), self.hparams["delays"]
        distinct = len(names) > 0 and len(set(names)) == len(names)
        require(distinct, "target_names", target_names, "one or more distinct names")
        require(len(names) % delays == 0, "target_names", f"{len(names)} names", f"{delays} snapshots of equally many")
        if self.hparams["target_names"] is None:
            self.hparams["target_names"] = names
        self.target_names = names[-(len(names) // delays) :]
        self.dictionary = self.make_dictionary(len(names))
        with torch.no_grad():
            probe = self.features(torch.zeros(1, len(names), dtype=torch.float64))
        size, observed = probe.shape[1], len(self.target_names)
        self.num_features, self.is_complex = size, probe.is_complex()
        pair = (2,) if self.is_complex else ()
        width = (1 + self.successors) * size + observed + 1
        shapes = {
            "eigenvalues": (size, 2),
            "right": (size, size, 2),
            "modes": (size, observed, 2),
            "matrix": (size, size, *pair),
            "coefficients": (size, observed, *pair),
            "statistic": (width, width, *pair),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("rank", torch.zeros((), dtype=torch.int64))
        dtype, shards = self._rows_dtype, self.hparams["shards"]
        self.val_factors = PairFactors((1 + self.successors) * size, dtype, 1)
        self.test_factors = PairFactors((1 + self.successors) * size, dtype, shards)
        self.predict_factors = PairFactors((1 + self.successors) * size, dtype, shards)
        self.val_metrics = MetricCollection({"error": RelativeError(observed)}, prefix="val/")
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
            if self.hparams["dt"] is None:
                self.hparams["dt"] = float(getattr(datamodule, "dt", 1.0))
            if hasattr(datamodule, "entries") and not self.is_fitted:
                self.adapt(datamodule.entries("train")["state"])
                self.dictionary.load_state_dict(self.trainer.strategy.broadcast(self.dictionary.state_dict()))

    def adapt(self, states: Tensor) -> None:
        """Place the dictionary where the states (M, dim) are, if it asks for it."""
        self.dictionary.adapt(states)

    # ---- from statistics to eigenpairs

    @property
    def _rows_dtype(self) -> torch.dtype:
        return torch.complex128 if self.is_complex else torch.float64

    def features(self, x: Tensor) -> Tensor:
        """Return the dictionary at states (M, dim): (M, N), real or complex."""
        return self.dictionary(x)

    def blocks(self, batch: Batch) -> list[Tensor]:
        """Return psi(x), psi(y) and, for two successors, psi(y2) of a batch, (M, N) each."""
        names = ["state", "next_state", "second_next_state"][: 1 + self.successors]
        missing = [name for name in names if name not in batch]
        require(not missing, "batch", sorted(batch), f"entries {', '.join(names)}")
        return [self.features(batch[name]) for name in names]

    def observed(self, states: Tensor) -> Tensor:
        """Return the newest snapshot of states (M, dim): (M, len(target_names))."""
        return states[:, -len(self.target_names) :]

    def new_statistics(self) -> dict[str, Any]:
        """Return the accumulator of the rows [psi(x), psi(y), x]."""
        kind = STATISTICS[self.statistic_name]
        return {"pairs": kind(len(self.statistic) - 1, dtype=self._rows_dtype)}

    def restored_statistics(self) -> dict[str, Any]:
        """Return the statistics of the present solution, to be continued."""
        statistics = self.new_statistics()
        statistics["pairs"].statistic = self._restored("statistic").clone()[None]
        return statistics

    def accumulate(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add the pairs of a batch; see `ClosedForm`."""
        state = self.observed(batch["state"])
        self.statistics["pairs"].update(*self.blocks(batch), state.double(), weights=batch.get("weight"))

    def solve(self, statistics: dict[str, Any]) -> dict[str, Tensor]:
        """Return the eigenpairs of the pairs added up, and all that predictions need."""
        accumulator = statistics["pairs"]
        whole = accumulator.whole()
        # Weights of whatever sum: the pairs count as many as they are, also beside those that may be added later.
        share = max(whole.count, 1) / (whole.weight or 1.0)
        statistic = whole.statistic[0].cpu() * (share if self.statistic_name == "gram" else share**0.5)
        factors, cross = self._factors(statistic)
        if factors.distrusts(self.feature_dtype):
            warnings.warn(
                f"the dictionary's condition number is {factors.condition:.1e}, too large for {self.feature_dtype} "
                "features: use an orthogonal or smaller dictionary, or float64",
                stacklevel=2,
            )
        coefficients = factors.basis @ (factors.basis.mH @ cross)
        pairs = self.eigenpairs(factors)
        return {
            **self._pairs_as_buffers(pairs, edmd.modes(pairs, factors, coefficients)),
            "matrix": self._stored(pairs.matrix),
            "coefficients": self._stored(coefficients),
            "statistic": self._stored(statistic),
        }

    def eigenpairs(self, factors: Factors) -> Eigenpairs:
        """Return the eigenpairs of the orthonormal form of the data: those of EDMD unless redefined."""
        return edmd.edmd(factors)

    def _pairs_as_buffers(self, pairs: Eigenpairs, modes: Tensor) -> dict[str, Tensor]:
        size, rank = self.num_features, len(pairs.eigenvalues)

        def padded(tensor: Tensor, dim: int) -> Tensor:
            shape = list(tensor.shape)
            shape[dim] = size
            whole = torch.zeros(shape, dtype=torch.complex128)
            whole.narrow(dim, 0, rank).copy_(tensor)
            return torch.view_as_real(whole)

        return {
            "eigenvalues": padded(pairs.eigenvalues, 0),
            "right": padded(pairs.right, 1),
            "modes": padded(modes, 0),
            "rank": torch.tensor(rank),
        }

    def _stored(self, tensor: Tensor) -> Tensor:
        return torch.view_as_real(tensor.to(torch.complex128)) if self.is_complex else tensor

    def _restored(self, name: str) -> Tensor:
        buffer = self.get_buffer(name)
        return torch.view_as_complex(buffer.contiguous()) if self.is_complex else buffer

    def _factors(self, statistic: Tensor) -> tuple[Factors, Tensor]:
        """Return the orthonormal form of a training statistic, and <psi, x>, (N, number of coordinates)."""
        size, pairs = self.num_features, (1 + self.successors) * self.num_features
        if self.statistic_name == "gram":
            whole = statistic + statistic.tril(-1).mH
            return factorize_gram(self._two_blocks(whole[:pairs, :pairs], triangular=False)), whole[:size, pairs:-1]
        rows = statistic[:, :pairs]
        cross = statistic[:, :size].mH @ statistic[:, pairs:-1]
        return factorize(self._two_blocks(rows, triangular=True), tolerance=self.rank_tolerance), cross

    def _two_blocks(self, statistic: Tensor, triangular: bool) -> Tensor:
        """Return a triangular factor, or Gram matrix, of pairs: itself where every state has one successor."""
        return statistic

    # ---- the API without a trainer

    @property
    def is_fitted(self) -> bool:
        """Whether there are eigenpairs."""
        return hasattr(self, "rank") and int(self.rank) > 0

    def _require_fitted(self) -> None:
        if not self.is_fitted:
            raise RuntimeError(f"this {type(self).__name__} has no eigenpairs yet; call fit, or load a checkpoint")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments, which is what `sklearn.base.clone` asks for."""
        return dict(self.hparams)

    @property
    def dt(self) -> float:
        """Time between the states of a pair, in the units of the data; 1 if nothing else is known."""
        return 1.0 if self.hparams["dt"] is None else self.hparams["dt"]

    @property
    def eigenvalues_(self) -> Tensor:
        """The eigenvalues of one lag, (r,) complex128, by descending modulus unless the learner orders them."""
        self._require_fitted()
        return torch.view_as_complex(self.eigenvalues[: self.rank].contiguous())

    @property
    def continuous_eigenvalues_(self) -> Tensor:
        """log(lambda) / dt, (r,) complex128: growth rates, and angular frequencies modulo 2 pi / dt."""
        return torch.log(self.eigenvalues_) / self.dt

    @property
    def eigenvectors_(self) -> Tensor:
        """Coefficients of the eigenfunctions in the dictionary, (N, r) complex128."""
        self._require_fitted()
        return torch.view_as_complex(self.right[:, : self.rank].contiguous())

    @property
    def modes_(self) -> Tensor:
        """Koopman modes of the state's newest snapshot, (r, number of coordinates) complex128."""
        self._require_fitted()
        return torch.view_as_complex(self.modes[: self.rank].contiguous())

    @property
    def factors(self) -> Factors:
        """The orthonormal form of the training data: what pseudospectra and spectral measures are computed from."""
        self._require_fitted()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankDeficiencyWarning)  # said when it was fitted
            return self._factors(self._restored("statistic"))[0]

    def fit(self, x: Array, y: Array | None = None, lag: int = 1, weights: Array | None = None) -> Self:
        """Learn from trajectories, or from pairs.

        Args:
            x: a trajectory (T, d), a list of trajectories, or, with `y`, states (M, d).
            y: the states one lag later, (M, d); of stochastic systems two independent ones, (2, M, d).
            lag: steps between the states of a pair; unused with `y`. Where no `dt` is known, it becomes this many.
            weights: relative ones of the pairs, equal if None.

        Raises:
            ValueError: see `zoo.koopman.snapshots.read_snapshots`.
        """
        data = self._read(x, y, self._learnt_lag(lag, y), weights)
        self.adapt(data.x)
        self.train_on(data)
        return self

    def train_on(self, data: Snapshots) -> None:
        """Do what `fit` does, with pairs that have been read."""
        self.eval()
        self.restart()
        self._seen = data.fingerprints()
        self.add_batches(self._on_device(batches_of(data, len(data))))

    def _learnt_lag(self, lag: int, y: Array | None) -> int:
        """Remember the lag: what is judged later is one lag apart, too."""
        if y is None:
            self._lag = lag
            if self.hparams["dt"] is None:
                self.hparams["dt"] = float(lag)
        return lag

    def _on_device(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            yield {name: entry.to(self.device) for name, entry in batch.items()}

    def partial_fit(
        self, x: Array, y: Array | None = None, lag: int | None = None, weights: Array | None = None
    ) -> Self:
        """Add data to what was learnt from earlier data; the dictionary stays as it is.

        All data learnt from, in whatever calls or by a trainer, count as their numbers of pairs; weights say how the
        pairs of a call share its number. The other arguments are those of `fit`; without a lag it is that of `fit`.
        """
        data = self._read(x, y, self._lag if lag is None else self._learnt_lag(lag, y), weights)
        if self.is_fitted:
            self.statistics = self.restored_statistics()
        else:
            self.adapt(data.x)
            self.restart()
        self.eval()
        self._seen = np.union1d(self._seen, data.fingerprints())
        self.add_batches(self._on_device(batches_of(data, len(data))))
        return self

    def _read(self, x: Array, y: Array | None, lag: int, weights: Array | None) -> Snapshots:
        delays = self.hparams["delays"]
        data = read_snapshots(x, y, lag, delays, weights)
        width = data.x.shape[1]
        if self.hparams["target_names"] is None:
            ages = [f"[t-{age}]" if age else "[t]" for age in reversed(range(delays))] if delays > 1 else [""]
            self.build([f"x{i + 1}{age}" for age in ages for i in range(width // delays)])
        names = self.hparams["target_names"]
        require(width == len(names), "X", f"states of {width} coordinates", f"states of {len(names)}: {names}")
        single = data.second is None or self.successors > 1
        require(single, "Y", "two successors of each state", "one: only the stochastic variant makes use of two")
        return data

    @torch.no_grad()
    def predict(self, x0: Array, n_steps: int) -> Tensor:
        """Return the forecast of the newest snapshot after 0 .. n_steps lags.

        Args:
            x0: a state (dim,), or several (B, dim).
            n_steps: number of lags, >= 0.

        Returns:
            (n_steps + 1, d), or (B, n_steps + 1, d), float64.
        """
        self._require_fitted()
        states = read_states(x0, len(self.hparams["target_names"]), self.hparams["delays"]).to(self.device)
        forecast = self.forecast(states, n_steps)
        single = torch.as_tensor(x0).ndim == 1
        return forecast[0] if single else forecast

    def forecast(self, states: Tensor, n_steps: int) -> Tensor:
        """Return the forecast from states (B, dim): (B, n_steps + 1, d) float64."""
        psi = self.features(states).to(self._rows_dtype)
        rows = edmd.predict(self._restored("matrix"), psi, self._restored("coefficients"), n_steps)
        return (rows.real if rows.is_complex() else rows).transpose(0, 1)

    @torch.no_grad()
    def eigenfunctions(self, x: Array) -> Tensor:
        """Return the eigenfunctions at states (M, dim): (M, r) complex128."""
        self._require_fitted()
        states = read_states(x, len(self.hparams["target_names"]), self.hparams["delays"]).to(self.device)
        return self.features(states).to(torch.complex128) @ self.eigenvectors_

    @torch.no_grad()
    def score(self, x: Array, y: Array | None = None, lag: int | None = None) -> float:
        """Return the coefficient of determination R^2 of the one-lag forecast; the data are given as to `fit`."""
        self._require_fitted()
        data = self._read(x, y, self._lag if lag is None else lag, None)
        error = RelativeError(len(self.target_names)).to(self.device)
        for batch in self._on_device(batches_of(data)):
            error.update(self.forecast(batch["state"], 1)[:, 1], self.observed(batch["next_state"]), batch["weight"])
        return 1 - float(error.compute()) ** 2

    @torch.no_grad()
    def certify(
        self,
        x: Array,
        y: Array | None = None,
        lag: int | None = None,
        weights: Array | None = None,
        *,
        origin: Origin = "held_out",
        shards: int | None = None,
        level: float = 0.95,
    ) -> Certificate:
        """Return residuals of all eigenpairs on data, with intervals.

        Args:
            x: data as given to `fit`, but other ones.
            y: see `fit`.
            lag: see `fit`; by default that of `fit` (1 if the learner was loaded, or trained by a trainer).
            weights: see `fit`.
            origin: "training" if the data are those of training all the same: then without intervals, with a warning.
            shards: number of stretches of the data that the intervals come from; by default the learner's.
            level: of the intervals.

        Raises:
            ValueError: "held_out" data hold pairs of training (a loaded learner only knows whether they are all of
                them); or see `fit`.
        """
        self._require_fitted()
        data = self._read(x, y, self._lag if lag is None else lag, weights)
        known = int(np.isin(data.fingerprints(), self._seen).sum())
        if origin == "held_out" and known:
            raise ValueError(
                f"origin='held_out' is not allowed: {known} of these {len(data)} pairs are among those of the training "
                "data; give other data, or say origin='training'"
            )
        batch = {"state": data.x, "next_state": data.y, "weight": data.weights}
        if data.second is not None:
            batch["second_next_state"] = data.second
        return self.certify_batch(batch, origin=origin, shards=shards, level=level)

    @torch.no_grad()
    def certify_batch(
        self, batch: Batch, *, origin: Origin = "held_out", shards: int | None = None, level: float = 0.95
    ) -> Certificate:
        """Return residuals of all eigenpairs on a whole split as a datamodule gives it; see `certify`."""
        self._require_fitted()
        total = len(batch["state"])
        number = self.hparams["shards"] if shards is None else shards
        require_positive(shards=number)
        factors = PairFactors((1 + self.successors) * self.num_features, self._rows_dtype, min(number, total))
        starts = tqdm(range(0, total, CHUNK), desc="certify", unit="chunk", delay=SECONDS_WITHOUT_PROGRESS, leave=False)
        for start in starts:
            rows = slice(start, min(start + CHUNK, total))
            part = {name: entry[rows].to(self.device) for name, entry in batch.items()}
            self._add_held_out(factors, part, torch.arange(rows.start, rows.stop), total)
        return self._certificate(factors.compute(), origin, level)

    def _add_held_out(self, factors: PairFactors, batch: Batch, index: Tensor, total: int) -> None:
        blocks = self.blocks(batch)
        weights = batch["weight"] if "weight" in batch else torch.ones(len(index), dtype=torch.float64)
        shard = (index * factors.shards).div(max(total, 1), rounding_mode="floor").clamp(max=factors.shards - 1)
        for number in shard.unique().tolist():
            rows = shard == number
            factors.update(*(block[rows] for block in blocks), weights=weights[rows], shard=number)

    def _certificate(
        self, shards: list[Tensor], origin: Origin = "held_out", level: float = 0.95, known_to_differ: bool = False
    ) -> Certificate:
        # Splits of a datamodule may differ and yet have equal statistics, as two turns of a periodic orbit.
        training = None if known_to_differ else self._training_factor()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankDeficiencyWarning)  # the certificate tells the rank
            return certify(
                [self._two_blocks(shard, triangular=True) for shard in shards],
                self.eigenvalues_.cpu(),
                self.eigenvectors_.cpu(),
                origin=origin,
                training=training,
                assumption=self.hparams["assumption"],
                level=level,
                feature_dtype=self.feature_dtype,
            )

    def _training_factor(self) -> Tensor:
        """Return a factor of the rows [psi(x), psi(y)] of training."""
        statistic, pairs = self._restored("statistic").cpu(), (1 + self.successors) * self.num_features
        if self.statistic_name == "gram":
            whole = statistic + statistic.tril(-1).mH
            return triangle_of_gram(self._two_blocks(whole[:pairs, :pairs], triangular=False))[0]
        return self._two_blocks(statistic[:, :pairs], triangular=True)

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
        self._add_held_out(factors, batch, index, total)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, reduced over ranks."""
        super().on_validation_epoch_end()
        shards = self._factors_of_all_ranks(self.val_factors)
        certificate = self._certificate(shards, known_to_differ=True) if shards and self.is_fitted else None
        for name, value in summary(certificate).items():
            self.log(f"val/{name}", value, prog_bar=f"val/{name}" == self.monitor, sync_dist=True)

    def on_test_start(self) -> None:
        """Forget the certificate of an earlier test."""
        self.certificate, self.further = None, {}

    def on_test_epoch_end(self) -> None:
        """Log the test metrics, and the pairs of smallest residual one by one."""
        super().on_test_epoch_end()
        self._certify_test()
        for name, value in summary(self.certificate).items():
            self.log(f"test/{name}", value, sync_dist=True)
        if self.certificate is None:
            return
        rows = listed(self.certificate, half=not self.is_complex, further=self.further)
        for number, row in enumerate(rows[:LISTED], start=1):
            for name, value in row.items():
                if math.isfinite(value):  # there is no interval where there is one shard
                    self.log(f"test/pair {number:02d}/{name}", value, sync_dist=True)

    def _certify_test(self) -> None:
        """Compute the certificate of the running test, once; on every rank, as they exchange what they have seen."""
        if self.certificate is None and self.is_fitted:
            shards = self._factors_of_all_ranks(self.test_factors)
            if shards:
                self.certificate = self._certificate(shards, known_to_differ=True)
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

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> dict[str, Tensor]:
        """Return the forecast of `horizon` lags, (B, horizon + 1, d), and the eigenfunctions, (B, N).

        Where the batch knows successors, the residuals of the eigenpairs on them are part of `summaries`.
        """
        states = batch["state"]
        if "next_state" in batch and self.successors == 1:
            known = torch.isfinite(batch["next_state"]).all(1)
            pairs = {name: batch[name][known] for name in ("state", "next_state")}
            index = batch["index"][known] if "index" in batch else torch.full((int(known.sum()),), batch_idx)
            shard = index.cpu() // STRETCH % self.predict_factors.shards
            self._add_held_out(self.predict_factors, pairs, shard, self.predict_factors.shards)
        eigenfunctions = self.features(states).to(torch.complex128) @ torch.view_as_complex(self.right)
        return {"forecast": self.forecast(states, self.hparams["horizon"]), "eigenfunctions": eigenfunctions}

    def summaries(self) -> dict[str, list[dict[str, Any]]]:
        """Return the eigenvalues, with their residuals on the trajectories predicted from where these are known."""
        if not self.is_fitted:
            return {}
        if bool(self.predict_factors.triangles.any()):
            certificate = self._certificate(self.predict_factors.compute(), known_to_differ=True)
            rows = certificate.rows()
            return {"eigenvalues": [{**row, "data": "the given trajectories"} for row in rows]}
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


def batches_of(data: Snapshots, total: float = 1.0) -> Iterator[Batch]:
    """Yield pairs in batches whose weights sum to `total`."""
    for start in range(0, len(data), CHUNK):
        rows = slice(start, start + CHUNK)
        batch = {"state": data.x[rows], "next_state": data.y[rows], "weight": data.weights[rows] * total}
        yield batch if data.second is None else {**batch, "second_next_state": data.second[rows]}


def summary(certificate: Certificate | None) -> dict[str, float]:
    """Return one number for each thing that a certificate says of all pairs; infinite residuals without one."""
    if certificate is None:
        return {"median_residual": math.inf}
    return {
        "median_residual": float(certificate.residual.median()),
        "largest_residual": float(certificate.residual.max()),
        "mean_leak": float(certificate.leak.mean()),
        "condition": certificate.condition,
    }


def listed(certificate: Certificate, half: bool, further: dict[str, Tensor]) -> list[dict[str, float]]:
    """Return the pairs by ascending residual, equal ones by descending modulus, with what is worth a table.

    Args:
        certificate: of the pairs.
        half: leave out eigenvalues below the real axis: those of real dictionaries come in conjugate pairs.
        further: more columns, (r,) each.
    """
    names = ("residual", "lower", "upper", "projected", "leak")
    columns = {name: getattr(certificate, name) for name in names} | further
    rows = []
    for index, value in enumerate(certificate.eigenvalues.tolist()):
        if not half or value.imag >= 0:
            row = {name: float(column[index]) for name, column in columns.items()}
            rows.append({"real": value.real, "imag": value.imag, **row})
    return sorted(rows, key=lambda row: (round(row["residual"], 9), -round(abs(complex(row["real"], row["imag"])), 9)))

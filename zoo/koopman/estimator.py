"""Learning, forecasting and certifying from Python, without a trainer, in the manner of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Self, get_args

import torch
from torch import Tensor
from tqdm.auto import tqdm

from zoo.checks import require, require_above, require_choice, require_positive
from zoo.closed_form import SECONDS_WITHOUT_PROGRESS
from zoo.koopman import edmd
from zoo.koopman.certificate import Assumption, Certificate, Origin, certify
from zoo.koopman.closed_eigenpairs import Batch, ClosedEigenpairs
from zoo.koopman.factors import RankDeficiencyWarning
from zoo.koopman.holdout import PairFactors, RelativeError
from zoo.koopman.known_pairs import KnownPairs
from zoo.koopman.snapshots import Array, Snapshots, read_snapshots, read_states

CHUNK = 1 << 12
"""Pairs whose features are in memory at once."""


class KoopmanEstimator(ClosedEigenpairs):
    """What has eigenpairs in closed form, used without a trainer."""

    lag: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        for name in ("delays", "horizon", "shards"):
            require_positive(**{name: self.hparams[name]})
        require_choice("assumption", self.hparams["assumption"], get_args(Assumption))
        if self.hparams["dt"] is not None:
            require_above(0, dt=self.hparams["dt"])
        self.register_buffer("lag", torch.ones((), dtype=torch.int64))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments, which is what `sklearn.base.clone` asks for."""
        return dict(self.hparams)

    @property
    def dt(self) -> float:
        """Time between the states of a pair, in the units of the data; 1 if nothing else is known."""
        return 1.0 if self.hparams["dt"] is None else self.hparams["dt"]

    @property
    def continuous_eigenvalues_(self) -> Tensor:
        """log(lambda) / dt, (r,) complex128: growth rates, and angular frequencies modulo 2 pi / dt."""
        return torch.log(self.eigenvalues_) / self.dt

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
        self.add_batches(self._on_device(batches_of(data, len(data))))

    def _learnt_lag(self, lag: int, y: Array | None) -> int:
        """Remember the lag: what is judged later is one lag apart, too."""
        if y is None:
            self.lag.fill_(lag)
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
        data = self._read(x, y, int(self.lag) if lag is None else self._learnt_lag(lag, y), weights)
        if self.is_fitted:
            self.statistics = self.restored_statistics()
        else:
            self.adapt(data.x)
            self.restart()
        self.eval()
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
        self.require_fitted()
        states = read_states(x0, len(self.hparams["target_names"]), self.hparams["delays"]).to(self.device)
        forecast = self.forecast(states, n_steps)
        single = torch.as_tensor(x0).ndim == 1
        return forecast[0] if single else forecast

    def forecast(self, states: Tensor, n_steps: int) -> Tensor:
        """Return the forecast from states (B, dim): (B, n_steps + 1, d) float64."""
        psi = self.features(states).to(self.rows_dtype)
        rows = edmd.predict(self._restored("matrix"), psi, self._restored("coefficients"), n_steps)
        return (rows.real if rows.is_complex() else rows).transpose(0, 1)

    @torch.no_grad()
    def eigenfunctions(self, x: Array) -> Tensor:
        """Return the eigenfunctions at states (M, dim): (M, r) complex128."""
        self.require_fitted()
        states = read_states(x, len(self.hparams["target_names"]), self.hparams["delays"]).to(self.device)
        return self.features(states).to(torch.complex128) @ self.eigenvectors_

    @torch.no_grad()
    def score(self, x: Array, y: Array | None = None, lag: int | None = None) -> float:
        """Return the coefficient of determination R^2 of the one-lag forecast; the data are given as to `fit`."""
        self.require_fitted()
        data = self._read(x, y, int(self.lag) if lag is None else lag, None)
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
            lag: see `fit`; by default that of training.
            weights: see `fit`.
            origin: "training" if the data are those of training all the same: then without intervals, with a warning.
            shards: number of stretches of the data that the intervals come from; by default the learner's.
            level: of the intervals.

        Raises:
            ValueError: "held_out" data have pairs in common with the training data, as far as these are known, see
                `zoo.koopman.known_pairs`; or see `fit`.
        """
        self.require_fitted()
        data = self._read(x, y, int(self.lag) if lag is None else lag, weights)
        batch = {"state": data.x, "next_state": data.y, "weight": data.weights}
        if data.second is not None:
            batch["second_next_state"] = data.second
        return self.certify_batch(batch, origin=origin, shards=shards, level=level)

    @torch.no_grad()
    def certify_batch(
        self, batch: Batch, *, origin: Origin = "held_out", shards: int | None = None, level: float = 0.95
    ) -> Certificate:
        """Return residuals of all eigenpairs on a whole split as a datamodule gives it; see `certify`."""
        self.require_fitted()
        total = len(batch["state"])
        known = KnownPairs(self.known).count(batch["state"], batch["next_state"])
        if origin == "held_out" and known:
            raise ValueError(
                f"origin='held_out' is not allowed: {known} of these {total} pairs are known from the training data; "
                "give other data, or say origin='training'"
            )
        number = self.hparams["shards"] if shards is None else shards
        require_positive(shards=number)
        factors = PairFactors((1 + self.successors) * self.num_features, self.rows_dtype, min(number, total))
        starts = tqdm(range(0, total, CHUNK), desc="certify", unit="chunk", delay=SECONDS_WITHOUT_PROGRESS, leave=False)
        for start in starts:
            rows = slice(start, min(start + CHUNK, total))
            part = {name: entry[rows].to(self.device) for name, entry in batch.items()}
            self.add_held_out(factors, part, torch.arange(rows.start, rows.stop), total)
        return self.certificate_of(factors.compute(), origin, level)

    def add_held_out(self, factors: PairFactors, batch: Batch, index: Tensor, total: int) -> None:
        """Add pairs to the shards that their positions (m,) among `total` of them belong to."""
        blocks = self.blocks(batch)
        weights = batch["weight"] if "weight" in batch else torch.ones(len(index), dtype=torch.float64)
        shard = (index * factors.shards).div(max(total, 1), rounding_mode="floor").clamp(max=factors.shards - 1)
        for number in shard.unique().tolist():
            rows = shard == number
            factors.update(*(block[rows] for block in blocks), weights=weights[rows], shard=number)

    def certificate_of(self, shards: list[Tensor], origin: Origin = "held_out", level: float = 0.95) -> Certificate:
        """Return the certificate that the factors of some data give, one for each shard."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankDeficiencyWarning)  # the certificate tells the rank
            return certify(
                [self.two_blocks(shard, triangular=True) for shard in shards],
                self.eigenvalues_.cpu(),
                self.eigenvectors_.cpu(),
                origin=origin,
                assumption=self.hparams["assumption"],
                level=level,
                feature_dtype=self.feature_dtype,
            )


def batches_of(data: Snapshots, total: float = 1.0) -> Iterator[Batch]:
    """Yield pairs in batches whose weights sum to `total`."""
    for start in range(0, len(data), CHUNK):
        rows = slice(start, start + CHUNK)
        batch = {"state": data.x[rows], "next_state": data.y[rows], "weight": data.weights[rows] * total}
        yield batch if data.second is None else {**batch, "second_next_state": data.second[rows]}

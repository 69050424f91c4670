"""What the learners share whose dictionary is a network: gradients train it, then sums over the data give eigenpairs.

The two alternate. A training step takes the loss of a batch; eigenpairs and all that is judged come from one more pass
over the training data with the network as it is, before each validation (`trainers.statistics.SumOverData`). The
network is trained in the trainer's precision; its functions are judged in float64.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from zoo.checks import require, require_positive
from zoo.closed_form import SECONDS_WITHOUT_PROGRESS
from zoo.koopman.closed_eigenpairs import Batch
from zoo.koopman.futures import Futures
from zoo.koopman.learner import KoopmanLearner
from zoo.koopman.snapshots import Array, Snapshots
from zoo.network_module import NetworkModule
from zoo.registry import get_network


class GradientLearner(KoopmanLearner, NetworkModule):
    """Base of the learners with a network; subclasses define `make_dictionary` and `loss`.

    Args:
        network: name of a registered network.
        network_kwargs: its keyword arguments but for those that follow from the data.
        target_names: names of the coordinates of a state; None takes those of the data.
        **arguments: of `NetworkModule`.

    Raises:
        TypeError: see `NetworkModule` and the network.
        ValueError: see `NetworkModule`, `KoopmanLearner` and the network.
    """

    monitor: ClassVar[str] = "val/median_residual"
    from_data: ClassVar[tuple[str, ...]] = ("dim",)

    def __init__(
        self, network: str, network_kwargs: dict[str, Any] | None, target_names: list[str] | None, **arguments: Any
    ) -> None:
        for name in self.from_data:
            given = (network_kwargs or {}).get(name)
            require(given is None, f"network_kwargs.{name}", given, "no value: it follows from the data")
        self._futures: Futures | None = None
        # Until the coordinates are known a network of one stands in, so that bad arguments are refused at once.
        dim = len(target_names or [""])
        super().__init__(network=network, network_kwargs={**(network_kwargs or {}), "dim": dim}, **arguments)

    def make_network(self, **from_data: Any) -> nn.Module:
        """Return the network with the arguments that follow from the data; it belongs to the dictionary from now on."""
        stood_in = next(self.network.parameters())
        del self.network
        network = get_network(self.hparams["network"], **(self.hparams["network_kwargs"] or {}), **from_data)
        return network.to(stood_in)

    def loss(self, batch: Batch) -> Tensor:
        """Return what is minimised, of the global batch on any number of processes."""
        raise NotImplementedError(f"{type(self).__name__} must define loss()")

    @property
    def steps_ahead(self) -> int:
        """Number of lags after a state that the loss looks at; 1 where pairs suffice."""
        return 1

    @property
    def needs_matrix(self) -> bool:
        """Whether the loss needs the closed form of the network as it was when the epoch began."""
        return False

    @property
    def training_dtype(self) -> torch.dtype:
        """The precision of the weights."""
        return next(self.dictionary.parameters()).dtype

    # ---- with a trainer

    def setup(self, stage: str) -> None:
        """See `KoopmanLearner.setup`; in training also look for the trajectories in the pairs."""
        super().setup(stage)
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit" and self.steps_ahead > 1:
            pairs = datamodule.entries("train")
            self._follow(pairs["state"], pairs["next_state"])

    def teardown(self, stage: str) -> None:
        """Let go of the training data."""
        self._futures = None

    def training_step(self, batch: Batch, batch_idx: int = 0) -> Tensor:
        """Return the loss of a batch and log it."""
        loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["state"]))
        return loss

    def _follow(self, states: Tensor, next_states: Tensor) -> None:
        self._futures = Futures.of(states, next_states)
        longest, needed = self._futures.longest(self.steps_ahead), self.steps_ahead
        require(longest == needed, "steps ahead", needed, f"at most {longest}, the lags of the longest trajectory")

    def futures(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the states 1 .. `steps_ahead` lags after those of a batch, (B, steps, d), and which are known."""
        if self._futures is None:
            raise RuntimeError(f"{type(self).__name__} looks several lags ahead: train it with a trainer, or by fit")
        states, known = self._futures.after(batch["index"].cpu(), self.steps_ahead)
        return states.to(batch["state"]), known.to(batch["state"].device)

    # ---- without

    def fit(
        self,
        x: Array,
        y: Array | None = None,
        lag: int = 1,
        weights: Array | None = None,
        *,
        epochs: int = 500,
        batch_size: int = 5000,
    ) -> Self:
        """Train the network on trajectories, or on pairs, then find the eigenpairs; see `KoopmanLearner.fit`.

        The learning rate stays constant after its warm-up. Call it again to go on.

        Args:
            x: a trajectory (T, d), a list of trajectories, or, with `y`, states (M, d).
            y: the states one lag later, (M, d).
            lag: steps between the states of a pair; unused with `y`.
            weights: of the pairs, equal ones if None.
            epochs: passes over the data, >= 1.
            batch_size: pairs in a step, >= 1.

        Raises:
            ValueError: an argument is out of its range; see `zoo.koopman.snapshots.read_snapshots`.
            RuntimeError: the loss is not finite.
        """
        require_positive(epochs=epochs, batch_size=batch_size)
        data = self._read(x, y, self._learnt_lag(lag, y), weights)
        if not self.is_fitted:
            self.adapt(data.x)
        if self.steps_ahead > 1:
            self._follow(data.x, data.y)
        self._descend(data, epochs, batch_size)
        self._futures = None
        self.train_on(data)
        return self

    def partial_fit(
        self, x: Array, y: Array | None = None, lag: int | None = None, weights: Array | None = None
    ) -> Self:
        """Add data to what the eigenpairs are found from; the network stays as it is, but is trained the first time."""
        if not self.is_fitted:
            return self.fit(x, y, 1 if lag is None else lag, weights)
        return super().partial_fit(x, y, lag, weights)

    def _descend(self, data: Snapshots, epochs: int, batch_size: int) -> None:
        configured = self.configure_optimizers()
        optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]  # type: ignore[index]
        generator = torch.Generator().manual_seed(0)
        name = type(self).__name__
        bar = tqdm(range(epochs), desc=name, unit="epoch", delay=SECONDS_WITHOUT_PROGRESS, leave=False)
        for _ in bar:
            if self.needs_matrix:
                self.train_on(data)
            self.train()
            for rows in torch.randperm(len(data), generator=generator).split(batch_size):
                batch = {"state": data.x[rows], "next_state": data.y[rows], "weight": data.weights[rows], "index": rows}
                optimizer.zero_grad()
                loss = self.loss({key: entry.to(self.device) for key, entry in batch.items()})
                if not loss.isfinite():
                    raise RuntimeError(f"the loss of {name} is {loss.item()}; lower lr={self.hparams['lr']}")
                loss.backward()
                optimizer.step()
                scheduler.step()
            bar.set_postfix(loss=f"{loss.item():.3g}", refresh=False)

    def _lr_factor(self, step: int) -> float:
        if self._trainer is None and step >= self.hparams["warmup_steps"]:
            return 1.0
        return super()._lr_factor(step)

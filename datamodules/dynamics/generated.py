"""Data generated from a system whose equations are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from safetensors.numpy import save_file
from safetensors.torch import load_file
from tqdm.auto import tqdm

from datamodules import keys
from datamodules.dynamics.measures import QUADRATURES, Array, Axis, Quadrature, product_rule
from datamodules.dynamics.module import SPLITS, DynamicsDataModule
from datamodules.dynamics.pairs import SnapshotPairs
from datamodules.dynamics.truth import CONSTANT, Truth
from datamodules.module import Samples, require_integer
from datamodules.sources import generated, sha256_of
from zoo.checks import require_choice

FILE_NAME = "pairs.safetensors"
PATIENCE = 2  # seconds after which a progress bar is worth its line
VERSION = 1  # of the generators; to be raised when a seed gives other data


class GeneratedDynamics(DynamicsDataModule):
    """Base of systems: trajectories from initial states that sample a reference measure of mass 1.

    Initial states are random, or in the training split the nodes of a quadrature rule; every trajectory gives
    `num_steps` pairs, which share the weight of its initial state. One long trajectory (`num_train=1`) makes ergodic
    averages. The splits consist of different trajectories, from generators of their own; validation and test are always
    random, so that rules are judged where they have no nodes. With more than one step, pairs sample the average of the
    reference measure and its images, which is the reference measure itself where that is invariant.

    Subclasses define `axes` or `sample`, and `step`; and `truth` where something is known.

    Args:
        num_train: number of trajectories for training, > 0; of a grid on d axes, a d-th power.
        num_val: number of trajectories for validation, > 0.
        num_test: number of trajectories for test, > 0.
        num_steps: number of pairs of each trajectory, > 0.
        quadrature: initial states of training: "random"; "equispaced", the trapezoidal rule; or "gauss", the
            Gauss-Legendre rule, Gauss-Hermite on normal axes. Periodic axes get equispaced nodes from either.
        lag: see `DynamicsDataModule`.
        delays: see `DynamicsDataModule`.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `DynamicsDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    chunk: ClassVar[int] = 1 << 12
    """Number of trajectories that are generated together."""

    quadratures: ClassVar[tuple[str, ...]] = QUADRATURES
    """What initial states may be."""

    def __init__(
        self,
        num_train: int = 1000,
        num_val: int = 200,
        num_test: int = 1000,
        num_steps: int = 1,
        quadrature: Quadrature = "random",
        lag: int = 1,
        delays: int = 1,
        batch_size: int = 1024,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(lag, delays, batch_size, num_workers, seed, predict_path)
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        for split, size in self.sizes.items():
            require_integer(f"num_{split}", size, least=1)
        require_integer("num_steps", num_steps, least=1)
        require_choice("quadrature", quadrature, self.quadratures)
        self.num_steps = num_steps
        self.quadrature = quadrature
        self._sha256 = ""

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        raise NotImplementedError(f"{type(self).__name__} must define axes")

    @property
    def coordinates(self) -> list[str]:
        """The names of the coordinates: of the axes, unless `from_axes` changes them."""
        return [axis.name for axis in self.axes]

    def from_axes(self, values: Array) -> Array:
        """Return the states (M, d) at values (M, number of axes) on the axes of the reference measure."""
        return values

    def sample(self, number: int, generator: np.random.Generator) -> Array:
        """Return initial states (number, d), independent samples of the reference measure."""
        return self.from_axes(np.stack([axis.draw(number, generator) for axis in self.axes], axis=1))

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, d) after one step."""
        raise NotImplementedError(f"{type(self).__name__} must define step()")

    def truth(self) -> Truth:
        """Return what is known of the system's Koopman operator at one lag."""
        return Truth((CONSTANT,), "not known in closed form, beyond the constant functions")

    def flow(self, state: Array) -> Array:
        """Return the successors of states (M, d) after one lag."""
        for _ in range(self.lag):
            state = self.step(state)
        return state

    def trajectories(self, initial: Array, length: int, generator: np.random.Generator, progress: tqdm) -> Array:
        """Return trajectories (M, length, d) that start at initial states (M, d)."""
        states = [initial]
        for _ in range(length - 1):
            states.append(self.step(states[-1]))
            progress.update(len(initial))
        return np.stack(states, axis=1)

    def arrays(self, split: str) -> dict[str, Array]:
        """Return the pairs of a split, a function of the arguments alone."""
        generator = np.random.default_rng([self.seed, SPLITS.index(split)])
        number, length = self.sizes[split], self.num_steps + self.lag + self.delays - 1
        if self.quadrature == "random" or split != "train":
            initial, weights = None, np.full(number, 1 / number)
        else:
            nodes, weights = product_rule(self.axes, number, self.quadrature)
            initial = self.from_axes(nodes)
        chunks = []
        with tqdm(total=number * (length - 1), desc=f"{type(self).__name__}, {split}", delay=PATIENCE) as progress:
            for start in range(0, number, self.chunk):
                rows = slice(start, min(start + self.chunk, number))
                states = self.sample(rows.stop - start, generator) if initial is None else initial[rows]
                chunks.append(self.pairs(self.trajectories(states, length, generator, progress), generator))
        first = sum(self.sizes[name] for name in SPLITS[: SPLITS.index(split)])
        return {
            **{key: np.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]},
            keys.WEIGHT: np.repeat(weights / self.num_steps, self.num_steps),
            keys.TRAJECTORY: np.repeat(first + np.arange(number), self.num_steps),
        }

    def pairs(self, trajectories: Array, generator: np.random.Generator) -> dict[str, Array]:
        """Return the states and successors, (M * num_steps, delays * d) each, of trajectories (M, length, d)."""
        windows = np.lib.stride_tricks.sliding_window_view(trajectories, self.delays, axis=1)
        states = windows.transpose(0, 1, 3, 2).reshape(*windows.shape[:2], -1)
        width = states.shape[-1]
        return {
            keys.STATE: states[:, : -self.lag].reshape(-1, width),
            keys.NEXT_STATE: states[:, self.lag :].reshape(-1, width),
        }

    def source(self) -> Path:
        """Return the file with the pairs, generating it first where needed."""

        def build(path: Path) -> None:
            save_file(
                {
                    f"{split}.{key}": np.ascontiguousarray(array)
                    for split in SPLITS
                    for key, array in self.arrays(split).items()
                },
                path,
            )

        loading = ("batch_size", "num_workers", "predict_path")
        arguments = {name: value for name, value in self.hparams.items() if name not in loading}
        return generated(FILE_NAME, {"version": VERSION, "system": type(self).__name__, **arguments}, build)

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits as pairs with all entries of `datamodules.keys` that the system has."""
        path = self.source()
        self._sha256 = sha256_of(path)
        entries = load_file(path)
        return {
            split: SnapshotPairs(
                {key.removeprefix(f"{split}."): entry for key, entry in entries.items() if key.startswith(f"{split}.")}
            )
            for split in SPLITS
        }

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the pairs."""
        return {
            "name": type(self).__name__,
            "source": "generated",
            "split": "by trajectory",
            "licence": "none, synthetic",
            "sha256": self._sha256,
            "quadrature": self.quadrature,
            "num_steps": self.num_steps,
            **self.provenance(),
        }


class StochasticDynamics(GeneratedDynamics):
    """Base of systems with noise: every state gets two successors that are independent of each other.

    Subclasses define `noisy_step` in place of `step`.

    Args:
        **options: see `GeneratedDynamics`; `delays` must be 1.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        require_choice("delays", self.delays, (1,))

    def noisy_step(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random successors of states (M, d) after one step."""
        raise NotImplementedError(f"{type(self).__name__} must define noisy_step()")

    def trajectories(self, initial: Array, length: int, generator: np.random.Generator, progress: tqdm) -> Array:
        """Return trajectories (M, length, d) that start at initial states (M, d)."""
        states = [initial]
        for _ in range(length - 1):
            states.append(self.noisy_step(states[-1], generator))
            progress.update(len(initial))
        return np.stack(states, axis=1)

    def pairs(self, trajectories: Array, generator: np.random.Generator) -> dict[str, Array]:
        """Return the states and two successors, (M * num_steps, d) each, of trajectories (M, length, d)."""
        pairs = super().pairs(trajectories, generator)
        second = pairs[keys.STATE]
        for _ in range(self.lag):
            second = self.noisy_step(second, generator)
        return {**pairs, keys.SECOND_NEXT_STATE: second}

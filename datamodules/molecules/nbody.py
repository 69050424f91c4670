r"""Charged bodies: where five bodies that attract and repel each other will be, from where they are and how they move.

    F_i = sum_{j != i} q_i q_j (x_i - x_j) / |x_i - x_j|^3,   each component clamped to +-100,   mass 1

    v += dt F, then again and again:  x += dt v;  (save every 100th);  v += dt F,      dt = 0.001

Source: the data sets of EGNN (Satorras, Hoogeboom, Welling, ICML 2021) and SEGNN (Brandstetter et al., ICLR 2022),
after Kipf et al. (ICML 2018).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm.auto import tqdm

from datamodules import keys
from datamodules.module import Samples, ZooDataModule, require_integer
from datamodules.molecules.structure import Array, collate
from datamodules.sources import generated, sha256_of
from zoo.checks import require

FILE_NAME = "nbody.safetensors"
VERSION = 1
STEP = 1e-3
MAX_FORCE = 100.0
SPEED = 0.5
SAVED_EVERY = 100
NUM_FRAMES = 49
SEED = 43
"""Of the published data sets."""

PUBLISHED = {"train": 10000, "val": 2000, "test": 2000}
"""Trajectories are drawn one after the other, for all splits from one stream."""

PATIENCE = 2  # seconds after which a progress bar is worth its line


class NBody(ZooDataModule):
    """Positions of charged bodies 1000 steps after given positions and velocities.

    Every trajectory gives one sample: charges, positions and velocities at one frame, positions at a later one. The
    trajectories are the published ones for `data_seed=43`: validation and test follow 10,000 training trajectories, of
    which the first `num_train` are used.

    Args:
        num_train: number of training samples, 1 to 10000; the benchmark has 3000.
        num_val: number of validation samples, 1 to 2000.
        num_test: number of test samples, 1 to 2000.
        num_bodies: bodies of a trajectory, >= 2.
        first_frame: frame of the inputs, 0 to 47; frames are 100 steps apart.
        target_frame: frame of the targets, up to 48.
        data_seed: of the trajectories, >= 0.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`; of the order of training alone.
        predict_path: see `ZooDataModule`; an npz file with `charges` (n,) or (S, n), `positions` and `velocities`
            (S, n, 3).

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    target_names: ClassVar[list[str]] = ["target_pos"]

    def __init__(
        self,
        num_train: int = 3000,
        num_val: int = 2000,
        num_test: int = 2000,
        num_bodies: int = 5,
        first_frame: int = 30,
        target_frame: int = 40,
        data_seed: int = SEED,
        batch_size: int = 100,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        for split, size in self.sizes.items():
            require_integer(f"num_{split}", size, least=1)
            require(size <= PUBLISHED[split], f"num_{split}", size, f"at most {PUBLISHED[split]}")
        require_integer("num_bodies", num_bodies, least=2)
        require_integer("first_frame", first_frame, least=0)
        require_integer("data_seed", data_seed, least=0)
        allowed = type(target_frame) is int and first_frame < target_frame < NUM_FRAMES
        require(
            allowed, "target_frame", target_frame, f"an integer above first_frame={first_frame}, below {NUM_FRAMES}"
        )
        self.num_bodies, self.data_seed = num_bodies, data_seed
        self.frames = (first_frame, target_frame)
        self._sha256 = ""

    def source(self) -> Path:
        """Return the file with the samples, simulating them first where needed."""
        arguments = {**self.sizes, "num_bodies": self.num_bodies, "frames": list(self.frames), "seed": self.data_seed}
        return generated(FILE_NAME, {"version": VERSION, **arguments}, self._build)

    def _build(self, path: Path) -> None:
        charges, pos, velocities = initial_states(self.sizes, self.num_bodies, self.data_seed)
        (first, velocities_then), (last, _) = simulate(charges, pos, velocities, self.frames)
        tensors = {"charges": charges, "positions": first, "velocities": velocities_then, "targets": last}
        save_file({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}, path)

    def prepare_data(self) -> None:
        """Simulate what is missing; one process of each machine calls it."""
        if self.predict_path is None:
            self.source()

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits as batches of one, all pairs of bodies connected."""
        path = self.source()
        self._sha256 = sha256_of(path)
        entries = load_file(path)
        columns = [entries[name] for name in ("charges", "positions", "velocities", "targets")]
        samples = [_sample(*row) for row in zip(*columns, strict=True)]
        ends = np.cumsum(list(self.sizes.values())).tolist()
        return {split: samples[end - size : end] for (split, size), end in zip(self.sizes.items(), ends, strict=True)}

    def collate(self, samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the batch of some samples."""
        return collate(samples)

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return 0 and 1: the protocol trains on positions as they are."""
        return [0.0], [1.0]

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the samples."""
        return {
            "name": "N-body, charged",
            "source": "generated",
            "split": "by trajectory, as published",
            "licence": "none, synthetic",
            "sha256": self._sha256,
            "sizes": self.sizes,
            "num_bodies": self.num_bodies,
            "frames": list(self.frames),
            "data_seed": self.data_seed,
            "seed": self.seed,
        }

    def read_inputs(self, path: str) -> tuple[list[str], Samples]:
        """Read a user's bodies.

        Raises:
            ValueError: the file lacks an array, or shapes do not fit each other.
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = {
                name: file[name].astype(np.float64) for name in ("charges", "positions", "velocities") if name in file
            }
        if len(arrays) < 3:
            raise ValueError(f"{path} holds {sorted(arrays)}; give charges, positions and velocities")
        shape = arrays["positions"].shape
        if len(shape) != 3 or shape[2] != 3 or arrays["velocities"].shape != shape:
            raise ValueError(f"{path}: positions {shape} and velocities must both be (samples, bodies, 3)")
        try:
            charges = np.broadcast_to(arrays["charges"], shape[:2])
        except ValueError as error:
            raise ValueError(f"{path}: charges {arrays['charges'].shape} do not fit positions {shape}") from error
        rows = zip(charges, arrays["positions"], arrays["velocities"], strict=True)
        samples = [_sample(*(torch.from_numpy(np.array(array)) for array in row)) for row in rows]
        return [str(number) for number in range(len(samples))], samples


def initial_states(sizes: dict[str, int], num_bodies: int, seed: int) -> tuple[Array, Array, Array]:
    """Draw charges (S, n), positions and velocities (S, n, 3) of the samples of all splits, in their order.

    The stream of random numbers is the published one: of each trajectory charges, positions, velocities, and the noise
    of observations, whose variance is zero.
    """
    random = np.random.RandomState(seed)
    kept: list[tuple[Array, Array, Array]] = []
    spread = (num_bodies / 5) ** (1 / 3)
    for split, total in PUBLISHED.items():
        for number in range(total):
            charges = random.choice([-1.0, 0.0, 1.0], size=(num_bodies, 1), p=[0.5, 0, 0.5])
            pos = random.randn(3, num_bodies) * spread
            velocities = random.randn(3, num_bodies)
            velocities = velocities * SPEED / np.sqrt((velocities**2).sum(axis=0))
            random.randn(2 * NUM_FRAMES * 3 * num_bodies)
            if number < sizes[split]:
                kept.append((charges[:, 0], pos.T, velocities.T))
    charges, pos, velocities = (np.stack(arrays) for arrays in zip(*kept, strict=True))
    return charges, pos, velocities


def accelerations(charges: Array, pos: Array) -> Array:
    """Return the forces on bodies (S, n) at (S, n, 3), clamped by component."""
    differences = pos[:, :, None] - pos[:, None]
    squares = (differences**2).sum(-1)
    squares[:, range(squares.shape[1]), range(squares.shape[1])] = np.inf
    sizes = charges[:, :, None] * charges[:, None] * squares**-1.5
    forces = (sizes[..., None] * differences).sum(2)
    return np.clip(forces, -MAX_FORCE, MAX_FORCE)


def simulate(charges: Array, pos: Array, velocities: Array, frames: tuple[int, ...]) -> list[tuple[Array, Array]]:
    """Return positions and velocities (S, n, 3) at some frames, ascending; frame k is step 100 (k + 1)."""
    pos, results = pos.copy(), []
    velocities = velocities + STEP * accelerations(charges, pos)
    steps = [SAVED_EVERY * (frame + 1) for frame in frames]
    for step in tqdm(range(1, steps[-1] + 1), desc="simulating bodies", delay=PATIENCE):
        pos += STEP * velocities
        if step in steps:
            results.append((pos.copy(), velocities.copy()))
        velocities += STEP * accelerations(charges, pos)
    return results


def _sample(charges: Tensor, pos: Tensor, velocities: Tensor, target: Tensor | None = None) -> dict[str, Tensor]:
    number = len(charges)
    source, goal = torch.where(~torch.eye(number, dtype=torch.bool))
    sample = {
        keys.CHARGES: charges,
        keys.POS: pos,
        keys.VELOCITIES: velocities,
        keys.EDGE_INDEX: torch.stack([source, goal]),
        keys.BATCH: torch.zeros(number, dtype=torch.int64),
        keys.PTR: torch.tensor([0, number]),
    }
    return sample if target is None else {**sample, keys.TARGET_POS: target}

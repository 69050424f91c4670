"""A generated Earth with photographs of known posteriors: what an ensemble of score maps could reach, and does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules import keys
from datamodules.earth.inputs import read_score_maps
from datamodules.earth.photographs import (
    ATTRIBUTES,
    SETS,
    Camera,
    class_priors,
    classes_of,
    gates_of,
    prior_of,
    take,
)
from datamodules.earth.world import World, generate
from datamodules.module import Samples, ZooDataModule, require_integer
from datamodules.samples import Batch, Sample, TensorSamples, collate
from datamodules.sources import generated, sha256_of
from zoo.checks import require, require_above, require_choice
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.healpix import check_nside
from zoo.spectral.sphere import direction
from zoo.spectral.spherical_harmonics import check_degree

FILE_NAME = "synthetic_earth.safetensors"
SPLITS = ("train", "val", "test")
VERSION = 1  # of the generator; to be raised when a seed gives other data

TrainSet = Literal["urban", "rural", "wild", "mixed"]


class SyntheticEarth(ZooDataModule):
    """Photographs on a generated Earth, of which a base model and the heads of two attributes say something.

    The base model and the heads have learned from photographs of where people live ("urban"). The test has photographs
    of three sets of the same size, which differ in where they are taken: "urban", "rural" (density proportional to
    population^0.2) and "wild" (anywhere on land); ensembles are trained and validated on one of them, or on a mixture.
    What a perfect predictor of each set knows is given by its prior.

    Batches are dicts of tensors, see `datamodules.keys` for the entries. The maps that predictors
    need are attributes, after `setup`.

    Args:
        nside: resolution of the HEALPix grid of 12 nside^2 cells.
        lmax: largest degree of the planet's fields, at most 3 nside - 1.
        num_train: number of training photographs, > 0.
        num_val: number of validation photographs, > 0.
        num_test: number of test photographs of each of the three sets, > 0.
        train_set: where photographs for training and validation are taken: "urban", "rural", "wild", or "mixed", a
            third each.
        kappa: concentration of the base model's view, > 0; 30 is about 10 degrees.
        accuracy: probability that an attribute is observed as it is, in (0, 1).
        overconfidence: factor of the concentration that the base model claims, > 0; 1 is honest.
        sharpness: exponent of the heads' posteriors, > 0; 1 is honest.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: of the planet and of the photographs.
        predict_path: an .npz file with `view` (M, 3), `cover` (M, 10) and `population` (M, 6), each of them as log-maps
            (M, N) if you like; see `read_score_maps`. None predicts the test set.

    Attributes:
        maps: `cover` and `population` (N,) int64; `train_prior` (1, N), `land` (1, N) and `set_prior` (3, N) float64,
            logarithms of densities, -inf on water.
        priors: of each attribute, frequencies (K,) of its classes in the training of its head.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    target_names: ClassVar[list[str]] = ["latitude", "longitude"]

    def __init__(
        self,
        nside: int = 64,
        lmax: int = 128,
        num_train: int = 1600,
        num_val: int = 400,
        num_test: int = 1000,
        train_set: TrainSet = "urban",
        kappa: float = 30.0,
        accuracy: float = 0.6,
        overconfidence: float = 1.0,
        sharpness: float = 1.0,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        check_nside(nside)
        check_degree(lmax)
        require(1 <= lmax < 3 * nside, "lmax", lmax, f"a degree from 1 to {3 * nside - 1}")
        require_choice("train_set", train_set, (*SETS, "mixed"))
        require_above(0, kappa=kappa, accuracy=accuracy, overconfidence=overconfidence, sharpness=sharpness)
        require(accuracy < 1, "accuracy", accuracy, "a number in (0, 1)")
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        for split, size in self.sizes.items():
            require_integer(f"num_{split}", size, least=1)
        self.nside, self.lmax, self.train_set = nside, lmax, train_set
        self.camera = Camera(kappa, accuracy, overconfidence, sharpness)
        self.maps: dict[str, Tensor] = {}
        self.priors: dict[str, Tensor] = {}
        self._sha256 = ""

    def prepare_data(self) -> None:
        """Generate the planet and its photographs if they are not in the cache."""
        if self.predict_path is None:
            self.source()

    def source(self) -> Path:
        """Return the file with planet and photographs, generating it first where needed."""
        loading = ("batch_size", "num_workers", "predict_path")
        arguments = {name: value for name, value in self.hparams.items() if name not in loading}

        def build(path: Path) -> None:
            world = generate(self.nside, self.lmax, self.seed)
            tensors = {f"world.{name}": value for name, value in world._asdict().items()}
            directions = direction(HEALPixGrid(self.nside).centers)
            for split in SPLITS:
                for name, entry in self._photographs(world, directions, split).items():
                    tensors[f"{split}.{name}"] = entry.contiguous()
            save_file(tensors, path)

        return generated(FILE_NAME, {"version": VERSION, **arguments}, build)

    def _photographs(self, world: World, directions: Tensor, split: str) -> dict[str, Tensor]:
        size = self.sizes[split]
        if split == "test":
            numbers = dict.fromkeys(SETS, size)
        elif self.train_set == "mixed":
            numbers = {name: (size + len(SETS) - 1 - index) // len(SETS) for index, name in enumerate(SETS)}
        else:
            numbers = {self.train_set: size}
        parts = []
        for name, number in numbers.items():
            generator = np.random.default_rng([self.seed, SPLITS.index(split), list(SETS).index(name)])
            parts.append(take(world, directions, name, number, self.camera, generator))
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits, and take up the maps."""
        path = self.source()
        self._sha256 = sha256_of(path)
        tensors = load_file(path)
        world = World(*(tensors[f"world.{name}"] for name in World._fields))
        self.priors = class_priors(world)
        self.maps = {
            **classes_of(world),
            "train_prior": prior_of(world, "urban").log()[None],
            "land": prior_of(world, "wild").log()[None],
            "set_prior": torch.stack([prior_of(world, name).log() for name in SETS]),
        }
        return {
            split: TensorSamples(
                {key.removeprefix(f"{split}."): entry for key, entry in tensors.items() if key.startswith(f"{split}.")}
            )
            for split in SPLITS
        }

    def collate(self, samples: Batch | list[Sample]) -> Batch:
        """Return the batch of some samples."""
        return collate(samples)

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return zeros and ones: places are no numbers to standardise."""
        return [0.0, 0.0], [1.0, 1.0]

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the photographs."""
        return {
            "name": "SyntheticEarth",
            "source": "generated",
            "split": f"trained on {self.train_set} photographs, tested on {', '.join(SETS)}",
            "licence": "none, synthetic",
            "sha256": self._sha256,
            "sizes": {split: len(samples) for split, samples in self.datasets.items()},
            "seed": self.seed,
        }

    def read_inputs(self, path: str) -> tuple[list[str], TensorSamples]:
        """Read what predictors say of a user's images.

        Args:
            path: an .npz file, see `read_score_maps`.

        Returns:
            The names of the images, and samples.

        Raises:
            ValueError: the file cannot be used; the message says why.
            FileNotFoundError: there is no such file.
        """
        names, entries = read_score_maps(path, {keys.VIEW: 3, **ATTRIBUTES}, HEALPixGrid(self.nside).n, ATTRIBUTES)
        if all(entries[name].size(1) == size for name, size in ATTRIBUTES.items()):
            entries |= gates_of(entries[keys.COVER], entries[keys.POPULATION])
        return names, TensorSamples(entries)

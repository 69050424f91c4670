"""What every datamodule of the zoo shares: splits, loaders that depend on nothing but a seed, a user's own inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import BatchSampler, DataLoader, Sampler

Samples = Sequence[Any]
SamplerFactory = Callable[[Samples, bool], Sampler[int] | BatchSampler]


class ZooDataModule(LightningDataModule):
    """Base of the zoo's datamodules: prepared once, split by explicit indices, the same order of samples from one seed.

    Subclasses set `target_names` and define `build_datasets`, `collate`, `target_statistics`, `metadata` and
    `read_inputs`, and `prepare_data` where something is generated or downloaded. Loaders draw from generators of their
    own and leave the global random state alone.

    Args:
        batch_size: number of samples in a batch over all processes together, > 0 and a multiple of their number.
        num_workers: worker processes of each loader, >= 0; the samples and their order do not depend on it.
        seed: seed of everything random in the data, >= 0: generated samples and the order of training.
        predict_path: file with the user's own inputs, see `read_inputs`; None predicts the test set.

    Attributes:
        sampler_factory: `(dataset, training) -> Sampler`, set before the loaders are made to choose the indices that
            this process sees, or the batches of them; None leaves them to torch's own samplers.
        datasets: the splits "train", "val" and "test", after `setup`.
        predict_ids: names of the user's inputs in the order of the predictions, after `setup("predict")`.

    Raises:
        TypeError: an argument holds something else than a number, a string, a boolean or None (a checkpoint with it
            could not be loaded in safe mode).
        ValueError: an argument is out of its range.
    """

    target_names: ClassVar[list[str]]

    def __init__(
        self, batch_size: int = 128, num_workers: int = 0, seed: int = 0, predict_path: str | None = None
    ) -> None:
        super().__init__()
        # Lightning's command line adds keys of its own, which are no arguments of the class.
        self.save_hyperparameters(ignore=["_instantiator", "_class_path"])
        for name, value in self.hparams.items():
            if value is not None and type(value) not in (bool, int, float, str):
                raise TypeError(f"{name} is a {type(value).__name__}; give a number, a string, a boolean or None")
        require_integer("batch_size", batch_size, least=1)
        require_integer("num_workers", num_workers, least=0)
        require_integer("seed", seed, least=0)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.predict_path = predict_path
        self.sampler_factory: SamplerFactory | None = None
        self.datasets: dict[str, Samples] = {}
        self.predict_ids: list[str] = []
        self._inputs: Samples = []

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits "train", "val" and "test"; called once, in every process, after `prepare_data`."""
        raise NotImplementedError(f"{type(self).__name__} must define build_datasets()")

    def collate(self, samples: list[Any]) -> Any:
        """Return the batch of some samples of a split."""
        raise NotImplementedError(f"{type(self).__name__} must define collate()")

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of the training targets, one each per name in `target_names`.

        Zeros and ones where the benchmark's protocol trains on targets as they are.
        """
        raise NotImplementedError(f"{type(self).__name__} must define target_statistics()")

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the data as plain JSON: source, split, sizes, sha256, licence, seed."""
        raise NotImplementedError(f"{type(self).__name__} must define metadata()")

    def read_inputs(self, path: str) -> tuple[list[str], Samples]:
        """Read a user's file into names and samples that `collate` makes batches of."""
        raise NotImplementedError(f"{type(self).__name__} must define read_inputs()")

    def setup(self, stage: str = "fit") -> None:
        """Build the splits, or read the user's inputs; every process calls it, and more calls change nothing.

        Args:
            stage: "fit", "validate", "test" or "predict".
        """
        if stage == "predict" and self.predict_path is not None:
            self.predict_ids, self._inputs = self.read_inputs(self.predict_path)
        elif not self.datasets:
            self.datasets = self.build_datasets()

    def dataset(self, split: str) -> Samples:
        """Return the split "train", "val" or "test".

        Raises:
            RuntimeError: called before `setup`.
        """
        if not self.datasets:
            raise RuntimeError(f"{type(self).__name__} has no data yet; call prepare_data() and setup() first")
        return self.datasets[split]

    def train_dataloader(self) -> DataLoader:
        """Return the loader of the training split: shuffled, in whole batches unless there is less than one."""
        return self._loader(self.dataset("train"), training=True)

    def val_dataloader(self) -> DataLoader:
        """Return the loader of the validation split: in order, every sample once."""
        return self._loader(self.dataset("val"), training=False)

    def test_dataloader(self) -> DataLoader:
        """Return the loader of the test split: in order, every sample once."""
        return self._loader(self.dataset("test"), training=False)

    def predict_dataloader(self) -> DataLoader:
        """Return the loader of the user's inputs, else of the test split: in order, every sample once."""
        return self._loader(self.dataset("test") if self.predict_path is None else self._inputs, training=False)

    def _loader(self, dataset: Samples, training: bool) -> DataLoader:
        sampler = self.sampler_factory(dataset, training) if self.sampler_factory else None
        if isinstance(sampler, BatchSampler):
            choice: dict[str, Any] = {"batch_sampler": sampler}
        else:
            choice = {
                "batch_size": self._batch_size_per_process(),
                "sampler": sampler,
                "shuffle": training if sampler is None else None,
                "drop_last": training and len(dataset) >= self.batch_size,
            }
        return DataLoader(
            dataset,  # type: ignore[arg-type] # torch reads any sequence
            **choice,
            num_workers=self.num_workers,
            collate_fn=self.collate,
            generator=torch.Generator().manual_seed(self.seed),
        )

    def _batch_size_per_process(self) -> int:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        world_size = torch.distributed.get_world_size() if distributed else 1
        if self.batch_size % world_size:
            raise ValueError(
                f"batch_size={self.batch_size} is not allowed; give a multiple of the {world_size} processes"
            )
        return self.batch_size // world_size


def require_integer(name: str, value: object, least: int) -> None:
    """Check an argument at the door.

    Raises:
        TypeError: `value` is no integer.
        ValueError: `value` is smaller than `least`.
    """
    if type(value) is not int:
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; give an integer >= {least}")
    if value < least:
        raise ValueError(f"{name}={value} is not allowed; give an integer >= {least}")

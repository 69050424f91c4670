"""What benchmarks on fields share: generated or read, split by indices, statistics of training, a user's own fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.generation import SPLITS, Sampler, generate
from datamodules.fields.reading import list_arrays, read_array
from datamodules.fields.statistics import NORMALIZATIONS, Normalization, fit_statistics
from datamodules.module import Samples, ZooDataModule, require_integer
from datamodules.samples import Batch, Sample, TensorSamples, collate
from zoo.checks import require, require_choice


class FieldDataModule(ZooDataModule):
    """Base of benchmarks on fields: batches are dicts of tensors with the entries of `datamodules.keys`.

    Fields come from the original files in `root`, and where there is a solver they are generated without. Subclasses
    set `files` and define `read`; and for solvers `sampler`, `sampler_arguments` and `entries_of`.

    Args:
        num_train: number of training samples, > 1.
        num_val: number of validation samples, > 0.
        num_test: number of test samples, > 0.
        normalization: of inputs and targets, see `datamodules.fields.statistics.fit_statistics`; the statistics are for
            the model, batches are in the units of the benchmark.
        root: folder with the original files; None generates.
        num_processes: that generate at once, > 0; the data do not depend on it.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: a file with fields, see `read_inputs`; None predicts the test set.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    sampler: ClassVar[Sampler | None] = None
    """What draws samples, see `datamodules.fields.generation`; None where there is no solver."""

    files: ClassVar[str]
    """The original files, for the message when `root` is missing."""

    def __init__(
        self,
        num_train: int = 1000,
        num_val: int = 100,
        num_test: int = 200,
        normalization: Normalization = "none",
        root: str | None = None,
        num_processes: int = 1,
        batch_size: int = 20,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        require_integer("num_train", num_train, least=2)
        require_integer("num_val", num_val, least=1)
        require_integer("num_test", num_test, least=1)
        require_integer("num_processes", num_processes, least=1)
        require_choice("normalization", normalization, NORMALIZATIONS)
        if root is None and self.sampler is None:
            raise ValueError(
                f"root=None is not allowed, {type(self).__name__} has no solver; give a folder with {self.files}"
            )
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        self.normalization = normalization
        self.root = root
        self.num_processes = num_processes
        self._digest: dict[str, str] = {}

    def sampler_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `sampler`, plain JSON values."""
        raise NotImplementedError(f"{type(self).__name__} must define sampler_arguments()")

    def entries_of(self, drawn: dict[str, Array]) -> dict[str, Array]:
        """Return the entries of batches from what `sampler` draws: by default the same."""
        return drawn

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the entries of all splits from the original files."""
        raise NotImplementedError(f"{type(self).__name__} must define read()")

    def prepare_data(self) -> None:
        """Generate what is missing, or look for the files; one process of each machine calls it."""
        if self.predict_path is None:
            self.setup()

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits."""
        if self.root is not None:
            splits = self.read(Path(self.root))
        else:
            splits = {split: self._generate(split) for split in SPLITS}
        return {
            split: TensorSamples(
                {name: torch.from_numpy(np.ascontiguousarray(entry)) for name, entry in entries.items()}
            )
            for split, entries in splits.items()
        }

    def _generate(self, split: str) -> dict[str, Array]:
        sampler = type(self).sampler
        assert sampler is not None  # as the constructor checks
        drawn, self._digest[split] = generate(
            sampler, self.sampler_arguments(), split, self.sizes[split], self.seed, self.num_processes
        )
        return self.entries_of(drawn)

    def entries(self, split: str) -> dict[str, Tensor]:
        """Return a whole split as one batch, without a copy.

        Raises:
            RuntimeError: called before `setup`.
        """
        samples = self.dataset(split)
        assert isinstance(samples, TensorSamples)  # what subclasses build
        return samples.entries

    def field_statistics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean and standard deviation of the training `input` and `target`, as `normalization` says.

        What is not to be normalised is absent.
        """
        entries = self.entries("train")
        names = [name for name in (keys.INPUT, keys.TARGET) if name in entries and self.normalization != "none"]
        return {name: fit_statistics(entries[name], self.normalization) for name in names}

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of each channel of the training targets, over samples and points."""
        mean, std = fit_statistics(self.entries("train")[keys.TARGET], "channel")
        return mean.tolist(), std.tolist()

    def collate(self, samples: Batch | list[Sample]) -> Batch:
        """Return the batch of some samples."""
        return collate(samples)

    def read_inputs(self, path: str) -> tuple[list[str], TensorSamples]:
        """Read a user's own fields, on a grid of any size or at any points.

        Args:
            path: a file in one of the formats of `datamodules.fields.reading`, with arrays called as the entries of
                batches, such as `input` (n, *grid, C) or `positions` (n, N, 2); a single array may have any name.

        Returns:
            The numbers of the samples as names, and the samples.

        Raises:
            ValueError: the file cannot be used; the message names the array and the fault.
            FileNotFoundError: there is no such file.
            ImportError: the file is HDF5 and h5py is missing.
        """
        wanted = self.input_shapes()
        shapes = list_arrays(path)
        main = next(iter(wanted))
        names = {main: None} if len(shapes) == 1 and len(wanted) == 1 else {name: name for name in wanted}
        arrays = {entry: read_array(path, name) for entry, name in names.items()}
        for entry, array in arrays.items():
            axes, channels = wanted[entry]
            if array.ndim == axes - 1 and channels == 1:
                arrays[entry] = array = array[..., None]
            if array.ndim != axes or array.shape[-1] != channels:
                raise ValueError(
                    f"{path}: {entry!r} has the shape {array.shape}; give {axes} axes, samples first and {channels} "
                    "channel(s) last"
                )
        counts = {entry: len(array) for entry, array in arrays.items()}
        if len(set(counts.values())) != 1 or not counts[main]:
            raise ValueError(f"{path}: the arrays have {counts} samples; give the same number, at least one")
        samples = TensorSamples({entry: torch.from_numpy(array) for entry, array in arrays.items()})
        return [str(number) for number in range(len(samples))], samples

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the number of axes, with that of samples, and of channels of what a model is given, by entry."""
        raise NotImplementedError(f"{type(self).__name__} must define input_shapes()")

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the fields."""
        source = (
            {"source": "generated", "licence": "none, synthetic", "sha256": self._digest}
            if self.root is None
            else {"source": self.files, "licence": "not stated by the authors; not to be redistributed", "sha256": None}
        )
        return {
            "name": type(self).__name__,
            **source,
            "split": "generated" if self.root is None else "as published",
            "sizes": {split: len(samples) for split, samples in self.datasets.items()},
            "normalization": self.normalization,
            "seed": self.seed,
        }


def published_split(total: int, sizes: dict[str, int], file: str) -> dict[str, slice]:
    """Split the samples of a file: the first for training, the last for test, validation right after training.

    Args:
        total: number of samples in the file.
        sizes: of the splits.
        file: its name, for the message.

    Raises:
        ValueError: there are too few samples; the message says how many.
    """
    train, val, test = (sizes[split] for split in SPLITS)
    require(train + val + test <= total, "num_train", train, f"at most {total - val - test} for the {total} of {file}")
    return {"train": slice(0, train), "val": slice(train, train + val), "test": slice(total - test, total)}
